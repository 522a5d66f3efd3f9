import polars as pl
import pyreadstat
import pytest

from dataset_builder.sources.wvs import TASKS, WVS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

[TASK] = TASKS
[PATH] = (file.path for file in WVS.files)
FRIENDS, HAPPY = (
    "Important: Friends\nA. Very\nB. Rather\nC. Not at all",
    "Feeling – of café life\nA. Happy\nB. Not happy",
)
COLUMNS = {
    "D_INTERVIEW": [501.0, 502.0, 503.0, 504.0],
    "B_COUNTRY": [20.0, 276.0, 20.0, -4.0],
    "N_TOWN": [20001.0, -2.0, 99999.0, None],
    "S_INTLANGUAGE": [780.0, 1530.0, None, -1.0],
    "Q1": [2.0, 3.0, -1.0, 1.0],
    "Q2": [0.0, 1.0, None, 7.0],
    "Q3": [1.0, 2.0, 3.0, 4.0],
    "Q4": [1.0, 1.0, 1.0, 1.0],
    "Q5": ["a", "b", "c", "d"],
    "Q261": [1.0, 1.0, 2.0, 2.0],
    "X1": [1.0, 1.0, 1.0, 1.0],
}
LABELS = {
    "D_INTERVIEW": "Number of the interview",
    "B_COUNTRY": "Country",
    "Q1": "Important: Friends",
    "Q2": " Feeling – of café life ",
    "Q3": "One of many",
    "Q4": "No options",
    "Q5": "Text",
    "Q261": "Year of birth",
    "X1": "Something else",
}
VALUES = {
    "B_COUNTRY": {20.0: "Andorra", 276.0: "Germany", -4.0: "Not asked"},
    "N_TOWN": {20001.0: "Ordino", -2.0: "No answer"},
    "S_INTLANGUAGE": {780.0: "Catalan", 1530.0: "German", -1.0: "Unknown"},
    "Q1": {-5.0: "Missing", -1.0: "Unknown", 1.0: "Not at all", 2.0: "Rather", 3.0: "Very"},
    "Q2": {0.0: "Not happy", 1.0: "Happy"},
    "Q3": {float(code): f"Way {code}" for code in range(1, 19)},
    "Q261": {1.0: "1980", 2.0: "1990"},
}


FRAME = pl.DataFrame(COLUMNS)


def write_sav(path, frame=FRAME, values=VALUES):
    labels = [LABELS.get(name) for name in frame.columns]
    missing = {"Q1": [{"lo": -5, "hi": -1}]} if "Q1" in frame.columns else None
    pyreadstat.write_sav(frame, path, column_labels=labels, variable_value_labels=values, missing_ranges=missing)
    return {PATH: path}


@pytest.fixture
def files(tmp_path):
    return write_sav(tmp_path / PATH)


def test_answers_are_letters_of_options_from_the_highest_code(files, split):
    people, dropped = split(TASK.read(files))
    assert {name: person.draws for name, person in people.items()} == {
        "1": (Draw(FRIENDS, "B"), Draw(HAPPY, "B")),
        "2": (Draw(FRIENDS, "A"), Draw(HAPPY, "A")),
        "4": (Draw(FRIENDS, "C"),),
    }
    assert dropped == {
        "question with more than 17 options": 1,
        "question without text or options": 2,
        "question for a year or a count": 1,
        "question without an answer": 2,
        "answer without a label": 1,
    }
    assert TASK.sequences.mode == "one"


def test_seventeen_options_are_not_too_many(tmp_path, split):
    values = VALUES | {"Q3": {float(code): f"Way {code}" for code in range(1, 18)}}
    people, dropped = split(TASK.read(write_sav(tmp_path / PATH, values=values)))
    assert people["1"].draws[2] == Draw("One of many\n" + "\n".join(
        f"{letter}. Way {17 - i}" for i, letter in enumerate("ABCDEFGHIJKLMNOPQ")), "Q")  # fmt: skip
    assert "question with more than 17 options" not in dropped


def test_descriptions_tell_what_is_known_of_the_person(files, split):
    people, _ = split(TASK.read(files))
    told = {name: [text.partition("same person.")[2] for text in people[name].descriptions] for name in people}
    assert told == {
        "1": ["", " Country: Andorra. Settlement: Ordino. Language of the interview: Catalan."],
        "2": ["", " Country: Germany. Language of the interview: German."],
        "4": [""],  # codes below zero, and none
    }
    assert all(text.startswith("Input: a question") for person in people.values() for text in person.descriptions)


def test_at_most_2000_respondents(tmp_path, split):
    frame = pl.concat([FRAME[:1]] * 2010)
    people, dropped = split(TASK.read(write_sav(tmp_path / PATH, frame)))
    rows = [int(name) for name in people]
    assert len(rows) == 2000
    assert rows == sorted(rows) != list(range(1, 2001))
    assert dropped["respondent beyond 2000"] == 10


def test_the_committed_fixture_holds_these_rows(fixture_files, files, split):
    assert split(TASK.read(fixture_files(WVS))) == split(TASK.read(files))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "cannot be read as an SPSS file"),
        (lambda content: b"B_COUNTRY,Q1\n20,1\n" * 50, "cannot be read as an SPSS file"),
        (lambda content: content[:300], "cannot be read as an SPSS file"),
        (lambda content: content[:-60], "cannot be read as an SPSS file"),
        (lambda content: content.replace(b"Andorra", b"And\xffrra"), "cannot be read as an SPSS file"),
    ],
)
def test_a_damaged_file_is_named(files, damage, message):
    files[PATH].write_bytes(damage(files[PATH].read_bytes()))
    with pytest.raises(UserError, match=r"Wave_7.*\.sav") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.drop("N_TOWN"), "lacks the columns ['N_TOWN']"),
        (FRAME.select(pl.exclude("^Q.*$")), "holds no row or no question"),
        (FRAME.clear(), "holds no row or no question"),
    ],
)
def test_a_file_without_columns_or_rows_is_named(tmp_path, frame, message):
    values = {name: labels for name, labels in VALUES.items() if name in frame.columns}
    with pytest.raises(UserError, match=r"Wave_7.*\.sav") as error:
        list(TASK.read(write_sav(tmp_path / PATH, frame, values)))
    assert message in str(error.value)


def test_it_may_not_be_passed_on():
    assert WVS.redistributable == "no"
    assert WVS.files[0].url is None
