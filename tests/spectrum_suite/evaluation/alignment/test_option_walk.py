"""ARCHITECTURE.md lists the files whose functions are on the call stack when an option is scored or compared."""

import sys
from pathlib import Path

import pytest
from spectrum_suite.metrics.spectrum_alignment import scoring

from spectrum_suite import lm_head
from spectrum_suite.commands import evaluate
from tests.test_architecture import walk
from tests.tiny_models import DICE, save_model, save_suite

REPOSITORY = Path(__file__).parents[4]
LIBRARY = ("spectrum_suite", "metrics")
_, WALK = walk("An option to a divergence")


def files_of_stack():
    """The files of the library that are being called, the outermost first."""
    frame, found = sys._getframe(1), []
    while frame:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(REPOSITORY) and path.relative_to(REPOSITORY).parts[0] in LIBRARY:
            found.append(path.relative_to(REPOSITORY).as_posix())
        frame = frame.f_back
    return list(dict.fromkeys(found[::-1]))


@pytest.fixture
def stacks(monkeypatch):
    """The files on the stack whenever a token of an option gets its log-probability, or an item its divergences."""
    found = []

    def seen(module, name):
        original = getattr(module, name)

        def call(*arguments, **options):
            found.append(files_of_stack())
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    seen(lm_head, "chosen_log_probs")
    seen(scoring, "_kl")
    return found


def test_an_option_passes_the_files_that_are_listed(stacks, tokenizer_of, tmp_path):
    model = save_model(tmp_path / "model", tokenizer_of("llama3"))
    suite = save_suite(tmp_path / "suite", dice=DICE)
    words = ["--model", str(model), "--suite", str(suite), "--output", str(tmp_path / "out"), "--device", "cpu"]
    evaluate.main(words)
    scored = next(
        files
        for files in stacks
        if files[-1] == "spectrum_suite/lm_head.py" and "spectrum_suite/layouts.py" not in files
    )
    compared = next(files for files in stacks if files[-1].endswith("/scoring.py"))
    assert list(dict.fromkeys([*scored, *compared])) == WALK
