"""Every layout is read as it is published, and what cannot be read is named in one line."""

import json
import os
from pathlib import Path

import pytest
from datasets import Dataset

from dataset_builder.errors import UserError
from spectrum.instruction_data import LAYOUTS, load_conversations

HELLO = [{"role": "input", "content": "Say hello."}, {"role": "output", "content": "Hello!"}]
ROWS = {
    "messages": {
        "messages": [{"role": "user", "content": "Say hello."}, {"role": "assistant", "content": "Hello!"}],
    },
    "lima": {"conversations": ["Say hello.", "Hello!"], "source": "wiki"},
    "self_instruct": {"instruction": "Say hello.", "instances": [{"input": "", "output": "Hello!"}], "name": "x"},
    "dolly": {"instruction": "Say hello.", "context": "", "response": "Hello!"},
    "instruction": {"instruction": "Say hello.", "input": "", "output": "Hello!"},
    "mbpp": {"text": "Say hello.", "code": "Hello!\r\n", "test_list": ["assert True"], "task_id": 1},
    "gsm8k": {"question": "Say hello.", "answer": "Hello!"},
}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("layout", ROWS)
def test_a_layout_is_known_by_its_columns(tmp_path, layout):
    found = load_conversations(write(tmp_path / "data.jsonl", ROWS[layout]))
    assert found.to_list() == [{"id": "data/0", "messages": HELLO}]
    assert load_conversations(str(tmp_path / "data.jsonl"), layout=layout).to_list() == found.to_list()


def test_every_layout_is_covered():
    assert ROWS.keys() | {"haikus"} == LAYOUTS.keys()


def test_what_is_given_follows_the_instruction(tmp_path):
    rows = [
        {"instruction": "Translate.", "input": "chat", "output": "cat"},
        {"instruction": "Translate.", "input": None, "output": "nothing"},
    ]
    inputs = [row["messages"][0]["content"] for row in load_conversations(write(tmp_path / "a.jsonl", *rows))]
    assert inputs == ["Translate.\n\nchat", "Translate."]
    seed = {"instruction": "Add.", "instances": [{"input": f"1 + {n}", "output": str(1 + n)} for n in range(2)]}
    found = load_conversations(write(tmp_path / "b.jsonl", seed))
    assert [row["messages"][0]["content"] for row in found] == ["Add.\n\n1 + 0", "Add.\n\n1 + 1"]
    assert found["id"][:] == ["b/0", "b/0/1"]


def test_a_dialogue_gives_a_conversation_for_each_response(tmp_path):
    turns = ["a", "b", "c", "d", "e"]
    found = load_conversations(write(tmp_path / "d.jsonl", {"conversations": turns}))
    assert [[message["content"] for message in row["messages"]] for row in found] == [["a", "b"], ["a", "b", "c", "d"]]
    dialogue = [{"role": "system", "content": "s"}, *ROWS["messages"]["messages"]]
    (row,) = load_conversations(write(tmp_path / "s.jsonl", {"messages": dialogue}))
    assert row["messages"] == [{"role": "description", "content": "s"}, *HELLO]


@pytest.mark.parametrize("ending", ["json", "csv", "parquet", "folder"])
def test_files_of_each_kind(tmp_path, ending):
    rows = Dataset.from_list([{"question": "007", "answer": "None"}, {"question": "b\nc", "answer": '"d", e'}])
    path = tmp_path / f"data.{ending}"
    if ending == "folder":
        path.mkdir()
        rows.to_json(path / "train.jsonl")
    elif ending == "json":
        path.write_text(json.dumps(rows.to_list()))
    else:
        getattr(rows, f"to_{ending}")(path)
    found = load_conversations(str(path))
    texts = [[message["content"] for message in row["messages"]] for row in found]
    assert texts == [["007", "None"], ["b\nc", '"d", e']]


def test_a_sample_depends_on_the_seed(tmp_path):
    path = write(tmp_path / "d.jsonl", *({"question": f"q{n}", "answer": f"a{n}"} for n in range(30)))
    first, again, other = (load_conversations(path, limit=5, seed=seed)["id"][:] for seed in (1, 1, 2))
    assert len(first) == 5
    assert first == again != other
    assert len(load_conversations(path, limit=99)) == 30


def test_rows_without_a_response_are_left_out_and_counted(tmp_path, caplog):
    path = write(
        tmp_path / "d.jsonl", {"question": "q", "answer": " "}, {"question": None, "answer": "a"}, ROWS["gsm8k"]
    )
    assert load_conversations(path)["id"][:] == ["d/2"]
    assert "2 rows have no instruction or no response" in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prompt": "a", "answer": "b"}], "has the columns prompt, answer, of no known layout: rename them .*gsm8k"),
        ([{"question": 3, "answer": "b"}], "row 1, read as 'gsm8k': 'question' holds 3, which is no text"),
        ([{"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]}], "has no row with"),
        ([{"messages": [{"role": "assistant", "content": "b"}]}], "row 1, read as 'messages': message 0 is a response"),
        ([{"messages": [{"role": "tool", "content": "a"}, *ROWS["messages"]["messages"]]}], "has the role 'tool'"),
        ([{"messages": [{"role": "user"}, {"role": "user"}]}], "row 1, read as 'messages': 'content'|has no row with"),
        ([{"question": "q", "answer": ""}], "has no row with an instruction and a response"),
    ],
)
def test_bad_rows_are_named(tmp_path, rows, message):
    with pytest.raises(UserError, match=message) as found:
        load_conversations(write(tmp_path / "d.jsonl", *rows))
    assert "\n" not in str(found.value)


def test_what_is_not_there_is_named(tmp_path):
    good = write(tmp_path / "d.jsonl", ROWS["gsm8k"])
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "notes.txt").write_text("a")
    for data, options, message in (
        (str(tmp_path / "none.jsonl"), {}, "not found: check the path"),
        (str(tmp_path / "notes.txt"), {}, "is no file that is read: give one of .json, .jsonl"),
        (str(tmp_path / "broken.json"), {}, "cannot be read: "),
        (good, {"layout": "gsm"}, "no layout 'gsm', did you mean 'gsm8k'"),
        (good, {"layout": "mbpp"}, "has no column 'code', which layout 'mbpp' needs"),
    ):
        with pytest.raises(UserError, match=message) as found:
            load_conversations(data, **options)
        assert "\n" not in str(found.value)


REAL = {
    "dolly/databricks-dolly-15k.jsonl": (151, "Why is Citizen Kane considered the Best Film?"),
    "self_instruct/seed_tasks.jsonl": (175, "Is there anything I can eat for a breakfast"),
    "mbpp/mbpp.jsonl": (974, "Write a function to find the minimum cost path"),
    "gsm8k/grade_school_math/data/train.jsonl": (500, "Weng earns $12 an hour for babysitting."),
    "haikus/input/poems/haikus.csv": (160, 'Write a haiku that begins with the line "Memorial Day --".'),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files(name):
    if "SPECTRUM_SOURCES" not in os.environ:
        pytest.skip("SPECTRUM_SOURCES names no folder of real files")
    found = load_conversations(str(Path(os.environ["SPECTRUM_SOURCES"], name)))
    count, beginning = REAL[name]
    assert len(found) == count
    assert found[0]["messages"][0]["content"].startswith(beginning)
    if "haikus" in name:
        assert found[0]["messages"][1]["content"] == "Memorial Day --\na shadow for each\nwhite cross"


def test_a_part_of_a_file(tmp_path):
    rows = [{"instruction": f"Say {n}.", "output": str(n)} for n in range(10)]
    path = write(tmp_path / "data.jsonl", *rows)
    first, rest = (load_conversations(path, split=f"train[{part}]") for part in (":80%", "80%:"))
    assert [row["messages"][1]["content"] for row in rest] == ["8", "9"]
    assert len(first) == 8
    with pytest.raises(UserError, match="cannot be read"):
        load_conversations(path, split="test")
