"""Suites of a user's own: what is wrong with a row is said on one line that names it, before a model is loaded."""

import json

import pytest
from datasets import Dataset, Features, List, Value

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.run import evaluate
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.suite import task_rows
from spectrum_suite.suite_rows import check_ids, check_rows
from tests.tiny_models import COLORS, DRAWS, LETTERS, save_suite

GOOD = {"distribution": COLORS[0], "icl": DRAWS[0], "coverage": LETTERS[0]}
DESIDERATA = ("steerability", "coverage", "alignment")


def turn(role, content):
    return {"role": role, "content": content}


def wrong(kind, message, **change):
    return pytest.param(kind, change, message, id=f"{kind}-{message[:40]}")


WRONG = [
    wrong(
        "distribution", "probabilities sum to 100, not to 1: divide counts or percentages", probabilities=[50, 30, 20]
    ),
    wrong("distribution", "probabilities sum to 17, not to 1", probabilities=[8.0, 6.0, 3.0]),
    wrong("distribution", "probability nan is not a number", probabilities=[0.5, 0.5, float("nan")]),
    wrong("distribution", "probability inf is not a number", probabilities=[0.5, 0.5, float("inf")]),
    wrong("distribution", "probability None is not a number", probabilities=[0.5, None, 0.5]),
    wrong("distribution", "probability -0.5 is not a number", probabilities=[1.0, 0.5, -0.5]),
    wrong("distribution", "probability '0.5' is not a number", probabilities=["0.5", "0.25", "0.25"]),
    wrong("distribution", "2 probabilities for 3 options", probabilities=[0.5, 0.5]),
    wrong("distribution", "the probabilities None for 3 options", probabilities=None),
    wrong("distribution", "option 'red ' has white space around it", options=["red ", "blue", "green"]),
    wrong("distribution", "option '\\\\tred' has white space", options=["\tred", "blue", "green"]),
    wrong("distribution", "option 'red' appears twice", options=["red", "blue", "red"]),
    wrong("distribution", "option is empty", options=["", "blue", "red"]),
    wrong("distribution", "option holds None", options=[None, "blue", "red"]),
    wrong("distribution", "option holds 1, which is not a text", options=[1, 2, 3]),
    wrong("distribution", "options are None", options=None),
    wrong("distribution", "give a list of at least 2 texts", options=["red"], probabilities=[1.0]),
    wrong("distribution", "messages are \\[\\]", messages=[]),
    wrong("distribution", "messages are None", messages=None),
    wrong("distribution", "messages are 'Which\\?'", messages="Which?"),
    wrong("distribution", "message 1 is empty", messages=[turn("description", "A draw."), turn("input", " ")]),
    wrong("distribution", "message 0 holds None", messages=[turn("description", None)]),
    wrong("distribution", "message 0 has the role 'user'", messages=[turn("user", "Which?")]),
    wrong("distribution", "last message is an output", messages=[turn("output", "red")]),
    wrong("icl", "messages are \\[\\]", messages=[]),
    wrong("icl", "message 1 is empty", messages=[turn("description", "A coin."), turn("output", "")]),
    wrong("icl", "no output", messages=[turn("description", "A coin.")]),
    wrong("icl", "an input after an input", messages=[turn("input", "a"), turn("input", "b"), turn("output", "c")]),
    wrong("icl", "options are not lists of texts", options=["Heads", "Tails"]),
    wrong("icl", "option 'Heads' appears twice", options=[["Heads", "Tails", "Heads"]]),
    wrong("icl", "option ' Tails' has white space", options=[["Heads", " Tails"]]),
    wrong("coverage", "neither a description nor examples", description=None, examples=[]),
    wrong("coverage", "examples are 'a', not a list", examples="a"),
    wrong("coverage", "valid_items holds None", valid_items=["a", None]),
    wrong("coverage", "max_new_tokens is 0", max_new_tokens=0),
    wrong("coverage", "validator is None", validator=None),
]


@pytest.fixture
def measure(tmp_path):
    """Evaluates a suite of one task with a model that is not there: nothing else may be looked at before its rows."""

    def run(rows, *, features=None, **settings):
        (tmp_path / "suite" / "mine").mkdir(parents=True)
        Dataset.from_list(rows, features=features).to_parquet(tmp_path / "suite" / "mine" / "test.parquet")
        card = "---\nconfigs:\n- config_name: mine\n  data_files:\n  - split: test\n    path: mine/test.parquet\n---\n"
        (tmp_path / "suite" / "README.md").write_text(card)
        model = str(tmp_path / "no-model")
        return evaluate(
            EvaluationSettings(model, tmp_path / "out", str(tmp_path / "suite"), desiderata=DESIDERATA, **settings)
        )

    return run


@pytest.mark.parametrize(("kind", "change", "message"), WRONG)
def test_a_wrong_row_is_named(kind, change, message):
    rows = Dataset.from_list([GOOD[kind] | {"id": "mine/7"} | change])
    with pytest.raises(UserError, match=f"task 'mine', row 'mine/7': .*{message}") as caught:
        check_rows(rows, "mine", kind)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", GOOD)
def test_rows_of_our_own_pass(kind):
    check_rows(Dataset.from_list([GOOD[kind]]), "mine", kind)
    check_rows(
        Dataset.from_list([{**DRAWS[0], "options": options} for options in ([], [["Heads", "Tails"]])]), "mine", "icl"
    )


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "b", "a"], "row 2: the id 'a' appears twice"),
        (["a", None], "row 1: its id is None"),
        (["a", ""], "row 1: its id is ''"),
        ([1, 2], "row 0: its id is 1, which is not a text"),
    ],
)
def test_ids_are_texts_of_their_own(ids, message):
    with pytest.raises(UserError, match=message):
        check_ids(Dataset.from_list([{"id": each} for each in ids]), "mine")


def without(row, *columns):
    return {name: value for name, value in row.items() if name not in columns}


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([without(COLORS[0], "id")], {}, "task 'mine' has no column 'id'"),
        ([COLORS[0], COLORS[0]], {}, "the id 'colors/0' appears twice"),
        ([COLORS[0] | {"probabilities": [50, 30, 20]}], {}, "row 'colors/0': its probabilities sum to 100"),
        ([DRAWS[0] | {"messages": []}], {}, "row 'draws/0': its messages are"),
        ([DRAWS[0] | {"options": [["Heads"]]}], {}, "output 'Tails' of row 'draws/0' is none of its options"),
        ([DRAWS[0] | {"options": [["Heads", "Tails"]] * 3}], {}, "row 'draws/0' has 3 lists of options for 5 outputs"),
        ([LETTERS[0], LETTERS[0] | {"id": "b"}], {}, "coverage task 'mine' has 2 rows"),
        ([LETTERS[0] | {"validator": "no_such_rule"}], {}, "no_such_rule"),
        ([without(COLORS[0], "output_label")], {"task_labels": True}, "no column 'output_label'"),
        ([{"id": "a", "question": "Which?"}], {}, "columns of no known kind: id, question"),
    ],
)
def test_suites_are_checked_before_the_model_is_looked_for(measure, rows, settings, message):
    with pytest.raises(UserError, match=message) as caught:
        measure(rows, **settings)
    assert "\n" not in str(caught.value)


def test_a_column_of_another_type_is_one_line(measure):
    row = COLORS[0] | {"messages": json.dumps(COLORS[0]["messages"])}
    with pytest.raises(UserError, match=r"row 'colors/0': its messages are"):
        measure([row])


def test_numbers_of_any_width_are_probabilities(tmp_path):
    for dtype in ("float32", "float16", "float64"):
        messages = List({"role": Value("string"), "content": Value("string")})
        features = Features({"id": Value("string"), "messages": messages,
                             "options": List(Value("string")), "probabilities": List(Value(dtype)),
                             "output_label": Value("string")})  # fmt: skip
        check_rows(Dataset.from_list([COLORS[0]], features=features), "mine", "distribution")


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1PAR1"])
def test_files_that_cannot_be_read_are_one_line(tmp_path, content):
    suite = save_suite(tmp_path, colors=COLORS)
    (suite / "colors" / "test.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"task 'colors' of suite .* cannot be read: .*; check its files") as caught:
        task_rows(str(suite), "colors")
    assert "\n" not in str(caught.value)
