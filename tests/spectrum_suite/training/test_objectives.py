"""Objectives: each is told its own options and no others, and says what it trains on."""

import json
from dataclasses import fields

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.formats.tags import find_format
from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig
from spectrum_suite.training.objectives import OBJECTIVES, find_objective, row_branching


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"objective": "response", "branching": 1.0}, "--branching means nothing to --objective response, but to spec"),
        ({"objective": "single_task", "tasks": ["coinflip"]}, "--tasks means nothing to --objective single_task"),
        ({"data_limit": 5}, "--data_limit means nothing to --objective spectrum, but to distribution, instruction"),
    ],
)
def test_an_option_of_another_objective_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        find_objective(SpectrumArguments(**given))


def test_options_are_fields_and_common_ones_count_for_all():
    names = {each.name for each in fields(SpectrumArguments)}
    for name, objective in OBJECTIVES.items():
        assert objective.options <= names
        settings = find_objective(SpectrumArguments(objective=name)).settings(SpectrumArguments(objective=name))
        assert settings.keys() == objective.options | {"objective", "format", "turn_tokens", "merge"}


def test_single_tasks_branch_at_rates_of_their_own():
    rows = {"coinflip": 2, "poisson": 1, "urns": 3}
    arguments = SpectrumArguments(branching=0.25, task_branching=["urns=1", "coinflip=0"])
    assert row_branching(arguments, rows) == [0.0, 0.0, 0.25, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("urn=1", "'urn=1': no task 'urn' is trained on, did you mean 'urns'"),
        ("urns=2", "'urns=2': give a number from 0 to 1, e.g. urns=1"),
        ("urns", "'urns': give a number from 0 to 1"),
    ],
)
def test_rates_of_no_task_and_rates_that_are_none_are_refused(entry, message):
    with pytest.raises(UserError, match=f"--task_branching {message}"):
        row_branching(SpectrumArguments(task_branching=[entry]), {"urns": 3})


def test_rows_know_their_data_set(tmp_path, tokenizer_of):
    sets = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for number, path in enumerate(sets, 1):
        rows = [{"instruction": f"Say {n}.", "output": str(n)} for n in range(3 * number)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = SpectrumArguments(objective="instruction", data=list(map(str, sets)), data_limit=4)
    config = TuningConfig(output_dir=str(tmp_path), max_length=60, report_to="none", use_cpu=True)
    tokenizer = tokenizer_of("llama3")
    data = OBJECTIVES["instruction"].load(arguments, config, tokenizer, find_format("meaningless_tags", tokenizer))
    assert data.rows_per_task == {"a": 3, "b": 4}
    assert data.groups == ("a", "b")
    assert data.tokenized["group"][:] == [0] * 3 + [1] * 4
    batch = data.collator([data.tokenized[0]])
    assert tokenizer.decode(batch["input_ids"][0]) == ("<|begin_of_text|><|A|>\nSay 0.\n<|B|>\n0<|end_of_text|>")
