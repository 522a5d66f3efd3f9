"""Balls drawn from described urns: the shares follow from the counts.

Upstream: none. Licence: Apache-2.0, as the code. A process is one urn. A raw row:

    description "An urn holds 3 red balls, 1 blue ball and 4 green balls.", options red, blue, green at 3/8, 1/8, 4/8
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.shared.synthetic import SYNTHETIC, process_id
from dataset_builder.task_spec import Example, Target, TaskSpec

COLORS = ("red", "blue", "green", "yellow", "purple", "orange", "brown", "black", "white")
REQUEST = "Draw one ball at random. What color is it? Answer with the color in lower case."


def urn(rng: np.random.Generator, index: int) -> Example:
    """An urn with 2 to 5 colors; each count is uniform from 1 to a bound that is itself uniform from 1 to 10."""
    colors = rng.choice(COLORS, size=rng.integers(2, 5, endpoint=True), replace=False).tolist()
    bounds = rng.integers(1, 10, size=len(colors), endpoint=True)
    counts = rng.integers(1, bounds, endpoint=True).tolist()
    target = Target(REQUEST, tuple(colors), tuple(count / sum(counts) for count in counts))
    return Example(process_id(index), (_contents(colors, counts),), target=target)


def _contents(colors: list[str], counts: list[int]) -> str:
    *first, last = [
        f"{count} {color} ball{'s' if count > 1 else ''}" for color, count in zip(colors, counts, strict=True)
    ]
    return f"An urn holds {', '.join(first)} and {last}."


TASKS = [
    TaskSpec(
        name="dist_urn",
        kind="distribution",
        split="test",
        source=SYNTHETIC,
        group="random_draws",
        summary="The color of a ball drawn from an urn whose contents are listed.",
        process="one urn",
        inputs=("request",),
        outputs=("answer",),
        generate=urn,
        n_processes=1000,
        output_label="Response (color)",
        quirks="The urns are drawn with our own seeds, so they are not those of the release, but follow the same rule.",
    )
]
