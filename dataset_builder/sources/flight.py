"""Choices of synthetic travellers among three flights, by fixed linear preferences (arXiv 2503.17523, appendix A.1).

Upstream: none. Licence: Apache-2.0, as the code. A process is one traveller, whose weights are never told. A raw row:

    Draw(input="Flight 1: departure 05:00, duration 45 min, 0 stops, $50\\nFlight 2: ...\\nFlight 3: ...", output="1")
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.shared.synthetic import SYNTHETIC, process_id
from dataset_builder.task_spec import Draw, Example, Sequences, TaskSpec

FLIGHTS, CHOICES = 3, 20
_LAST = 99  # departure, duration and price lie on 100 equally spaced points, 0 to 99 ninety-ninths
_DAY, _HOUR = 24 * 60, 60

DESCRIPTIONS = (
    "One traveller chooses among three flights, again and again. Which flight does this traveller prefer?",
    "Every choice below was made by the same person, who compares flights by departure, duration, stops and price. "
    "Answer with the number of the flight this person takes.",
    "A person with fixed tastes rates sets of three flights. The output is the preferred flight: 1, 2 or 3.",
)


def generate(rng: np.random.Generator, index: int) -> Example:
    """One traveller: weights for departure, duration, price and stops on the grid -1, -0.5, 0, 0.5, 1; 20 choices."""
    weights = draw_weights(rng)
    points = rng.integers(0, _LAST, size=(CHOICES, FLIGHTS, 3), endpoint=True)  # departure, duration, price
    stops = rng.integers(0, 2, size=(CHOICES, FLIGHTS), endpoint=True)
    chosen = choose(weights, points, stops)
    draws = tuple(
        Draw("\n".join(map(_render, range(1, FLIGHTS + 1), *columns)), str(choice + 1))
        for *columns, choice in zip(points.tolist(), stops.tolist(), chosen.tolist(), strict=True)
    )
    return Example(process_id(index), DESCRIPTIONS, draws)


def draw_weights(rng: np.random.Generator) -> np.ndarray:
    """Twice the four weights, shape (4,), integers from -2 to 2 that are not all zero."""
    while not (weights := rng.integers(-2, 2, size=4, endpoint=True)).any():
        pass
    return weights


def choose(weights: np.ndarray, points: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """The flight with the largest dot product of weights and features; the first one on ties.

    Whole numbers throughout, so that ties are exact: features in 198ths (one stop is 0.5), weights in halves.

    Args:
        weights: Shape (4,).
        points: Departure, duration and price in ninety-ninths, shape (choices, flights, 3).
        stops: Shape (choices, flights).

    Returns:
        Index of the flight, shape (choices,).
    """
    return np.argmax(2 * points @ weights[:3] + _LAST * stops * weights[3], axis=1)


def _render(number: int, points: list[int], stops: int) -> str:
    departure, duration, price = (point / _LAST for point in points)
    clock = round(5 * _HOUR + departure * (_DAY - 5 * _HOUR))
    minutes = round(45 + duration * (16 * _HOUR - 45))
    length = f"{minutes // _HOUR} h {minutes % _HOUR} min" if minutes >= _HOUR else f"{minutes} min"
    dollars = 50 + 10 * round(145 * price)
    return (
        f"Flight {number}: departure {clock // _HOUR:02d}:{clock % _HOUR:02d}, duration {length}, "
        f"{stops} stop{'' if stops == 1 else 's'}, ${dollars}"
    )


TASKS = [
    TaskSpec(
        name="flight",
        kind="icl",
        split="test",
        source=SYNTHETIC,
        group="human_variation",
        summary="Which of three flights a traveller with fixed preferences takes.",
        process="one synthetic traveller with fixed linear preferences",
        inputs=("Flights",),
        outputs=("Rating",),
        options=("1", "2", "3"),
        sequences=Sequences("one"),
        generate=generate,
        n_processes=200,
        quirks=(
            "The weight grid includes +1 and prices run from $50 to $1500 in steps of 10, as in arXiv 2503.17523; the "
            "release leaves out +1 and shows $500 to $1950. Ties go to the first flight."
        ),
    )
]
