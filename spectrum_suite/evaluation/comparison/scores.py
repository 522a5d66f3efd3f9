"""What a comparison needs of a report: sums per item, sequence or task, small enough to be kept in a repository.

    alignment       task -> {rows (a fingerprint), ids, js_divergence, coverage, uniform (the guess's divergence),
                    calibrated (the divergence after calibration, where there is one)}
    steerability    task -> {rows, capability, ids, sums, after}: sums are the columns of ``sums_per_sequence`` of
                    metrics/in_context_steerability, over the outputs with an example before them; after has, for some
                    numbers of examples, the loss of the output of each sequence with just so many before it
    coverage        prompting -> {ids (the tasks), valid, unique, yield}
    instruction     dataset -> {rows, ids, ends, new_instruction, repetition, pairs (their ids), ranking, win_rate,
                    over_other (the win rate over the run that it is compared with, where there is a judge)}
    markers         dataset -> see :mod:`spectrum_suite.evaluation.comparison.marker_scores`

Lists hold one entry per id; an entry without a value is null.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison.marker_scores import marker_scores
from spectrum_suite.evaluation.comparison.rounded import rounded
from spectrum_suite.evaluation.instruction.score_instruction import Ranking
from spectrum_suite.evaluation.report import Report, Section
from spectrum_suite.evaluation.steerability.summarize_steerability import TaskSteerability
from spectrum_suite.metrics.in_context_steerability.scoring import sums_per_sequence, with_examples

Scores = dict[str, dict[str, Any]]
"""Desideratum -> what is kept of it."""

EXAMPLES = (0, 1, 2, 4, 8, 16)
"""Numbers of examples after which the loss is kept by itself."""

_WINS = ("judge", "n", "win_rate", "win_rate_ci95", "length_controlled", "length_controlled_ci95")


def scores_of(report: Report) -> Scores:
    """What is kept of the desiderata that a report has."""
    found = {name: keep(report[name]) for name, keep in _KEPT.items() if report.get(name)}
    compared = (report["comparison"] or {}).get("instruction", {})
    for name, section in found.get("instruction", {}).items():
        if wins := compared.get(name, {}).get("win_rate"):
            section["over_other"] = {"other": report["comparison"]["other"]["model"], **{k: wins[k] for k in _WINS}}
    return found


def check_same_rows(first: Scores, other: Scores) -> None:
    """Refuse scores of other rows, or of sequences that were cut elsewhere.

    Raises:
        UserError: The two must not be compared.
    """
    for desideratum in ("alignment", "steerability", "instruction", "markers"):
        mine, theirs = first.get(desideratum, {}), other.get(desideratum, {})
        for task in mine.keys() & theirs.keys():
            if mine[task]["rows"] != theirs[task]["rows"] or _outputs(mine[task]) != _outputs(theirs[task]):
                raise UserError(f"task {task!r} has different rows in two of the runs: evaluate all on one suite")


def _outputs(section: Section) -> list[float]:
    """Scored outputs of each sequence; nothing for alignment."""
    return [row[1] for row in section.get("sums", ())]


def _alignment(sections: dict[str, Section]) -> dict[str, Any]:
    return {
        task: {
            "rows": section["rows_fingerprint"],
            "ids": [item["id"] for item in section["items"]],
            "js_divergence": rounded(item["scores"]["js_divergence"] for item in section["items"]),
            "coverage": rounded(item["scores"]["coverage"] for item in section["items"]),
            "uniform": rounded(item["uniform"]["js_divergence"] for item in section["items"]),
        }
        | ({"calibrated": rounded(section["calibrated"]["js_divergence"])} if "calibrated" in section else {})
        for task, section in sections.items()
    }


def _steerability(sections: dict[str, Section]) -> dict[str, Any]:
    found = {}
    for task, section in sections.items():
        outputs = TaskSteerability.from_dict(section).outputs()
        shown = with_examples(outputs)
        after = {str(k): outputs.where(outputs.k == k) for k in EXAMPLES}
        found[task] = {
            "rows": section["rows_fingerprint"],
            "capability": section["capability"],
            "ids": np.unique(shown.sequence).tolist(),
            "sums": [rounded(row) for row in sums_per_sequence(shown).tolist()],
            "after": {
                k: {"ids": some.sequence.tolist(), "loss": rounded(some.loss)} for k, some in after.items() if len(some)
            },
        }
    return found


def _coverage(sections: dict[str, dict[str, Section]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for task, promptings in sections.items():
        for prompting, section in promptings.items():
            columns = found.setdefault(prompting, {"ids": [], "valid": [], "unique": [], "yield": []})
            columns["ids"].append(task)
            for metric in ("valid", "unique", "yield"):
                columns[metric] += rounded([section["scores"][metric]["mean"]])
    return found


def _instruction(sections: dict[str, Section]) -> dict[str, Any]:
    return {
        name: {
            "rows": section["rows_fingerprint"],
            "ids": [item["id"] for item in section["items"]],
            **{
                measure: rounded(item["scores"][measure] for item in section["items"])
                for measure in ("ends", "new_instruction", "repetition")
            },
            "pairs": [" | ".join(pair) for pair in section["ranking"]["pairs"]],
            "ranking": Ranking((), tuple(map(tuple, section["ranking"]["margins"]))).scores,
            "win_rate": section["win_rate"] and rounded([section["win_rate"]["win_rate"]]),
            "similarity": section["similarity"] and _similarity(section["similarity"]),
        }
        for name, section in sections.items()
    }


def _similarity(section: Section) -> dict[str, Any]:
    """To which narrow task, and the correlation of how near instructions and how like responses are."""
    return {name: section[name] for name in ("to", "n")} | {
        "correlation": rounded([section["correlation"]])[0],
        "ci95": rounded(section["ci95"]),
    }


_KEPT = {
    "alignment": _alignment,
    "steerability": _steerability,
    "coverage": _coverage,
    "instruction": _instruction,
    "markers": marker_scores,
}
"""Desideratum -> what makes the kept part of its part of a report."""
