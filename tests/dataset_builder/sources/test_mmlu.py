import csv

import polars as pl
import pytest

from dataset_builder.sources.mmlu import MMLU, TASKS
from dataset_builder.task_spec import Draw, Sequences
from spectrum_suite.errors import UserError

[TASK] = TASKS
HUB, THINGS = "all/test-00000-of-00001.parquet", "data/test/made_up_things_test.csv"
DRAWS = (
    Draw("Which of these letters comes first?\nA. A\nB. B\nC. C\nD. D", "A"),  # the file has no header
    Draw("Which of these floats in a café's sink?\nA. a key\nB. a cork\nC. a coin\nD. a nail", "B"),
    Draw(
        "Statement 1: ice is warm.\nStatement 2: ice is cold, mostly.\n"
        "A. Only 1\nB. Only 2, as a rule\nC. Both\nD. Neither",
        "B",
    ),
    Draw("Which number is even?\nA. 1\nB. 3\nC. 4\nD. 5", "C"),
)
ROWS = {
    "question": ["Which of these letters comes first?", " Which number is even?"],
    "subject": ["letters", "numbers"],
    "choices": [["A", "B", "C", "D"], ["1", "3", "4 ", "5"]],
    "answer": [0, 2],
}


def test_the_subjects_are_one_process_and_no_first_row_is_lost(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(MMLU)))
    assert {name: process.draws for name, process in processes.items()} == {"test": DRAWS}
    assert dropped == {"question or choice is empty": 1}
    [description] = processes["test"].descriptions
    assert "correct choice" in description


def test_the_hub_copy_counts_answers_from_zero(tmp_path, split):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "test.parquet")
    processes, dropped = split(TASK.read({HUB: tmp_path / "test.parquet"}))
    assert processes["test"].draws == (DRAWS[0], DRAWS[3])
    assert not dropped


def test_the_subjects_are_in_one_order_in_both_layouts(tmp_path, split):
    subjects = {
        "college": ("Q1?", ["1", "2", "3", "4"], 0),
        "college_art": ("Q2?", ["5", "6", "7", "8"], 1),
        "birds": ("Q3?", ["9", "10", "11", "12"], 3),
    }
    files = {}
    for subject, (question, choices, answer) in subjects.items():
        files[f"data/test/{subject}_test.csv"] = tmp_path / f"{subject}.csv"
        row = ",".join([question, *choices, "ABCD"[answer]])
        files[f"data/test/{subject}_test.csv"].write_text(f"{row}\n{row}\n")
    columns = {"subject": [], "question": [], "choices": [], "answer": []}
    for subject in ("college_art", "birds", "college"):
        for column, value in zip(columns, (subject, *subjects[subject]), strict=True):
            columns[column] += [value, value]
    pl.DataFrame(columns).write_parquet(tmp_path / "test.parquet")
    of_hub, of_archive = split(TASK.read({HUB: tmp_path / "test.parquet"})), split(TASK.read(files))
    assert of_hub == of_archive
    assert [draw.input[:3] for draw in of_hub[0]["test"].draws] == ["Q3?", "Q3?", "Q1?", "Q1?", "Q2?", "Q2?"]


def test_the_task_is_held_out_and_has_a_thousand_rows_of_20():
    assert (TASK.split, TASK.options) == ("test", ("A", "B", "C", "D"))
    assert TASK.sequences == Sequences("several", 20, count=1000)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"a nail,B", b"a nail,E", "row 1: the answer 'E' is not one of A, B, C, D"),
        (b"a nail,B", b"a nail,", "row 1: the answer None is not one of"),
        (b"a nail,B", b"B", "row 1: it has 5 fields where 6 are expected"),
        (b"caf\xc3\xa9", b"caf\xe9", "is not valid CSV"),
        (b",C\n", b',C\n"cut off, 1', "made_up_things_test.csv'"),
    ],
)
def test_a_damaged_subject_is_named_with_its_row(damaged_files, old, new, message):
    files = damaged_files(MMLU)
    content = files[THINGS].read_bytes()
    assert old in content
    files[THINGS].write_bytes(content.replace(old, new, 1))
    with pytest.raises(UserError, match=r"made_up_things_test\.csv") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": [0, 4]}, "row 2: the answer 4 is not one of 0, 1, 2, 3"),
        ({"answer": [-1, 2]}, "row 1: the answer -1 is not one of"),
        ({"answer": ["A", "C"]}, "row 1: column 'answer' holds 'A'"),
        ({"choices": [["A", "B", "C", "D"], ["1", "3", "4"]]}, "row 2: it has 3 choices instead of 4"),
        ({"choices": [None, ["1", "3", "4", "5"]]}, "row 1: "),
        ({"choices": ["A", "B"]}, "column 'choices'"),
    ],
)
def test_a_damaged_hub_copy_is_named_with_its_row(tmp_path, change, message):
    pl.DataFrame({**ROWS, **change}).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(UserError, match=r"test\.parquet") as error:
        list(TASK.read({HUB: tmp_path / "test.parquet"}))
    assert message in str(error.value)


def test_real_rows(real_files, split):
    files = real_files(MMLU)
    rows = []
    for path in files.values():
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.reader(file))
    assert len(rows) >= 203
    full = [row for row in rows if all(cell.strip() for cell in row)]
    processes, dropped = split(TASK.read(files))
    assert sum(dropped.values()) == len(rows) - len(full)
    for draw, (question, *choices, answer) in zip(processes["test"].draws, full, strict=True):
        lettered = [f"{letter}. {choice.strip()}" for letter, choice in zip("ABCD", choices, strict=True)]
        assert draw == ("\n".join([question.strip(), *lettered]), answer)
