"""How a run of quickstart.py comes closer to the true distributions while it trains: its checkpoints, one by one.

    python quickstart.py --recipe recipes/first-light.yaml --output outputs/first-light
    python -m benchmarks.curve --run outputs/first-light

writes the run's results and curve into benchmarks/results/first-light.json and the picture into docs/first-light.png.
Call it where the run was made, beside its suite. Without `--run`, the picture is drawn again from the numbers.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.measuring import conditions
from dataset_builder.suite_folder import REPORT as BUILD_REPORT
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.comparison.before_after import cells_of
from spectrum_suite.evaluation.comparison.recipe import Recipe, read_recipe
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.evaluation.run import complete, evaluate
from spectrum_suite.json_files import read_json, write_json
from spectrum_suite.training.training_report import REPORT as TRAINING_REPORT

NUMBERS, PICTURE = Path("benchmarks/results/first-light.json"), Path("docs/first-light.png")

RECIPE = Path("recipes/results/quickstart.yaml")
"""What is measured, of the run as of its checkpoints."""

SHOWN = {
    "dist_urn": ("urns (held out)", "#0072b2"),
    "dist_coinflip": ("coins", "#e69f00"),
    "dist_hypergeometric": ("hypergeometrics", "#009e73"),
    "dist_binomial": ("binomials", "#cc79a7"),
    "dist_categorical": ("categories", "#56b4e9"),
    "dist_nytimes": ("book readers (held out)", "#999999"),
}
"""Task -> its name and colour in the picture; U.S. states are left out, for there a uniform guess is the truth."""


def measure(run: Path) -> dict[str, Any]:
    """The results of a run, its losses, and for each of its checkpoints the divergence on every task.

    Raises:
        UserError: The run is not finished, or it has kept no checkpoints.
    """
    training = read_json(run / "adapter" / TRAINING_REPORT, "finish the run with quickstart.py")
    recipe = read_recipe(RECIPE)
    built = read_json(Path(recipe.suite) / BUILD_REPORT, "call this where the run was made, beside its suite")
    losses = [
        {"step": line["step"], "seen_tokens": line["seen_tokens"], "loss": round(line["loss"], 4)}
        for line in training["log"]
    ]
    seen = {line["step"]: line["seen_tokens"] for line in losses}
    checkpoints = {int(path.name.rpartition("-")[2]): path for path in (run / "adapter").glob("checkpoint-*")}
    if not seen.keys() & checkpoints.keys():
        raise UserError(f"run {str(run)!r} has no checkpoint at a step that was logged: run it with save_steps")
    curve = [
        {"step": step, "seen_tokens": seen[step], "tasks": _measure(recipe, path, run / "curve" / str(step))}
        for step, path in sorted(checkpoints.items())
        if step in seen
    ]
    return {
        "conditions": conditions(training["base_model"]),
        "described_shares": built["tasks"]["described_shares"]["version"],
        **{name: training[name] for name in ("seen_tokens", "trained_tokens", "rows_per_task")},
        "tuning_seconds": training["seconds"],
        "training_loss": losses,
        "curve": curve,
        "tasks": cells_of(*(read_report(run / side.name / "alignment") for side in recipe.runs)),
    }


def _measure(recipe: Recipe, checkpoint: Path, output: Path) -> dict[str, dict[str, float]]:
    settings = recipe.without_missing_tasks().evaluation("alignment", recipe.runs[-1], str(checkpoint), "auto", output)
    return {
        task: {name: round(section["model"][name]["mean"], 4) for name in ("js_divergence", "coverage")}
        for task, section in complete(evaluate(settings, progress=True))["alignment"].items()
    }


def points(found: Mapping[str, Any], task: str) -> Iterator[tuple[float, float]]:
    """(tokens seen, divergence as a share of a uniform guess's): the base, the checkpoints and the end."""
    cells = found["tasks"][task]
    guess = cells["uniform"]["js_divergence"]
    yield 0, cells["base"]["js_divergence"] / guess
    for place in found["curve"]:
        yield place["seen_tokens"], place["tasks"][task]["js_divergence"] / guess
    yield found["seen_tokens"], cells["tuned"]["js_divergence"] / guess


def picture(found: Mapping[str, Any]) -> Figure:
    """A line per task, with a uniform guess at 1."""
    figure = Figure(figsize=(9, 4), layout="constrained", facecolor="white")
    axis = figure.add_subplot()
    for task, (name, color) in SHOWN.items():
        if task in found["tasks"]:
            tokens, shares = zip(*points(found, task), strict=True)
            axis.plot([count / 1000 for count in tokens], shares, marker="o", markersize=3.5, color=color, label=name)
    axis.axhline(1, color="#222222", linewidth=1, linestyle="--")
    axis.annotate("a uniform guess", (0, 1), (4, 3), textcoords="offset points", fontsize=8.5)
    axis.set_xlabel("thousand tokens seen in tuning")
    axis.set_ylabel("divergence, as a share of a uniform guess's")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9, ncols=2)
    return figure


def main(run: Path | None, numbers: Path, image: Path) -> None:
    """Measure, where a run is given; then draw."""
    if run is not None:
        numbers.parent.mkdir(parents=True, exist_ok=True)
        write_json(numbers, measure(run))
    found = read_json(numbers, "measure them with --run")
    image.parent.mkdir(parents=True, exist_ok=True)
    picture(found).savefig(image, dpi=130)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="the output folder of a finished run of quickstart.py")
    parser.add_argument("--numbers", type=Path, default=NUMBERS, help=f"default: {NUMBERS}")
    parser.add_argument("--image", type=Path, default=PICTURE, help=f"default: {PICTURE}")
    arguments = parser.parse_args()
    with exit_on_user_error():
        main(arguments.run, arguments.numbers, arguments.image)
