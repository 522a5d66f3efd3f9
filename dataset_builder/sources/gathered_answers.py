"""Answers of many people, gathered by question into shares.

Upstream: none of its own; the tasks are in ``people_targets.py``. Licence: that of each source. A raw row: none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from dataset_builder.task_spec import Dropped, Example, RawFiles, Target

FEWEST = 2
"""Answers to a question, at least: of one alone nobody can tell how people differ."""

_FEW = f"answer to a question with fewer than {FEWEST} answers"
_OPEN = "answer to a question without closed answers"


def read(
    people: Callable[[RawFiles], Iterator[Example | Dropped]],
    answers: tuple[str, ...] | None,
    descriptions: tuple[str, ...],
    raw_files: RawFiles,
) -> Iterator[Example | Dropped]:
    """One process per question with its options, in the order in which they first come up.

    Args:
        people: Reads a process for each person, whose draws are answers to questions.
        answers: The closed answers of all questions, where a process does not say its own.
        descriptions: Of people in general.
        raw_files: What it reads.
    """
    counts: dict[tuple[str | None, tuple[str, ...]], Counter[str]] = {}
    without_options = 0
    for item in people(raw_files):
        if isinstance(item, Dropped):
            yield item
            continue
        own = item.options or ((answers,) if answers else ())
        if not own:
            without_options += len(item.draws)
            continue
        of_draws = own * len(item.draws) if len(own) == 1 else own
        for draw, options in zip(item.draws, of_draws, strict=True):
            counts.setdefault((draw.input, options), Counter())[draw.output] += 1
    if without_options:
        yield Dropped(_OPEN, without_options)
    for number, ((question, options), counted) in enumerate(counts.items()):
        total = counted.total()
        if total < FEWEST or len(options) < 2:  # noqa: PLR2004
            yield Dropped(_FEW, total)
            continue
        shares = tuple(counted[option] / total for option in options)
        target = Target(question, options, shares, n_responses=total)
        yield Example(f"{number:05d}", descriptions, target=target)
