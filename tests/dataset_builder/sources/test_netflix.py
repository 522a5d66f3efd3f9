import subprocess
import sys

import pytest

from dataset_builder.sources import netflix
from dataset_builder.sources.netflix import NETFLIX
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

RATINGS, VIEWS, _ = netflix.TASKS
MOVIES = ["Bread, Butter and Salt", "A Canção", "Lighthouse", "The Quiet Kiln", "Nine Ladders", "Snow on the Pier"]
MOVIES += ["Captain Thimble", "Paper Moths", "Orchard Road", "Late Ferry", "The Glass Oar"]


@pytest.fixture
def damaged_with(damaged_files):
    """The raw files, with one text replaced by another; ``\\udcff`` stands for a byte that is no text."""

    def damage(file, old, new):
        files = damaged_files(NETFLIX)
        text = files[file].read_text(encoding="latin-1")
        assert old in text
        files[file].write_bytes(text.replace(old, new, 1).encode("latin-1", "surrogateescape"))
        return files

    return damage


@pytest.fixture(params=[1 << 25, 40])
def large_and_small_blocks(request, monkeypatch):
    monkeypatch.setattr(netflix, "_BLOCK_BYTES", request.param)


def test_people_with_ten_ratings_across_the_three_files(fixture_files, split):
    people, dropped = split(RATINGS.read(fixture_files(NETFLIX)))
    assert list(people) == ["1201", "77"]  # 77 comes later: with the second movie
    assert people["1201"].draws == tuple(map(Draw, MOVIES[:10], "2345123451"))
    assert people["77"].draws == tuple(map(Draw, MOVIES[1:], "5241352413"))
    assert dropped == {"rating by a person with fewer than 10": 10}


def test_views_are_titles_alone(fixture_files, split):
    people, _ = split(VIEWS.read(fixture_files(NETFLIX)))
    assert people["77"].draws == tuple(Draw(None, title) for title in MOVIES[1:])
    assert len(people["77"].draws) == 10


def test_descriptions_tell_what_varies_and_name_nobody(fixture_files, split):
    ratings, _ = split(RATINGS.read(fixture_files(NETFLIX)))
    views, _ = split(VIEWS.read(fixture_files(NETFLIX)))
    assert sum("1 to 5" in text for text in ratings["77"].descriptions) == 1
    assert len(ratings["77"].descriptions) == len(views["77"].descriptions) == 2
    for people in (ratings, views):
        for customer, person in people.items():
            assert all("same person" in text or "one person" in text.lower() for text in person.descriptions)
            assert not any(customer in text for text in person.descriptions)


@pytest.mark.parametrize("block_bytes", [1, 30, 61])
def test_blocks_of_any_size_give_the_same(fixture_files, split, monkeypatch, block_bytes):
    expected, _ = split(RATINGS.read(fixture_files(NETFLIX)))
    monkeypatch.setattr(netflix, "_BLOCK_BYTES", block_bytes)
    assert split(RATINGS.read(fixture_files(NETFLIX)))[0] == expected


def test_customers_are_a_sample_and_fewer_are_a_subset(damaged_files, split):
    files = damaged_files(NETFLIX)
    lines = ["1:", *(f"{customer},3,2005-01-01" for customer in range(1, 41))]
    for movie in range(2, 11):
        lines += [f"{movie}:", *(f"{customer},{customer % 5 + 1},2005-01-02" for customer in range(1, 41))]
    files["combined_data_1.txt"].write_text("\n".join(lines) + "\n")
    for part, movie in ((2, 11), (3, 12)):
        files[f"combined_data_{part}.txt"].write_text(f"{movie}:\n1,1,2005-01-03\n")
    everyone = list(map(str, range(1, 41)))
    more, dropped = split(netflix.read(files, max_people=20, stars=False))
    assert list(more) == sorted(more, key=int)
    assert list(more) != everyone[:20]
    n_ratings = 402  # of which the first person has two more than the others
    assert dropped["rating by a person beyond the 20"] == n_ratings - sum(len(one.draws) for one in more.values())
    fewer, _ = split(netflix.read(files, max_people=10, stars=True))
    assert len(fewer) == 10
    assert fewer.keys() < more.keys()


def test_the_choice_is_the_same_in_every_process(fixture_files, split):
    files = {name: str(path) for name, path in fixture_files(NETFLIX).items()}
    code = (
        "from pathlib import Path; from dataset_builder.sources.netflix import read; "
        f"files = {{name: Path(path) for name, path in {files!r}.items()}}; "
        "print([e.process for e in read(files, max_people=1, stars=True) if hasattr(e, 'process')])"
    )
    people, _ = split(netflix.read(fixture_files(NETFLIX), max_people=1, stars=True))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == repr(list(people))


@pytest.mark.usefixtures("large_and_small_blocks")
@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("combined_data_1.txt", ("1:\n", ""), "row 1: a rating comes before the first movie"),
        ("combined_data_1.txt", ("77,5,2004-05-02", "77,6,2004-05-02"), "row 6: the line '77,6,2004-05-02' is neither"),
        ("combined_data_1.txt", ("77,5,2004-05-02", "77,5"), "row 6: the line '77,5' is neither"),
        ("combined_data_1.txt", ("77,5,2004-05-02", ""), "row 6: the line '' is neither"),
        ("combined_data_1.txt", ("77,5,2004-05-02", "77,5,2004-05-02,1"), "row 6: "),
        ("combined_data_1.txt", ("77,5,2004-05-02", "Ann,5,2004-05-02"), "row 6: "),
        ("combined_data_2.txt", ("6:\n", "\udcff:\n"), "row 5: "),
        ("combined_data_2.txt", ("6:\n", "5:\n"), "row 5: movie 5 is repeated"),
        ("combined_data_3.txt", ("9:\n", "8:\n"), "row 1: movie 8 is repeated"),
        ("combined_data_3.txt", ("9:\n", "13:\n"), "row 1: movie 13 is not in movie_titles.csv"),
        ("combined_data_3.txt", ("305,1,2004-05-11\n12:\n", "305,1,2004"), "row 10: the line '305,1,2004' is neither"),
        ("movie_titles.csv", ("7,2004,Captain Thimble", "7;Captain Thimble"), "row 7: "),
        ("movie_titles.csv", ("7,2004,Captain Thimble", "seven,2004,Captain Thimble"), "row 7: "),
        ("movie_titles.csv", ("7,2004,Captain Thimble", "7,2004, "), "row 7: movie 7 has no title"),
        ("movie_titles.csv", ("7,2004,Captain Thimble", "6,2004,Captain Thimble"), "row 7: movie 6 has no title, or"),
    ],
)
def test_a_damaged_file_is_named_with_its_row(damaged_with, file, change, message):
    with pytest.raises(UserError) as error:
        list(RATINGS.read(damaged_with(file, *change)))
    assert f"{file}', {message}" in str(error.value)


@pytest.mark.parametrize("file", ["combined_data_2.txt", "movie_titles.csv"])
def test_an_empty_file_is_named(damaged_files, file):
    files = damaged_files(NETFLIX)
    files[file].write_text("")
    with pytest.raises(UserError, match=f"{file}', row 1: "):
        list(VIEWS.read(files))
