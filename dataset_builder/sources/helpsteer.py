"""HelpSteer2: pairs of replies with five rated qualities, from which made-up judges choose by their own weights.

Upstream: https://huggingface.co/datasets/nvidia/HelpSteer2 (arXiv 2406.08673). Licence: CC BY 4.0. Two raw lines (made
up); the two replies to a prompt follow each other:

    {"prompt": "Name a fruit.", "response": "Plum.", "helpfulness": 4, "correctness": 4, "coherence": 4,
     "complexity": 0, "verbosity": 0}
    {"prompt": "Name a fruit.", "response": "A car.", "helpfulness": 0, "correctness": 0, "coherence": 3,
     "complexity": 0, "verbosity": 0}

The whole file: 20,324 lines, two for each of 10,162 prompts.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.seeding import generator

_PATH = "train.jsonl.gz"

HELPSTEER = Source(
    name="helpsteer",
    title="HelpSteer2",
    homepage="https://huggingface.co/datasets/nvidia/HelpSteer2",
    license="cc-by-4.0",
    redistributable="yes",
    creators="Zhilin Wang and others, NVIDIA",
    citation="arXiv 2406.08673",
    folder="helpsteer",
    revision="b738328cec12d3c34e63655296cef22a893113b3",
    files=(SourceFile(_PATH),),
    hub="nvidia/HelpSteer2",
)

QUALITIES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_BEST = 4


class Pair(NamedTuple):
    """A prompt with two replies, as text, and the replies' ratings, of shape (2, 5)."""

    text: str
    ratings: np.ndarray


def read_pairs(raw_files: RawFiles) -> Iterator[Pair | Dropped]:
    """The pairs, in upstream order, or why they are left out."""
    path = raw_files[_PATH]
    rows = list(_rows(path))
    if len(rows) % 2:
        raise raw.bad_row(path, len(rows), "it is the only reply to its prompt")
    for number in range(0, len(rows), 2):
        first, second = rows[number : number + 2]
        if first["prompt"] != second["prompt"]:
            raise raw.bad_row(path, number + 2, "it does not have the prompt of the row before")
        texts = [first["prompt"].strip(), first["response"].strip(), second["response"].strip()]
        if all(texts):
            given = dict(zip(("prompt", "response1", "response2"), texts, strict=True))
            ratings = np.array([[row[name] for name in QUALITIES] for row in (first, second)])
            yield Pair(json.dumps(given, ensure_ascii=False), ratings)
        else:
            yield Dropped("prompt or reply without text", 2)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
    except (OSError, EOFError, zlib.error) as error:
        raise raw.bad_row(path, 1, f"the file does not decompress: {error}") from error
    if not lines:
        raise raw.bad_row(path, 1, "the file holds no row")
    for number, line in enumerate(lines, start=1):
        with raw.at_row(path, number):
            row = json.loads(line)
            if not all(isinstance(row[name], str) for name in ("prompt", "response")):
                raise TypeError("the prompt or the reply is not text")
            if not all(row[name] in range(_BEST + 1) for name in QUALITIES):
                raise ValueError(f"a rating is not a whole number from 0 to {_BEST}")
        yield row


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
    ),
]
