"""Tasks as rows of decisions: what the rows say, and that our own reader and `datasets` take them."""

import json

import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard

from dataset_builder.build import BuildOptions
from dataset_builder.commands import main
from dataset_builder.decision_rows import decision_rows
from dataset_builder.decision_set import DECISIONS
from dataset_builder.export import export
from spectrum_suite.decisions.rows import load_decisions
from spectrum_suite.errors import UserError


def message(role, content):
    return {"role": role, "content": content}


def test_a_distribution_is_a_choice_whose_gold_it_is():
    row = {
        "id": "polls/7", "messages": [message("description", "A poll."), message("input", "Tea or coffee?")],
        "options": ["tea", "coffee"], "probabilities": [0.25, 0.75], "n_responses": 40, "source": "polls",
    }  # fmt: skip
    (found,) = decision_rows([row], "polls", "distribution", "test")
    assert {name: json.loads(found.pop(name)) for name in ("state", "questions", "gold", "factors")} == {
        "state": "A poll.",
        "questions": {
            "answer": {"type": "choice", "instructions": "Tea or coffee?", "criteria": {"tea": None, "coffee": None}}
        },
        "gold": {
            "answer": {
                "type": "choice", "label": "coffee", "confidence": 0.5, "probabilities": {"tea": 0.25, "coffee": 0.75},
            }
        },
        "factors": {"gold_from": "people", "source": "polls"},
    }  # fmt: skip
    assert found == {"id": "polls/7", "workflow": "polls", "split": "test", "n_questions": 1, "n_responses": 40}


def test_a_description_alone_is_what_is_asked():
    row = {
        "id": "die/0", "messages": [message("description", "A die is rolled.")], "options": ["1", "2"],
        "probabilities": [0.5, 0.5], "n_responses": None, "source": "none",
    }  # fmt: skip
    (found,) = decision_rows([row], "die", "distribution", "train", of_people=False)
    assert json.loads(found["state"]) == ""
    assert json.loads(found["questions"])["answer"]["instructions"] == "A die is rolled."
    assert json.loads(found["factors"])["gold_from"] == "mathematics"
    assert found["n_responses"] is None
    (found,) = decision_rows([row], "a survey that does not say of how many", "distribution", "train")
    assert json.loads(found["factors"])["gold_from"] == "people"


def process(*options, name="ann", draws=3):
    messages = [message("description", "One voter.")]
    for number in range(draws):
        messages += [message("input", f"Question {number}?"), message("output", "yes" if number % 2 else "no")]
    return {"id": f"votes/{name}/0", "process": name, "messages": messages, "options": list(options), "source": "votes"}


def test_the_last_draw_of_a_person_is_asked_after_some_others():
    (found,) = decision_rows([process(["yes", "no"], draws=12)], "votes", "icl", "test")
    state = json.loads(found["state"])
    assert state["description"] == "One voter."
    assert state["draws"] == [
        {"input": f"Question {number}?", "output": "yes" if number % 2 else "no"} for number in range(3, 11)
    ]
    assert json.loads(found["questions"])["answer"]["instructions"] == "Question 11?"
    assert json.loads(found["gold"])["answer"]["probabilities"] == {"yes": 1.0, "no": 0.0}
    assert found["n_responses"] == 1


def test_each_process_is_asked_once_and_open_answers_never():
    rows = [
        process(["yes", "no"]), process(["yes", "no"]), process(name="bob"),
        process(["yes", "no"], ["yes", "no"], [], name="eve"), process(["a"], ["b"], ["no", "maybe"], name="joe"),
    ]  # fmt: skip
    found = list(decision_rows(rows, "votes", "icl", "test"))
    assert [row["id"] for row in found] == ["votes/ann/0", "votes/joe/0"]
    assert json.loads(found[1]["gold"])["answer"]["probabilities"] == {"no": 1.0, "maybe": 0.0}


@pytest.fixture(scope="module")
def decisions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "decisions"
    rows, left_out = export(DECISIONS, ["dist_urn", "geometric", "dist_train_shares"], BuildOptions(folder, max_rows=4))
    assert rows == {"dist_train_shares": 4, "dist_urn": 4}
    assert left_out == {"geometric": "it does not have closed answers to decide between"}
    return folder


def test_our_reader_and_datasets_take_the_rows(decisions):
    assert sorted(path.name for path in decisions.parent.iterdir()) == ["decisions"]  # nothing is left of the work
    rows = load_decisions(str(decisions), config="dist_urn")
    assert len(rows) == 4
    assert all(sum(row.gold[0].probabilities) == pytest.approx(1) for row in rows)
    assert load_dataset(str(decisions), "dist_train_shares", split="train").column_names == [
        "id", "workflow", "split", "state", "questions", "gold", "factors", "n_questions", "n_responses",
    ]  # fmt: skip


def test_the_hub_finds_a_benchmark(decisions):
    told = yaml.safe_load((decisions / "eval.yaml").read_text())
    assert told["tasks"] == [{"id": "dist_urn", "config": "dist_urn", "split": "test"}]
    assert set(told) == {"name", "description", "evaluation_framework", "tasks"}
    card = DatasetCard.load(decisions / "README.md")
    assert card.data.tags == ["typed-decisions", "system-one", "calibration"]
    assert "| `dist_urn` | test | 4 |" in card.text
    assert "## Sources and licences" in card.text
    assert "{{" not in card.text


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        main(["build", "--tasks", "dist_urn", "--as", "decisions", "--output", str(tmp_path)])
    assert "holds something else than decisions" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_tasks_without_closed_answers_are_refused(tmp_path):
    with pytest.raises(UserError, match="none of these tasks has closed answers"):
        export(DECISIONS, ["geometric"], BuildOptions(tmp_path / "out", max_rows=2))
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_and_replaces_its_own(tmp_path, capsys):
    for rows in ("2", "3"):
        output = tmp_path / "out"
        main(["build", "--tasks", "dist_urn", "--as", "decisions", "--rows", rows, "--output", str(output)])
    assert len(load_decisions(str(output), config="dist_urn")) == 3
    assert "decisions in" in capsys.readouterr().out
