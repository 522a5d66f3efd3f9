"""Reads a task file: YAML that says where a table is and how its rows become processes.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import yaml

from dataset_builder.task_files.reading import Reading
from dataset_builder.task_files.sentences import Clause
from dataset_builder.task_files.table import MISSING
from dataset_builder.task_spec import Group, Mix, Sequences
from spectrum_suite.errors import UserError, did_you_mean

Shape = Literal["answer", "person", "question"]
KINDS = ("icl", "distribution")
_ON_HUB = re.compile(r"hf://datasets/(?P<dataset>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[^/]+))?/(?P<path>.+)")
OPEN, FOUND = "open", "found"
SUFFIXES = (".yaml", ".yml")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WHOLE_NUMBER = re.compile(r"^(-?\d+)(?:\.0+|,00?)$")
_UNSEEN = {"Cc", "Cf"}
_MARKS = {ord(sign): plain for plain, signs in {"'": "‘’‚‛", '"': "“”„‟", "-": "‐‑‒–—−"}.items() for sign in signs}
_SCALES = ("auto", "shares", "percentages", "counts")


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
    """A table that is not beside the task file.

    Attributes:
        path: The name of its file, also where it lies beside the task file.
        url: Its address, where it has one.
        sha256: The checksum of what the address gives.
        dataset: A data set on the Hub, ``ORG/NAME``.
        revision: A commit, tag or branch of it; empty for the newest.
        config: The configuration of which a split is the table; empty for the only one.
        split: That split; empty where the table is a file of the data set.
    """

    path: str
    url: str = ""
    sha256: str = ""
    dataset: str = ""
    revision: str = ""
    config: str = ""
    split: str = ""


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
        by: Columns of ``about`` by whose values the shares are also told apart.
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
    def table_path(self) -> str:
        """The table's name among the files of the task."""
        return self.table if isinstance(self.table, str) else self.table.path

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


def read_task_file(path: Path) -> TaskFile:
    """Read and check a task file.

    Raises:
        UserError: It cannot be read, or something in it is wrong: a line for each thing that is.
    """
    return _Reader(path, _entries(path)).task_file()


def _entries(path: Path) -> dict[str, Any]:
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"task file {str(path)!r} cannot be read ({error.strerror}): check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"task file {str(path)!r} is not text in UTF-8: save it as such") from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1})" if place else ""
        why = f"{getattr(error, 'problem', error)}; put texts with '?', ':', ',' or '#' into quotes"
        raise UserError(f"task file {str(path)!r} is not YAML{where}: {why}") from error
    if not isinstance(entries, dict):
        raise UserError(f"task file {str(path)!r} is not a mapping: write lines such as 'table: food.csv'")
    return entries


class _Reader:
    """Turns the entries of a file into a :class:`TaskFile`, gathering all that is wrong with them."""

    def __init__(self, path: Path, entries: Mapping[str, Any]) -> None:
        self.path = path
        self.entries = {str(key): value for key, value in entries.items()}
        self.wrong: list[str] = []

    def task_file(self) -> TaskFile:
        for key in self.entries:
            if key not in _KEYS:
                self.wrong.append(f"{key!r} is not a key{did_you_mean(key, _KEYS)}")
        fields = {name: value for name, read in _FIELDS.items() for value in [read(self)] if value is not None}
        if not self.wrong:
            self._check_together(fields)
        if self.wrong:
            raise UserError(f"task file {str(self.path)!r}: " + "; ".join(self.wrong))
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
        self.wrong += [why for why, is_wrong in _RULES.items() if is_wrong(fields)]
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
        """Note what is wrong with a key."""
        self.wrong.append(f"'{key}' {why}")

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
            case {**entries} if entries.keys() <= {"text", "options", "ordered"}:
                inner = _Reader(self.path, entries)
                options = inner.options()
                question = Question(
                    column,
                    inner.text("text") or "",
                    options if isinstance(options, Mapping) else None,
                    inner.flag("ordered"),
                )
                self.wrong += [f"questions.{column}: {line}" for line in inner.wrong]
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
            self.wrong.append(str(error))
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
        return value if value is None or (type(value) is int and value > 0) else self.no(key, "is no number from 1")

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


def spelling(text: str) -> str:
    """What two spellings of a text share: they differ in blanks, capitals, kinds of quotes and dashes, HTML entities,
    characters that are not seen, or the notation of a whole number."""
    text = " ".join(unicodedata.normalize("NFC", unescape(text)).translate(_MARKS).split())
    text = "".join(sign for sign in text if unicodedata.category(sign) not in _UNSEEN)
    return _WHOLE_NUMBER.sub(r"\1", " ".join(text.split()).casefold())


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
    "question": ("person", "answer", "questions", "weight", "about", "people"),
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
    "'by' is for kind distribution: it tells the shares of groups apart": lambda fields: (
        bool(fields.get("by")) and "distribution" not in fields.get("kinds", ())
    ),
}
"""What is wrong -> whether it is, of what a file says together."""


def _text(key: str) -> Callable[[_Reader], str | None]:
    return lambda reader: reader.text(key)


_FIELDS: dict[str, Callable[[_Reader], Any]] = {
    "name": _Reader.name,
    "table": _Reader.table,
    "one_row_per": _Reader.shape,
    "kinds": _Reader.kinds,
    "process": lambda reader: reader.one_of("process", ("person", "question")),
    "reading": _Reader.reading,
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


def yaml_files(path: Path) -> Iterator[Path]:
    """The task files that a path names: itself, or those of a folder, sorted."""
    if path.is_dir():
        yield from sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
    else:
        yield path
