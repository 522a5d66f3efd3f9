import json

import polars as pl
import pytest

from dataset_builder.sources.winogrande import TASKS, WINOGRANDE
from dataset_builder.task_spec import Draw, Sequences
from spectrum_suite.errors import UserError

[TASK] = TASKS
HUB, ORIGINAL = "winogrande_xl/validation-00000-of-00001.parquet", "dev.jsonl"
DRAWS = (
    Draw("The jar does not fit into the box because the _ is too big.\nA. jar\nB. box", "A"),
    Draw("The jar does not fit into the box because the _ is too small.\nA. jar\nB. box", "B"),
    Draw("Zoë lent Ada the umbrella, since _ had none.\nA. Zoë\nB. Ada", "B"),
)
DROPPED = {"sentence without a blank": 1, "question or choice is empty": 1}


def hub_copy(files, folder, change=None):
    """The fixture rows as the Hub has them, with some changes to the first row."""
    rows = [json.loads(line) for line in files[ORIGINAL].read_text(encoding="utf-8").splitlines()]
    rows[0] |= change or {}
    names = [name for name in rows[0] if name != "qID"]
    pl.DataFrame([{name: row.get(name) for name in names} for row in rows]).write_parquet(folder / "validation.parquet")
    return {HUB: folder / "validation.parquet"}


def test_sentence_and_fillers_are_one_prompt(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(WINOGRANDE)))
    assert {name: process.draws for name, process in processes.items()} == {"validation": DRAWS}
    assert dropped == DROPPED
    [description] = processes["validation"].descriptions
    assert "letter of the filler" in description


def test_the_hub_copy_gives_the_same(fixture_files, tmp_path, split):
    processes, dropped = split(TASK.read(hub_copy(fixture_files(WINOGRANDE), tmp_path)))
    assert processes["validation"].draws == DRAWS
    assert dropped == DROPPED


def test_the_task_is_held_out_and_partitioned():
    assert (TASK.split, TASK.options) == ("test", ("A", "B"))
    assert TASK.sequences == Sequences("partition", 10)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"answer": "3"}, "row 6: the answer '3' is not one of 1, 2"),
        ({"answer": ""}, "row 6: the answer '' is not one of 1, 2"),  # as in the test split
        ({"answer": "12"}, "row 6: the answer '12' is not one of 1, 2"),
        ({"answer": 1}, "row 6: field 'answer' holds 1"),
        ({"option1": None}, "row 6: field 'option1' holds None"),
    ],
)
def test_a_damaged_line_is_named(damaged_files, line, message):
    files = damaged_files(WINOGRANDE)
    row = {"sentence": "The _ is made up.", "option1": "a", "option2": "b", "answer": "1", **line}
    with files[ORIGINAL].open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=r"dev\.jsonl") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "holds no row"), (b'{"sentence": "cut _', "row 1"), (b'{"sentence": "\xe9"}', "row 1")],
)
def test_a_file_that_is_no_json_is_named(damaged_files, content, message):
    files = damaged_files(WINOGRANDE)
    files[ORIGINAL].write_bytes(content)
    with pytest.raises(UserError, match=r"dev\.jsonl") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_a_hub_row_without_an_answer_is_named(fixture_files, tmp_path):
    with pytest.raises(UserError, match=r"validation\.parquet', row 1: the answer ''"):
        list(TASK.read(hub_copy(fixture_files(WINOGRANDE), tmp_path, {"answer": ""})))


def test_real_rows(real_files, split):
    files = real_files(WINOGRANDE)
    rows = [json.loads(line) for line in files[ORIGINAL].read_text(encoding="utf-8").splitlines()]
    processes, dropped = split(TASK.read(files))
    assert len(rows) in {600, 1267}  # the sample, the whole file
    assert not dropped
    assert processes["validation"].draws == tuple(
        (
            f"{row['sentence'].strip()}\nA. {row['option1'].strip()}\nB. {row['option2'].strip()}",
            " AB"[int(row["answer"])],
        )
        for row in rows
    )
