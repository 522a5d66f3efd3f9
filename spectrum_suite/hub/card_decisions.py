"""What the card of a decision model says besides: how it is asked, where it is served, and its temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.lm.calibration_file import CALIBRATION, Calibration
from spectrum_suite.loading import read_config
from spectrum_suite.models import find_model

VLLM_ARCHITECTURES = ("Qwen3ForCausalLM", "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration")
"""Those whose decisions vLLM 0.32 serves; it has no other list, so nothing is promised of others."""


@dataclass(frozen=True)
class CardDecisions:
    """A decision model, for its card.

    Attributes:
        read: What it was trained to answer by: ``options`` or ``labels``.
        architecture: Of the base model; None where it is not here.
        temperatures: Kind of options -> what log-probabilities are divided by, and its standard error (None where it is
            not fitted); nothing where the model was not calibrated.
    """

    read: str
    architecture: str | None
    temperatures: Mapping[str, tuple[float, float | None]]

    @property
    def in_vllm(self) -> bool:
        """Whether vLLM answers as it was trained to."""
        return self.read == "labels" and self.architecture in VLLM_ARCHITECTURES


def decisions_of_card(training: Mapping[str, Any], adapter: Path) -> CardDecisions:
    """What is known of a decision model from its folder.

    Raises:
        UserError: Its calibration is damaged.
    """
    kinds: Mapping[str, Any] = {}
    if (adapter / CALIBRATION).is_file():
        kinds = Calibration.read(adapter).content["kinds"]
    temperatures = {kind: (part["temperature"]["value"], part["temperature"]["se"]) for kind, part in kinds.items()}
    return CardDecisions(training.get("read", "options"), _architecture(adapter), temperatures)


def _architecture(adapter: Path) -> str | None:
    try:
        base = find_model(str(adapter), weights=False).base
        return next(iter(read_config(base.folder, base.name).architectures or ()), None)
    except (UserError, AttributeError):  # the base is not on this machine
        return None
