"""Fit the calibration of a model on the training distribution tasks of a suite."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.calibrated import about_model
from spectrum_suite.evaluation.alignment.calibration_fit import Scored, fit
from spectrum_suite.evaluation.alignment.option_orders import ask_in_orders
from spectrum_suite.evaluation.alignment.score_alignment import score_items
from spectrum_suite.evaluation.intervals import paired_difference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM
from spectrum_suite.lm.calibration_file import SCHEMA_VERSION, correction_as_dict
from spectrum_suite.lm.listed_options import OptionKind, option_kind, option_places
from spectrum_suite.suite import draw_rows, task_infos, task_rows
from spectrum_suite.suite_rows import check_ids, check_rows

logger = logging.getLogger(__name__)


def tasks_to_fit(suite: str, tasks: Sequence[str] = ("all",)) -> list[str]:
    """The training distribution tasks among ``tasks``, or all of a suite.

    Raises:
        UserError: There is no such suite or task, a task is held out or of another kind, or there is none.
    """
    infos = task_infos(suite, tasks)
    fitting = [task for task, info in infos.items() if info.kind == "distribution" and not info.held_out]
    if "all" not in tasks:
        for task in set(infos) - set(fitting):
            if infos[task].held_out:
                raise UserError(f"task {task!r} is held out: a calibration is fitted on training tasks, leave it out")
            raise UserError(f"task {task!r} is of kind {infos[task].kind!r}: a calibration needs distribution tasks")
    if not fitting:
        raise UserError(
            f"suite {suite!r} has no distribution task to train on: build some with "
            "'python -m dataset_builder build --tasks dist_train_shares dist_train_coinflip'"
        )
    return fitting


def calibrate(
    lm: TokenLM, suite: str, tasks: Sequence[str] = ("all",), *, limit: int | None, seed: int, orders: int = 1
) -> dict[str, Any]:
    """Fit a temperature and a position bias for each kind of option set.

    Args:
        lm: The model.
        suite: A built suite's folder, or a dataset on a Hub.
        tasks: Training distribution tasks; ``all`` is every one.
        limit: Items of each task at most, drawn by ``seed``.
        seed: Of items and orders.
        orders: An item whose prompt lists its options is asked in so many orders at most, each an item of its own.

    Returns:
        What ``calibration.json`` holds; see :mod:`spectrum_suite.lm.calibration_file`.

    Raises:
        UserError: As :func:`tasks_to_fit`, the rows are not as they should be, or the model scores none of them.
    """
    found: dict[OptionKind, list[Scored]] = {}
    counts: dict[str, int] = {}
    for task in tasks_to_fit(suite, tasks):
        rows = task_rows(suite, task)
        check_ids(rows, task)
        drawn = draw_rows(rows, task, limit=limit, seed=seed)
        check_rows(drawn, task, "distribution")
        scored = list(_scored(lm, drawn, task, orders, seed))
        counts[task] = len(scored)
        logger.info("%s: %d items", task, len(scored))
        for kind, item in scored:
            found.setdefault(kind, []).append(item)
    if not found:
        raise UserError("the model gives NaN for every item: there is nothing to fit a calibration to")
    return finite({
        "schema_version": SCHEMA_VERSION,
        "model": about_model(lm),
        "suite": {"name": suite, "tasks": counts, "limit": limit, "seed": seed, "orders": orders},
        "items": sum(counts.values()),
        "kinds": {kind: _kind_section(items) for kind, items in sorted(found.items())},
    })  # fmt: skip


def _scored(lm: TokenLM, rows: Dataset, task: str, orders: int, seed: int) -> Iterator[tuple[OptionKind, Scored]]:
    given = score_items(lm, rows)
    asked = ask_in_orders(rows, orders, seed, partial(score_items, lm)) if orders > 1 else [[]] * len(rows)
    for messages, item, others in zip(rows["messages"], given, asked, strict=True):
        kind = option_kind(item.options)
        places = [option_places(messages, item.options), *(other.places for other, _ in others)]
        for where, one in zip(places, [item, *(one for _, one in others)], strict=True):
            if not math.isnan(one.scores["js_divergence"]):
                with np.errstate(divide="ignore"):
                    yield kind, Scored(np.log(one.probabilities), one.target, where, task)


def _kind_section(items: Sequence[Scored]) -> Section:
    found = fit(items)
    tasks = len({item.task for item in items})
    return {
        "items": len(items),
        "named": sum(item.places is not None for item in items),
        **correction_as_dict(found.correction),
        "cross_entropy": {
            "before": float(found.before.mean()),
            "after": float(found.after.mean()),
            **paired_difference(found.after, found.before),
            "per": "task" if tasks > 1 else "fifth",
        },
    }
