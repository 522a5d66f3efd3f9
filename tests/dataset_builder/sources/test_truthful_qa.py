import json

import polars as pl
import pytest

from dataset_builder.sources.truthful_qa import TASKS, TRUTHFUL_QA
from dataset_builder.task_spec import Draw, Sequences
from spectrum_suite.errors import UserError

[TASK] = TASKS
ORIGINAL, HUB = "data/mc_task.json", "multiple_choice/validation/0000.parquet"
ROWS = {
    "question": [f"What follows {n}?" for n in range(200)],
    "choices": [[f"{n} + {more}" for more in (1, 2, 3, 4)] for n in range(200)],
    "label": [n % 4 for n in range(200)],
}


def shown(draw):
    """(question, choices in order, the right choice)."""
    question, *choices = draw.input.split("\n")
    assert [choice[:3] for choice in choices] == ["A. ", "B. ", "C. ", "D. "]
    texts = [choice[3:] for choice in choices]
    return question, texts, texts["ABCD".index(draw.output)]


def write_questions(path, n):
    """Questions with three true and four false answers each."""
    answers = {**{f"true {i}": 1 for i in range(3)}, **{f"false {i}": 0 for i in range(4)}}
    questions = [{"question": f"Question {i}?", "mc2_targets": answers} for i in range(n)]
    path.write_text(json.dumps(questions))
    return questions


def test_four_choices_of_which_one_is_true(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(TRUTHFUL_QA)))
    assert list(processes) == ["validation"]
    bull, cafe, square = (shown(draw) for draw in processes["validation"].draws)
    assert bull[0] == "What makes a bull charge at a cape?"
    assert bull[2] in {"The way the cape moves", "Being teased, whatever the colour"}
    false = {"The colour red", "The smell of the cape", "The music", "Its name being called"}  # and not the empty one
    assert len(set(bull[1]) & false) == 3
    assert set(cafe[1]) == {cafe[2], "Yes", "They are of one age", "Nobody built the café"}
    assert cafe[2] in {"No, the river is older", "No", "The café is younger"}
    assert (set(square[1]), square[2]) == ({"Four", "Three", "Five", "None of these"}, "Four")
    assert dropped == {"question with fewer than 3 false answers": 1}
    [description] = processes["validation"].descriptions
    assert "only one is true" in description


def test_the_choices_are_the_same_everywhere(fixture_files, split):
    processes, _ = split(TASK.read(fixture_files(TRUTHFUL_QA)))
    assert processes["validation"].draws[0] == Draw(
        "What makes a bull charge at a cape?\nA. The colour red\nB. Its name being called\n"
        "C. The way the cape moves\nD. The smell of the cape",
        "C",
    )


def test_every_true_answer_may_be_shown_at_every_letter(damaged_files, split):
    files = damaged_files(TRUTHFUL_QA)
    write_questions(files[ORIGINAL], 600)
    processes, _ = split(TASK.read(files))
    draws = processes["validation"].draws
    right = [shown(draw)[2] for draw in draws]
    assert min(right.count(f"true {i}") for i in range(3)) > 160  # 200 are expected of each
    assert min(sum(draw.output == letter for draw in draws) for letter in "ABCD") > 110  # 150 are expected of each
    texts = [text for draw in draws for text in shown(draw)[1]]
    assert min(texts.count(f"false {i}") for i in range(4)) > 400  # 450 are expected of each


def test_choices_depend_on_the_question_alone(damaged_files, split):
    files = damaged_files(TRUTHFUL_QA)
    questions = write_questions(files[ORIGINAL], 50)
    forward = split(TASK.read(files))[0]["validation"].draws
    files[ORIGINAL].write_text(json.dumps(questions[::-1]))
    assert split(TASK.read(files))[0]["validation"].draws == forward[::-1]


def test_the_hub_copy_is_shuffled_and_keeps_its_answers(tmp_path, split):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "0000.parquet")
    processes, dropped = split(TASK.read({HUB: tmp_path / "0000.parquet"}))
    orders = set()
    for draw, question, choices, label in zip(processes["validation"].draws, *ROWS.values(), strict=True):
        assert shown(draw)[0] == question
        assert sorted(shown(draw)[1]) == choices
        assert shown(draw)[2] == choices[label]
        orders.add(tuple(choices.index(text) for text in shown(draw)[1]))
    assert len(orders) == 24
    assert not dropped


def test_the_task_is_held_out_and_partitioned():
    assert (TASK.split, TASK.options) == ("test", ("A", "B", "C", "D"))
    assert TASK.sequences == Sequences("partition", 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: item.pop("mc2_targets"), "row 4: there is no 'mc2_targets'"),
        (lambda item: item.pop("question"), "row 4: there is no 'question'"),
        (lambda item: item.update(question=5), "row 4: "),
        (lambda item: item["mc2_targets"].update(Three=2), "row 4: the answers are not each marked"),
        (lambda item: item["mc2_targets"].update(Three="no"), "row 4: the answers are not each marked"),
        (lambda item: item.update(mc2_targets=["Four"]), "row 4: the answers are not each marked"),
        (lambda item: item["mc2_targets"].update(Four=0), "row 4: no answer is true"),
    ],
)
def test_a_damaged_question_is_named(damaged_files, change, message):
    files = damaged_files(TRUTHFUL_QA)
    questions = json.loads(files[ORIGINAL].read_text(encoding="utf-8"))
    change(questions[3])
    files[ORIGINAL].write_text(json.dumps(questions))
    with pytest.raises(UserError, match=r"mc_task\.json") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"", b'{"question": "Why?"}', b'[{"question": "Wh', b'["\xff"]', b"[5]"])
def test_a_damaged_file_is_named(damaged_files, content):
    files = damaged_files(TRUTHFUL_QA)
    files[ORIGINAL].write_bytes(content)
    with pytest.raises(UserError, match=r"mc_task\.json"):
        list(TASK.read(files))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": [4] * 200}, "row 1: the label 4 is not one of its 4 choices"),
        ({"label": [-1] * 200}, "row 1: the label -1 is not one of"),
        ({"label": [None] * 200}, "row 1: the label None is not one of"),
        ({"label": ["A"] * 200}, "row 1: column 'label' holds 'A'"),
        ({"choices": [None] * 200}, "row 1: "),
        ({"choices": ["a b c d"] * 200}, "column 'choices'"),
    ],
)
def test_a_damaged_hub_copy_is_named(tmp_path, change, message):
    pl.DataFrame({**ROWS, **change}).write_parquet(tmp_path / "0000.parquet")
    with pytest.raises(UserError, match=r"0000\.parquet") as error:
        list(TASK.read({HUB: tmp_path / "0000.parquet"}))
    assert message in str(error.value)


def test_real_rows(real_files, split):
    files = real_files(TRUTHFUL_QA)
    questions = json.loads(files[ORIGINAL].read_text(encoding="utf-8"))
    kept = [q for q in questions if sum(bool(text) and not mark for text, mark in q["mc2_targets"].items()) >= 3]
    processes, dropped = split(TASK.read(files))
    assert dropped == {"question with fewer than 3 false answers": len(questions) - len(kept)}
    not_the_first = 0
    for draw, item in zip(processes["validation"].draws, kept, strict=True):
        question, texts, right = shown(draw)
        marks = {text.strip(): mark for text, mark in item["mc2_targets"].items()}
        assert question == item["question"].strip()
        assert sorted(marks[text] for text in texts) == [0, 0, 0, 1]
        assert marks[right] == 1
        not_the_first += item["mc1_targets"].get(right) != 1
    assert not_the_first > len(kept) / 3  # the release always shows the best answer
