"""No command imports `torch` to show its help, or to say that it was called wrongly."""

import subprocess
import sys

import pytest

from spectrum_suite.commands.main import COMMANDS
from tests.train_command import REPOSITORY

HEAVY = ("torch", "transformers", "datasets", "peft", "gradio")
COMMANDS = [
    "train_sft.py", "evaluate_model.py", "push_to_hub.py", "quickstart.py", "-m dataset_builder",
    "-m dataset_builder build", "-m demo", "-m spectrum_suite",
    *(f"-m spectrum_suite {name}" for name in COMMANDS),
    "-m spectrum_suite.training", "-m spectrum_suite.training show", "-m spectrum_suite.markers annotate",
]  # fmt: skip
RUN = """
import runpy, sys
name, sys.argv = sys.argv[1], sys.argv[1:]
if name == "-m":
    name, sys.argv = sys.argv[1], sys.argv[1:]
    run = lambda: runpy.run_module(name, run_name="__main__", alter_sys=True)
else:
    run = lambda: runpy.run_path(name, run_name="__main__")
try:
    run()
finally:
    print("imported:", *(heavy for heavy in {heavy} if heavy in sys.modules))
"""


@pytest.mark.parametrize("words", [["--help"], ["--no-such-option"]], ids=["help", "mistake"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_answers_before_it_imports_anything_heavy(command, words):
    code = RUN.replace("{heavy}", repr(HEAVY))
    run = subprocess.run(
        [sys.executable, "-c", code, *command.split(), *words],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == (0 if words == ["--help"] else 2), run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout.splitlines()[-1].strip() == "imported:"
