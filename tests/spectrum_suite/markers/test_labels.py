"""Markers of prompts by their hashes, from the table to the rows that training reads."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from datasets import load_dataset
from transformers import LlamaConfig

from spectrum_suite.commands.main import main
from spectrum_suite.errors import UserError
from spectrum_suite.instruction_data import load_conversations
from spectrum_suite.markers.labels import load_labels, prompt_key
from spectrum_suite.markers.plan import load_plan
from spectrum_suite.markers.taxonomy import DOMAINS, TASKS, TAXONOMY, Category, Taxonomy

RECIPE = Path("recipes/data/lengths.yaml")
QUESTIONS = ["Why does it rain?", "Write a poem\nabout é.", "What is 2 + 2?"]
KEYS = [hashlib.sha256(question.encode()).hexdigest()[:16] for question in QUESTIONS]
LABELS = f"prompt,task,domain\n{KEYS[0]},Explanation,Sciences\n{KEYS[1]},CreativeWriting,\n"
PLAN = """
data:
- path: rows.jsonl
  fixed: {task: OpenEnded, source: Human}
  columns: {domain: topic}
  labels: LABELS
"""


@pytest.fixture
def folder(tmp_path, tokenizer_of):
    asked = [f" {QUESTIONS[0]}\n", QUESTIONS[1].replace("\n", "\r\n"), QUESTIONS[2]]
    rows = [{"instruction": text, "output": "It is so.", "topic": "Culture"} for text in asked]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "labels.csv").write_text(LABELS)
    (tmp_path / "plan.yaml").write_text(PLAN.replace("LABELS", str(tmp_path / "labels.csv")))
    tokenizer_of("chatml").save_pretrained(tmp_path / "tokenizer")
    LlamaConfig(vocab_size=len(tokenizer_of("chatml"))).save_pretrained(tmp_path / "tokenizer")
    return tmp_path


def annotate(folder):
    options = ["--plan", "plan.yaml", "--sources_dir", "", "--tokenizer", "tokenizer", "--output", "out"]
    main(["annotate", *(option if option[:2] == "--" else str(folder / option) for option in options)])


def test_rows_have_the_labels_of_their_prompts(folder, caplog):
    with caplog.at_level("INFO", logger="spectrum_suite.markers"):
        annotate(folder)
    rows = load_dataset(str(folder / "out"), split="train")
    found = {number: row for number, (row,) in enumerate(rows["markers"])}
    assert [(found[n]["task"], found[n]["domain"], found[n]["source"]) for n in range(3)] == [
        ("Explanation", "Sciences", "Human"),
        ("CreativeWriting", "Culture", "Human"),  # an empty cell is not a label: the column is asked
        ("OpenEnded", "Culture", "Human"),  # a prompt without labels
    ]
    assert f"{folder / 'rows.jsonl'}: 2 of 3 rows have labels" in caplog.messages


def test_other_labels_give_other_rows_where_the_rest_is_kept(folder):
    annotate(folder)
    (folder / "labels.csv").write_text(LABELS.replace("Sciences", "Math"))
    annotate(folder)
    assert load_dataset(str(folder / "out"), split="train")["markers"][0][0]["domain"] == "Math"


def test_labels_of_other_prompts_are_warned_of(folder, caplog):
    (folder / "labels.csv").write_text(f"prompt,task\n{'0' * 16},Explanation\n")
    annotate(folder)
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"{folder / 'rows.jsonl'}: 0 of 3 rows have labels" in warned


def test_labels_may_be_of_a_category_of_ones_own(tmp_path):
    (tmp_path / "labels.csv").write_text(f"age,prompt\n7,{KEYS[0]}\n")
    taxonomy = Taxonomy((*TAXONOMY.categories, Category("age", "integer")))
    assert load_labels(tmp_path / "labels.csv", taxonomy) == {prompt_key(QUESTIONS[0]): {"age": 7}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"key,task\n{KEYS[0]},Explanation\n", "has no column 'prompt'"),
        (f"prompt\n{KEYS[0]}\n", "has no column of a category"),
        (f"prompt,tasks\n{KEYS[0]},\n", "header: no marker 'tasks', did you mean 'task'"),
        (
            f"prompt,task\n{KEYS[0]},Rewrite\n{KEYS[1]},Explain\n",
            "row 2: marker 'task' is 'Explain', did you mean 'Explanation'",
        ),
        (
            f"prompt,task\n{KEYS[0]},Rewrite\n{KEYS[0]},Rewrite\n",
            f"row 2: the prompt '{KEYS[0]}' has labels",
        ),
        (
            "prompt,task\nWhy does it rain?,Rewrite\n",
            "row 1: 'Why does it rain\\?' is not a prompt: give the first 16",
        ),
        (f"prompt,task\n{KEYS[0]},Rewrite,Math\n", "line 2 has 3 fields for 2 columns"),
        (f"prompt,task,task\n{KEYS[0]},Rewrite,Math\n", "the column 'task' appears twice"),
    ],
)
def test_a_table_that_is_wrong_is_one_line_that_names_it(folder, capsys, text, message):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        load_labels(folder / "labels.csv")
    assert str(folder / "labels.csv") in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(SystemExit) as stopped:
        annotate(folder)
    assert stopped.value.code == 2
    assert str(error.value) in capsys.readouterr().err
    assert not (folder / "out").exists()


@pytest.mark.parametrize("name", ["nowhere.csv", "rows.jsonl", ""])
def test_labels_that_are_no_table_are_refused(folder, name):
    with pytest.raises(UserError, match="is not a CSV file"):
        load_labels(folder / name)


def test_the_labels_of_the_recipe_are_of_every_prompt_of_its_five_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it comes with the project
    sources = os.environ.get("SPECTRUM_SOURCES")
    plan = load_plan(RECIPE, Path(sources) if sources else None)
    assert len({planned.data for planned in plan}) == 5
    for planned in plan:
        labels = planned.provenance.labels
        assert len(labels) == 805
        assert all(label["task"] in TASKS and label["domain"] in DOMAINS for label in labels.values())
    if not sources:
        pytest.skip("SPECTRUM_SOURCES names no folder of real files")
    for planned in plan:
        rows = load_conversations(planned.data)
        assert all(prompt_key(messages[0]["content"]) in planned.provenance.labels for messages in rows["messages"])
