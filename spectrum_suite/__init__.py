"""The library behind the scripts: formats, training, generation, evaluation and the Hub."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectrum_suite.generation.logprobs import option_logprobs
    from spectrum_suite.generation.sample import Samples, sample
    from spectrum_suite.generation.table import OptionTable, option_table

__all__ = ["OptionTable", "Samples", "option_logprobs", "option_table", "sample"]

_HOME = {
    "OptionTable": "table",
    "Samples": "sample",
    "option_logprobs": "logprobs",
    "option_table": "table",
    "sample": "sample",
}


# On a processor with bfloat16, bitsandbytes warns at import of a kernel that only a Hub has, and does without it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def __getattr__(name: str) -> Any:
    """Import what is asked for, and with it `torch`, only then: publishing a dataset needs neither."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"spectrum_suite.generation.{_HOME[name]}"), name)
