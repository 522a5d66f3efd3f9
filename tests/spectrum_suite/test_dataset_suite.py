"""A dataset as it is becomes a suite of one task, and what is wrong with it is said on one line."""

import json

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from spectrum_suite.dataset_rows import DRAWS
from spectrum_suite.dataset_suite import DatasetChoice, dataset_suite, parse_columns
from spectrum_suite.errors import UserError
from spectrum_suite.suite import TaskInfo, task_infos, task_rows

SHARES = [
    {"ask": f"Do you like {drink}?", "answers": ["yes", "no"], "shares": [0.25, 0.75], "age": age}
    for drink, age in (("tea", "old"), ("coffee", "young"), ("milk", None))
]
OF_SHARES = "input=ask,options=answers,probabilities=shares"
PEOPLE = [
    {"who": f"p{person}", "ask": f"Question {n}?", "said": "yes" if n % 2 else "no", "age": person * 10}
    for person in range(3)
    for n in range(3)
]


@pytest.fixture
def made(tmp_path):
    """``made(rows, columns)``: the task and its rows."""

    def make(rows, columns="", split="train", suffix=".parquet", groups=(), features=None):
        path = tmp_path / f"food{suffix}"
        table = Dataset.from_list(rows, features=features)
        writers = {".parquet": table.to_parquet, ".jsonl": table.to_json}
        if suffix in writers:
            writers[suffix](path)
        else:
            table.to_csv(path, sep="\t" if suffix == ".tsv" else ",")
        choice = DatasetChoice(str(path), split, parse_columns([columns] if columns else []), groups=groups)
        found = dataset_suite(choice)
        return found, task_rows(str(found.folder), found.task).to_list()

    return make


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_shares_are_a_distribution_task(made, suffix):
    found, rows = made(SHARES, OF_SHARES, suffix=suffix, groups=("age",))
    assert found.task == "food"
    assert task_infos(str(found.folder)) == {"food": TaskInfo("distribution", held_out=False)}
    assert [row["id"] for row in rows] == ["food/1", "food/2", "food/3"]
    assert rows[0]["messages"] == [{"role": "input", "content": "Do you like tea?"}]
    assert (rows[0]["options"], rows[0]["probabilities"]) == (["yes", "no"], [0.25, 0.75])
    assert [row["groups"] for row in rows] == ['{"age": "old"}', '{"age": "young"}', None]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("write", [json.dumps, repr], ids=["JSON", "Python"])
def test_lists_in_a_table_of_texts(made, suffix, write):
    cells = [row | {name: write(row[name]) for name in ("answers", "shares")} for row in SHARES]
    _, rows = made(cells, OF_SHARES, suffix=suffix)
    assert (rows[1]["options"], rows[1]["probabilities"]) == (["yes", "no"], [0.25, 0.75])


def test_columns_of_the_known_names_need_not_be_named(made):
    rows = [{"messages": "Tea?", "options": ["yes", "no"], "probabilities": [1.0, 0.0], "n_responses": 9, "id": "t"}]
    _, found = made(rows)
    assert (found[0]["id"], found[0]["n_responses"]) == ("food/t", 9)
    assert found[0]["messages"] == [{"role": "input", "content": "Tea?"}]


def test_messages_of_chats_have_our_roles(made):
    roles = ("system", "user", "assistant", "user", "assistant")
    rows = [{"chat": [{"role": role, "content": f"{role} {place}"} for place, role in enumerate(roles)]}]
    found, [row] = made(rows, "messages=chat")
    assert task_infos(str(found.folder))["food"].kind == "icl"
    assert [message["role"] for message in row["messages"]] == ["description", "input", "output", "input", "output"]
    assert row["n_outputs"] == 2


def test_answers_of_people_are_their_processes(made):
    _, rows = made(PEOPLE, "process=who,input=ask,output=said", groups=("age",))
    assert [(row["id"], row["process"], row["n_outputs"], row["groups"]) for row in rows] == [
        (f"food/p{person}/0", f"p{person}", 3, json.dumps({"age": str(person * 10)})) for person in range(3)
    ]
    asked = [[message["content"] for message in row["messages"][::2]] for row in rows]
    assert all(sorted(questions) == ["Question 0?", "Question 1?", "Question 2?"] for questions in asked)
    answered = [dict(zip(*(iter([m["content"] for m in row["messages"]]),) * 2, strict=True)) for row in rows]
    assert all(answers["Question 1?"] == "yes" and answers["Question 0?"] == "no" for answers in answered)


def test_every_row_is_a_draw_of_one_process(made, caplog):
    rows = [{"text": f"text {n}", "split": "x"} for n in range(2 * DRAWS + 1)] + [{"text": None, "split": "x"}]
    _, found = made(rows, "output=text")
    assert [row["n_outputs"] for row in found] == [DRAWS, DRAWS]
    texts = [message["content"] for row in found for message in row["messages"]]
    assert len(set(texts)) == 2 * DRAWS
    assert texts != sorted(texts)  # in an order by chance
    assert "1 rows without an output are left out" in caplog.text
    assert "1 draws that would be alone in their row are left out" in caplog.text


def test_classes_are_named_and_closed_answers_kept(made):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"]), "of": Value("string")})
    rows = [{"text": f"Film {n}", "label": n % 2, "of": '["bad", "good"]'} for n in range(4)]
    _, [row] = made(rows, "input=text,output=label,options=of", features=features)
    assert {message["content"] for message in row["messages"][1::2]} == {"bad", "good"}
    assert row["options"] == [["bad", "good"]] * 4


def test_the_same_dataset_is_made_once_and_another_anew(made):
    first, _ = made(SHARES, OF_SHARES)
    assert made(SHARES, OF_SHARES)[0].folder == first.folder
    assert made(SHARES[:2], OF_SHARES)[0].folder != first.folder
    assert made(SHARES, OF_SHARES, split="train[:1]")[0].folder != first.folder


def test_splits_that_are_for_tests_are_held_out(tmp_path):
    for split in ("train", "test"):
        Dataset.from_list(SHARES).to_parquet(tmp_path / "own" / f"{split}.parquet")
    for split, held_out in (("train", False), ("test[:2]", True)):
        found = dataset_suite(DatasetChoice(str(tmp_path / "own"), split, parse_columns([OF_SHARES])))
        assert task_infos(str(found.folder))[found.task].held_out == held_out


def with_shares(*shares):
    return [row | {"shares": given} for row, given in zip(SHARES * 2, shares, strict=False)]


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (SHARES, "input=question", r"no column 'question': there are ask, answers, shares, age$"),
        (SHARES, "input=asked", r"no column 'asked', did you mean 'ask'"),
        (SHARES, "imput=ask", r"no 'imput', did you mean 'input'"),
        (SHARES, "ask", r"--columns 'ask': say what a column is, as in"),
        (SHARES, "input=ask,input=age", r"names 'input' twice, 'ask' and 'age'"),
        (SHARES, "", r"names neither probabilities nor outputs \(dataset '.*' has ask, answers, shares, age\)"),
        (SHARES, "input=ask,probabilities=shares", r"probabilities but no options: name messages= or input="),
        (SHARES, "options=answers,probabilities=shares", r"probabilities but no prompt"),
        (SHARES, f"messages=ask,{OF_SHARES}", r"both messages and input, which do not go together"),
        (SHARES, "input=ask,options=ask,probabilities=shares", r"3 of 3 rows are wrong: row 1: its options are 'Do"),
        (SHARES, "input=answers,options=answers,probabilities=shares", r"row 1: its input is \['yes', 'no'\], which"),
        (SHARES, "messages=answers", r"row 1: its messages are \['yes', 'no'\]: give a text, or a list of messages"),
        (SHARES, "input=ask,options=answers,probabilities=age", r"row 1: it has the probabilities 'old' for 2 options"),
        (
            with_shares([0.2, 0.8], [0.3, 0.3], [25.0, 75.0], [0.5], [float("nan"), 1.0]),
            OF_SHARES,
            r"4 of 5 rows are wrong: row 2: its probabilities sum to 0.6, not to 1.*; row 3: its probabilities sum to "
            r"100, .*; row 4: it has 1 probabilities for 2 options.*; and 1 more$",
        ),
        ([SHARES[0] | {"answers": ["yes", "yes "]}], OF_SHARES, r"row 1: the option 'yes' appears twice"),
        ([row | {"id": "x"} for row in SHARES], f"id=id,{OF_SHARES}", r"row 2: its id 'food/x' is another row's too"),
        ([row | {"n": 0} for row in SHARES], f"n_responses=n,{OF_SHARES}", r"row 1: its n_responses is 0, not a n"),
        (PEOPLE, "process=who,output=said,description=ask", r"row 2: its description is not that of the rows before"),
        ([{"text": None}], "output=text", r"no row that can be used"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_on_one_line(made, rows, columns, message):
    with pytest.raises(UserError, match=message) as raised:
        made(rows, columns)
    assert "\n" not in str(raised.value)


def test_groups_are_of_people(made):
    with pytest.raises(UserError, match="name the column that distinguishes them as process="):
        made(PEOPLE, "input=ask,output=said", groups=("age",))


def test_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, message in (
        (str(tmp_path / "none.csv"), "not found"),
        ("org/none", "is not on this machine, and the Hub cannot be reached"),
        ("hf://org/none/x.csv", "is not an address of a dataset"),
        ("hf://datasets/org/none", "is not on this machine, and the Hub cannot be reached"),
        ("hf://datasets/org/none/x.csv", "is not on this machine, and the Hub cannot be reached"),
    ):
        with pytest.raises(UserError, match=message):
            dataset_suite(DatasetChoice(name, "test", {}))
    with pytest.raises(UserError, match="--dataset_revision is for a dataset on a Hub"):
        dataset_suite(DatasetChoice(str(tmp_path), "test", {}, revision="main"))
