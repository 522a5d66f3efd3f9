"""The answers of models as HTML: bars of the options, and what was drawn how often. It fits a telephone, too."""

from __future__ import annotations

import html
from collections.abc import Sequence

from spectrum_suite.playground.answers import Answer, Question

COLORS = ("#94a3b8", "#4f46e5")
"""Of the first model and of the second; both stand out on a white page and on a black one."""

MOST_SHOWN = 12
"""Different samples that are listed."""

_NAME = "overflow-wrap: anywhere; line-height: 1.25"
_SMALL = "font-size: 0.85em; opacity: 0.75"


def draw_options(question: Question, answers: Sequence[Answer]) -> str:
    """The options with a bar for each model, normalised, and below them how much of each model's mass they have."""
    if not question.options:
        return f'<p style="{_SMALL}">Write some options to see their probabilities.</p>'
    rows = [
        _row(option, [answer.probabilities[place] for answer in answers])
        for place, option in enumerate(question.options)
    ]
    masses = [_mass(answer, place) for place, answer in enumerate(answers)]
    return (
        '<div style="display: grid; grid-template-columns: minmax(3.5em, max-content) minmax(0, 1fr) max-content; '
        f'gap: 6px 10px; align-items: center; max-height: 460px; overflow-y: auto">{"".join(rows)}</div>'
        f'<div style="margin-top: 12px; border-top: 1px solid #94a3b855; padding-top: 8px">{"".join(masses)}</div>'
    )


def draw_samples(answers: Sequence[Answer]) -> str:
    """For each model what it said how often, and how much of what is possible it reached."""
    columns = "".join(_column(answer, place) for place, answer in enumerate(answers))
    return (
        '<div style="display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 16px">'
        f"{columns}</div>"
    )


def _row(option: str, shares: Sequence[float]) -> str:
    bars = "".join(_bar(share, place) for place, share in enumerate(shares))
    numbers = "<br>".join(f"{100 * share:.1f}%" for share in shares)
    return (
        f'<div style="{_NAME}; max-width: 9em">{html.escape(option)}</div><div>{bars}</div>'
        f'<div style="text-align: right; line-height: 1.15; font-size: 0.85em">{numbers}</div>'
    )


def _bar(share: float, place: int) -> str:
    return (
        f'<div style="width: {100 * share:.2f}%; min-width: 2px; height: 11px; margin: 2px 0; border-radius: 2px; '
        f'background: {COLORS[place]}"></div>'
    )


def _mass(answer: Answer, place: int) -> str:
    return (
        f"<div>{_label(answer, place)}: {100 * answer.mass:.1f}% of its probability is on "
        f"{'this option' if answer.options == 1 else f'these {answer.options} options'}</div>"
    )


def _label(answer: Answer, place: int) -> str:
    square = f"display: inline-block; width: 11px; height: 11px; border-radius: 2px; background: {COLORS[place]}"
    return f'<span style="{square}"></span> <b>{html.escape(answer.label)}</b>'


def _column(answer: Answer, place: int) -> str:
    most = answer.counts[0][1]
    shown = "".join(_sample(text, count, most, place) for text, count in answer.counts[:MOST_SHOWN])
    left = len(answer.counts) - MOST_SHOWN
    more = f'<div style="{_SMALL}; margin-top: 4px">and {left} more</div>' if left > 0 else ""
    return (
        f'<div style="min-width: 0"><div>{_label(answer, place)}</div>'
        f'<div style="{_SMALL}; margin-bottom: 6px">{_coverage(answer)}</div>{shown}{more}</div>'
    )


def _coverage(answer: Answer) -> str:
    different = f"{len(answer.counts)} different among {answer.n} ({100 * len(answer.counts) / answer.n:.0f}%)"
    if not answer.options:
        return different
    return (
        f"{different}<br>{answer.reached} of {answer.options} options reached, by {answer.valid} of {answer.n} samples"
    )


def _sample(text: str, count: int, most: int, place: int) -> str:
    """A line with a bar under the words."""
    name = html.escape(text) or "<i>(nothing)</i>"
    width = 100 * count / most
    return (
        '<div style="display: flex; justify-content: space-between; gap: 8px; padding: 1px 6px; margin: 2px 0; '
        f'border-radius: 2px; background: linear-gradient(90deg, {COLORS[place]}55 {width:.1f}%, transparent 0)">'
        f'<span style="{_NAME}">{name}</span><span>{count}</span></div>'
    )
