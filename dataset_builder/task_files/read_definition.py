"""Reads a task file and checks it as a whole: all that is wrong with it is reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, get_args
from urllib.parse import urlsplit

from dataset_builder.task_files.definition import (
    FOUND,
    KINDS,
    OPEN,
    FetchedTable,
    Join,
    Question,
    Shape,
    TaskFile,
    spelling,
)
from dataset_builder.task_files.reading import Reading
from dataset_builder.task_files.sentences import Clause
from dataset_builder.task_files.table import MISSING
from dataset_builder.task_spec import Group, Mix, Sequences
from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.yaml_entries import Entries, read_entries

_ON_HUB = re.compile(r"hf://datasets/(?P<dataset>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[^/]+))?/(?P<path>.+)")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_JOIN_KEYS = {"table", "key", "encoding", "separator", "sheet", "header"}
_SCALES = ("auto", "shares", "percentages", "counts")


def read_task_file(path: Path) -> TaskFile:
    """Read and check a task file.

    Raises:
        UserError: It cannot be read, or something in it is wrong: a line for each thing that is.
    """
    entries = read_entries(path, "task file", "write lines such as 'table: food.csv'")
    return _Reader(path, entries).task_file()


class _Reader:
    """Turns the entries of a file into a :class:`TaskFile`, gathering all that is wrong with them."""

    def __init__(self, path: Path, entries: Entries) -> None:
        self.path = path
        self.entries = entries
        self.wrong: list[str] = []

    def task_file(self) -> TaskFile:
        for key in self.entries:
            if key not in _KEYS:
                self.no(str(key), f"is not a key{did_you_mean(str(key), _KEYS)}")
        fields = {name: value for name, read in _FIELDS.items() for value in [read(self)] if value is not None}
        if not self.wrong:
            self._check_together(fields)
        if self.wrong:
            raise UserError("; ".join(self.wrong))
        return TaskFile(path=self.path, **fields)

    def _check_together(self, fields: Mapping[str, Any]) -> None:
        shape = fields["one_row_per"]
        given = {key for key, value in fields.items() if value}
        for key in _NEEDED[shape]:
            if key not in given:
                self.no(key, f"is missing: a table with one row per {shape} needs it")
        for key in _UNFIT[shape]:
            if key in given:
                self.no(key, f"does not go with one row per {shape}: leave it out")
        self.wrong += [f"{self.path}: {why}" for why, is_wrong in _RULES.items() if is_wrong(fields)]
        for column in fields.get("by", ()):
            if column not in fields.get("about", {}):
                self.no("by", f"has {column!r}, which is not in 'about': add it there")

    def text(self, key: str) -> str | None:
        """A text; a number is taken for one."""
        value = self.entries.get(key)
        if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
            return None if value is None else str(value).strip()
        return self.no(key, f"is {value!r}: give a text")

    def no(self, key: str, why: str) -> None:
        """Note what is wrong with a key, or with ``key.key`` in the mapping that it has."""
        self.wrong.append(f"{self.entries.at(key.partition('.')[0])}: '{key}' {why}")

    def one_of(self, key: str, known: Sequence[str]) -> str | None:
        value = self.entries.get(key)
        value = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        if value is None or value in known:
            return value
        return self.no(key, f"is {value!r}: choose {', '.join(known)}")

    def flag(self, key: str) -> bool | None:
        value = self.entries.get(key)
        return value if value is None or isinstance(value, bool) else self.no(key, f"is {value!r}: give true or false")

    def texts(self, key: str) -> tuple[str, ...] | None:
        value = self.entries.get(key)
        if value is None:
            return None
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(item, (str, int, float)) for item in value):
            return self.no(key, "is not a list of texts")
        return tuple(map(str, value))

    def name(self) -> str | None:
        default = re.sub(r"[^a-z0-9]+", "_", self.path.stem.lower()).strip("_")
        name = self.text("task") or (default if _NAME.fullmatch(default) else f"task_{default}")
        return name if _NAME.fullmatch(name) else self.no("task", f"is {name!r}: use a-z, 0-9 and '_'")

    def table(self) -> str | FetchedTable | None:
        match self.entries.get("table"):
            case str(path) if found := _ON_HUB.fullmatch(path.strip()):
                return FetchedTable(found["path"], dataset=found["dataset"], revision=found["revision"] or "")
            case str(path) if "://" in path:
                return FetchedTable(PurePosixPath(urlsplit(path).path).name, url=path.strip())
            case str(path) if path.strip():
                return path.strip()
            case {"url": str(url), "sha256": str(sha256), **rest} if not rest:
                return FetchedTable(PurePosixPath(urlsplit(url).path).name, url=url, sha256=sha256)
            case {"dataset": str(dataset), **rest} if rest.keys() <= {"config", "split", "revision"}:
                which = {"split": "train"} | {key: str(value) for key, value in rest.items()}
                name = "-".join(filter(None, (dataset.replace("/", "-"), which.get("config"), which["split"])))
                return FetchedTable(f"{name}.parquet", dataset=dataset, **which)
        return self.no(
            "table",
            "is not there: give a file, hf://datasets/ORG/NAME/FILE, {url: ADDRESS, sha256: CHECKSUM} or {dataset: "
            "ORG/NAME, config: NAME, split: NAME, revision: COMMIT}",
        )

    def shape(self) -> str | None:
        shape = self.one_of("one_row_per", get_args(Shape))
        return shape or (self.no("one_row_per", "is missing: give answer, person or question")
                         if "one_row_per" not in self.entries else None)  # fmt: skip

    def kinds(self) -> tuple[str, ...] | None:
        kinds = self.texts("kind")
        if kinds is None:
            return ("distribution",) if self.entries.get("one_row_per") == "question" else None
        if not kinds or not set(kinds) <= set(KINDS):
            return self.no("kind", f"is {', '.join(kinds)!r}: give {' or '.join(KINDS)}, or both in a list")
        return tuple(dict.fromkeys(kinds))

    def reading(self) -> Reading | None:
        missing, also = self.texts("missing"), self.texts("also_missing") or ()
        if missing is None:
            missing = tuple(text for text in MISSING if text not in self.listed())
        settings = {key: self.text(key) or "" for key in ("encoding", "separator", "sheet")}
        settings["separator"] = {"\\t": "\t", "tab": "\t"}.get(settings["separator"], settings["separator"])
        return Reading(**settings, header=self.header(), missing=(*missing, *also))

    def header(self) -> tuple[int, ...]:
        value = self.entries.get("header")
        rows = [] if value is None else value if isinstance(value, list) else [value]
        if not all(type(row) is int and row > 0 for row in rows):
            self.no("header", f"is {value!r}: give the number of the row with the names of the columns, or several")
            return ()
        return tuple(rows)

    def join(self) -> tuple[Join, ...] | None:
        value = self.entries.get("join")
        if value is None:
            return None
        found = [self.joined(entry) for entry in (value if isinstance(value, list) else [value])]
        return tuple(join for join in found if join)

    def joined(self, entry: Any) -> Join | None:
        if not isinstance(entry, Entries) or not entry.keys() <= _JOIN_KEYS:
            more = ", ".join(sorted(_JOIN_KEYS - {"table", "key"}))
            return self.no("join", f"is not {{table: ..., key: ...}}, with {more} where they are needed")
        match entry.get("key"):
            case str(column):
                key = column
            case dict(columns) if len(columns) == 1:
                ((column, key),) = columns.items()
            case _:
                return self.no("join", "needs 'key': the column that both tables have, or {column: column there}")
        inner = _Reader(self.path, entry)
        table, reading = inner.table(), inner.reading()
        self.wrong += inner.wrong
        return Join(table, str(column), str(key), reading) if table and reading else None

    def listed(self) -> set[str]:
        """Every text in lists of options."""
        questions = self.entries.get("questions")
        entries = [self.entries, *(questions.values() if isinstance(questions, dict) else ())]
        lists = [entry.get("options") for entry in entries if isinstance(entry, dict)]
        return {_plain(item) for options in lists if isinstance(options, (list, dict)) for item in options}

    def person(self) -> str | Clause | None:
        text = self.text("person")
        return self.clause("person", text) if text and "{{" in text else text

    def questions(self) -> tuple[Question, ...] | None:
        value = self.entries.get("questions")
        if value is None:
            return None
        if isinstance(value, list):
            value = dict.fromkeys(map(str, value))
        if not isinstance(value, dict) or not value:
            return self.no("questions", "is not a list of columns, or a mapping of columns to questions")
        found = [self.asked(str(column), entry) for column, entry in value.items()]
        return tuple(question for question in found if question)

    def asked(self, column: str, entry: Any) -> Question | None:
        match entry:
            case None:
                return Question(column)
            case str(text):
                return Question(column, text.strip())
            case Entries() if entry.keys() <= {"text", "options", "ordered"}:
                inner = _Reader(self.path, entry)
                options = inner.options()
                question = Question(
                    column,
                    inner.text("text") or "",
                    options if isinstance(options, Mapping) else None,
                    inner.flag("ordered"),
                )
                self.wrong += inner.wrong
                return question
        return self.no(f"questions.{column}", "is neither a text nor {text: ..., options: ..., ordered: ...}")

    def about(self) -> Mapping[str, str] | None:
        value = self.entries.get("about")
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return {item: item.replace("_", " ") for item in value}
        if isinstance(value, dict):
            return {str(column): str(label) for column, label in value.items()}
        return self.no("about", "is not a list of columns, or a mapping of columns to what they are called")

    def clause(self, key: str, text: str) -> Clause | None:
        try:
            return Clause(text, f"'{key}'")
        except UserError as error:
            self.wrong.append(f"{self.entries.at(key)}: {error}")
            return None

    def clauses(self, key: str, value: Any) -> tuple[Clause, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            self.no(key, "is neither a sentence nor a list of sentences")
            return ()
        return tuple(clause for text in texts if (clause := self.clause(key, text)))

    def alternatives(self, one: str, several: str) -> tuple[tuple[Clause, ...], ...] | None:
        """Descriptions any of which may be shown: one, or several below another key."""
        if one in self.entries and several in self.entries:
            return self.no(several, f"and {one!r} are both there: give one")
        if several in self.entries:
            values = self.entries[several]
            if not isinstance(values, list):
                return self.no(several, "is not a list of descriptions")
            return tuple(self.clauses(several, each) for each in values)
        value = self.entries.get(one)
        return None if value is None else (self.clauses(one, value),)

    def whole(self, key: str) -> int | None:
        value = self.entries.get(key)
        return (
            value
            if value is None or (type(value) is int and value > 0)
            else self.no(key, "is not a whole number above 0")
        )

    def input(self) -> tuple[Clause, ...] | None:
        value = self.entries.get("input")
        return None if value is None else self.clauses("input", value)

    def options(self) -> Mapping[str, str] | str | None:
        value = self.entries.get("options")
        if value is None or value in (OPEN, FOUND):
            return value
        if isinstance(value, dict):
            pairs = {_plain(code): _plain(text) for code, text in value.items()}
        elif isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
            pairs = {_plain(item): _plain(item) for item in value}
        else:
            return self.no("options", f"is {value!r}: give a list, a mapping of codes to answers, found or open")
        if len(pairs) < len(value):
            return self.no("options", "has an option twice")
        if len(set(pairs.values())) < 2 or not all(pairs.values()):  # noqa: PLR2004
            return self.no("options", "needs at least two different answers, none of them empty")
        same = _spelled_alike(pairs.values())
        if same:
            return self.no("options", f"has {same}, which differ in blanks, capitals or marks alone")
        return pairs | {str(code).lower(): pairs[_plain(code)] for code in value if isinstance(code, bool)}

    def share(self, key: str) -> float | None:
        held_out = self.entries.get("hold_out")
        if held_out is None:
            return None
        if not isinstance(held_out, dict) or not held_out.keys() <= {"people", "questions"}:
            return self.no("hold_out", "is not {people: SHARE, questions: SHARE}") if key == "people" else None
        share = held_out.get(key)
        if share is None or (isinstance(share, float) and 0 < share < 1):
            return share
        return self.no(f"hold_out.{key}", f"is {share!r}: give a share between 0 and 1, such as 0.2")

    def sequences(self) -> Sequences | None:
        value = self.entries.get("sequences")
        if value is None:
            return None
        known = {"mode", "length", "mean_length", "count"}
        if not isinstance(value, dict) or not value.keys() <= known or {"length", "mean_length"} <= value.keys():
            return self.no("sequences", "is not {mode: one|several|partition, length: N or mean_length: N, count: N}")
        numbers = {key: number for key, number in value.items() if key != "mode"}
        wrong = [key for key, number in numbers.items() if type(number) is not int or number < 1]
        if wrong or value.get("mode", "one") not in ("one", "several", "partition"):
            return self.no("sequences", f"has a wrong {wrong[0] if wrong else 'mode'}")
        length = Mix(value["mean_length"]) if "mean_length" in value else value.get("length")
        return Sequences(value.get("mode", "one"), length, value.get("count", 1))


def _plain(value: Any) -> str:
    """An option as a table has it; YAML reads a bare yes and no as truth values."""
    return {True: "Yes", False: "No"}[value] if isinstance(value, bool) else str(value).strip()


def _spelled_alike(texts: Any) -> str:
    seen: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        if (first := seen.setdefault(spelling(text), text)) != text:
            return f"{first!r} and {text!r}"
    return ""


_NEEDED: Mapping[Shape, Sequence[str]] = {
    "answer": ("person", "question", "answer"), "person": ("questions",), "question": ("question",),
}  # fmt: skip
_UNFIT: Mapping[Shape, Sequence[str]] = {
    "answer": ("questions", "shares", "responses"),
    "person": ("question", "answer", "shares", "responses"),
    "question": ("person", "answer", "questions", "weight", "by", "people"),
}
_RULES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "'kind' of a table with one row per question is distribution: it holds shares": lambda fields: (
        fields["one_row_per"] == "question" and "icl" in fields.get("kinds", ())
    ),
    "'options' of a table with one row per question are the columns with their shares: name them": lambda fields: (
        fields["one_row_per"] == "question" and not isinstance(fields.get("options"), Mapping)
    ),
    "'split: test' holds out the whole task: leave 'hold_out' out, or 'split'": lambda fields: (
        fields.get("split") == "test" and bool(fields.get("people") or fields.get("held_out_questions"))
    ),
    "'weight' is for kind distribution: draws of a person have no weights": lambda fields: (
        bool(fields.get("weight")) and "distribution" not in fields.get("kinds", ())
    ),
    "'by' is for kind distribution: it splits the shares by group": lambda fields: (
        bool(fields.get("by")) and "distribution" not in fields.get("kinds", ())
    ),
    "'{{ about }}' has nothing to say: list the columns in 'about'": lambda fields: (
        not fields.get("about") and any("about" in clause.names for clause in _clauses(fields))
    ),
    "'table' and 'join' name more than one dataset, or revision of it: give one": lambda fields: (
        len({(table.dataset, table.revision) for table in _tables(fields) if table.dataset}) > 1
    ),
}
"""What is wrong -> whether it is, of what a file says together."""


def _clauses(fields: Mapping[str, Any]) -> list[Clause]:
    described = (*fields.get("descriptions", ()), *fields.get("populations", ()))
    return [*fields.get("input", ()), *(clause for description in described for clause in description)]


def _tables(fields: Mapping[str, Any]) -> list[FetchedTable]:
    tables = [fields["table"], *(join.table for join in fields.get("join", ()))]
    return [table for table in tables if isinstance(table, FetchedTable)]


def _text(key: str) -> Callable[[_Reader], str | None]:
    return lambda reader: reader.text(key)


_FIELDS: dict[str, Callable[[_Reader], Any]] = {
    "name": _Reader.name,
    "table": _Reader.table,
    "one_row_per": _Reader.shape,
    "kinds": _Reader.kinds,
    "process": lambda reader: reader.one_of("process", ("person", "question")),
    "reading": _Reader.reading,
    "join": _Reader.join,
    **{
        key: _text(key)
        for key in (
            "source", "title", "summary", "homepage", "citation", "creators", "attribution", "version", "question",
            "answer", "weight", "responses",
        )
    },
    "licence": lambda reader: reader.text("licence") or reader.text("license"),
    "redistributable": lambda reader: reader.one_of("redistributable", ("yes", "no", "unknown")),
    "commercial": lambda reader: reader.one_of("commercial", ("yes", "no", "unknown")),
    "languages": lambda reader: reader.texts("languages"),
    "group": lambda reader: reader.one_of("group", get_args(Group)),
    "split": lambda reader: reader.one_of("split", ("train", "test")),
    "person": _Reader.person,
    "questions": _Reader.questions,
    "about": _Reader.about,
    "descriptions": lambda reader: reader.alternatives("description", "descriptions"),
    "populations": lambda reader: reader.alternatives("population", "populations"),
    "by": lambda reader: reader.texts("by"),
    "at_least": lambda reader: reader.whole("at_least"),
    "input": _Reader.input,
    "options": _Reader.options,
    "ordered": lambda reader: reader.flag("ordered"),
    "letters": lambda reader: reader.flag("letters"),
    "shares": lambda reader: reader.one_of("shares", _SCALES),
    "people": lambda reader: reader.share("people"),
    "held_out_questions": lambda reader: reader.share("questions"),
    "sequences": _Reader.sequences,
}  # fmt: skip
"""Field of a :class:`TaskFile` -> how it is read."""

_OTHER_NAMES = {
    "task", "kind", "encoding", "separator", "sheet", "header", "missing", "also_missing", "license", "description",
    "population", "hold_out",
}  # fmt: skip
_KEYS = (_FIELDS.keys() - {"name", "kinds", "reading", "people", "held_out_questions"}) | _OTHER_NAMES
