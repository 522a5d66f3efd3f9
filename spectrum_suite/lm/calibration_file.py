"""``calibration.json``: the corrections of a model, stored with it and applied where they are asked for.

It is one object (units: nats):

    schema_version  1
    model           name (as given), fingerprint (of the files that it was fitted on), format, conditions (what the
                    model is multiplied by, and the like)
    suite           name (as given), tasks (task -> items), limit, seed, orders (of the options of an item, at most)
    items           how many the corrections were fitted on
    kinds           kind of option set -> {
        items, named        items, and those of them whose prompts name their options in some order
        temperature         {value, se}: se is null where it was left at 1
        position            null, or {places (0 is first, 1 is last), bias, se}: what the model adds to an option there
        cross_entropy       {before, after, difference, ci95, n, per}: of items that the correction was not fitted on,
                            which were left out by task or, where there is one task alone, a fifth at a time (per)
    }
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message
from spectrum_suite.json_files import read_json
from spectrum_suite.lm.calibration import Correction
from spectrum_suite.lm.listed_options import OptionKind, option_kind, option_places
from spectrum_suite.models import ModelFiles

SCHEMA_VERSION = 1
CALIBRATION = "calibration.json"

_AGAIN = "fit it with 'spectrum-suite calibrate'"


@dataclass(frozen=True)
class Calibration:
    """The corrections of one model in one format.

    Attributes:
        content: What the file holds.
        corrections: Kind of option set -> its correction; others are left as they are.
    """

    content: Mapping[str, Any]
    corrections: Mapping[OptionKind, Correction]

    @classmethod
    def read(cls, path: str | Path) -> Calibration:
        """From a file, or from the folder that holds one.

        Raises:
            UserError: There is none, or it is not one of this version.
        """
        path = Path(path).expanduser()
        file = path / CALIBRATION if path.is_dir() else path
        content = read_json(file, f"give a {CALIBRATION} or its folder, or {_AGAIN}", what="calibration", again=_AGAIN)
        if content.get("schema_version") != SCHEMA_VERSION:
            raise UserError(f"calibration {str(file)!r} is not of version {SCHEMA_VERSION}: {_AGAIN}")
        try:
            found = cls(content, {kind: _correction(part) for kind, part in content["kinds"].items()})
            _ = [content["model"][name] for name in ("name", "fingerprint", "format", "conditions")]
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise UserError(f"calibration {str(file)!r} is damaged: {_AGAIN}") from error
        return found

    def check(self, about: Mapping[str, Any]) -> None:
        """Refuse it for another model than the one that ``about`` says: its name, fingerprint, format and conditions.

        Raises:
            UserError: Other weights, another format, or other conditions.
        """
        mine = self.content["model"]
        for name, what in (("fingerprint", "other weights than"), ("format", "another format than")):
            if mine[name] != about[name]:
                told = f" ({mine[name]!r}, not {about[name]!r})" if name == "format" else f" {about['name']!r}"
                raise UserError(f"the calibration is of {what} this model's{told}: {_AGAIN}")
        if mine["conditions"] != about["conditions"]:
            raise UserError(
                f"the calibration is of a model with {mine['conditions'] or 'no conditions'}, and this one has "
                f"{about['conditions'] or 'none'}: {_AGAIN}"
            )

    def knows(self, options: Sequence[str]) -> bool:
        """Whether options are of a kind that it was fitted on."""
        return option_kind(options) in self.corrections

    def probabilities(
        self, probabilities: Sequence[float], messages: Sequence[Message], options: Sequence[str]
    ) -> np.ndarray:
        """The calibrated distribution over the options of a prompt, (n_options,); NaN where the model's is.

        Args:
            probabilities: The model's distribution over the options, (n_options,).
            messages: The prompt, which may name its options in some order.
            options: The options.
        """
        correction = self.corrections.get(option_kind(options))
        given = np.asarray(probabilities, dtype=float)
        if correction is None or np.isnan(given).any():
            return given
        with np.errstate(divide="ignore"):
            return np.exp(correction.log_probs(np.log(given), option_places(messages, options)))


def calibration_of(files: ModelFiles, text_format: Format | None, path: Path | None) -> Calibration | None:
    """The calibration of a model as it is asked, without rules; None where no path is given.

    Args:
        files: The model.
        text_format: How it is asked; None where that is settled otherwise, and the format is not checked.
        path: A ``calibration.json`` or its folder.

    Raises:
        UserError: There is none, or it is of another model.
    """
    if path is None:
        return None
    found = Calibration.read(path)
    name = found.content["model"]["format"] if text_format is None else text_format.name
    found.check({"name": files.name, "fingerprint": files.fingerprint(), "format": name, "conditions": {}})
    return found


def correction_as_dict(correction: Correction) -> dict[str, Any]:
    """``temperature`` and ``position``, as the file has them."""
    position = {"places": correction.knots, "bias": correction.bias, "se": correction.bias_se}
    return {
        "temperature": {"value": correction.temperature, "se": correction.temperature_se},
        "position": position if correction.knots else None,
    }


def _correction(part: Mapping[str, Any]) -> Correction:
    temperature, position = part["temperature"], part["position"] or {"places": (), "bias": (), "se": ()}
    if not temperature["value"] > 0:
        raise ValueError("a temperature is positive")
    return Correction(
        temperature=float(temperature["value"]),
        temperature_se=math.nan if temperature["se"] is None else float(temperature["se"]),
        knots=tuple(map(float, position["places"])),
        bias=tuple(map(float, position["bias"])),
        bias_se=tuple(map(float, position["se"])),
    )
