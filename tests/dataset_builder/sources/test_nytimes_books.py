import json

import pytest

from dataset_builder.sources.nytimes_books import NYTIMES_BOOKS, TASKS
from dataset_builder.task_spec import Target
from spectrum_suite.errors import UserError

PATH = "nytimes/NYTIMES_proportions.json"
[TASK] = TASKS


def test_counts_become_shares(fixture_files, split):
    items, dropped = split(TASK.read(fixture_files(NYTIMES_BOOKS)))
    road, bridges = "The Salt Road By Ana Example", "Bridges By Tom Sample"
    assert list(items) == [
        f"{road}/Democrat",
        f"{road}/Republican",
        f"{road}/Male",
        f"{road}/Female",
        f"{bridges}/Democrat",
        f"{bridges}/Male",
        f"{bridges}/Female",
    ]
    book = (
        "The Salt Road By Ana Example\nGenre: Fiction\n"
        "Summary: A family of traders crosses a desert that — on paper — does not exist.\n"
        "1: Very unlikely\n2: Somewhat unlikely\n3: Somewhat likely\n4: Very likely"
    )
    assert items[f"{road}/Democrat"].target == Target(book, ("1", "2", "3", "4"), (0.5, 0.25, 0.125, 0.125), 8)
    assert items[f"{road}/Republican"].target.probabilities == (0, 0.5, 0, 0.5)
    assert [items[f"{road}/{group}"].groups for group in ("Democrat", "Republican", "Male", "Female")] == [
        (("party", "Democrat"),), (("party", "Republican"),), (("gender", "Male"),), (("gender", "Female"),),
    ]  # fmt: skip
    assert all(item.ordered for item in items.values())
    assert items[f"{bridges}/Female"].target == Target(
        items[f"{bridges}/Male"].target.input, ("1", "2", "3", "4"), (0.5, 0, 0.25, 0.25), 20
    )
    assert dropped == {"no respondent of the group answered": 1}


def test_the_description_names_the_group_and_spells_the_options_out(fixture_files, split):
    items, _ = split(TASK.read(fixture_files(NYTIMES_BOOKS)))
    words = {"Democrat": "is a Democrat", "Republican": "is a Republican", "Male": "is male", "Female": "is female"}
    for process, item in items.items():
        [description] = item.descriptions
        assert f"respondent who {words[process.rpartition('/')[2]]} is shown" in description
        assert "1 = very unlikely, 2 = somewhat unlikely, 3 = somewhat likely, 4 = very likely" in description


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda book: book.pop("Male"), "row 2: there is no 'Male'"),
        (lambda book: book["Male"].pop("4: Very likely"), "row 2: there is no '4: Very likely'"),
        (lambda book: book["Male"].update({"4: Very likely": -1}), "row 2: the answers of group 'Male'"),
        (lambda book: book["Male"].update({"4: Very likely": "many"}), "row 2: the answers of group 'Male'"),
        (lambda book: book["MC_options"].reverse(), "row 2: the options of 'Bridges By Tom Sample'"),
        (lambda book: book.update(summary=None), "row 2: "),
    ],
)
def test_a_damaged_book_is_named(damaged_files, change, message):
    files = damaged_files(NYTIMES_BOOKS)
    books = json.loads(files[PATH].read_text())
    change(books["Bridges By Tom Sample"])
    files[PATH].write_text(json.dumps(books))
    with pytest.raises(UserError, match=r"NYTIMES_proportions\.json") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["[1, 2]", '{"a": ', '{"a": 1}'])
def test_a_damaged_file_is_named(damaged_files, text):
    files = damaged_files(NYTIMES_BOOKS)
    files[PATH].write_text(text)
    with pytest.raises(UserError, match=r"NYTIMES_proportions\.json"):
        list(TASK.read(files))


def test_real_rows(real_files, split):
    items, dropped = split(TASK.read(real_files(NYTIMES_BOOKS)))
    assert len(items) == 235 * 4
    assert not dropped
    target = items["The Bee Sting By Paul Murray/Democrat"].target
    assert target.probabilities == (9 / 20, 6 / 20, 3 / 20, 2 / 20)
    assert target.n_responses == 20
