"""Command lines of ours in tests: each is read by the parser of its command, and nothing is run."""

import re
import shlex
import subprocess
import sys
from functools import cache

from dataset_builder import commands as builder
from spectrum_suite.commands import annotate, calibrate, decide, demo, evaluate, export, push, serve, show, train
from spectrum_suite.parser import PROGRAM, as_called
from tests.train_command import REPOSITORY

READERS = {
    **dict.fromkeys(("list", "preview", "new-task", "build"), None),
    "annotate": annotate._parser("").parse_args,
    "calibrate": calibrate._parser("").parse_args,
    "decide": decide._parser("").parse_args,
    "demo": demo._parser("").parse_args,
    "evaluate": evaluate.read,
    "export": export._parser("").parse_args,
    "push": push.parser().parse_args,
    "serve": serve._parser("").parse_args,
    "show": show._parser("").parse_args,
    "train": train.read_command_line,
}
"""Command -> what reads the words after it; None where its name is read, too."""


@cache
def options_of(*program):
    """The options in the help of a program that is not one of the commands."""
    run = subprocess.run(
        [sys.executable, *program, "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"--[\w-]+", run.stdout))


def read_command(line):
    """Read a command line, written for a checkout or for the installed package.

    Raises:
        UserError: Its parser does not accept it.
    """
    line = as_called(re.sub("^accelerate launch .*?(?=[a-z_]+\\.py )", "python ", line), PROGRAM)
    program, *words = shlex.split(line.replace("python -m spectrum_suite.markers ", f"{PROGRAM} "), comments=True)
    if program == PROGRAM:
        name, *rest = words
        (READERS[name] or builder._parser("").parse_args)(words if READERS[name] is None else rest)
    elif words[:2] == ["-m", "pytest"]:
        assert all((REPOSITORY / word).exists() for word in words if word.startswith("tests/"))
    else:
        assert program == "python"
        script = f"{words[1].replace('.', '/')}.py" if words[0] == "-m" else words[0]
        assert (REPOSITORY / script).is_file()
        if options := {word for word in words[1:] if word.startswith("--")}:
            assert options <= options_of(*words[: 2 if words[0] == "-m" else 1])
