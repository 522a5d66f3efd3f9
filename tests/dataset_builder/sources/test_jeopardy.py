import csv

import pytest

from dataset_builder.sequences import cut
from dataset_builder.sources import jeopardy
from dataset_builder.sources.jeopardy import JEOPARDY, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

PATH = "JEOPARDY_CSV.csv"
CLUES, ANSWERS = TASKS
HEADER = "Show Number, Air Date, Round, Category, Value, Question, Answer"
DROPPED = {
    "clue of another round than Jeopardy! and Double Jeopardy!": 2,
    "clue without text, answer or category": 3,
    "clue with a link": 2,
    "clue that came before": 1,
}


def test_clues_in_upstream_order(fixture_files, split):
    processes, dropped = split(CLUES.read(fixture_files(JEOPARDY)))
    assert list(processes) == ["all"]
    assert processes["all"].draws == (
        Draw(None, 'It flows through the town of "Exampleville"'),
        Draw(None, "In a café, it is what you may drink, black or with milk"),
        Draw(None, "The first of 26"),
    )
    assert dropped == DROPPED


def test_answers_to_the_same_clues(fixture_files, split):
    processes, dropped = split(ANSWERS.read(fixture_files(JEOPARDY)))
    assert processes["all"].draws == (
        Draw('It flows through the town of "Exampleville"', "the Sample"),
        Draw("In a café, it is what you may drink, black or with milk", "coffee (or café)"),
        Draw("The first of 26", "A"),
    )
    assert dropped == DROPPED


def test_names_of_columns_may_begin_with_a_space_or_not(damaged_files, fixture_files, split):
    files = damaged_files(JEOPARDY)
    [path] = files.values()
    header, rest = path.read_bytes().split(b"\n", 1)
    assert b", Round" in header
    path.write_bytes(header.replace(b", ", b",") + b"\n" + rest)
    for task in TASKS:
        assert split(task.read(files)) == split(task.read(fixture_files(JEOPARDY)))


def test_what_the_tasks_say(fixture_files, split):
    for task in TASKS:
        assert (task.split, task.sequences.mode, task.sequences.length.mean) == ("train", "partition", 64)
        processes, _ = split(task.read(fixture_files(JEOPARDY)))
        descriptions = processes["all"].descriptions
        assert len(set(descriptions)) == len(descriptions) >= 2
        assert all("Jeopardy!" in text for text in descriptions)
        assert all(("response" in text) == (task is ANSWERS) for text in descriptions)
    assert JEOPARDY.files[0].url is None  # got by hand


def test_a_fixed_sample_of_a_large_table(damaged_files, split, monkeypatch):
    monkeypatch.setattr(jeopardy, "_MAX_CLUES", 100)
    files = damaged_files(JEOPARDY)
    rows = [f'1,2001-02-03,Jeopardy!,"A","$200","clue {number}","answer {number}"' for number in range(200)]
    files[PATH].write_text("\n".join([HEADER, *rows]))
    processes, dropped = split(ANSWERS.read(files))
    draws = processes["all"].draws
    assert len(draws) == 100
    assert dropped == {"clue beyond the 100 of the task": 100}
    numbers = [int(draw.input.removeprefix("clue ")) for draw in draws]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 150  # a sample, not the first ones
    assert all(draw.output == f"answer {number}" for draw, number in zip(draws, numbers, strict=True))
    assert [draw.output for draw in split(CLUES.read(files))[0]["all"].draws] == [draw.input for draw in draws]


def test_as_many_clues_as_fit_into_1000_sequences():
    for seed in range(10):
        assert 900 < sum(1 for _ in cut(jeopardy._MAX_CLUES, CLUES.sequences, seed, "all")) <= 1000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b" Answer\r\n", b" Response\r\n", "lacks a column it should have"),
        (b',"A"\r\n', b"\r\n", "row 10: it has 6 fields where 7 are expected"),
        (b'"The first of 26","A"', b'"The first of 26","A","B"', "row 10: it has 8 fields where 7 are expected"),
        ("CAFÉS".encode(), b"CAF\xc9S", "is not valid CSV"),
        (b'black or with milk ",', b"black or with milk ,", "JEOPARDY_CSV.csv"),  # a quotation mark that is not closed
    ],
)
def test_a_damaged_file_is_named(damaged_files, old, new, message):
    files = damaged_files(JEOPARDY)
    whole = files[PATH].read_bytes()
    assert old in whole
    files[PATH].write_bytes(whole.replace(old, new, 1))
    with pytest.raises(UserError, match=r"JEOPARDY_CSV\.csv") as error:
        list(CLUES.read(files))
    assert message in str(error.value)


def test_an_empty_file_is_named(damaged_files):
    files = damaged_files(JEOPARDY)
    for text in ("", HEADER + "\r\n"):
        files[PATH].write_text(text)
        with pytest.raises(UserError, match=r"JEOPARDY_CSV\.csv"):
            list(ANSWERS.read(files))


def test_real_rows_agree_with_a_reading_by_the_csv_module(real_files, split):
    files = real_files(JEOPARDY)
    with files[PATH].open(encoding="utf-8", newline="") as file:
        rows = [{name.strip(): value.strip() for name, value in row.items()} for row in csv.DictReader(file)]
    expected = {}
    for row in rows:
        if row["Round"] in {"Jeopardy!", "Double Jeopardy!"} and "<a " not in row["Question"]:
            expected.setdefault(row["Question"], row["Answer"])
    processes, dropped = split(ANSWERS.read(files))
    if len(rows) != 2500:
        pytest.skip("the rows were compared on the sample of 2500")
    assert dict(processes["all"].draws) == expected
    assert len(processes["all"].draws) == 2347
    assert sum(dropped.values()) == 153
