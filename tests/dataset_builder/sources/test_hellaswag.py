import json

import polars as pl
import pytest

from dataset_builder.sources.hellaswag import HELLASWAG, TASKS
from dataset_builder.task_spec import Draw, Sequences
from spectrum_suite.errors import UserError

[TASK] = TASKS
HUB, ORIGINAL = "data/validation-00000-of-00001.parquet", "data/hellaswag_val.jsonl"
DRAWS = (
    Draw(
        "Activity: Rowing\nTwo people sit in a boat on a lake. they\nA. sing to a cat.\nB. eat the oars.\n"
        "C. take up the oars and row to the shore.\nD. paint the lake.",
        "C",
    ),
    Draw(
        "Activity: Baking a crêpe\n[header] How to bake a crêpe [step] Mix flour, milk and eggs.\n"
        "A. [step] Heat a pan and pour in a little of it.\nB. [step] Water the flowers.\nC. [step] Close the book.\n"
        "D. [step] Tie your shoes.",
        "A",
    ),
    Draw(
        "Activity: Sweeping\nA man holds a broom. he\nA. , flies away.\nB. , sweeps the floor.\n"
        "C. , reads the broom.\nD. , eats soup.",
        "B",
    ),
)


def hub_copy(files, folder, change=None):
    """The fixture rows as the Hub has them, with some changes to the first row."""
    rows = [json.loads(line) for line in files[ORIGINAL].read_text(encoding="utf-8").splitlines()]
    rows = [{**row, "label": str(row["label"])} for row in rows]
    rows[0] |= change or {}
    pl.DataFrame(rows, strict=False).write_parquet(folder / "validation.parquet")
    return {HUB: folder / "validation.parquet"}


def test_activity_context_and_endings_are_one_prompt(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(HELLASWAG)))
    assert {name: process.draws for name, process in processes.items()} == {"validation": DRAWS}
    assert dropped == {"question or choice is empty": 1}
    [description] = processes["validation"].descriptions
    assert "letter of the ending" in description


def test_the_hub_copy_with_labels_as_text_gives_the_same(fixture_files, tmp_path, split):
    processes, dropped = split(TASK.read(hub_copy(fixture_files(HELLASWAG), tmp_path)))
    assert processes["validation"].draws == DRAWS
    assert dropped == {"question or choice is empty": 1}


def test_a_row_without_an_activity_is_dropped(fixture_files, tmp_path, split):
    files = hub_copy(fixture_files(HELLASWAG), tmp_path, {"activity_label": None})
    processes, dropped = split(TASK.read(files))
    assert processes["validation"].draws == DRAWS[1:]
    assert dropped == {"question or choice is empty": 2}


def test_the_task_is_held_out_and_partitioned():
    assert (TASK.split, TASK.options) == ("test", ("A", "B", "C", "D"))
    assert TASK.sequences == Sequences("partition", 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 4}, "row 4: the answer '4' is not one of 0, 1, 2, 3"),
        ({"label": True}, "row 4: the answer 'True' is not one of"),
        ({"label": ""}, "row 4: the answer '' is not one of"),
        ({"label": None}, "row 4: field 'label' holds None"),
        ({"endings": ["one", "two"]}, "row 4: it has 2 choices instead of 4"),
        ({"endings": ["one", "two", "three", 4]}, "row 4: "),
        ({"ctx": 5}, "row 4: field 'ctx' holds 5"),
    ],
)
def test_a_damaged_line_is_named(damaged_files, change, message):
    files = damaged_files(HELLASWAG)
    lines = files[ORIGINAL].read_text().splitlines()
    lines[3] = json.dumps({**json.loads(lines[3]), **change})
    files[ORIGINAL].write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"hellaswag_val\.jsonl") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "holds no row"), (b'{"ctx": "cut', "row 1"), (b"\xff", "row 1")]
)
def test_a_file_that_is_no_json_is_named(damaged_files, content, message):
    files = damaged_files(HELLASWAG)
    files[ORIGINAL].write_bytes(content)
    with pytest.raises(UserError, match=r"hellaswag_val\.jsonl") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("label", ["", "-1", "01", "4"])
def test_a_hub_row_without_a_proper_label_is_named(fixture_files, tmp_path, label):
    with pytest.raises(UserError, match=r"validation\.parquet', row 1: the answer"):
        list(TASK.read(hub_copy(fixture_files(HELLASWAG), tmp_path, {"label": label})))


def test_real_rows(real_files, split):
    files = real_files(HELLASWAG)
    rows = [json.loads(line) for line in files[ORIGINAL].read_text(encoding="utf-8").splitlines()]
    processes, dropped = split(TASK.read(files))
    assert len(rows) in {400, 10042}  # the sample, the whole file
    assert not dropped
    for draw, row in zip(processes["validation"].draws, rows, strict=True):
        *head, a, b, c, d = draw.input.split("\n")
        assert "\n".join(head) == f"Activity: {row['activity_label']}\n{row['ctx'].strip()}"
        assert [a[3:], b[3:], c[3:], d[3:]] == [ending.strip() for ending in row["endings"]]
        assert draw.output == "ABCD"[row["label"]]
