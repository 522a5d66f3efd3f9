"""The way of an option to its divergence: the files whose functions are on the call stack at either end."""

import sys
from pathlib import Path

import pytest
from spectrum_suite.metrics.spectrum_alignment import scoring

from spectrum_suite import lm_head
from spectrum_suite.commands import evaluate
from tests.tiny_models import DICE, save_model, save_suite

REPOSITORY = Path(__file__).parents[4]
LIBRARY = ("spectrum_suite", "metrics")
WALK = [
    "spectrum_suite/commands/evaluate.py",
    "spectrum_suite/evaluation/run.py",
    "spectrum_suite/evaluation/alignment/score_alignment.py",
    "spectrum_suite/lm/local.py",
    "spectrum_suite/generation/logprobs.py",
    "spectrum_suite/generation/steps.py",
    "spectrum_suite/lm_head.py",
    "metrics/spectrum_alignment/scoring.py",
]


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


def test_an_option_passes_eight_files_on_its_way_to_a_divergence(stacks, tokenizer_of, tmp_path):
    model = save_model(tmp_path / "model", tokenizer_of("llama3"))
    suite = save_suite(tmp_path / "suite", dice=DICE)
    words = ["--model", str(model), "--suite", str(suite), "--output", str(tmp_path / "out"), "--device", "cpu"]
    evaluate.main(words)
    scored = next(files for files in stacks if files[-1] == WALK[6] and "spectrum_suite/layouts.py" not in files)
    compared = next(files for files in stacks if files[-1] == WALK[7])
    assert list(dict.fromkeys([*scored, *compared])) == WALK
    assert len(WALK) <= 8
