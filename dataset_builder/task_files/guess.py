"""What the rows and columns of a table seem to be, and what that is guessed from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dataset_builder.task_files.numbers import numbers
from dataset_builder.task_files.options import MOST_FOUND, resolve_found
from dataset_builder.task_files.table import NONE, Column, Table

_PERSON = (
    r"respondents?|persons?|participants?|workers?|annotators?|raters?|subjects?|voters?|users?|people|who|case|"
    r"panelists?"
)
_QUESTION = r"questions?|items?|statements?|prompts?|quer(?:y|ies)|topics?"
_ANSWER = r"answers?|responses?|ratings?|labels?|choices?|votes?|scores?|replies|reply|opinions?"
_ABOUT = (
    r"age|age.?group|gender|sex|country|nation(?:ality)?|state|region|city|location|education|degree|income|race|ethnicity|"
    r"religion|party|ideology|politics|marital|marital.?status|employment|occupation|job|profession|language|urban|rural|"
    r"household.*|children|census.?region|generation|class"
)
_WEIGHT = r"weights?|w|wt|weighting"
_TOTAL = r"n|total|sum|base|respondents|responses|n.?responses|sample|sample.?size|count"
_LEFT_OUT = (
    r"(?:start|end|submit(?:ted)?|created|updated)?.?(?:time|date|timestamp)s?|duration|ip.?address|.*comments?|notes?|"
    r"unnamed.*"
)
_FEWEST = 5  # values of which it tells something that each is there once
_SHOWN = 6  # answers in a comment
_MOST_ABOUT = 30  # values of a column that distinguishes groups
_SHORT = 30  # characters of a column's name
_COVERED = 0.8  # share of rows that a guess must fit


@dataclass
class Guess:
    """What a table seems to be.

    Attributes:
        shape: ``answer``, ``person`` or ``question``.
        why: The evidence for it.
        keys: Role -> column.
        questions: Columns that hold the answers to a question each, or shares.
        about: Columns that describe people.
        left_out: Column -> why it is not used.
    """

    shape: str
    why: str
    keys: dict[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def guess_shape(table: Table) -> Guess:
    """What the rows of a table are."""
    return _per_question(table) or _per_answer(table) or _per_person(table)


def _named(pattern: str, name: str) -> bool:
    return (
        re.fullmatch(rf"(?:{pattern})(?:[ _.-]?(?:id|text|no|nr|number|code|name|key))?", name.strip(), re.IGNORECASE)
        is not None
    )


def distinct(column: Column) -> int:
    """How many different texts a column has."""
    return len(column.texts)


def _filled(column: Column) -> int:
    return int((column.codes != NONE).sum())


def _describes(name: str) -> bool:
    """Whether a column describes people by its name, which is short and no question: "Location (Census Region)"."""
    begins = re.match(rf"(?:{_ABOUT})(?![a-z])", name.strip(), re.IGNORECASE) is not None
    return begins and len(name) <= _SHORT and "?" not in name


def _per_question(table: Table) -> Guess | None:
    """Several columns of numbers that sum to 1 or 100, or are counts, beside a text that no two rows share, alone or
    with a group of people."""
    values = [name for name, column in table.columns.items() if _is_number(column) and not _named(_WEIGHT, name)]
    totals = [name for name in values if _named(_TOTAL, name)]
    shares = [name for name in values if name not in totals and not _is_index(name, table[name])]
    question, *about = _question_and_group(table) or ("",)
    totals = [name for name in totals if not set(numbers(table[name].texts)) <= {1, 100}]  # of the shares, not answers
    if not question or len(shares) < 2 or not (why := _are_shares(table, question, shares, totals)):  # noqa: PLR2004
        return None
    if about:
        why += f", and no two rows have the same {question!r} and {about[0]!r}"
    keys = {"question": question} | ({"responses": totals[0]} if totals else {})
    others = [name for name in table.columns if name not in {question, *about, *shares, *totals}]
    return Guess("question", why, keys, shares, about, left_out=dict.fromkeys(others, "is not a share"))


def _are_shares(table: Table, question: str, shares: Sequence[str], totals: Sequence[str]) -> str:
    """By what it is seen that columns are shares of answers to a question; empty where it is not."""
    sums = np.nansum([_values(table[name]) for name in shares], axis=0)
    shown = ", ".join(shares[:_SHOWN])
    for whole in (1.0, 100.0):
        fits = np.abs(sums - whole) <= 0.01 * whole * len(shares)  # each may be rounded
        if fits.mean() >= _COVERED:
            return f"{shown} sum to {whole:g} in {fits.mean():.0%} of rows"
    if totals and (np.abs(sums - _values(table[totals[0]])) < 0.5).mean() >= _COVERED:  # noqa: PLR2004
        return f"{shown} sum to {totals[0]!r}"
    are_counts = _named(_QUESTION, question) and all(_is_counts(table[name]) for name in shares)
    return f"each row has its own {question!r}, and {shown} are counts" if are_counts else ""


def _question_and_group(table: Table) -> tuple[str, ...] | None:
    """The column with the questions, where no two rows have the same; or with one of groups, if no two have the same
    of both."""
    texts = [name for name, column in table.columns.items() if distinct(column) > 1 and not _is_number(column)]
    unique = [name for name in texts if distinct(table[name]) == len(table)]
    if unique:
        return (next((name for name in unique if _named(_QUESTION, name)), unique[0]),)
    texts.sort(key=lambda name: (not _named(_QUESTION, name), -_mean_length(table[name])))
    groups = (name for name in texts[1:] if _is_about(table, name) and _share_of_pairs(table, texts[0], name) == 1)
    return next(((texts[0], group) for group in groups), None)


def _is_counts(column: Column) -> bool:
    values = numbers(column.texts)
    return bool(((values >= 0) & (values == np.floor(values))).all())


def _is_index(name: str, column: Column) -> bool:
    """Whether a column numbers the rows, or says when they are from; "No" may be an answer."""
    values = _values(column)
    return (values[0] in (0, 1) and bool((np.diff(values) == 1).all())) or (
        re.fullmatch(r"(?i)(?:.*[ _.-])?(?:id|year|nr|index)|no\.|.*[ _.-]no", name.strip()) is not None
    )


def _is_number(column: Column) -> bool:
    return bool(len(column.texts)) and not np.isnan(numbers(column.texts)).any()


def _values(column: Column) -> np.ndarray:
    return np.append(numbers(column.texts), np.nan)[column.codes]


def _per_answer(table: Table) -> Guess | None:
    """A person and a question, both of which recur, no two rows with the same of both; and an answer."""
    answer = next((name for name in table.columns if _named(_ANSWER, name)), None)
    recurring = [name for name, column in table.columns.items() if 1 < distinct(column) <= _filled(column) / 1.5]
    people = [name for name in recurring if _named(_PERSON, name)]
    questions = [name for name in recurring if _named(_QUESTION, name) and name != answer]
    if not (answer and people and questions):
        return None
    person, question = (
        people[0],
        max(questions, key=lambda name: _mean_length(table[name])),
    )
    share = _share_of_pairs(table, person, question)
    if share < _COVERED:
        return None
    others = [name for name in table.columns if name not in (person, question, answer)]
    weight = next((name for name in others if _named(_WEIGHT, name) and _is_number(table[name])), None)
    about = [name for name in others if name != weight and _is_about(table, name) and _is_constant(table, person, name)]
    keys = {"person": person, "question": question, "answer": answer} | ({"weight": weight} if weight else {})
    left_out = {name: "does not say who a person is" for name in others if name not in {*about, weight}}
    why = f"{person!r} and {question!r} recur, and {share:.0%} of rows have a pair of their own"
    return Guess("answer", why, keys, about=about, left_out=left_out)


def _mean_length(column: Column) -> float:
    """Characters of a text of a column, on average."""
    return sum(map(len, column.texts)) / distinct(column)


def _share_of_pairs(table: Table, one: str, other: str) -> float:
    """How many different pairs two columns have, as a share of the rows."""
    pairs = table[one].codes.astype(np.int64) * (distinct(table[other]) + 1) + table[other].codes
    return len(np.unique(pairs)) / len(pairs)


def _is_constant(table: Table, person: str, name: str) -> bool:
    """Whether a column has one value for a person, in most cases."""
    codes = table[person].codes.astype(np.int64) * (distinct(table[name]) + 1) + table[name].codes
    return len(np.unique(codes)) <= 1.1 * distinct(table[person])


def _is_about(table: Table, name: str) -> bool:
    return 1 < distinct(table[name]) <= _MOST_ABOUT


def _per_person(table: Table) -> Guess:
    """Everything else: columns with few different values are questions, those that describe people are found."""
    guess = Guess("person", "no column of questions was found")
    person = next((name for name, column in table.columns.items() if _is_id(table, name, column)), None)
    if person:
        guess.keys["person"] = person
        guess.why = f"no two rows have the same {person!r}"
    for name, column in table.columns.items():
        if name == person:
            continue
        if _named(_WEIGHT, name) and _is_number(column) and "weight" not in guess.keys:
            guess.keys["weight"] = name
        elif _describes(name) and _is_about(table, name):
            guess.about.append(name)
        elif why := _no_question(name, column):
            guess.left_out[name] = why
        else:
            guess.questions.append(name)
    return guess


def _is_id(table: Table, name: str, column: Column) -> bool:
    ends = re.search(r"(?i)(?:^|[ _.-])(?:id|nr\.?|no\.|key|code)$|[ _.-]no$|id$", name.strip()) is not None
    is_unique = distinct(column) == _filled(column) > max(1, _COVERED * len(table))
    return is_unique and (ends or _named(_PERSON, name))


def _no_question(name: str, column: Column) -> str:
    """Why a column is not a question with closed answers; nothing if it may be one."""
    if re.fullmatch(_LEFT_OUT, name.strip(), re.IGNORECASE):
        return "is not a question by its name"
    if not column.texts:
        return "is empty"
    found = len({*resolve_found(column.texts, np.bincount(column.codes[column.codes != NONE])).places.tolist()})
    if found == 1:
        return f"has one value, {column.texts[0][:40]!r}"
    if _FEWEST < found == _filled(column):
        return "has no value twice"
    return f"has {found} different values" if found > MOST_FOUND else ""
