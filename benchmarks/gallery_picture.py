"""The gallery of the README: what a base model and a tuned one make of a few small worlds, as bars.

    python -m benchmarks.gallery_picture --base embedded:gemma-3-270m --tuned outputs/quickstart/adapter

writes the numbers into benchmarks/results/gallery.json and the picture into docs/gallery.png. Without models, the
picture is drawn again from the numbers.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dataset_builder.sources.states import REQUEST as NAME_A_STATE
from dataset_builder.sources.states import STATES
from dataset_builder.sources.urn import REQUEST as DRAW_A_BALL
from spectrum_suite import option_table
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.formats.render import Message, get_format
from spectrum_suite.json_files import write_json
from spectrum_suite.models import load_for_scoring

NUMBERS, PICTURE = Path("benchmarks/results/gallery.json"), Path("docs/gallery.png")

COLORS = {"base": "#e69f00", "tuned": "#0072b2"}
"""Told apart without colour vision; the picture brings its own white paper, so that it can be read on a dark page."""

_TRUTH, _FAINT, _BAR, _MANY = "#222222", "#666666", 0.4, 20

_TUG = "Two teams of four, as strong as one another, pull at a rope{}. The output is the team that wins: red or blue."
_GUEST = "How spicy one guest orders each dish."


@dataclass(frozen=True)
class World:
    """A process that a model is asked about.

    Attributes:
        name: Above its bars.
        messages: The prompt.
        options: The answers whose probabilities are read.
        truth: Their true probabilities, where there are any.
    """

    name: str
    messages: tuple[Message, ...]
    options: tuple[str, ...]
    truth: tuple[float, ...] | None = None


def worlds() -> tuple[World, ...]:
    """What the models are asked about, in the order of the picture."""
    sums = range(2, 13)
    return (
        World(
            "6 red balls\nand 4 blue ones",
            (_message("description", "An urn holds 6 red balls and 4 blue balls."), _message("input", DRAW_A_BALL)),
            ("red", "blue"),
            (0.6, 0.4),
        ),
        World(
            "two dice:\ntheir sum",
            (_message("description", "Two fair dice are rolled. The output is the sum of the two numbers."),),
            tuple(map(str, sums)),
            tuple((6 - abs(7 - total)) / 36 for total in sums),
        ),
        World("a tug of war\nof equal teams", (_message("description", _TUG.format("")),), ("red", "blue")),
        World(
            "after red's\nsleepless night",
            (_message("description", _TUG.format(", but nobody in the red team has slept last night")),),
            ("red", "blue"),
        ),
        World("one of the 50 U.S. states,\nat random", (_message("input", NAME_A_STATE),), STATES, (1 / 50,) * 50),
        World("someone who\nlikes it mild", _orders("mild", "mild", "mild"), ("mild", "medium", "hot")),
        World("someone who\nlikes it hot", _orders("hot", "hot", "medium"), ("mild", "medium", "hot")),
    )


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _orders(*answers: str) -> tuple[Message, ...]:
    """What a guest has ordered, and the dish that comes next."""
    dishes = ("curry", "noodles", "soup", "tacos")
    draws = zip(dishes, answers, strict=False)
    given = [_message(*pair) for dish, answer in draws for pair in (("input", dish), ("output", answer))]
    return (_message("description", _GUEST), *given, _message("input", dishes[len(answers)]))


def measure(base: str, tuned: str, base_format: str) -> dict[str, Any]:
    """What both models make of every world: ``models`` and ``worlds``, each with its ``answers`` by side."""
    found = [asdict(world) | {"answers": {}} for world in worlds()]
    models = {
        "base": {"model": base, "format": base_format},
        "tuned": {"model": tuned, "format": "auto"},
    }
    for side, asked in models.items():
        model, tokenizer = load_for_scoring(asked["model"])
        written = get_format(asked["format"], tokenizer)
        for world in found:
            table = option_table(model, tokenizer, world["messages"], world["options"], text_format=written)
            world["answers"][side] = {
                "probabilities": [round(share, 4) for share in table.probabilities],
                "mass": round(table.mass, 4),
            }
    return {"models": models, "worlds": found}


def picture(worlds: Sequence[Mapping[str, Any]]) -> Figure:
    """Base beside tuned for each world, and the truth as a line where there is one.

    Bars are shares of what falls on the answers, and the line above them says how much that is.
    """
    figure = Figure(figsize=(11, 6), layout="constrained", facecolor="white")
    mosaic = [["0", "1", "1", "1", "2", "3"], ["4", "4", "4", "4", "5", "6"]]
    axes = figure.subplot_mosaic(mosaic)
    for place, world in enumerate(worlds):
        _draw(axes[str(place)], world)
    handles, labels = axes["0"].get_legend_handles_labels()  # the first world has them all
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def _draw(axis: Axes, world: Mapping[str, Any]) -> None:
    places = np.arange(len(world["options"]))
    for side, shift in (("base", -_BAR / 2), ("tuned", _BAR / 2)):
        shares = world["answers"][side]["probabilities"]
        axis.bar(places + shift, shares, _BAR, color=COLORS[side], label=f"{side} model")
    if world["truth"]:
        axis.step(
            np.append(places - 0.5, places[-1] + 0.5), [*world["truth"], world["truth"][-1]], where="post",
            color=_TRUTH, linewidth=1.2, label="truth",
        )  # fmt: skip
    many = len(places) > _MANY
    axis.set_xticks(places, world["options"], fontsize=5.5 if many else 9, rotation=90 if many else 0)
    axis.set_xlim(-0.6, len(places) - 0.4)
    masses = ", ".join(f"{side} {world['answers'][side]['mass']:.0%}" for side in COLORS)
    axis.set_title(f"{world['name']}\n", fontsize=10.5, loc="left")
    axis.text(0, 1.02, masses, transform=axis.transAxes, fontsize=8.5, color=_FAINT)
    axis.tick_params(axis="y", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def main(base: str | None, tuned: str | None, base_format: str, numbers: Path, image: Path) -> None:
    """Measure, where models are given; then draw."""
    if bool(base) != bool(tuned):
        raise UserError("give both models, --base and --tuned, or neither to draw the picture again")
    if base and tuned:
        numbers.parent.mkdir(parents=True, exist_ok=True)
        write_json(numbers, measure(base, tuned, base_format))
    if not numbers.is_file():
        raise UserError(f"numbers {str(numbers)!r} not found: measure them with --base and --tuned")
    found = json.loads(numbers.read_text(encoding="utf-8"))
    image.parent.mkdir(parents=True, exist_ok=True)
    picture(found["worlds"]).savefig(image, dpi=130)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="a model before tuning")
    parser.add_argument("--tuned", help="the same after it")
    parser.add_argument("--base_format", default="colon", help="how the base model is asked (default: colon)")
    parser.add_argument("--numbers", type=Path, default=NUMBERS, help=f"default: {NUMBERS}")
    parser.add_argument("--image", type=Path, default=PICTURE, help=f"default: {PICTURE}")
    arguments = parser.parse_args()
    with exit_on_user_error():
        main(arguments.base, arguments.tuned, arguments.base_format, arguments.numbers, arguments.image)
