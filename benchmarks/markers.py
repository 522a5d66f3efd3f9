"""Lays the evaluations of a marked model, its unmarked baseline and the ablation without dropout beside one another.

    python benchmarks/markers.py outputs/markers --output benchmarks/results/markers-cpu.json

The folder has ``marked``, ``unmarked`` and, if it was trained, ``no-dropout``, each left by
`train_sft.py --config recipes/markers.yaml`, with a report of `evaluate_model.py --desiderata markers` in
``<name>/evaluation``. The results are JSON:

    length_violation   baseline (the unmarked model), inferred and fixed: the share of responses that are too long
    marker_accuracy    category -> inferred (right, nothing given), majority (always the most frequent value), n
    length_curve       tokens wanted against tokens that came
    moved              category -> value -> share of responses that have it, set and not set
    lines_in_language, nats_per_token, by_frequency   as in the report
    ablation           the same of the model that was trained with every prompt marked; null where there is none
    baseline           what there is to say of the unmarked model
    runs               tokens and seconds of each; the settings that they share are in ``settings``
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUNS = ("marked", "unmarked", "no-dropout")
ABLATION = RUNS[-1]
RESULTS = Path(__file__).parent / "results" / "markers-cpu.json"
SETTINGS = (
    "base_model", "adaptation", "dtype", "format", "turn_tokens", "data_limit", "marker_categories", "hyperparameters",
)  # fmt: skip
COSTS = ("rows", "steps", "seen_tokens", "trained_tokens", "seconds", "marked", "markers_dropout", "device")


def summarize(folder: Path) -> dict[str, Any]:
    """The results of the runs in ``folder``; that of the ablation need not be there."""
    names = [name for name in RUNS if name != ABLATION or (folder / name).is_dir()]
    sections = {name: _section(folder / name / "evaluation" / "report.json") for name in names}
    marked, baseline = sections["marked"], sections["unmarked"]
    found = _of_marked(marked, baseline)
    found["ablation"] = _of_marked(sections[ABLATION], baseline) if ABLATION in sections else None
    found["baseline"] = {name: baseline[name] for name in ("nats_per_token", "by_frequency", "lines_in_language")}
    found["n"] = marked["n"]
    return found | _runs(folder, sections)


def _of_marked(section: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: section[name]
        for name in ("length_curve", "moved", "lines_in_language", "nats_per_token", "by_frequency", "own_length_error")
    }
    violation = {"baseline": baseline["length_violation"]["words"], "inferred": section["length_violation"]["words"]}
    return {
        "length_violation": {
            name: round(cell["mean"], 4)
            for name, cell in (violation | {"fixed": section["length_violation"]["fixed"]}).items()
        },
        "marker_accuracy": {
            category: {name: round(cell[name], 4) for name in ("inferred", "majority")} | {"n": cell["n"]}
            for category, cell in section["accuracy"].items()
        },
        "without_a_whole_list": sum(bool(item["responses"]["inferred"]["problems"]) for item in section["items"]),
        **kept,
    }


def _runs(folder: Path, sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    reports = {name: json.loads((folder / name / "training_report.json").read_text("utf-8")) for name in sections}
    return {
        "settings": {name: reports["marked"][name] for name in SETTINGS},
        "runs": {
            name: {cost: report[cost] for cost in COSTS} | {"evaluation_seconds": sections[name]["seconds"]}
            for name, report in reports.items()
        },
    }


def _section(path: Path) -> dict[str, Any]:
    (section,) = json.loads(path.read_text(encoding="utf-8"))["markers"].values()
    return section


def main() -> None:
    """Write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the runs")
    parser.add_argument("--output", type=Path, default=RESULTS, help=f"the results (default: {RESULTS})")
    arguments = parser.parse_args()
    found = summarize(arguments.folder)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: found[name] for name in ("length_violation", "marker_accuracy")}, indent=1))


if __name__ == "__main__":
    main()
