"""A request for a random U.S. state: the target is uniform over the fifty.

Upstream: none. Licence: Apache-2.0, as the code. The request is the one process. A raw row:

    input "Pick one of the 50 U.S. states ...", options Alabama ... Wyoming at 1/50 each
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.shared.synthetic import SYNTHETIC
from dataset_builder.task_spec import Example, Target, TaskSpec

REQUEST = "Pick one of the 50 U.S. states uniformly at random and answer with its full name."

_NAMES = (
    "Alabama,Alaska,Arizona,Arkansas,California,Colorado,Connecticut,Delaware,Florida,Georgia,Hawaii,Idaho,Illinois,"
    "Indiana,Iowa,Kansas,Kentucky,Louisiana,Maine,Maryland,Massachusetts,Michigan,Minnesota,Mississippi,Missouri,"
    "Montana,Nebraska,Nevada,New Hampshire,New Jersey,New Mexico,New York,North Carolina,North Dakota,Ohio,Oklahoma,"
    "Oregon,Pennsylvania,Rhode Island,South Carolina,South Dakota,Tennessee,Texas,Utah,Vermont,Virginia,Washington,"
    "West Virginia,Wisconsin,Wyoming"
)
STATES = tuple(_NAMES.split(","))


def states(rng: np.random.Generator, index: int) -> Example:
    """The one request, without a description."""
    return Example("states", target=Target(REQUEST, STATES, (1 / len(STATES),) * len(STATES)))


TASKS = [
    TaskSpec(
        name="dist_states",
        kind="distribution",
        split="test",
        source=SYNTHETIC,
        group="random_draws",
        summary="A U.S. state named uniformly at random.",
        process="one fixed request",
        inputs=("request",),
        outputs=("answer",),
        options=STATES,
        generate=states,
        n_processes=1,
        output_label="Response (state)",
    )
]
