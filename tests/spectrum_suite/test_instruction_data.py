"""Every layout is read as it is published, and what cannot be read is named in one line."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.instruction_data import LAYOUTS, load_conversations

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
SQUAD = {
    "data": [
        {
            "title": "North_Sea",
            "paragraphs": [
                {
                    "context": "The North Sea is shallow.",
                    "qas": [
                        {"question": "How deep is it?", "answers": [{"text": "shallow", "answer_start": 17}]},
                        {"question": "Who owns it?", "answers": []},
                    ],
                }
            ],
        }
    ],
    "version": "1.1",
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
    assert ROWS.keys() | {"haikus", "squad", "squad_questions"} == LAYOUTS.keys()


def test_a_squad_file_gives_answers_or_questions(tmp_path):
    (tmp_path / "sea.json").write_text(json.dumps(SQUAD, indent=1))
    pairs = {
        layout: [
            tuple(message["content"] for message in row)
            for row in load_conversations(str(tmp_path / "sea.json"), layout=layout)["messages"]
        ]
        for layout in ("auto", "squad_questions")
    }
    assert pairs["auto"] == [("The North Sea is shallow.\n\nHow deep is it?", "shallow")]
    topic = "Ask a question about this topic: North Sea"
    assert pairs["squad_questions"] == [(topic, "How deep is it?"), (topic, "Who owns it?")]
    (tmp_path / "broken.json").write_text(json.dumps(SQUAD | {"data": "none"}))
    with pytest.raises(UserError, match=r"row 1, read as 'squad': 'data' holds 'none'"):
        load_conversations(str(tmp_path / "broken.json"))


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
        ([{"question": 3, "answer": "b"}], "row 1, read as 'gsm8k': 'question' holds 3, which is not text"),
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
        ("../none", {}, "not found: check the path"),
        (str(tmp_path / "notes.txt"), {}, "is not of a kind that is read: give one of .json, .jsonl"),
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
    "alpaca_eval/results/alpaca-7b_concise/model_outputs.json": (804, "What are the names of some famous actors"),
    "xquad/xquad.ru.json": (1190, "Защита Пэнтерс уступила всего 308 очков"),
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


WHENS = ["1969-07-20", "1971-02-05T09:18:11", "1971-02-05 09:18:11+02:00", "1969-07-20T20:17:40Z", "20:17", "007"]


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("layout", ["lines", "list", "pretty", "folder", "messages"])
def test_answers_that_look_like_dates_are_the_texts_they_are(tmp_path, when, layout):
    rows = [{"instruction": f"When? {number}", "output": when} for number in range(3)]
    path = tmp_path / "whens.json"
    if layout == "messages":
        keys = {"instruction": "user", "output": "assistant"}
        rows = [{"messages": [{"role": keys[key], "content": row[key]} for key in keys]} for row in rows]
    if layout == "folder":
        (tmp_path / "folder").mkdir()
        write(tmp_path / "folder" / "train.jsonl", *rows)
        path = tmp_path / "folder"
    elif layout in ("lines", "messages"):
        write(path, *rows)
    else:
        path.write_text("\n" + json.dumps(rows, indent=2) if layout == "pretty" else json.dumps(rows))
    found = load_conversations(str(path), split="train[1:]")
    assert [row["messages"][-1]["content"] for row in found] == [when, when]


def test_dates_and_other_answers_may_be_mixed(tmp_path):
    rows = [
        {"instruction": "When?", "output": "2020-01-02"},
        {"instruction": "Why?", "output": "Because.", "at": "2021-03-04"},
    ]
    found = load_conversations(write(tmp_path / "mixed.jsonl", *rows))
    assert [row["messages"][1]["content"] for row in found] == ["2020-01-02", "Because."]


def test_a_line_that_is_not_json_is_named(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text('{"instruction": "When?", "output": "2020-01-02"}\n{"instruction": \n')
    with pytest.raises(UserError, match=r"cannot be read: line 2 is not JSON"):
        load_conversations(str(path))
    write(path, {"instruction": "When?", "output": "2020-01-02"})
    with pytest.raises(UserError, match="'test'"):
        load_conversations(str(path), split="test")


def test_a_folder_of_csv_has_texts_only(tmp_path):
    (tmp_path / "train.csv").write_text('instruction,output\n"Code?",007\n"Country?",NA\n')
    found = load_conversations(str(tmp_path))
    assert [row["messages"][1]["content"] for row in found] == ["007", "NA"]


def test_a_file_written_anew_is_read_anew_whatever_its_time(tmp_path):
    path = tmp_path / "d.jsonl"

    def answer(text):
        write(path, {"instruction": "q", "output": text})
        os.utime(path, (1_700_000_000, 1_700_000_000))
        return load_conversations(str(path))[0]["messages"][1]["content"]

    assert [answer("one"), answer("two")] == ["one", "two"]


@pytest.mark.parametrize("kind", ["large", "dictionary", "view"])
def test_parquet_texts_of_every_arrow_type(tmp_path, kind):
    texts = ["What?", "This."]
    arrays = {
        "large": lambda text: pa.array([text], pa.large_string()),
        "dictionary": lambda text: pa.array([text]).dictionary_encode(),
        "view": lambda text: pa.array([text], pa.string_view()),
    }
    table = pa.table({name: arrays[kind](text) for name, text in zip(("instruction", "output"), texts, strict=True)})
    pq.write_table(table, tmp_path / "d.parquet")
    [row] = load_conversations(str(tmp_path / "d.parquet"))
    assert [message["content"] for message in row["messages"]] == texts


EXCHANGE = {"instruction": "a", "response": "b"}


def lines(*rows):
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.jsonl", lines({"messages": "hi"}), "row 1, read as 'messages': 'messages' holds the text 'hi'"),
        ("texts.jsonl", lines({"messages": ["hi"]}), "row 1, read as 'messages': message 0 is 'hi'"),
        ("role.jsonl", lines({"messages": [{"content": "hi"}]}), "message 0 is .*without a 'role'"),
        ("instances.jsonl", lines({"instruction": "a", "instances": ["x"]}), "'instances' holds 'x'"),
        ("number.jsonl", lines(EXCHANGE, EXCHANGE | {"response": 5}), "row 2, read as 'dolly': 'response' holds 5"),
        ("half.jsonl", b'{"instruction": "\\ud800", "response": "x"}', "half of a character|surrogates not allowed"),
        ("empty.jsonl", b"", "is an empty file"),
        ("empty.csv", b"", "is an empty file"),
        ("more.csv", b"instruction,response\na,b,c,d\n", "line 2 has 4 fields for 2 columns"),
        ("fewer.csv", b"instruction,response\na,b\nc\n", "line 3 has 1 fields for 2 columns"),
        ("twice.csv", b"instruction,instruction,response\na,b,c\n", "the column 'instruction' appears twice"),
        ("latin.csv", "instruction,response\ncaf\u00e9,x\n".encode("latin-1"), "can't decode"),
        ("none.parquet", b"abc", "cannot be read"),
    ],
)
def test_tables_of_a_users_own_are_refused_on_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_conversations(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_field_may_be_as_long_as_a_book(tmp_path):
    (tmp_path / "long.csv").write_bytes(b"instruction,response\n" + b"x" * 200_000 + b",y\n")
    (row,) = load_conversations(str(tmp_path / "long.csv"))
    assert len(row["messages"][0]["content"]) == 200_000


def test_a_smaller_limit_takes_some_of_what_a_larger_one_takes(tmp_path):
    (tmp_path / "many.jsonl").write_bytes(lines(*({"instruction": f"{n}", "response": "b"} for n in range(300))))
    few, more = (load_conversations(str(tmp_path / "many.jsonl"), limit=limit)["id"][:] for limit in (20, 200))
    assert (len(few), len(more)) == (20, 200)
    assert set(few) <= set(more)
    assert few != more[:20]
