"""What the coverage tasks share: one request each, for one item of a set, that a model answers many times.

Upstream: none. Licence: Apache-2.0, as the code. A raw row: none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from dataset_builder import raw
from dataset_builder.sources.shared.synthetic import SYNTHETIC, as_draws
from dataset_builder.task_spec import Dropped, Example, RawFiles, Source, TaskSpec

ValidItems = Callable[[RawFiles], Iterator[str | Dropped]]
"""Upstream files -> the valid items, in upstream order, and the rows that give none."""


def coverage_task(
    name: str,
    description: str,
    examples: tuple[str, ...],
    *,
    summary: str,
    validator: str,
    max_new_tokens: int,
    source: Source = SYNTHETIC,
    valid_items: ValidItems | None = None,
    domain: str = "Unspecified",
    quirks: str = "",
) -> TaskSpec:
    """The task of one request; ``valid_items`` reads those that a list decides, which travel with the row."""
    request = Example(name, (description,), as_draws(examples))
    return TaskSpec(
        name=name,
        kind="coverage",
        split="test",
        source=source,
        group="random_draws",
        summary=summary,
        process="one fixed request",
        outputs=("item",),
        read=None if valid_items is None else partial(_with_items, request, valid_items),
        generate=partial(_as_it_is, request) if valid_items is None else None,
        n_processes=1 if valid_items is None else 0,
        domain=domain,
        validator=validator,
        max_new_tokens=max_new_tokens,
        quirks=quirks,
    )


def _with_items(request: Example, valid_items: ValidItems, raw_files: RawFiles) -> Iterator[Example | Dropped]:
    found = list(valid_items(raw_files))
    items = tuple(dict.fromkeys(item for item in found if isinstance(item, str)))
    if not items:
        raise raw.bad_row(next(iter(raw_files.values())), 1, "neither it nor any other row gives a valid item")
    yield from (row for row in found if isinstance(row, Dropped))
    yield replace(request, valid=items)


def _as_it_is(request: Example, rng: np.random.Generator, index: int) -> Example:
    return request
