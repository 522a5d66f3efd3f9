"""In-context steerability of a model that reports no log-probabilities: the accuracy of its answers, by examples.

In the place of each output with closed answers, given the description and the outputs before it, answers are drawn and
matched to the options. The accuracy is the share of them that is the true output: an unbiased estimate however few are
drawn, of another quantity than the accuracy of the likeliest option. Losses and calibration need probabilities.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.steerability.closed_answers import ClosedAnswers, closed_answers
from spectrum_suite.evaluation.steerability.score_steerability import ScoredSequence
from spectrum_suite.evaluation.steerability.summarize_steerability import (
    CAPABILITY_TASKS,
    TaskSteerability,
    drawn_apart,
)
from spectrum_suite.evaluation.work import ROWS, RowsWork, messages_fingerprint, seconds_of
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.formats.render import Message, first_trained, split_messages
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import LM

ANSWERS = 10
"""Answers for an output, at most: there are many outputs, and each answer counts for itself."""

_NEEDED = "needs the log-probabilities of given texts, which this engine does not report"
NOT_MEASURED = {
    "loss": f"the loss {_NEEDED}",
    "loss_per_token": f"the loss {_NEEDED}",
    "ece": f"calibration {_NEEDED}",
}


class DrawnSteerabilityWork(RowsWork):
    """The sequences of an ``icl`` task, by answers that are drawn."""

    kind = "icl"
    questions = ("draw_options",)

    @property
    def n(self) -> int:
        """Answers for each output."""
        return min(self.settings.n, ANSWERS)

    @cached_property
    def options(self) -> ClosedAnswers:
        """The closed answers of the outputs of the drawn rows."""
        return closed_answers(self.drawn, among=self.rows)

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        self.check()
        for part in self.names():
            options = self.options.part(int(part), int(part) + ROWS)
            asked = {"lists": options.lists, "asked": options.asked}
            rows = messages_fingerprint(self.some(part))
            yield part, {"rows": rows, "options": asked, "answers": self.n, "seed": self.settings.seed}

    def score(self, part: str, lm: LM) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`.

        Raises:
            UserError: No output of the task has closed answers.
        """
        if not self.options.lists:
            (reason, _), *_ = Counter(self.options.without).most_common()
            raise UserError(f"{NOT_MEASURED['loss']}, and there is no accuracy: {reason}")
        options = self.options.part(int(part), int(part) + ROWS)
        return {"sequences": [asdict(sequence) for sequence in self._drawn(lm, self.some(part), options)]}

    def _drawn(self, lm: LM, rows: Dataset, options: ClosedAnswers) -> list[ScoredSequence]:
        messages: list[list[Message]] = rows["messages"][:]
        places = [
            (row, k, end)
            for row, sequence in enumerate(messages)
            for k, end in _outputs(sequence)
            if options.asked[row][k] is not None
        ]
        lists = [options.of_row(row)[k] for row, k, _ in places]
        prompts = [messages[row][:end] for row, _, end in places]
        found = lm.draw_options(prompts, lists, self.n, seed=self.settings.seed)
        of_row: dict[int, list[tuple[int, int, tuple[float, ...]]]] = {row: [] for row in range(len(messages))}
        for (row, k, end), texts, drawn in zip(places, lists, found, strict=True):
            counts = Counter(drawn.choices)
            shares = tuple(_log(counts[place] / len(drawn.choices)) for place in range(len(texts)))
            of_row[row].append((k, texts.index(messages[row][end]["content"]), shares))
        ids = rows["id"][:]
        return [
            ScoredSequence(
                id=ids[row],
                content=fingerprint(messages[row]),
                k=tuple(k for k, _, _ in outputs),
                losses=(math.nan,) * len(outputs),
                tokens=(None,) * len(outputs),
                answers=tuple(answer for _, answer, _ in outputs),
                log_probs=tuple(shares for _, _, shares in outputs),
                asked=tuple(options.asked[row][k] for k, _, _ in outputs),
                drawn=self.n,
            )
            for row, outputs in of_row.items()
        ]

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        found = [sequence for result in results.values() for sequence in result["sequences"]]
        lists = self.options.lists
        section = TaskSteerability(
            task=self.task,
            capability=self.task in CAPABILITY_TASKS,
            options=lists[0] if len(lists) == 1 else lists,
            without_options=self.options.without,
            max_length=None,
            n_available=len(self.rows),
            n_too_long=0,
            sequences=tuple(ScoredSequence.from_dict(sequence) for sequence in found if sequence["k"]),
            rows_fingerprint=messages_fingerprint(self.drawn),
            seconds=seconds_of(results),
            not_measured=NOT_MEASURED,
        ).as_dict()
        return finite(section | {"answers": self.n})

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        return drawn_apart(drawn=True, theirs=theirs) or self.nothing_shared(
            sequence["id"] for sequence in theirs["sequences"]
        )


def _outputs(messages: list[Message]) -> Iterator[tuple[int, int]]:
    """(k, place among the messages) of each output that is scored."""
    first = first_trained(described=split_messages(messages)[0] is not None)
    ends = [place for place, message in enumerate(messages) if message["role"] == "output"]
    yield from ((k, end) for k, end in enumerate(ends) if k >= first)


def _log(share: float) -> float:
    return math.log(share) if share > 0 else -math.inf
