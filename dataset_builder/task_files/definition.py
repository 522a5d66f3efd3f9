"""What a task file says: where a table is, and how its rows become processes.

    title: What people eat
    licence: cc-by-4.0
    kind: icl                      # draws of a person (or of a question); distribution: shares of the answers
    table: food.csv
    one_row_per: answer            # or person, or question
    person: respondent
    question: question
    answer: answer
    about: {age: age, country: country}
    description: One person answers questions on food.
    options: [Never, Sometimes, Often]
    hold_out: {people: 0.2, questions: 0.2}

docs/your-own-data.md lists every key.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import Literal

from dataset_builder.task_files.reading import Reading
from dataset_builder.task_files.sentences import Clause
from dataset_builder.task_spec import Group, Sequences

Shape = Literal["answer", "person", "question"]
KINDS = ("icl", "distribution")
OPEN, FOUND = "open", "found"
SUFFIXES = (".yaml", ".yml")

_WHOLE_NUMBER = re.compile(r"^(-?\d+)(?:\.0+|,00?)$")
_UNSEEN = {"Cc", "Cf"}
_MARKS = {ord(sign): plain for plain, signs in {"'": "‘’‚‛", '"': "“”„‟", "-": "‐‑‒–—−"}.items() for sign in signs}


@dataclass(frozen=True)
class Question:
    """A question as a column of the table, in a table with one row per person.

    Attributes:
        column: The column with its answers; with a ``*``, all columns that fit and are not used otherwise.
        text: The question; empty for what the table says of the column, or its name.
        options: Code or text in the table -> answer; None for those of the task.
        ordered: Whether the options are an ordered scale; None as the task says.
    """

    column: str
    text: str = ""
    options: Mapping[str, str] | None = None
    ordered: bool | None = None


@dataclass(frozen=True)
class FetchedTable:
    """A table that is not next to the task file.

    Attributes:
        path: The name of its file, also where it is next to the task file.
        url: Its address, where it has one.
        sha256: The checksum of what the address gives.
        dataset: A dataset on the Hub, ``ORG/NAME``.
        revision: A commit, tag or branch of it; empty for the newest.
        config: The configuration of which a split is the table; empty for the only one.
        split: That split; empty where the table is a file of the dataset.
    """

    path: str
    url: str = ""
    sha256: str = ""
    dataset: str = ""
    revision: str = ""
    config: str = ""
    split: str = ""


@dataclass(frozen=True)
class Join:
    """A further table, whose columns are added to the rows of the first that have the same key.

    Attributes:
        table: Where it is.
        column: The column of the first table with the key.
        key: That of this table.
        reading: How it is read; what means that there is no value is as for the first table.
    """

    table: str | FetchedTable
    column: str
    key: str
    reading: Reading = field(default_factory=Reading)


def path_of(table: str | FetchedTable) -> str:
    """The name of a table among the files of a task."""
    return table if isinstance(table, str) else table.path


@dataclass(frozen=True)
class TaskFile:
    """What a task file says. The names of its fields are the keys of the file, where they are not explained here.

    Attributes:
        path: The file.
        name: Of the task (key ``task``; default: the file's name).
        table: A path below the file's folder, or a table that is fetched.
        kinds: ``icl``, ``distribution`` or both (key ``kind``).
        source: A short name of where the table is from (default: that of the task).
        process: What an ``icl`` process is: a person or a question.
        options: Code or text in the table -> answer; ``found`` for those in the table, ``open`` for any.
        about: Column -> what it is called.
        descriptions: Each a list of clauses; those of ``distribution`` rows are ``populations`` where there are any.
        by: Columns of ``about`` by whose values the shares are also split.
        at_least: Answers that shares are computed from, at least.
        people: Share of the people that is held out, and ``questions`` of the questions (key ``hold_out``).
    """

    path: Path
    name: str
    table: str | FetchedTable
    one_row_per: Shape
    kinds: tuple[str, ...] = ("icl",)
    process: Literal["person", "question"] = "person"
    reading: Reading = field(default_factory=Reading)
    join: tuple[Join, ...] = ()
    source: str = ""
    title: str = ""
    summary: str = ""
    homepage: str = ""
    licence: str = "unstated"
    redistributable: Literal["yes", "no", "unknown"] = "unknown"
    commercial: str = ""
    citation: str = ""
    creators: str = ""
    attribution: str = ""
    languages: tuple[str, ...] = ("en",)
    group: Group = "human_variation"
    version: str = "1.0.0"
    split: Literal["train", "test"] = "train"
    person: str | Clause = ""
    question: str = ""
    questions: tuple[Question, ...] = ()
    answer: str = ""
    weight: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    descriptions: tuple[tuple[Clause, ...], ...] = ()
    populations: tuple[tuple[Clause, ...], ...] = ()
    by: tuple[str, ...] = ()
    at_least: int = 2
    input: tuple[Clause, ...] = ()
    options: Mapping[str, str] | Literal["found", "open"] = FOUND
    ordered: bool = False
    letters: bool = False
    shares: Literal["auto", "shares", "percentages", "counts"] = "auto"
    responses: str = ""
    people: float = 0.0
    held_out_questions: float = 0.0
    sequences: Sequences = field(default_factory=lambda: Sequences("one"))

    @property
    def person_columns(self) -> frozenset[str]:
        """The columns that say who a person is."""
        return self.person.names if isinstance(self.person, Clause) else frozenset({self.person} - {""})

    @property
    def sentence_columns(self) -> frozenset[str]:
        """The columns that sentences use, besides what is there for every sentence."""
        described = (*self.descriptions, *self.populations)
        clauses = [*self.input, *(clause for description in described for clause in description)]
        return frozenset().union(*(clause.names for clause in clauses)) - OF_EVERY_SENTENCE

    def columns(self) -> list[str]:
        """The columns of the table that are used."""
        names = [*self.person_columns, self.question, self.answer, self.weight, self.responses, *self.about]
        names += [question.column for question in self.questions]
        names += list(self.options) if self.one_row_per == "question" and isinstance(self.options, Mapping) else []
        return [name for name in dict.fromkeys([*names, *sorted(self.sentence_columns)]) if name]

    def with_columns(self, known: Sequence[str]) -> TaskFile:
        """The same with patterns of columns replaced by the columns of a table that fit them, in order."""
        used = {*self.person_columns, self.weight, *self.about, *(question.column for question in self.questions)}
        found: dict[str, Question] = {}
        for question in self.questions:
            fitting = [question.column]
            if "*" in question.column and question.column not in known:
                pattern = re.compile(".*".join(map(re.escape, question.column.split("*"))), re.DOTALL)
                fitting = [name for name in known if name not in used and pattern.fullmatch(name)] or fitting
            for name in fitting:
                found.setdefault(name, replace(question, column=name))
        return replace(self, questions=tuple(found.values()))


OF_EVERY_SENTENCE = frozenset({"question", "options", "about"})
"""What every sentence can use, besides the columns of the table."""


def spelling(text: str) -> str:
    """What two spellings of a text share: they differ in blanks, capitals, kinds of quotes and dashes, HTML entities,
    characters that are not seen, or the notation of a whole number."""
    text = " ".join(unicodedata.normalize("NFC", unescape(text)).translate(_MARKS).split())
    text = "".join(sign for sign in text if unicodedata.category(sign) not in _UNSEEN)
    return _WHOLE_NUMBER.sub(r"\1", " ".join(text.split()).casefold())


def yaml_files(path: Path) -> Iterator[Path]:
    """The task files that a path names: itself, or those of a folder, sorted."""
    if path.is_dir():
        yield from sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
    else:
        yield path
