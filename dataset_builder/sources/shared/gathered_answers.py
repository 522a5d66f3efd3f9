"""How many people answered one question, as shares to train on: the answers of an ``icl`` task, gathered by question.

A row that comes out (made up):

    description "Different people answer a question of a survey.", input "Do you swim?\\nA. Yes\\nB. No",
    options A, B at 3/4, 1/4, n_responses 4
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from dataset_builder.task_spec import Dropped, Example, RawFiles, Target, TaskSpec

_FEWEST = 2  # answers to a question, at least: a single one does not show how people differ
_FEW = f"answer to a question with fewer than {_FEWEST} answers"
_OPEN = "answer to a question without closed answers"


def gathered(people: TaskSpec, name: str, summary: str, *descriptions: str) -> TaskSpec:
    """The training task of the shares of answers to each question of a task whose processes are people.

    Args:
        people: The ``icl`` task; no held-out task has its source.
        name: What follows ``dist_train_`` in the name of the new task.
        summary: One sentence for the card.
        *descriptions: Of people in general; any of them may be shown.
    """
    return replace(
        people,
        name=f"dist_train_{name}",
        kind="distribution",
        split="train",
        summary=summary,
        process="one question put to several people",
        sequences=None,
        options=None,
        read=partial(read_by_question, people.read, people.options, descriptions),
        origin="ours",
        version="1.0.0",
        quirks=f"The answers of `{people.name}`, gathered by question; one with fewer than {_FEWEST} is left out.",
    )


def read_by_question(
    people: Callable[[RawFiles], Iterator[Example | Dropped]],
    answers: tuple[str, ...] | None,
    descriptions: tuple[str, ...],
    raw_files: RawFiles,
) -> Iterator[Example | Dropped]:
    """One process per question and list of options, in order of first appearance.

    Args:
        people: Reads a process for each person, whose draws are answers to questions.
        answers: The closed answers of all questions, for processes without answers of their own.
        descriptions: Of people in general.
        raw_files: The raw files that it reads.
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
        if total < _FEWEST or len(options) < 2:  # noqa: PLR2004
            yield Dropped(_FEW, total)
            continue
        shares = tuple(counted[option] / total for option in options)
        target = Target(question, options, shares, n_responses=total)
        yield Example(f"{number:05d}", descriptions, target=target)
