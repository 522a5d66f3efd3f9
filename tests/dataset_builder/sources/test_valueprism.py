import csv
import json
import re

import pytest

from dataset_builder.sources import valueprism
from dataset_builder.sources.valueprism import VALUEPRISM
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

PATH = "full/full.csv"
TASKS = {task.name.removeprefix("valueprism_"): task for task in valueprism.TASKS}
WALKS = (
    "Keeping a found umbrella",
    "Telling a friend that their soup is bland",
    "Reading a neighbour's postcard",
    "Selling a bicycle with a loose chain",
    "Taking the last biscuit",
    "Praising a song one did not hear",
    "Returning a library book late",
    "Borrowing a ladder without asking",
    "Naming the true author of a poem",
)
CLOCK = "Fixing a café’s clock"
HEADER = ("situation", "vrd", "text", "explanation", "valence")


@pytest.fixture
def built(fixture_files, split):
    return lambda name: split(TASKS[name].read(fixture_files(VALUEPRISM)))


@pytest.fixture
def written(damaged_files):
    """The raw files, with the given rows in place of the fixture's."""

    files = damaged_files(VALUEPRISM)

    def write(rows):
        with files[PATH].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *rows])
        return files

    return write


def test_distinct_situations(built):
    processes, dropped = built("situation")
    assert list(processes) == ["situations"]
    assert processes["situations"].draws == tuple(Draw(None, text) for text in (*WALKS, CLOCK))
    assert dropped == {"situation is empty": 1, "repeated text": 14}


def test_considerations_are_json_with_all_four_keys(built):
    processes, dropped = built("vrd")
    assert list(processes) == ["considerations"]
    lists = {draw.input: json.loads(draw.output) for draw in processes["considerations"].draws}
    assert list(lists) == [*WALKS, CLOCK]
    assert lists[WALKS[0]] == [
        dict(zip(("text", "vrd", "explanation", "valence"), values, strict=True))
        for values in (
            ("Honesty", "Value", "Reason 1 speaks of what is true.", "Opposes"),
            ("Thrift", "Value", 'A found thing need not be bought, "free" as it is.', "Supports"),
            ("Honesty", "Value", "A second look at the umbrella.", "Either"),
            ("Duty to return things", "Duty", "The owner is out in the rain.", "Opposes"),
        )
    ]
    assert dropped == {"situation is empty": 1, "text is empty": 1}
    for description in processes["considerations"].descriptions:
        for word in (
            "text",
            "vrd",
            "explanation",
            "valence",
            "Value",
            "Right",
            "Duty",
            "Supports",
            "Opposes",
            "Either",
        ):
            assert word in description
        assert "three to eight" in description


def test_distinct_texts_of_each_kind(built):
    processes, dropped = built("vrds_noncontextual")
    assert {name: [draw.output for draw in one.draws] for name, one in processes.items()} == {
        "Value": ["Honesty", "Thrift", "Calm"],
        "Right": ["Honesty", "Right to an opinion"],
        "Duty": ["Duty to return things", "Thrift"],
    }
    assert dropped == {"text is empty": 1, "repeated text": 17}
    words = {"Value": r"[Vv]alues?\b", "Right": r"[Rr]ights?\b", "Duty": r"[Dd]ut(y|ies)\b"}
    for name, one in processes.items():
        for text in one.descriptions:
            assert [kind for kind, word in words.items() if re.search(rf"\b{word}", text)] == [name]


def test_a_right_or_duty_of_the_same_text_is_no_value(built):
    processes, dropped = built("misc")
    # Thrift has nine rows as a value and one as a duty; the clock is on honesty as a right.
    assert list(processes) == ["Honesty"]
    assert processes["Honesty"].draws == tuple(Draw(None, text) for text in WALKS)
    assert all("Honesty" in text for text in processes["Honesty"].descriptions)
    assert dropped == {
        "situation is empty": 1,
        "text is empty": 1,
        "row of another value, or of a right or duty": 13,
        "repeated text": 1,
    }


def test_400_of_the_frequent_values(written, split):
    rows = [(f"s{n}", "Value", f"v{value}", "why", "Either") for value in range(420) for n in range(10)]
    processes, dropped = split(TASKS["misc"].read(written(rows)))
    assert len(processes) == 400
    assert list(processes) != [f"v{value}" for value in range(400)]  # a sample, not the first ones
    assert all(len(one.draws) == 10 for one in processes.values())
    assert dropped == {"row of another value, or of a right or duty": 200}
    assert split(TASKS["misc"].read(written(rows[::-1])))[0].keys() == processes.keys()


def test_considerations_of_16000_situations(written, split):
    rows = [(f"s{n}", "Right", "Rest", "why", "Either") for n in range(16_100)]
    processes, dropped = split(TASKS["vrd"].read(written(rows)))
    assert len(processes["considerations"].draws) == 16_000
    assert dropped == {"consideration on a situation beyond the 16000": 100}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("situation,vrd", "context,vrd", "full.csv' lacks a column"),
        (",Value,Honesty,Reason 3", ",value,Honesty,Reason 3", "row 3: vrd holds 'value', which is not one of"),
        ("true.,Opposes", "true.,opposes", "row 1: valence holds 'opposes', which is not one of"),
        ("Value,Honesty,Reason 3", "Value;Honesty,Reason 3", "row 3: it has 4 fields"),
        (' ""free"" as it is."', ' ""free"" as it is.', "row 4: it has 4 fields"),
        ("café", "caf\udce9", "full.csv' is not valid CSV"),
    ],
)
def test_a_damaged_file_is_named_with_its_row(damaged_files, old, new, message):
    files = damaged_files(VALUEPRISM)
    text = files[PATH].read_text(encoding="utf-8")
    assert old in text
    files[PATH].write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"full\.csv") as error:
        list(TASKS["vrd"].read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("text", ["", "situation,vrd,text,explanation,valence\n"])
def test_an_empty_file_is_named(damaged_files, name, text):
    files = damaged_files(VALUEPRISM)
    files[PATH].write_text(text)
    with pytest.raises(UserError, match=r"full\.csv"):
        list(TASKS[name].read(files))
