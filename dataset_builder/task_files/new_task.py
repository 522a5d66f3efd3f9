"""Writes a first task file for a table: what is guessed is said in comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset_builder.task_files.guess import Guess, distinct, guess_shape
from dataset_builder.task_files.kept_rows import KeptRows
from dataset_builder.task_files.options import MOST_FOUND, codes_of_no_answer, in_order, resolve_found
from dataset_builder.task_files.personal_data import looks_personal
from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.read_csv import separator
from dataset_builder.task_files.read_table import column_names, guessed_header, read_table, sheets
from dataset_builder.task_files.reading import Reading
from dataset_builder.task_files.table import NONE, Column, Table
from dataset_builder.task_files.table_repairs import without_totals
from spectrum_suite.errors import UserError


def new_task(path: Path, beside: Path) -> str:
    """The text of a task file for a table.

    Args:
        path: The table.
        beside: The folder that the task file goes to.

    Raises:
        UserError: The table cannot be read.
    """
    sheet = _sheet(path)
    reading = Reading(sheet=sheet, header=guessed_header(path, Reading(sheet=sheet)))
    names = column_names(path, reading)
    usable = [name for name in names if name.strip() and names.count(name) == 1]
    if not usable:
        raise UserError(f"table {path.name!r} has no column with a name of its own: give its first row names")
    table = read_table(path, usable, reading)
    structures = [name for name, column in table.columns.items() if _holds_structures(column)]
    usable = [name for name in usable if name not in structures]
    table = replace(table, columns={name: table[name] for name in usable})
    guess = guess_shape(table)
    if codes := _codes_of_no_answer(table, guess):
        reading = replace(reading, missing=(*reading.missing, *codes))
        table = read_table(path, usable, reading)
        guess = guess_shape(table)
    table = _without_totals(table, guess)
    for name in dict.fromkeys(names):
        if name not in usable:
            guess.left_out[name] = "has no name" if not name.strip() else "has the name of another column"
    guess.left_out |= dict.fromkeys(structures, "holds lists or objects")
    return "\n".join(_Writer(table, guess, beside, reading, codes).lines()) + "\n"


def _without_totals(table: Table, guess: Guess) -> Table:
    """The table without rows of totals below the data, whose numbers are no answers."""
    kept = KeptRows(table, Problems())
    for role in ("person", "question"):
        if role in guess.keys:
            without_totals(table, guess.keys[role], kept)
    columns = {name: replace(column, codes=column.codes[kept.mask]) for name, column in table.columns.items()}
    return replace(table, columns=columns, numbers=table.numbers[kept.mask])


def _holds_structures(column: Column) -> bool:
    """Whether the cells of a column are lists or objects, as JSON has them."""
    return bool(column.texts) and all(text[0] + text[-1] in ("[]", "{}") for text in column.texts)


def _sheet(path: Path) -> str:
    """The sheet of a workbook of several that holds the table: the first that seems to hold any."""
    found = sheets(path)
    return next((name for name, is_table in found.items() if is_table), "") if len(found) > 1 else ""


def _codes_of_no_answer(table: Table, guess: Guess) -> list[str]:
    """Texts of columns with answers or descriptions that seem to mean there is none."""
    columns = {*guess.about, *(guess.questions if guess.shape == "person" else ()), guess.keys.get("answer")} - {None}
    found = {code for name in columns for code in codes_of_no_answer(table[name].texts)}
    return sorted(found, key=float)


class _Writer:
    """Writes a guess as YAML, with comments on what was guessed."""

    def __init__(self, table: Table, guess: Guess, beside: Path, reading: Reading, codes: Sequence[str]) -> None:
        self.table, self.guess, self.path, self.reading, self.codes = table, guess, table.path, reading, codes
        try:
            self.relative = self.path.resolve().relative_to(beside.resolve()).as_posix()
        except ValueError:
            self.relative = str(self.path.resolve())

    def lines(self) -> Iterator[str]:
        guess, name = self.guess, self.path.name
        yield f"# A first task for {name}: {len(self.table):,} rows, {len(self.table.columns)} columns."
        yield "# What is guessed says so. Correct it, then look at the rows with: spectrum-suite preview THIS_FILE"
        yield f"title: {_quoted(self.path.stem)}  # what people read on the card"
        yield "licence: unstated  # of the table, as its publisher states it: cc-by-4.0, for instance"
        yield "redistributable: unknown  # whether it may be published: yes, no or unknown"
        yield "languages: [en]"
        yield ""
        yield f"table: {_quoted(self.relative)}"
        if self.path.suffix.lower() in (".csv", ".txt"):
            yield f"separator: {_quoted(separator(self.path, self.reading))}  # guessed from the first line"
        if sheet := self.reading.sheet:
            others = ", ".join(_quoted(name) for name in sheets(self.path) if name != sheet)
            yield f"sheet: {_quoted(sheet)}  # guessed: the first that holds a table; the others are {others}"
        if self.reading.header:
            yield f"header: {list(self.reading.header)}  # guessed: the rows with the names of the columns"
        if self.codes:
            yield f"also_missing: {_list(self.codes)}  # guessed: codes that mean there is no answer"
        unsure = "" if guess.keys else ". Or 'question', if the numbers are counts or shares of answers"
        yield f"one_row_per: {guess.shape}  # guessed, since {guess.why}{unsure}"
        yield from getattr(self, f"_{guess.shape}")()
        yield from self._personal()
        yield from (f"# not used: {_quoted(column)}, which {why}" for column, why in guess.left_out.items())

    def _answer(self) -> Iterator[str]:
        yield "kind: [icl, distribution]  # what one person answers, and the shares of the answers to a question"
        for role, column in self.guess.keys.items():
            yield f"{role}: {_quoted(column)}  # guessed: {_values_shown(self.table[column])}"
        yield from self._people()
        yield from self._options(self.table[self.guess.keys["answer"]])
        keys = self.guess.keys
        yield from _hold_out(("people", keys["person"]), ("questions", keys["question"]), table=self.table)

    def _person(self) -> Iterator[str]:
        if len(self.guess.questions) == 1:
            yield "kind: distribution  # the shares of the answers: nothing is learnt about a person from one answer"
        else:
            yield "kind: [icl, distribution]  # what one person answers, and the shares of the answers to a question"
        for role, column in self.guess.keys.items():
            yield f"{role}: {_quoted(column)}"
        if "person" not in self.guess.keys:
            yield "# person: COLUMN  # no column has an id of its own in each row, so people are numbered"
        yield from self._people()
        yield "questions:  # guessed: columns with few different values. Write each as it was asked"
        for column in self.guess.questions:
            asked = self.table.labels.get(column, column)
            if self.table.options.get(column):
                yield f"  {_quoted(column)}: {_quoted(asked)}  # answers as the file lists them"
                continue
            values = _found(self.table[column])
            yield f"  {_quoted(column)}:"
            yield f"    text: {_quoted(asked)}"
            yield f"    options: {_list(values)}{_codes(values)}"
        if not self.guess.questions:
            yield "  COLUMN: the question as it was asked  # none was found: name one"
        if len(self.guess.questions) > 4:  # noqa: PLR2004
            yield "hold_out: {people: 0.2, questions: 0.2}  # shares that are tested on and not trained on"
        else:
            yield "hold_out: {people: 0.2}  # a share that is tested on and not trained on"

    def _question(self) -> Iterator[str]:
        yield "kind: distribution"
        for role, column in self.guess.keys.items():
            yield f"{role}: {_quoted(column)}  # guessed: {_values_shown(self.table[column])}"
        yield f"options: {_list(self.guess.questions)}  # guessed: columns with shares; {{column: text}} renames"
        yield "ordered: false  # true where the options are a scale from one end to the other"
        if self.guess.about:
            yield f"about: {_list(self.guess.about)}  # guessed: whose answers a row has"
        yield "description:  # a sentence whose value is missing is left out"
        yield "  - A question was put to many people. The answer is that of one of them."
        if self.guess.about:
            yield '  - "About these people: {{ about }}."'
        yield from _hold_out(("questions", self.guess.keys["question"]), table=self.table)

    def _people(self) -> Iterator[str]:
        about = self.guess.about
        if about:
            labels = {name: self.table.labels.get(name, name) for name in about}
            named = ", ".join(f"{_quoted(name)}: {_quoted(label)}" for name, label in labels.items())
            shown = f"{{{named}}}" if [*labels.values()] != about else _list(about)
            yield f"about: {shown}  # guessed: what describes a person"
            yield f"by: {_list(about[:2])}  # whose shares are split"
        yield "description:  # a sentence whose value is missing is left out"
        yield "  - One person answers the questions of a survey."
        if about:
            yield '  - "About this person: {{ about }}."'
        yield "population:  # the same where the answers are those of many people"
        yield "  - Different people answer the questions of a survey."
        if about:
            yield '  - "About these people: {{ about }}."'

    def _options(self, column: Column) -> Iterator[str]:
        values = _found(column)
        if len(values) > MOST_FOUND:
            yield f"options: open  # guessed, since there are {len(values)} different answers. Or: found, or a list"
        else:
            yield f"options: {_list(values)}  # found in the table; put them in their order{_codes(values)}"
        yield "ordered: false  # true where the options are a scale from one end to the other"

    def _personal(self) -> Iterator[str]:
        for line in looks_personal(self.table):
            yield f"# MIND: {line}: leave it out, or replace it, before you publish anything"


def _hold_out(*columns: tuple[str, str], table: Table) -> Iterator[str]:
    shares = {what: 0.2 for what, column in columns if distinct(table[column]) > 4}  # noqa: PLR2004
    if shares:
        listed = ", ".join(f"{what}: {share}" for what, share in shares.items())
        yield f"hold_out: {{{listed}}}  # shares that are tested on and not trained on"


def _found(column: Column) -> tuple[str, ...]:
    """The answers in a column, one spelling of each."""
    counts = np.bincount(column.codes[column.codes != NONE], minlength=len(column.texts))
    places = resolve_found(column.texts, counts).places[counts > 0]
    return in_order([column.texts[place] for place in sorted(set(places.tolist()))])


def _codes(values: Sequence[str]) -> str:
    """How to say what codes mean, where answers are numbers."""
    numeric = all(re.fullmatch(r"-?\d+(?:\.\d+)?", value) for value in values)
    return f"  # codes? Say what they mean: {{{values[0]}: Never, ...}}" if numeric and values else ""


def _values_shown(column: Column) -> str:
    shown = ", ".join(text[:30].replace("\n", " ") for text in column.texts[:3])
    return f"{distinct(column):,} different values, such as {shown}"


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _quoted(text: str) -> str:
    """A text as YAML has it on one line: bare where that is read as the same text, else as JSON writes it."""
    plain = re.fullmatch(r"[A-Za-z][\w./ -]*\w|[A-Za-z]", text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


_WORDS = {"yes", "no", "true", "false", "on", "off", "null", "y", "n", "none"}
