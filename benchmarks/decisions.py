"""Measures models as decision models on the suite's own decisions: base, calibrated, tuned, beside the uniform guess.

    python -m benchmarks.decisions --output benchmarks/results/decisions.json
    python -m benchmarks.decisions --name tuned --model embedded:gemma-3-270m-spectrum --format spectrum \
        --output benchmarks/results/decisions.json

Tasks are written as `build --as decisions` writes them, and answered as `decide` answers them: whole names of options,
in the order given. Each command adds a model to the file, as it is and, as `NAME, calibrated`, with the temperature
and the position bias that were fitted on decisions of training tasks (`FITTED`). A file that is there has to be of the
same rows. Numbers of a task are means over its rows:

    kl         KL(gold || prediction) in nats
    brier      the sum over options of squared differences to gold
    accuracy   of the likeliest option
    noise      what KL(gold || truth) is on average where gold is the shares of `n_responses` people who were drawn
               from the distribution that these show (exact, a sum over binomials): nobody who knows the truth but not
               the answers does better; 0 where gold is mathematics, null where a survey does not say of how many it is
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from dataset_builder.build_task import BuildOptions
from dataset_builder.decision_set import DECISIONS
from dataset_builder.export import export
from dataset_builder.registry import get_task
from spectrum_suite.decisions.decide import Reader
from spectrum_suite.decisions.report import answer_rows
from spectrum_suite.decisions.rows import DecisionRow, load_decisions
from spectrum_suite.decisions.scores import decisions_of, summarize, uniform_predictions
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.alignment.calibration_fit import Fit, Scored, fit
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.formats.tags import find_format
from spectrum_suite.json_files import finite, read_json, write_json
from spectrum_suite.lm.calibration_file import correction_as_dict
from spectrum_suite.models import find_model, load_for_scoring, load_tokenizer

MEASURED = (
    "dist_urn", "dist_coinflip", "dist_categorical", "dist_hypergeometric", "dist_states",
    "dist_global_oqa", "dist_nytimes",
)  # fmt: skip
FITTED = ("dist_train_coinflip", "dist_train_categorical", "dist_train_hypergeometric", "dist_train_shares")
SEED = 42

Predictions = list[list[Sequence[float]]]
"""Of each row, of each of its questions, the probabilities of the options."""


def rows_of(tasks: Sequence[str], split: str, sources: Path | None, limit: int) -> list[DecisionRow]:
    """The decisions of tasks, ``limit`` of each at most."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "decisions"
        found, _ = export(DECISIONS, tasks, BuildOptions(output, sources, allow_missing=True, seed=SEED))
        return [
            row
            for task in tasks
            if task in found
            for row in load_decisions(str(output), split=split, config=task, limit=limit, seed=SEED)
        ]


def noise(gold: Sequence[float], n_responses: int | None) -> float:
    """The mean divergence of the shares of so many people from the distribution that these are drawn from, in nats.

    >>> round(noise([0.5, 0.5], 1), 4)
    0.6931
    """
    if n_responses is None:
        return 0.0
    counts = np.arange(1, n_responses + 1)
    shares = counts / n_responses
    return float(sum(binom.pmf(counts, n_responses, p) @ (shares * np.log(shares / p)) for p in gold if p > 0))


def by_task(rows: Sequence[DecisionRow], predictions: Predictions) -> dict[str, dict[str, float]]:
    """Task -> its numbers."""
    found = defaultdict(list)
    for decision in decisions_of(rows, predictions):
        found[decision.workflow].append(decision)
    return {
        task: {name: round(summary[long], 5) for name, long in
               (("kl", "kl_from_gold"), ("brier", "brier"), ("accuracy", "accuracy"))}
        for task, decisions in found.items()
        for summary in [summarize(decisions)]
    }  # fmt: skip


def items_of(rows: Sequence[DecisionRow], predictions: Predictions) -> list[Scored]:
    """Decisions as a calibration is fitted on them; options are listed in their own order."""
    with np.errstate(divide="ignore"):
        return [
            Scored(np.log(shares), gold.probabilities, tuple(range(len(shares))), row.workflow)
            for row, of_row in zip(rows, predictions, strict=True)
            for gold, shares in zip(row.gold, of_row, strict=True)
        ]


def corrected(fitted: Fit, rows: Sequence[DecisionRow], predictions: Predictions) -> Predictions:
    """Predictions after a correction; each row has one question."""
    items = items_of(rows, predictions)
    return [[np.exp(fitted.correction.log_probs(item.log_probs, item.places)).tolist()] for item in items]


def measure(
    name: str, model: str, text_format: str, rows: Sequence[DecisionRow], fitting: Sequence[DecisionRow]
) -> dict[str, Any]:
    """A model as it is, and calibrated."""
    files = find_model(model)
    tokenizer = load_tokenizer(files)
    reader = Reader.of(tokenizer, text_format=find_format(text_format, tokenizer))
    loaded, _ = load_for_scoring(files, device="cpu")
    answers = [answer_rows(loaded, reader, some, batch_size=16, progress=True) for some in (rows, fitting)]
    measured, fitted_on = ([[each.probabilities for each in of_row] for of_row in found] for found in answers)
    fitted = fit(items_of(fitting, fitted_on))
    told = {"model": files.name, "fingerprint": files.fingerprint(), "format": reader.prompts.text_format.name}
    told["label_mass"] = float(np.mean([each.diagnostics["label_mass"] for of_row in answers[0] for each in of_row]))
    after = corrected(fitted, rows, measured)
    correction = correction_as_dict(fitted.correction)
    return {
        name: told | {"tasks": by_task(rows, measured)},
        f"{name}, calibrated": told | {"correction": correction, "tasks": by_task(rows, after)},
    }


def main(arguments: argparse.Namespace) -> None:
    """Add a model to the file."""
    rows = rows_of(MEASURED, "test", arguments.sources_dir, arguments.limit)
    fitting = rows_of(FITTED, "train", arguments.sources_dir, arguments.limit)
    noises = defaultdict(list)
    for row in rows:
        known = row.n_responses is not None or get_task(row.workflow).read is None
        noises[row.workflow] += [noise(gold.probabilities, row.n_responses) if known else math.nan for gold in row.gold]
    about = {
        "rows": fingerprint([(row.id, row.state, [gold.probabilities for gold in row.gold]) for row in rows]),
        "n": {task: len(values) for task, values in noises.items()},
        "noise": {task: round(float(np.mean(values)), 5) for task, values in noises.items()},
        "fitted_on": {task: sum(row.workflow == task for row in fitting) for task in FITTED},
    }
    content = {**about, "models": {"uniform": {"tasks": by_task(rows, uniform_predictions(rows))}}}
    if arguments.output.exists():
        kept = read_json(arguments.output, "give another --output")
        if kept["rows"] != about["rows"]:
            raise UserError(f"{str(arguments.output)!r} is of other rows: give another --output, or remove it")
        content["models"] |= kept["models"]
    content["models"] |= measure(arguments.name, arguments.model, arguments.format, rows, fitting)
    write_json(arguments.output, finite(content))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="base", help="what the model is called in the table (default: base)")
    parser.add_argument("--model", default="embedded:gemma-3-270m", help="as `decide` takes it")
    parser.add_argument("--format", default="colon", help="how it is asked (default: colon)")
    parser.add_argument("--limit", type=int, default=20, help="decisions of each task at most (default: 20)")
    sources = os.environ.get("SPECTRUM_SOURCES")
    parser.add_argument("--sources_dir", type=Path, default=Path(sources) if sources else None, help="raw files")
    parser.add_argument("--output", type=Path, required=True, help="a JSON file, to which the model is added")
    with exit_on_user_error():
        main(parser.parse_args())
