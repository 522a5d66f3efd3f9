"""The work of an evaluation in parts that do not depend on one another, so that they can be shared out and kept.

The parts of a task are the same whatever the number of processes, and so are its numbers: so many items or sequences,
or the generations from one prompt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from datasets import Dataset

from spectrum_suite.evaluation.instruction.score_instruction import Conversation
from spectrum_suite.evaluation.preference import Preference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.lm.base import Question, TokenLM
from spectrum_suite.row_fingerprints import fingerprints_of
from spectrum_suite.suite import draw_rows, task_rows
from spectrum_suite.suite_rows import check_ids, check_rows

ROWS = 64
"""Items or sequences in a part."""


class Work(ABC):
    """What is to be done on one task.

    Args:
        settings: Of the evaluation.
        task: The task's name.
    """

    questions: tuple[Question, ...] = ()
    """What a model is asked."""

    has_groups = False
    """Whether there are tables by group."""

    def __init__(self, settings: EvaluationSettings, task: str) -> None:
        self.settings = settings
        self.task = task

    @abstractmethod
    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The name of each part, and what its result depends on besides the model."""

    @abstractmethod
    def score(self, part: str, lm: TokenLM) -> Section:
        """What the model makes of one part."""

    @abstractmethod
    def section(self, results: Mapping[str, Section]) -> Section:
        """The task's part of the report, from the results of all parts."""

    def trained_on(self, fingerprints: Collection[str]) -> list[str]:
        """The ids of the measured rows that a model was trained on.

        Args:
            fingerprints: Of the rows that it was trained on.
        """
        return []

    @abstractmethod
    def not_comparable(self, theirs: Section) -> str | None:
        """Why this task cannot be compared with its part of another report; None if it can, as far as rows show."""


def seconds_of(results: Mapping[str, Section]) -> float:
    """The seconds spent on all parts."""
    return round(sum(result["seconds"] for result in results.values()), 2)


class RowsWork(Work):
    """Work on the drawn rows of a task, some rows at a time."""

    kind = ""
    """Of the tasks that it is about."""

    @cached_property
    def rows(self) -> Dataset:
        """All rows of the task.

        Raises:
            UserError: They cannot be read, or a row has no name of its own.
        """
        rows = task_rows(self.settings.suite, self.task)
        check_ids(rows, self.task)
        return rows

    def check(self) -> None:
        """Refuse rows that cannot be measured, before anything is loaded.

        Raises:
            UserError: A row is not what its kind of task needs.
        """
        labels = ("output_label",) if self.kind == "distribution" and self.settings.task_labels else ()
        told = self.kind != "icl" or "options" in self.rows.column_names
        check_rows(self.drawn if told else self.rows, self.task, self.kind, columns=labels)

    @cached_property
    def drawn(self) -> Dataset:
        """Those that are measured."""
        return draw_rows(self.rows, self.task, limit=self.settings.limit_of(self.task), seed=self.settings.seed)

    def trained_on(self, fingerprints: Collection[str]) -> list[str]:
        """See :class:`Work`."""
        if not fingerprints or "messages" not in self.drawn.column_names:
            return []
        pairs = zip(self.drawn["id"][:], fingerprints_of(self.drawn), strict=True)
        return [row_id for row_id, found in pairs if found in fingerprints]

    def some(self, part: str) -> Dataset:
        """The rows of a part, which is named after the first of them."""
        return self.drawn.select(range(int(part), min(int(part) + ROWS, len(self.drawn))))

    def names(self) -> Iterator[str]:
        """The names of the parts."""
        yield from map(str, range(0, len(self.drawn), ROWS))

    def nothing_shared(self, ids: Iterable[str]) -> str | None:
        """That another report has none of the drawn rows, if so."""
        if set(self.drawn["id"][:]) & set(ids):
            return None
        return f"the two reports share no row of task {self.task!r}: evaluate both on one suite with the same seed"


class DataWork(RowsWork):
    """Work on the conversations of a dataset, in reports of its own and in comparisons.

    Args:
        settings: Of the evaluation.
        task: The name of the dataset among those of the settings.
        preference: Says which of two responses is better; None where nobody does.
    """

    what = "rows"
    """What a message calls its rows."""

    def __init__(self, settings: EvaluationSettings, task: str, preference: Preference | None = None) -> None:
        super().__init__(settings, task)
        self.preference = preference

    @cached_property
    def conversations(self) -> list[Conversation]:
        """The messages of those that are measured."""
        return self.drawn["messages"][:]

    def compare(self, mine: Section, theirs: Section) -> dict[str, Any]:
        """The dataset's part of a report compared with that of another one."""
        raise NotImplementedError

    @property
    def of_other_rows(self) -> str:
        """What a message says of two reports on different rows."""
        remedy = "evaluate both with the same data, limit and seed"
        return f"the two reports have different {self.what} of {self.task!r}: {remedy}"

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`Work`."""
        return None if messages_fingerprint(self.drawn) == theirs["rows_fingerprint"] else self.of_other_rows


def messages_fingerprint(rows: Dataset) -> str:
    """A hash of the ids and messages of some rows."""
    return fingerprint(list(rows.select_columns(["id", "messages"])))
