"""Set the runs of a recipe side by side; where it is asked for, build the suite and train the models first."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from rich.console import Console

from spectrum_suite.devices import peak_process_gib
from spectrum_suite.evaluation.comparison.before_after import before_and_after
from spectrum_suite.evaluation.comparison.claims import check_claims
from spectrum_suite.evaluation.comparison.compare import compare_runs, report_folder
from spectrum_suite.evaluation.comparison.page import PAGE, write_page
from spectrum_suite.evaluation.comparison.prepare import prepare
from spectrum_suite.evaluation.comparison.recipe import Recipe
from spectrum_suite.evaluation.report import REPORT
from spectrum_suite.held_folder import check_output
from spectrum_suite.hub.cards import add_results
from spectrum_suite.training.training_report import REPORT as TRAINING_REPORT

logger = logging.getLogger(__name__)

_WIDTH = 150
"""Characters that a table needs, also where the output goes into a file."""


def compare_models(recipe: Recipe, output: Path, *, skip_missing: bool = False, train_missing: bool = False) -> None:
    """Evaluate the runs of a recipe, write the page that sets them side by side, and print what tuning has changed.

    Args:
        recipe: The runs.
        output: The folder of all reports.
        skip_missing: Leave out models that are not there, instead of refusing.
        train_missing: First build the suite and train the models, where that is not done yet; afterwards add the
            results to the cards of the models.

    Raises:
        UserError: Something in the recipe does not exist or does not fit, or a command of it failed.
    """
    check_output(output, option="--output")
    started = time.monotonic()
    if train_missing:
        prepare(recipe)
    results = compare_runs(recipe, output, skip_missing=skip_missing, progress=True)
    write_page(results, output)
    for claim in check_claims(results):
        if claim.was_checked:
            logger.info("%s: %s", claim.text, claim.verdict)
    if train_missing:
        _describe(recipe, output)
    console = Console()
    for run, table in before_and_after(recipe, output):
        Console(width=max(console.width, _WIDTH)).print(table)
        logger.info("model and card of run %r: %s", run.name, ", ".join(run.models().values()))
    logger.info("%.0f s, %s GiB at most", time.monotonic() - started, peak_process_gib(children=True))
    logger.info("the page of all runs is %s; each has its report, with plots, in a folder of its own", output / PAGE)


def _describe(recipe: Recipe, output: Path) -> None:
    """Add what was measured to the card of every model that was trained here."""
    for run in recipe.runs:
        for seed, model in run.models().items():
            reports = [report_folder(output, run, seed, name) / REPORT for name in recipe.measure]
            if (Path(model) / TRAINING_REPORT).is_file():
                add_results(Path(model), [path for path in reports if path.is_file()])
