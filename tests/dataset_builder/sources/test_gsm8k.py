import json

import pytest

from dataset_builder.sources.gsm8k import GSM8K, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

PATH = "grade_school_math/data/train.jsonl"
TASK = {task.name: task for task in TASKS}
QUESTION, ANSWER = "Ada buys 3 pens at $2 each. How much does she pay?", "She pays 3*2=$<<3*2=6>>6.\n#### 6"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("gsm8k_question", Draw(None, QUESTION)),
        ("gsm8k_answer_from_question", Draw(QUESTION, ANSWER)),
        ("gsm8k_question_from_answer", Draw(ANSWER, QUESTION)),
        (
            "gsm8k_question_answer",
            Draw(None, f'{{"question": "{QUESTION}", "answer": "She pays 3*2=$<<3*2=6>>6.\\n#### 6"}}'),
        ),
    ],
)
def test_the_table_is_one_process_in_upstream_order(fixture_files, split, name, first):
    processes, dropped = split(TASK[name].read(fixture_files(GSM8K)))
    assert list(processes) == ["train"]
    draws = processes["train"].draws
    assert draws[0] == first
    assert len(draws) == 3
    assert "café" in str(draws[1])  # not an escape
    assert (TASK[name].sequences.mode, TASK[name].sequences.count, TASK[name].sequences.length.mean) == (
        "several",
        50,
        64,
    )
    assert not dropped


def test_white_space_at_the_ends_goes(fixture_files, split):
    processes, _ = split(TASK["gsm8k_question"].read(fixture_files(GSM8K)))
    assert processes["train"].draws[2].output == "Bo walks 4 km a day for a week. How far does Bo walk?"


def test_a_row_without_an_answer_is_dropped(damaged_files, split):
    files = damaged_files(GSM8K)
    with files[PATH].open("a") as file:
        file.write('{"question": "Why?", "answer": " "}\n')
    processes, dropped = split(TASK["gsm8k_question"].read(files))
    assert dropped == {"question or answer is empty": 1}
    assert len(processes["train"].draws) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"question": "Why?"}', "row 4: there is no 'answer'"),
        ('{"question": "Why?", "answer": null}', "row 4: field 'answer' holds None"),
        ('{"question": "Why?", ', "row 4: "),
    ],
)
def test_a_damaged_line_is_named(damaged_files, line, message):
    files = damaged_files(GSM8K)
    with files[PATH].open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"train\.jsonl") as error:
        list(TASK["gsm8k_question"].read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("name", TASK)
def test_real_rows(real_files, split, name):
    files = real_files(GSM8K)
    rows = [json.loads(line) for line in files[PATH].read_text(encoding="utf-8").splitlines()]
    assert len(rows) in {500, 7473}  # the sample, the whole file
    processes, _ = split(TASK[name].read(files))
    draws = processes["train"].draws
    assert len(draws) == len(rows)
    for draw, row in zip(draws, rows, strict=True):
        outputs = json.loads(draw.output) if len(TASK[name].outputs) > 1 else {TASK[name].outputs[0]: draw.output}
        inputs = {TASK[name].inputs[0]: draw.input} if TASK[name].inputs else {}
        assert {**inputs, **outputs} == {key: row[key].strip() for key in (*TASK[name].inputs, *TASK[name].outputs)}
