import json

import polars as pl
import pytest

from dataset_builder.sources.arc import ARC, TASKS
from dataset_builder.task_spec import Draw, Sequences
from spectrum_suite.errors import UserError

[TASK] = TASKS
HUB, ORIGINAL = "ARC-Challenge/test-00000-of-00001.parquet", "ARC-Challenge-Test.jsonl"
DRAWS = (
    Draw("Which of these melts in the sun?\nA. a stone\nB. a spoon\nC. a snowman\nD. a brick", "C"),
    Draw("Which of these is used to measure 20 °C?\n1. a ruler\n2. a scale\n3. a clock\n4. a thermometer", "4"),
    Draw("Which of these is alive?\nA. a tree\nB. a chair\nC. a cloud", "A"),
    Draw("Which of these is the fifth?\nA. the first\nB. the second\nC. the third\nD. the fourth\nE. the fifth", "E"),
)
ROWS = {
    "id": ["MadeUp_1", "MadeUp_2"],
    "question": ["Which of these melts in the sun?", "Which of these is used to measure 20 °C?"],
    "choices": [
        {"text": ["a stone", "a spoon", "a snowman", "a brick"], "label": ["A", "B", "C", "D"]},
        {"text": ["a ruler", "a scale", "a clock", "a thermometer"], "label": ["1", "2", "3", "4"]},
    ],
    "answerKey": ["C", "4"],
}


def test_labels_stay_as_upstream_has_them(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(ARC)))
    assert {name: process.draws for name, process in processes.items()} == {"test": DRAWS}
    assert dropped == {"question or choice is empty": 1}
    [description] = processes["test"].descriptions
    assert "letter of the right choice" in description


def test_the_hub_copy_gives_the_same(tmp_path, split):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "test.parquet")
    processes, dropped = split(TASK.read({HUB: tmp_path / "test.parquet"}))
    assert processes["test"].draws == DRAWS[:2]
    assert not dropped


def test_the_task_is_held_out_and_partitioned():
    assert (TASK.split, TASK.options) == ("test", ("A", "B", "C", "D", "E", "1", "2", "3", "4"))
    assert TASK.sequences == Sequences("partition", 10)


def question(**change):
    choices = [{"text": "yes", "label": "A"}, {"text": "no", "label": "B"}]
    row = {"id": "MadeUp_6", "question": {"stem": "Is it?", "choices": choices}, "answerKey": "A"}
    return json.dumps({**row, **change})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (question(id="MadeUp_2"), "row 6: the id 'MadeUp_2' came before"),
        (question(answerKey="C"), "row 6: the answer 'C' is not one of A, B"),
        (question(answerKey=1), "row 6: field 'answerKey' holds 1"),
        (question(question="Is it?"), "row 6: field 'question' holds 'Is it?'"),
        (question(question={"stem": "Is it?"}), "row 6: there is no 'choices'"),
        (question(question={"stem": "Is it?", "choices": [{"text": "yes"}]}), "row 6: there is no 'label'"),
        (question(question={"stem": "Is it?", "choices": [{"text": "yes", "label": "A"}] * 2}), "row 6: the labels"),
        (question(question={"stem": "Is it?", "choices": [{"text": "yes", "label": "F"}]}), "row 6: the labels ['F']"),
        (question()[:40], "row 6: "),
    ],
)
def test_a_damaged_line_is_named(damaged_files, line, message):
    files = damaged_files(ARC)
    with files[ORIGINAL].open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"ARC-Challenge-Test\.jsonl") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": ["MadeUp_1", "MadeUp_1"]}, "row 2: the id 'MadeUp_1' came before"),
        ({"answerKey": ["C", "D"]}, "row 2: the answer 'D' is not one of 1, 2, 3, 4"),
        ({"choices": [ROWS["choices"][0], None]}, "row 2: "),
        ({"choices": [{"text": ["a", "b", "c"]}, {"text": ["d"]}]}, "row 1: "),
        (
            {"choices": [ROWS["choices"][0], {"text": ["a"], "label": ["1", "4"]}]},
            "row 2: it has 1 choices instead of 2",
        ),
    ],
)
def test_a_damaged_hub_copy_is_named(tmp_path, change, message):
    pl.DataFrame({**ROWS, **change}).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(UserError, match=r"test\.parquet") as error:
        list(TASK.read({HUB: tmp_path / "test.parquet"}))
    assert message in str(error.value)


def test_real_rows(real_files, split):
    files = real_files(ARC)
    rows = [json.loads(line) for line in files[ORIGINAL].read_text(encoding="utf-8").splitlines()]
    processes, dropped = split(TASK.read(files))
    assert len(rows) in {400, 1172}  # the sample, the whole file
    assert not dropped
    for draw, row in zip(processes["test"].draws, rows, strict=True):
        choices = [f"{choice['label']}. {choice['text'].strip()}" for choice in row["question"]["choices"]]
        assert draw.input == "\n".join([row["question"]["stem"].strip(), *choices])
        assert draw.output == row["answerKey"]
        assert draw.output in TASK.options
