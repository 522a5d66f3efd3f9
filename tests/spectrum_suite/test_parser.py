"""Every command takes both spellings of an option, shows one, and its help can be copied."""

import re
import subprocess
import sys

import pytest

from spectrum_suite.commands import evaluate, push
from spectrum_suite.commands.main import main
from spectrum_suite.commands.train import read_command_line
from spectrum_suite.errors import UserError
from spectrum_suite.parser import Parser, as_called
from tests.train_command import REPOSITORY

COMMANDS = [
    "build", "preview", "annotate", "show", "train", "evaluate", "calibrate", "export", "push dataset",
    "push model", "demo",
]  # fmt: skip


@pytest.mark.parametrize("name", ["--max_length", "--max-length"])
def test_options_of_dataclasses_have_two_spellings(name):
    assert evaluate.read(["--output", "x", f"{name}=7", "--no-first_line"]).max_length == 7
    assert read_command_line(["--model_name_or_path", "m", name, "7"])["max_length"] == 7


@pytest.mark.parametrize("words", [["--repo-id", "a/b", "--dry-run"], ["--repo_id", "a/b", "--dry_run"]])
def test_options_of_subcommands_have_two_spellings(words):
    found = push.parser().parse_args(["dataset", "suite", *words])
    assert (found.repo_id, found.dry_run) == ("a/b", True)


def test_what_is_not_an_option_stays_as_it_is():
    parser = Parser(prog="p")
    parser.add_argument("--some-option")
    parser.add_argument("rest", nargs="*")
    found = parser.parse_args(["--some_option=a_b", "c_d", "--", "--some_option"])
    assert (found.some_option, found.rest) == ("a_b", ["c_d", "--some_option"])
    with pytest.raises(UserError, match=r"'--other_option' is not an option, did you mean 'some_option'\?: see p "):
        parser.parse_args(["--other_option"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("build --tasks x --output y --row 3 --tusks 3", "'--tusks' is not an option, did you mean 'tasks'?"),
        ("preview coinflip --sed 3", "'--sed' is not an option"),
        ("preview coinflip cards", "'cards' is not an option"),
        ("push metric m --repo_id a/b --dry-ran", "'--dry-ran' is not an option"),
        ("train --model_name_or_path m --nonsense=1", "'--nonsense' is not an option"),
        ("show --nonsense 1 m", "'--nonsense' is not an option"),
    ],
)
def test_an_unknown_option_is_told_with_the_help_that_has_the_others(words, line, capsys):
    command = words.split()[: 2 if words.startswith("push") else 1]
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    said = capsys.readouterr().err.strip()
    assert line in said
    assert said.endswith(f": see spectrum-suite {' '.join(command)} --help")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_one_spelling(command):
    words = [sys.executable, "-m", "spectrum_suite", *command.split(), "--help"]
    shown = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^  (--[\w-]+)", shown, flags=re.MULTILINE))
    assert options
    assert not {name for name in options if "-" in name.removeprefix("--")}
    assert f"usage: spectrum-suite {command}" in shown
    assert "python " not in shown


def test_examples_call_what_was_called():
    text = (
        "python train_sft.py --config r\naccelerate launch --config_file c train_sft.py --config r\n"
        "python -m dataset_builder list"
    )
    assert as_called(text, "train_sft.py") == text
    assert as_called(text, "spectrum-suite train").splitlines() == [
        "spectrum-suite train --config r",
        "accelerate launch --config_file c -m spectrum_suite train --config r",
        "spectrum-suite list",
    ]
