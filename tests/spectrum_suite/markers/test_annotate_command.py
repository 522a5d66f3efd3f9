"""`spectrum-suite annotate` from its command line to the files that training reads."""

import json
import os
from pathlib import Path

import pytest
from datasets import load_dataset
from transformers import LlamaConfig

from spectrum_suite.commands.main import main
from spectrum_suite.errors import UserError
from spectrum_suite.markers.annotate import Annotator
from spectrum_suite.markers.marked_rows import load_marked
from spectrum_suite.markers.plan import load_plan
from spectrum_suite.markers.sets import Provenance
from spectrum_suite.markers.taxonomy import TAXONOMY

RECIPES = Path(__file__).parents[3] / "recipes"
KINDS = ["open_qa", "other", "open_qa", "other", "open_qa", "other"]
PLAN = """
data:
- path: rows.jsonl
  limit: 4
  fixed: {source: Human, style: Formal}
  columns: {task: kind, quality: score}
  readings: {task: {open_qa: QuestionAnswering, other: null}}
"""


@pytest.fixture
def folder(tmp_path):
    rows = [
        {
            "instruction": f"Please tell me about the river number {number}.",
            "output": "The river is long. " * (number + 1),
            "kind": kind,
            "score": float(number),
        }
        for number, kind in enumerate(KINDS)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path


@pytest.fixture
def tokenizer(tokenizer_of, tmp_path):
    path = tmp_path / "tokenizer"
    tokenizer_of("chatml").save_pretrained(path)
    LlamaConfig(vocab_size=len(tokenizer_of("chatml"))).save_pretrained(path)
    return str(path)


def markers_of(rows):
    return [[{k: v for k, v in each.items() if v is not None} for each in markers] for markers in rows["markers"]]


def test_a_plan_gives_rows_that_train(folder, tokenizer, tokenizer_of, capsys):
    options = ["--plan", folder / "plan.yaml", "--sources_dir", folder, "--tokenizer", tokenizer]
    main(["annotate", *map(str, options), "--output", str(folder / "out"), "--held_out", "1"])
    rows, counts = load_marked([str(folder / "out")])
    assert list(counts.values()) == [3]
    test = load_dataset(str(folder / "out"), split="test")
    pairs = [pair for part in (rows, test) for pair in zip(part["id"], markers_of(part), strict=True)]
    found = {row_id: markers for row_id, (markers,) in pairs}
    assert len(found) == 4
    for row_id, markers in found.items():
        number = int(row_id.rpartition("/")[2])
        text = ("The river is long. " * (number + 1)).strip()
        assert markers.get("task") == {"open_qa": "QuestionAnswering", "other": None}[KINDS[number]]
        assert (markers["source"], markers["style"], markers["lang"]) == ("Human", "Formal", "English")
        assert (markers["quality"], markers["length_sentences"]) == (number, number + 1)
        assert markers["length_tokens"] == len(tokenizer_of("chatml").encode(text, add_special_tokens=False))
    best = max(found, key=lambda row_id: found[row_id]["quality"])
    assert sorted(markers["quality_bucket"] for markers in found.values()) == [1, 2, 3, 4]
    assert found[best]["quality_bucket"] == 1
    assert "| source | 100.0% | Human (3) |" in (folder / "out" / "markers.md").read_text()


def test_data_sets_can_be_named_on_the_command_line(folder, tokenizer):
    options = ["--fixed", "source=Synthetic", "--columns", "quality=score", "--tokenizer", tokenizer, "--limit", "2"]
    main(["annotate", str(folder / "rows.jsonl"), *options, "--output", str(folder / "out")])
    rows = load_dataset(str(folder / "out"), split="train")
    assert [markers["source"] for (markers,) in markers_of(rows)] == ["Synthetic"] * 2
    assert rows.column_names == ["id", "messages", "markers"]


def test_the_same_command_finds_what_is_done(folder, tokenizer, monkeypatch):
    command = ["annotate", str(folder / "rows.jsonl"), "--tokenizer", tokenizer, "--output", str(folder / "out")]
    main(command)
    first = load_dataset(str(folder / "out"), split="train").to_list()
    monkeypatch.setattr(Annotator, "markers", lambda *_: pytest.fail("it is all kept"))
    main([*command, "--held_out", "2"])
    again = load_dataset(str(folder / "out"))
    assert sorted((*again["train"]["id"], *again["test"]["id"])) == sorted(row["id"] for row in first)


def test_all_answers_to_a_prompt_are_on_one_side(folder, tokenizer):
    answers = [
        {"instruction": f"Question {n}?", "output": f"Answer {n} of a {style}."} for style in "abc" for n in range(20)
    ]
    for style in "abc":
        lines = [json.dumps(row) + "\n" for row in answers if row["output"].endswith(f"{style}.")]
        (folder / f"{style}.jsonl").write_text("".join(lines[1:] if style == "b" else lines))
    data = [str(folder / f"{style}.jsonl") for style in "abc"]
    main(["annotate", *data, "--tokenizer", tokenizer, "--held_out", "7", "--output", str(folder / "out")])
    found = load_dataset(str(folder / "out"))
    asked = {split: {row[0]["content"] for row in rows["messages"]} for split, rows in found.items()}
    assert (len(asked["train"]), len(asked["test"]), len(found["train"]) + len(found["test"])) == (13, 7, 59)
    assert not asked["train"] & asked["test"]
    main(["annotate", *data[1:], "--tokenizer", tokenizer, "--held_out", "7", "--output", str(folder / "fewer")])
    again = load_dataset(str(folder / "fewer"), split="test")
    assert {row[0]["content"] for row in again["messages"]} == asked["test"], "the prompts decide, not their rows"


def test_rows_of_long_messages_can_be_left_out(folder, tokenizer, tokenizer_of):
    data, output = str(folder / "rows.jsonl"), str(folder / "out")
    limit = len(tokenizer_of("chatml").encode(("The river is long. " * 3).strip(), add_special_tokens=False))
    main(["annotate", data, "--output", output, "--tokenizer", tokenizer, "--max_tokens", str(limit)])
    rows = load_dataset(output, split="train")
    assert rows["id"][:] == ["rows/0", "rows/1", "rows/2"]


def test_every_output_of_a_suite_row_has_markers(small_suite, tokenizer, tmp_path):
    options = ["--suite", str(small_suite), "--tasks", "described_shares=3", "coinflip=2", "--tokenizer", tokenizer]
    main(["annotate", *options, "--output", str(tmp_path / "out")])
    rows, _ = load_marked([str(tmp_path / "out")])
    assert [row_id.partition("/")[0] for row_id in rows["id"]] == ["described_shares"] * 3 + ["coinflip"] * 2
    for messages, markers in zip(rows["messages"], markers_of(rows), strict=True):
        assert len(markers) == sum(message["role"] == "output" for message in messages) > 1
        assert all(each["source"] == "Synthetic" and each["length_tokens"] > 0 for each in markers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to annotate"),
        (["--suite", "SUITE", "--tasks", "dist_urn"], "is held out for evaluation"),
        (["DATA", "--fixed", "source"], "--fixed 'source': give a name"),
        (["DATA", "--columns", "task=kinds"], "has no column 'kinds', did you mean 'kind'"),
        (["DATA", "--fixed", "source=Humans"], "marker 'source' is 'Humans', did you mean 'Human'"),
        (["DATA", "--held_out", "6"], "6 prompts are left, and --held_out asks for 6"),
        (["--plan", "nowhere.yaml"], "plan 'nowhere.yaml' cannot be read"),
        (["DATA", "--tagger_endpoint", "http://localhost:9"], "name the model with --tagger"),
        (["DATA", "--reward_model", "nowhere"], "reward model 'nowhere' cannot be loaded"),
    ],
)
def test_a_mistake_is_one_line(folder, small_suite, tokenizer, capsys, options, message):
    places = {"DATA": str(folder / "rows.jsonl"), "SUITE": str(small_suite)}
    command = [places.get(option, option) for option in options]
    with pytest.raises(SystemExit) as stopped:
        main(["annotate", *command, "--tokenizer", tokenizer, "--output", str(folder / "out")])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(folder.glob("out/[!.]*"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "does not hold names with values"),
        ("data: []", "'data' is empty"),
        ("data: [{fixed: {}}]", r"plan\.yaml:1: 'path' is missing"),
        ("data: [a]", "'a' does not describe a dataset"),
        ("datas: []", "no entry 'datas', did you mean 'data'"),
        ("data: [{path: a, column: {}}]", "no entry 'column', did you mean 'columns'"),
        ("data: [{path: a, limit: many}]", "'limit' is 'many': give a whole number"),
        ("data: [", "not YAML"),
    ],
)
def test_a_plan_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        load_plan(tmp_path / "plan.yaml")


def test_the_plan_of_the_recipe_is_five_data_sets_that_are_there():
    sources = os.environ.get("SPECTRUM_SOURCES")
    plan = load_plan(RECIPES / "data" / "markers.yaml", Path(sources) if sources else None)
    assert len({planned.data for planned in plan}) == 5
    assert all(TAXONOMY.check(planned.provenance.fixed) for planned in plan)
    if not sources:
        pytest.skip("SPECTRUM_SOURCES names no folder of real files")
    assert all(Path(planned.data).is_file() for planned in plan)


def test_a_plan_can_be_read_without_a_folder_of_sources(folder):
    (planned,) = load_plan(folder / "plan.yaml")
    assert (planned.data, planned.limit, planned.layout) == ("rows.jsonl", 4, "auto")
    assert planned.provenance == Provenance(
        {"source": "Human", "style": "Formal"},
        {"task": "kind", "quality": "score"},
        {"task": {"open_qa": "QuestionAnswering", "other": None}},
    )
