"""One die, or the sum of several with equal sides, as distributions to train on.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    description "2 dice with 4 sides are thrown. The output is the sum.", options 2, 3, 4, 5, 6, 7, 8 at 1/16, ..., 1/16
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.shared.synthetic import process_id, training_target
from dataset_builder.task_spec import Example, Target

_DICE_TEXTS = (
    "{n} dice with {sides} sides are thrown. The output is the sum.",
    "The sum of {n} fair dice, each with the numbers 1 to {sides}.",
    "Roll {n}d{sides} and add up what the dice show.",
)
_DIE_TEXTS = (
    "A fair die with {sides} sides is thrown. The output is the number that it shows.",
    "Roll one die with the numbers 1 to {sides}.",
)
_LARGEST_SUM = 40
_LEFT_OUT = (2, 6)  # two ordinary dice are asked about when a model is shown to people


def dice(rng: np.random.Generator, index: int) -> Example:
    """One die, or the sum of up to five, with 2 to 20 sides each."""
    while True:
        n, sides = int(rng.integers(1, 5, endpoint=True)), int(rng.integers(2, 20, endpoint=True))
        if n * sides <= _LARGEST_SUM and (n, sides) != _LEFT_OUT:
            break
    texts = tuple(text.format(n=n, sides=sides) for text in (_DIE_TEXTS if n == 1 else _DICE_TEXTS))
    ways = dice_ways(n, sides)
    target = Target(None, tuple(map(str, ways)), tuple(way / sides**n for way in ways.values()))
    return Example(process_id(index), texts, target=target)


def dice_ways(n: int, sides: int) -> dict[int, int]:
    """Sum of ``n`` dice -> in how many ways it can come about."""
    ways = {0: 1}
    for _ in range(n):
        further: dict[int, int] = {}
        for total, count in ways.items():
            for shown in range(1, sides + 1):
                further[total + shown] = further.get(total + shown, 0) + count
        ways = further
    return ways


TASKS = [
    training_target("dice", dice, 200, "One die, or the sum of several, with equal sides.", "one throw of some dice"),
]
