"""`--config FILE`: every command reads its options from YAML, with the checks of its command line."""

import os
from pathlib import Path

import pytest
import yaml

from dataset_builder import commands as builder
from spectrum_suite.commands import annotate, calibrate, demo, evaluate, push
from spectrum_suite.errors import UserError
from spectrum_suite.parser import Parser

# command -> (what reads its words, an option of it as YAML has it, what is read)
COMMANDS = {
    "build": (
        builder._parser("").parse_args, ["build"], {"tasks": ["coinflip", "urn"], "output": "x", "allow_missing": True},
        {"tasks": ["coinflip", "urn"], "output": Path("x"), "allow_missing": True, "rows": None, "seed": 42},
    ),
    "annotate": (
        annotate._parser("").parse_args, [], {"data": ["a.jsonl", "b.jsonl"], "output": "x", "fixed": "source=Human"},
        {"data": ["a.jsonl", "b.jsonl"], "output": Path("x"), "fixed": ["source=Human"]},
    ),
    "calibrate": (
        calibrate._parser("").parse_args, [], {"model": "m", "suite": "s", "limit": 7, "device": None},
        {"model": "m", "suite": "s", "limit": 7, "device": None, "orders": 1},
    ),
    "demo": (
        demo._parser("").parse_args, [], {"base": "m", "calibration": "c"}, {"base": "m", "calibration": Path("c")},
    ),
    "evaluate": (
        evaluate.read, [], {"output": "x", "first_line": False, "adapter_scale": [0, 0.5], "judge_model": 3},
        {"output": Path("x"), "first_line": False, "adapter_scale": [0.0, 0.5], "judge_model": "3", "seed": 42},
    ),
    "push": (
        push.parser().parse_args, ["model"], {"path": "p", "repo_id": "a/b", "merge": True, "report": ["r"]},
        {"path": Path("p"), "repo_id": "a/b", "merge": True, "report": [Path("r")], "dry_run": False, "kind": "model"},
    ),
}  # fmt: skip


def file(folder, entries):
    path = folder / "options.yaml"
    path.write_text(entries if isinstance(entries, str) else yaml.safe_dump(entries))
    return ["--config", str(path)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_takes_its_options_from_a_file(tmp_path, command):
    read, words, entries, expected = COMMANDS[command]
    found = vars(read([*words, *file(tmp_path, entries)]))
    assert {name: found[name] for name in expected} == expected
    assert "config" not in found


def test_the_command_line_overrides_the_file(tmp_path):
    words = file(tmp_path, {"data": ["a.jsonl"], "output": "x", "limit": 3, "seed": 1})
    found = annotate._parser("").parse_args(["b.jsonl", *words, "--output=y", "--seed", "2"])
    assert (found.data, found.output, found.limit, found.seed) == (["b.jsonl"], Path("y"), 3, 2)


def test_a_list_of_the_file_takes_no_words_of_the_command_line(tmp_path):
    words = file(tmp_path, {"tasks": ["a", "-b", "--config"], "fixed": []})
    found = annotate._parser("").parse_args([*words, "dolly.jsonl", "--output", "x"])
    assert (found.tasks, found.fixed, found.data) == (["a", "-b", "--config"], [], ["dolly.jsonl"])


def test_a_file_sets_environment_variables_that_options_default_to(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECTRUM_SOURCES", "before")
    entries = {"env": {"SPECTRUM_SOURCES": "after"}, "tasks": "urn", "output": "x"}
    options = builder._parser("").parse_args(["build", *file(tmp_path, entries)])
    assert os.environ["SPECTRUM_SOURCES"] == "after"
    assert builder._sources_dir(options) == Path("after")


def test_after_two_dashes_nothing_is_an_option():
    parser = Parser(prog="p")
    parser.add_config()
    parser.add_argument("rest", nargs="*")
    assert parser.parse_args(["--", "--config", "x"]).rest == ["--config", "x"]


MISTAKES = {
    "unknown": ("modle: m", "'modle' is not an option, did you mean 'model'?"),
    "itself": ("config: x", "'config' is not an option"),
    "number": ("limit: many", "argument --limit: invalid int value: 'many'"),
    "choice": ("format: xml", "argument --format: invalid choice: 'xml'"),
    "list": ("limit: [1, 2]", "limit takes one value, and not [1, 2]"),
    "empty": ("limit:", "limit is empty: give a value"),
    "mapping": ("suite: {a: 1}", 'suite takes one value, and not {"a": 1}'),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_file(tmp_path, case):
    text, message = MISTAKES[case]
    words = file(tmp_path, text)
    with pytest.raises(UserError) as raised:
        calibrate._parser("p").parse_args(["m", "--suite", "s", *words])
    assert str(raised.value).startswith(f"{words[1]}:1: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_flag_is_true_or_false(tmp_path):
    with pytest.raises(UserError, match="allow_missing is 1: give true or false"):
        builder._parser("").parse_args(["build", *file(tmp_path, {"allow_missing": 1})])


def test_what_neither_names_is_missing(tmp_path):
    with pytest.raises(UserError, match="required: --output"):
        builder._parser("").parse_args(["build", *file(tmp_path, {"tasks": "urn"})])


def test_a_shortened_option_does_not_pass_the_file_over(tmp_path):
    words = file(tmp_path, {"limit": 3})
    with pytest.raises(UserError, match="--config has to be written out"):
        calibrate._parser("").parse_args(["m", "--suite", "s", "--conf", words[1]])
