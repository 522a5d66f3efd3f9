"""Rows of decisions are read from every place, and what is wrong with one is named."""

import copy

import pytest

from spectrum_suite.decisions.rows import Gold, load_decisions, questions_of, target_rows
from spectrum_suite.errors import UserError
from tests.spectrum_suite.decisions.decision_rows import ROWS, write_lines, write_parquet


def folder_of(tmp_path, write=write_parquet):
    """A dataset of two configurations with both splits, as a folder with a card."""
    folder = tmp_path / "typed"
    lines = ["---", "configs:"]
    for config in ("all", "desk"):
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in ("train", "test"):
            rows = [row for row in ROWS if row["split"] == split and config in ("all", row["workflow"])]
            write(folder / config / f"{split}.parquet", rows or ROWS[2:])
            lines += [f"  - split: {split}", f"    path: {config}/{split}.parquet"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    return folder


def places(tmp_path):
    yield load_decisions(str(write_lines(tmp_path / "rows.jsonl")))
    yield load_decisions(str(write_parquet(tmp_path / "rows.parquet")))
    yield load_decisions(str(folder_of(tmp_path)), config="all")


def test_all_places_hold_the_same(tmp_path):
    first, *others = places(tmp_path)
    assert [row.id for row in first] == ["desk_1", "desk_2"]
    assert all(other == first for other in others)
    row = first[0]
    assert (row.workflow, row.state, row.n_responses) == ("desk", '{"thread": ["Lamp broken"], "n": 1}', None)
    assert [question.id for question in row.questions] == ["team", "human", "mood"]
    assert row.gold == (Gold(1, (0.5, 0.5)), Gold(0, (0.7, 0.3)), Gold(1, (0, 1, 0)))
    assert first[1].state == "Where is my parcel?"
    assert questions_of(first) == 4


def test_a_split_and_a_limit(tmp_path):
    path = str(write_lines(tmp_path / "rows.jsonl"))
    (row,) = load_decisions(path, split="train")
    assert (row.id, row.n_responses, row.gold[0].probabilities) == ("tr_3", 20, (0.8, 0.15, 0.05))
    few = [load_decisions(path, limit=1, seed=seed)[0].id for seed in range(8)]
    assert set(few) == {"desk_1", "desk_2"}
    assert few == [load_decisions(path, limit=1, seed=seed)[0].id for seed in range(8)]
    with pytest.raises(UserError, match="has no rows of split 'dev'"):
        load_decisions(path, split="dev")


def test_rows_that_name_no_split_are_all_taken(tmp_path):
    rows = [{name: value for name, value in row.items() if name != "split"} for row in ROWS]
    assert len(load_decisions(str(write_lines(tmp_path / "rows.jsonl", rows)))) == 3


@pytest.mark.parametrize(("label", "place"), [("1", 1), (1, 1), ("annoyed", 1), ("2", 2), (None, 1)])
def test_a_label_is_a_key_or_a_name(tmp_path, label, place):
    row = copy.deepcopy(ROWS[0])
    row["gold"]["mood"]["label"] = label
    (found,) = load_decisions(str(write_lines(tmp_path / "rows.jsonl", [row])))
    assert found.gold[2].label == place


def test_a_noul_may_have_its_probability_alone(tmp_path):
    row = copy.deepcopy(ROWS[0])
    row["gold"]["human"] = {"label": False, "noul": 0.25}
    (found,) = load_decisions(str(write_lines(tmp_path / "rows.jsonl", [row])))
    assert found.gold[1] == Gold(1, (0.25, 0.75))


def changed(path, value):
    row = copy.deepcopy(ROWS[0])
    at = row
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return row


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["state"], None, "row 1 has no 'state'"),
        (["questions"], "team", r"row 1 \(desk_1\): questions is not JSON"),
        (["questions"], "[1]", "questions is not an object"),
        (["questions", "team", "type"], "rank", "question 'team' has the type 'rank'"),
        (["gold", "team"], None, "gold of question 'team' has no probabilities of sales, support"),
        (["gold", "team", "probabilities"], {"sales": 1}, "gold of question 'team' has no probabilities of"),
        (["gold", "team", "probabilities"], {"sales": 3, "support": 1}, "not a number from 0 to 1"),
        (["gold", "team", "probabilities"], {"sales": 0.5, "support": 0.3}, "sum to 0.8"),
        (["gold", "team", "label"], "billing", "the label 'billing', which is none of sales, support"),
        (["gold"], {"team": {}}, "gold answers team: give one answer to each question"),
        (["n_responses"], 0, "n_responses 0"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named(tmp_path, path, value, message):
    with pytest.raises(UserError, match=message):
        load_decisions(str(write_lines(tmp_path / "rows.jsonl", [changed(path, value)])))


def test_two_rows_of_a_name_are_refused(tmp_path):
    with pytest.raises(UserError, match="the id 'desk_1' twice"):
        load_decisions(str(write_lines(tmp_path / "rows.jsonl", [ROWS[0], ROWS[0]])))


def test_questions_become_rows_with_a_target(tmp_path):
    rows = target_rows(load_decisions(str(write_lines(tmp_path / "rows.jsonl"))))
    assert rows["id"] == ["desk_1/team", "desk_1/human", "desk_1/mood", "desk_2/team"]
    assert rows["ordered"] == [False, False, True, False]
    assert rows[1] == {
        "id": "desk_1/human",
        "messages": [
            {
                "role": "input",
                "content": '{"thread": ["Lamp broken"], "n": 1}\n\nA person must reply.\n- yes: Yes\n- no: No\n'
                "Answer with one of these options and nothing else.",
            }
        ],
        "options": ["yes", "no"],
        "probabilities": [0.7, 0.3],
        "n_responses": None,
        "ordered": False,
    }
