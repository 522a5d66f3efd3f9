"""The numbers of a report after calibration, next to those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.intervals import paired_difference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.lm.base import TokenLM
from spectrum_suite.lm.calibration_file import Calibration
from spectrum_suite.lm.listed_options import option_kind
from spectrum_suite.metrics.spectrum_alignment.scoring import score_items, summarize

_ROUNDING = ("dtype", "device", "load_in_4bit", "endpoint", "engine")
"""Of a model's conditions those that move its numbers by rounding alone, or that its fingerprint holds."""


def about_model(lm: TokenLM) -> dict[str, Any]:
    """What a calibration holds for: a model's name and fingerprint, its format and its conditions."""
    return {
        "name": lm.files.name,
        "fingerprint": lm.fingerprint,
        "format": lm.text_format.name,
        "conditions": {name: value for name, value in lm.conditions.items() if name not in _ROUNDING},
    }


def calibrated_section(
    calibration: Calibration, rows: Dataset, items: Sequence[AlignmentItem], *, smoothing: float
) -> Section:
    """What a report says of the items of a task after calibration.

    Args:
        calibration: Of the model.
        rows: Those of the task, with the prompts of all items.
        items: As the model scores them.
        smoothing: Of the metrics.

    Returns:
        ``kinds`` (kind of option set -> items), ``unknown`` (items of kinds that it was not fitted on, which stay as
        they are), ``model`` (metric -> ``mean``, ``se``), ``difference`` (metric -> after minus before, paired:
        ``difference``, ``ci95``, ``n``), ``worse`` (whether the divergence rises by more than its interval) and
        ``js_divergence`` (of each item).
    """
    prompts = dict(zip(rows["id"], rows["messages"], strict=True))
    after = [calibration.probabilities(item.probabilities, prompts[item.id], item.options) for item in items]
    scores = score_items(
        [item.target for item in items], [None if np.isnan(row).any() else row for row in after], smoothing=smoothing
    )
    del scores["coverage"]  # the mass outside the options stays as it is
    summary = summarize(scores)
    kinds = [option_kind(item.options) for item in items]
    difference = {
        name: paired_difference(values, [item.scores[name] for item in items]) for name, values in scores.items()
    }
    return {
        "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "unknown": sum(not calibration.knows(item.options) for item in items),
        "model": {name: {"mean": summary[name], "se": summary[f"{name}_se"]} for name in scores},
        "difference": difference,
        "worse": is_worse(difference["js_divergence"]),
        "js_divergence": scores["js_divergence"].tolist(),
    }


def is_worse(difference: Mapping[str, Any]) -> bool:
    """Whether a difference is above zero by more than its interval; a NaN is not."""
    return difference["ci95"][0] is not None and difference["ci95"][0] > 0


def pooled_difference(sections: Mapping[str, Section]) -> Section:
    """The divergence of all items of a report, after calibration minus before, and whether it is ``worse``."""
    pairs = [
        (after, item["scores"]["js_divergence"])
        for section in sections.values()
        for after, item in zip(section["calibrated"]["js_divergence"], section["items"], strict=True)
    ]
    found = paired_difference(*zip(*pairs, strict=True))
    return found | {"worse": is_worse(found)}
