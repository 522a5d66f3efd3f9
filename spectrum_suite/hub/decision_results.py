"""A model's results on ``LocalLLaMA/typed-decisions``, as `decide` wrote them, for the repository of the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spectrum_suite.decisions.eval_results import EVAL_RESULTS
from spectrum_suite.decisions.report import REPORT
from spectrum_suite.decisions.rows import TYPED_DECISIONS
from spectrum_suite.errors import UserError
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.json_files import read_json
from spectrum_suite.models import find_model
from spectrum_suite.training.adaptation import MERGED


def decision_results(
    decisions: Path, folder: Path, training: Mapping[str, Any], *, adapter_scale: float = 1.0
) -> LocalFile:
    """The file that the Hub shows results from.

    Args:
        decisions: The folder that `decide` wrote.
        folder: The adapter that is published, or that is merged for it.
        training: Its training report.
        adapter_scale: How much of its change is published.

    Raises:
        UserError: There are no such results, they are of another model, or they say that it was not trained on the
            benchmark, and its training report says that it was.
    """
    asked = read_json(decisions / REPORT, "give the folder that 'spectrum-suite decide' wrote").get("asked", {})
    published = [find_model(str(folder), adapter_scale=adapter_scale)]
    if adapter_scale == 1 and (folder / MERGED).is_dir():
        published.append(find_model(str(folder / MERGED)))
    if asked.get("fingerprint") not in [files.fingerprint() for files in published]:
        raise UserError(
            f"decisions {str(decisions)!r} are of another model than {str(folder)!r}: run 'spectrum-suite decide' on it"
        )
    path = decisions / EVAL_RESULTS
    if not path.is_file():
        raise UserError(f"decisions {str(decisions)!r} have no {EVAL_RESULTS}: run decide with --trained_on")
    if asked.get("trained_on") != "train" and _saw_benchmark(training):
        raise UserError(
            f"decisions {str(decisions)!r} say that the model was not trained on {TYPED_DECISIONS}, and its training "
            "report says that it was: run decide with --trained_on train"
        )
    return LocalFile(EVAL_RESULTS.as_posix(), path)


def _saw_benchmark(training: Mapping[str, Any]) -> bool:
    return any(TYPED_DECISIONS in (run.get("data") or ()) for run in (*training.get("before", ()), training))
