"""What must hold for every task of the suite, whoever wrote it."""

import importlib
import json
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest

from dataset_builder import sources
from dataset_builder.files import find_files
from dataset_builder.mixtures import MIXTURES
from dataset_builder.registry import all_tasks
from dataset_builder.suite_builder import Counts, read_examples, tables
from dataset_builder.task_spec import MAX_DRAWS, MIN_DRAWS, Dropped

FIXTURES = Path(__file__).parents[2] / "dataset_builder" / "fixtures"
TASKS = all_tasks()
FROM_FILES = [spec for spec in TASKS if spec.read is not None]
OF_DRAWS = [spec for spec in TASKS if spec.kind == "icl"]
PARTITIONS = [spec for spec in FROM_FILES if spec.kind == "icl" and spec.sequences.mode == "partition"]
UNFILLED = re.compile(r"\{[A-Za-z_.]*\}|\{\{|\}\}|\[[A-Z_]{3,}\]|%s|\bnan\b|\bNaN\b|\bNone\b")
UNFILLED_IN_DATA = re.compile(r"\{[A-Za-z_.]+\}|\{\{|\bnan\b|\bNaN\b")
"""``None`` is an English word too, and upstream texts have it."""

by_name = pytest.mark.parametrize("spec", TASKS, ids=lambda spec: spec.name)
from_files = pytest.mark.parametrize("spec", FROM_FILES, ids=lambda spec: spec.name)
of_draws = pytest.mark.parametrize("spec", OF_DRAWS, ids=lambda spec: spec.name)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def fixture_examples(spec):
    if spec.read is None:
        spec_files = {}
    else:
        spec_files = find_files(spec, FIXTURES, allow_missing=True).found
        assert spec_files, f"{spec.name} has no fixture rows"
    items = read_examples(spec, spec_files, seed=42)
    return [item for item, _ in zip((item for item in items if not isinstance(item, Dropped)), range(50), strict=False)]


def test_all_tasks_of_the_paper_are_there():
    paper = Counter((spec.kind, spec.split) for spec in TASKS if spec.origin == "paper")
    assert paper == {("icl", "train"): 71, ("icl", "test"): 22, ("distribution", "test"): 8, ("coverage", "test"): 22}


def test_no_task_is_called_as_a_mixture():
    assert not MIXTURES.keys() & {spec.name for spec in TASKS}


@by_name
def test_each_task_says_what_a_card_needs(spec):
    source = spec.source
    assert source.homepage.startswith("https://")
    assert source.license
    assert source.citation
    assert spec.summary.endswith(".")
    assert all(re.fullmatch("[a-z]{2,3}", language) for language in spec.languages)


@from_files
def test_each_file_can_be_found_by_someone(spec):
    """It has an address or a Hub repository, or the message says where to get it by hand."""
    for layout in (spec.source.files, *spec.source.other_layouts):
        assert layout
        for file in layout:
            assert not Path(file.path).is_absolute()
            assert ".." not in Path(file.path).parts
            assert file.url is None or file.url.startswith("https://")
            if file.url and "githubusercontent" in file.url:
                assert re.search(r"/[0-9a-f]{40}/", file.url), "not pinned to a commit"


@by_name
def test_rows_come_out_of_the_fixtures_and_hold_clean_text(spec):
    examples = fixture_examples(spec)
    rows = [row for table in tables(spec, examples, 42) for row in table.to_pylist()]
    assert rows
    assert len({row["id"] for row in rows}) == len(rows)
    for example in examples:
        for description in example.descriptions:
            assert not UNFILLED.search(description), description
        outputs = [draw.output for draw in example.draws]
        for text in (*outputs, *(draw.input for draw in example.draws if draw.input is not None)):
            assert text.strip()
            assert not UNFILLED_IN_DATA.search(text), text
        assert not {"nan", "None", "null", ""} & set(outputs)
        assert len(outputs) <= MAX_DRAWS or spec.sequences.mode != "one"
        if spec.options and spec.kind == "icl" and len(spec.outputs) == 1:
            assert set(outputs) <= set(spec.options)
        if spec.options and spec.kind == "distribution":
            assert set(example.target.options) <= set(spec.options)


@of_draws
def test_several_fields_are_a_json_object_with_the_declared_names_in_order(spec):
    """A field that a process does not have is left out; a process with one field gives it as bare text."""
    for example in fixture_examples(spec):
        for draw in example.draws:
            assert draw.input is None or spec.inputs
            for names, text in ((spec.inputs, draw.input), (spec.outputs, draw.output)):
                if text is not None and len(names) > 1 and text.startswith('{"'):
                    fields = list(json.loads(text))
                    assert fields == [name for name in names if name in fields]


@pytest.mark.parametrize("spec", PARTITIONS, ids=lambda spec: spec.name)
def test_partitions_use_each_draw_once_but_for_those_that_would_be_alone(spec):
    examples, counts = fixture_examples(spec), Counts()
    rows = [row for table in tables(spec, examples, 42, counts=counts) for row in table.to_pylist()]
    drawn = Counter(message["content"] for row in rows for message in row["messages"] if message["role"] == "output")
    every = Counter(draw.output for example in examples for draw in example.draws)
    assert drawn <= every
    assert (every - drawn).total() == counts.dropped.total()


@of_draws
def test_rows_of_icl_tasks_have_at_least_two_draws(spec):
    rows = [row for table in tables(spec, fixture_examples(spec), 42) for row in table.to_pylist()]
    assert min(row["n_outputs"] for row in rows) >= MIN_DRAWS


def test_no_source_is_both_trained_on_and_held_out():
    icl = [spec for spec in TASKS if spec.kind == "icl" and spec.read is not None]
    trained = {spec.source.name for spec in icl if spec.split == "train"}
    assert not trained & {spec.source.name for spec in icl if spec.split == "test"}


def test_a_source_is_the_same_wherever_it_is_named():
    for field in ("title", "homepage", "license", "redistributable", "citation", "revision"):
        facts = {(spec.source.name, getattr(spec.source, field)) for spec in TASKS}
        assert len(facts) == len({name for name, _ in facts}), field


def test_a_source_is_one_file():
    """All its tasks are in it; what the builder draws itself has a file for each family."""
    files = {}
    for module in pkgutil.iter_modules(sources.__path__, f"{sources.__name__}."):
        for spec in getattr(importlib.import_module(module.name), "TASKS", ()):
            files.setdefault(spec.source.name, set()).add(module.name)
    assert len(files.pop("synthetic")) > 5
    assert {name for name, modules in files.items() if len(modules) > 1} == set()


def test_no_draw_of_a_held_out_task_is_trained_on():
    """Draws long enough not to agree by chance; those of generated tasks are settings of their own."""

    def draws(split):
        icl = [spec for spec in FROM_FILES if spec.kind == "icl" and spec.split == split]
        every = ((draw.input or "") + draw.output for spec in icl for e in fixture_examples(spec) for draw in e.draws)
        return {text for text in every if len(text) > 30}

    held_out, trained = draws("test"), draws("train")
    assert len(held_out) > 50
    assert len(trained) > 100
    assert not held_out & trained
