"""How much memory an evaluation takes is logged before its model is loaded."""

from contextlib import nullcontext

import pytest

from spectrum_suite.evaluation.run import evaluate
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.lm.base import last_model_kept
from tests.tiny_models import save_model, save_suite


@pytest.mark.parametrize(("block", "times"), [(nullcontext, 2), (last_model_kept, 1)])
def test_it_is_said_once_of_a_model_that_stays_loaded(tokenizer_of, tmp_path, caplog, block, times):
    model = save_model(tmp_path / "model", tokenizer_of("llama3"))
    suite = save_suite(tmp_path / "suite")
    caplog.set_level("INFO", "spectrum_suite")
    with block():
        for name in ("one", "two"):
            evaluate(
                EvaluationSettings(
                    model=str(model), suite=str(suite), output=tmp_path / name, desiderata=("alignment",),
                    limit=1, device="cpu",
                )
            )  # fmt: skip
    assert sum("GiB of memory at its peak" in message for message in caplog.messages) == times
