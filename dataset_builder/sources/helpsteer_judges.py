"""HelpSteer2: made-up people who each weigh five qualities in their own way choose between two replies.

Upstream: https://huggingface.co/datasets/nvidia/HelpSteer2 (arXiv 2406.08673). Licence: CC BY 4.0. Raw lines: see
``helpsteer.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataset_builder.sources.helpsteer import HELPSTEER, QUALITIES, Pair, read_pairs
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import generator

_LOWEST = np.array([-0.05, -0.05, -0.05, -0.5, -0.5])  # a weight is uniform over an interval of length 1
N_JUDGES, N_PAIRS = 500, 40


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per made-up judge, whose weights and pairs depend on the judge's number alone."""
    pairs: list[Pair] = []
    for pair in read_pairs(raw_files):
        if isinstance(pair, Dropped):
            yield pair
        else:
            pairs.append(pair)
    for judge in range(N_JUDGES if pairs else 0):
        rng = generator("helpsteer", judge)
        weights = _LOWEST + rng.random(len(QUALITIES))
        seen = sorted(rng.choice(len(pairs), size=min(N_PAIRS, len(pairs)), replace=False))
        draws = tuple(Draw(pairs[i].text, winner(pairs[i].ratings, weights)) for i in seen)
        yield Example(f"{judge:03d}", _descriptions(weights), draws)


def winner(ratings: np.ndarray, weights: np.ndarray) -> str:
    """The reply with the larger weighted sum of ratings (shape (2, 5)), ``"1"`` or ``"2"``; ties go to 2."""
    first, second = ratings @ weights
    return "1" if first > second else "2"


def _descriptions(weights: np.ndarray) -> tuple[str, ...]:
    given = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(QUALITIES, weights, strict=True))
    texts = (
        "One person compares two replies of a language model to a prompt and picks the better one: 1 or 2.",
        "The same judge decides every time which of two replies is preferred. The output is 1 or 2.",
    )
    return (*texts, f"{texts[0]} The person weighs the qualities of a reply (each rated from 0 to 4) so: {given}.")


TASKS = [
    TaskSpec(
        name="helpsteer",
        kind="icl",
        split="train",
        source=HELPSTEER,
        group="human_variation",
        summary="Which of two replies a made-up judge with weights of their own prefers.",
        process="one made-up judge with random linear preferences",
        inputs=("prompt", "response1", "response2"),
        outputs=("winner",),
        options=("1", "2"),
        sequences=Sequences("one", N_PAIRS),
        read=read,
        domain="Conversation",
        quirks=(
            "Whether the weights are told differs between judges; the release always tells them. Weights and pairs "
            "of a judge do not depend on the seed of the build."
        ),
    )
]
