"""Cards drawn without replacement from the standard deck of 52.

Upstream: none. Licence: Apache-2.0, as the code. The deck is the one process. A raw row:

    Draw(input=None, output="10\u2660")
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.shared.synthetic import SYNTHETIC, as_draws, process_id, training_target
from dataset_builder.task_spec import Example, Sequences, Target, TaskSpec

RANKS = ("2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K", "A")
SUITS = ("\u2660", "\u2665", "\u2666", "\u2663")
DECK = tuple(rank + suit for suit in SUITS for rank in RANKS)

DESCRIPTIONS = (
    f"Cards from a standard deck of 52, drawn one after another and not put back. Ranks: {', '.join(RANKS)}. "
    f"Suits: {', '.join(SUITS)}.",
    f"A shuffled deck is dealt card by card, so no card comes twice. It has the ranks {' '.join(RANKS)} in each of the "
    f"suits {' '.join(SUITS)}.",
)


def deck(rng: np.random.Generator, index: int) -> Example:
    """The deck in order; the order of each sequence is drawn when the sequences are cut."""
    return Example("deck", DESCRIPTIONS, as_draws(DECK))


def first_card(rng: np.random.Generator, index: int) -> Example:
    """The first card of a shuffled deck, in each of the two wordings."""
    target = Target(None, DECK, (1 / len(DECK),) * len(DECK))
    return Example(process_id(index), (DESCRIPTIONS[index],), target=target)


TASKS = [
    TaskSpec(
        name="cards",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="A standard deck of cards, dealt without replacement.",
        process="the standard 52-card deck",
        outputs=("card",),
        options=DECK,
        sequences=Sequences("several", count=100),
        generate=deck,
        n_processes=1,
    ),
    training_target("cards", first_card, len(DESCRIPTIONS), "The first card of a shuffled deck.", "one wording"),
]
