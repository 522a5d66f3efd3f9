import pytest

from dataset_builder.sources.rotten_tomatoes import ROTTEN_TOMATOES, TASKS
from dataset_builder.task_spec import Target
from spectrum_suite.errors import UserError

PATH = "rotten_tomatoes_data_1970_2024/movie_info.csv"
[TASK] = TASKS
KILN = "The Quiet Kiln, Again\nRelease date: Mar 3, 2001"
OPTIONS = ("Good", "Bad")


def test_scores_become_shares_that_are_not_truncated(fixture_files, split):
    items, dropped = split(TASK.read(fixture_files(ROTTEN_TOMATOES)))
    assert {name: item.target for name, item in items.items()} == {
        "The Quiet Kiln, Again/Mar 3, 2001/critic": Target(KILN, OPTIONS, (0.29, 0.71)),
        "The Quiet Kiln, Again/Mar 3, 2001/audience": Target(KILN, OPTIONS, (0.9, 0.1)),
        "Canção do Cais//critic": Target("Canção do Cais", OPTIONS, (1, 0)),
        "Late Ferry/1974/audience": Target("Late Ferry\nRelease date: 1974", OPTIONS, (0, 1)),
        "Late Ferry/2010/audience": Target("Late Ferry\nRelease date: 2010", OPTIONS, (0.57, 0.43)),
    }
    assert dropped == {
        "movie without a score by the audience": 2,
        "movie without a score by the critic": 3,
        "movie with the title and date of one above": 1,
        "movie without a title": 1,
    }


def test_every_percentage_is_exact(damaged_files, split):
    files = damaged_files(ROTTEN_TOMATOES)
    rows = [f"Movie {score},2000,{score}%,{score}\n" for score in range(101)]
    files[PATH].write_text("title,release_date,critic_score,audience_score\n" + "".join(rows))
    items, _ = split(TASK.read(files))
    assert len(items) == 202
    for score in range(101):
        for audience in ("critic", "audience"):
            target = items[f"Movie {score}/2000/{audience}"].target
            assert [round(100 * share, 9) for share in target.probabilities] == [score, 100 - score]


def test_the_description_names_the_audience(fixture_files, split):
    items, _ = split(TASK.read(fixture_files(ROTTEN_TOMATOES)))
    for name, item in items.items():
        [description] = item.descriptions
        assert ("critic" in description) == name.endswith("/critic")
        assert ("seen the movie" in description) == name.endswith("/audience")
        assert "Good or Bad" in description


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("100%", "101%", "row 2: the score '101%' is not a percentage"),
        ("100%", "fresh", "row 2: the score 'fresh' is not a percentage"),
        ("100%", "99.5%", "row 2: the score '99.5%' is not a percentage"),
        ("critic_score", "tomatometer", "movie_info.csv' lacks a column"),
        ("Canção", "Can\udce7ão", "movie_info.csv' is not valid CSV"),
        ("1974,,0%", "1974,0%", "row 3: it has 4 fields"),
    ],
)
def test_a_damaged_file_is_named_with_its_row(damaged_files, old, new, message):
    files = damaged_files(ROTTEN_TOMATOES)
    text = files[PATH].read_text(encoding="utf-8")
    assert old in text
    files[PATH].write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"movie_info\.csv") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "title,release_date,critic_score,audience_score\n"])
def test_an_empty_file_is_named(damaged_files, text):
    files = damaged_files(ROTTEN_TOMATOES)
    files[PATH].write_text(text)
    with pytest.raises(UserError, match=r"movie_info\.csv"):
        list(TASK.read(files))
