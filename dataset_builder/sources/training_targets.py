"""Known distributions to train on as they are: described shares, coins, categories, counts, dice, sets, cards.

Upstream: none. Licence: Apache-2.0, as the code. A process is one setting, told exactly; none is one of the held-out
tasks of the same families, whatever the seed. A raw row:

    description "2 dice with 4 sides are thrown. The output is the sum.", options 2, 3, 4, 5, 6, 7, 8 at 1/16, ..., 1/16

Families without an end (Poisson, geometric, Zipf and the like), with as many outcomes as the multinomial one, or with
real numbers have no options to list, and stay draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dataset_builder.sources import cards_deck, named_sets, parametric_distributions
from dataset_builder.sources.described import described
from dataset_builder.sources.small_settings import coinflip
from dataset_builder.sources.synthetic import SYNTHETIC, pick, process_id
from dataset_builder.task_spec import Example, Target, TaskSpec

HELD_OUT = ("dist_binomial", "dist_categorical", "dist_coinflip", "dist_hypergeometric", "dist_states", "dist_urn")
"""The held-out tasks whose distributions are drawn by the builder itself."""

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


def shares(rng: np.random.Generator, index: int) -> Example:
    """Named things whose shares are described in everyday words, as those of ``described_shares``."""
    description, request, names, probabilities = described(rng)
    target = Target(request, tuple(names), tuple(probabilities.tolist()))
    return Example(process_id(index), (description,), target=target)


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


def named_set(rng: np.random.Generator, index: int) -> Example:
    """A well-known set, of which each member is as likely; described, or asked for."""
    kind = pick(rng, tuple(named_sets.SETS))
    members = named_sets.SETS[kind]
    asked = bool(rng.random() < 0.4)  # noqa: PLR2004
    text = named_sets.say(rng, named_sets.REQUESTS if asked else named_sets.DESCRIPTIONS, kind)
    target = Target(text if asked else None, members, (1 / len(members),) * len(members))
    return Example(process_id(index), () if asked else (text,), target=target)


def card(rng: np.random.Generator, index: int) -> Example:
    """The first card of a shuffled deck, in each of the two wordings."""
    target = Target(None, cards_deck.DECK, (1 / len(cards_deck.DECK),) * len(cards_deck.DECK))
    return Example(process_id(index), (cards_deck.DESCRIPTIONS[index],), target=target)


def _task(
    family: str, generate: Callable[[np.random.Generator, int], Example], count: int, summary: str, process: str
) -> TaskSpec:
    return TaskSpec(
        name=f"dist_train_{family}",
        kind="distribution",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary=summary,
        process=process,
        outputs=("value",),
        generate=generate,
        n_processes=count,
        apart_from=HELD_OUT,
        origin="ours",
    )


_SETTING = "one parameter setting of the distribution"

TASKS = [
    _task("shares", shares, 4000, "Shares of named things, described in everyday words.", "one described distribution"),
    _task("coinflip", coinflip, 300, "Coins of known bias, none as in dist_coinflip.", _SETTING),
    _task(
        "categorical",
        parametric_distributions.categorical,
        1000,
        "Categorical distributions of known probabilities, none as in dist_categorical.",
        _SETTING,
    ),
    _task(
        "binomial",
        parametric_distributions.binomial,
        1000,
        "Binomial distributions of known parameters, none as in dist_binomial.",
        _SETTING,
    ),
    _task(
        "hypergeometric",
        parametric_distributions.hypergeometric,
        1000,
        "Hypergeometric distributions of known parameters, none as in dist_hypergeometric.",
        _SETTING,
    ),
    _task("dice", dice, 200, "One die, or the sum of several, with equal sides.", "one throw of some dice"),
    _task("named_sets", named_set, 400, "Well-known sets, each member as likely.", "one set"),
    _task("cards", card, len(cards_deck.DESCRIPTIONS), "The first card of a shuffled deck.", "one wording"),
]
