"""Distributional language modelling: what a model makes of possible answers, and how far that is from the truth.

Everything in ``__all__`` is the public interface; it is imported when it is first asked for.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectrum_suite.decisions.decide import Decisions, decide
    from spectrum_suite.formats.tags import find_format as get_format
    from spectrum_suite.generation.logprobs import option_logprobs, option_probabilities
    from spectrum_suite.generation.sample import Samples, sample
    from spectrum_suite.generation.table import OptionTable, option_table
    from spectrum_suite.metrics.in_context_steerability.scoring import expected_calibration_error, score_options
    from spectrum_suite.metrics.output_coverage.scoring import rarefaction, score_task
    from spectrum_suite.metrics.spectrum_alignment.scoring import score_items
    from spectrum_suite.models import load_for_scoring
    from spectrum_suite.models import load_for_scoring as load_model
    from spectrum_suite.shipped import load_metric

__all__ = [
    "Decisions", "OptionTable", "Samples", "decide", "expected_calibration_error", "get_format", "load_for_scoring",
    "load_metric", "load_model", "option_logprobs", "option_probabilities", "option_table",
    "rarefaction", "sample", "score_items", "score_options", "score_task",
]  # fmt: skip

_HOME = {
    "Decisions": "decisions.decide",
    "OptionTable": "generation.table",
    "Samples": "generation.sample",
    "decide": "decisions.decide",
    "expected_calibration_error": "metrics.in_context_steerability.scoring",
    "get_format": "formats.tags:find_format",
    "load_for_scoring": "models",
    "load_metric": "shipped",
    "load_model": "models:load_for_scoring",
    "option_logprobs": "generation.logprobs",
    "option_probabilities": "generation.logprobs",
    "option_table": "generation.table",
    "rarefaction": "metrics.output_coverage.scoring",
    "sample": "generation.sample",
    "score_items": "metrics.spectrum_alignment.scoring",
    "score_options": "metrics.in_context_steerability.scoring",
    "score_task": "metrics.output_coverage.scoring",
}
"""Name -> the module that has it, and after a colon what it is called there, if that is another name."""


# On a processor with bfloat16, bitsandbytes warns at import of a kernel that only a Hub has, and does without it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def __getattr__(name: str) -> Any:
    """Import what is asked for, and with it `torch`, only then: publishing a dataset needs neither."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, name_there = _HOME[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), name_there or name)


def __dir__() -> list[str]:
    """What can be asked for."""
    return sorted({*globals(), *__all__})
