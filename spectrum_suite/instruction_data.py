"""Instruction data in the layouts in which it is published -> conversations in our roles.

A conversation is a list of messages that ends with the response to train on: ``input`` is an instruction, ``output`` a
response, ``description`` a system message. A dialogue gives one conversation for each of its responses, with all turns
before it.
"""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value, load_dataset
from datasets.exceptions import DatasetsError

from spectrum_suite.content_key import content_key
from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.formats.render import Message, split_messages
from spectrum_suite.json_rows import has_dates, hub_json_rows, is_read_by_arrow, json_rows
from spectrum_suite.suite import could_be_on_hub, draw_rows

logger = logging.getLogger(__name__)

CONVERSATIONS = Features(
    {"id": Value("string"), "messages": List({"role": Value("string"), "content": Value("string")})}
)

Row = Mapping[str, Any]
Conversation = list[Message]

ROLES = {"system": "description", "user": "input", "assistant": "output"}
"""The roles of chats -> ours."""

_UNREADABLE = (DatasetsError, OSError, ValueError, TypeError, LookupError, NotImplementedError, csv.Error)
_READERS = {".json": "json", ".jsonl": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True)
class Layout:
    """A way in which instruction data is published.

    Attributes:
        columns: The columns by which it is known; all of them are needed.
        read: A row -> its conversations. It raises a KeyError, TypeError or ValueError where the row is not what it
            should be.
    """

    columns: frozenset[str]
    read: Callable[[Row], Iterator[Conversation]]


def named_data(data: Sequence[str]) -> dict[str, str]:
    """Short name -> dataset, of some that are given as paths or ids; one given twice counts once.

    Raises:
        UserError: Two have the same name.
    """
    found: dict[str, str] = {}
    for each in data:
        name = Path(each).stem
        if found.setdefault(name, each) != each:
            raise UserError(f"datasets {found[name]!r} and {each!r} have the same name: rename one of the files")
    return found


def load_conversations(
    data: str,
    *,
    layout: str = "auto",
    split: str = "train",
    limit: int | None = None,
    seed: int = 42,
    keep: Sequence[str] = (),
) -> Dataset:
    """The conversations of a dataset.

    Args:
        data: A file (.json, .jsonl, .csv or .parquet), a folder that `datasets` reads, or a dataset's id on a Hub.
        layout: A name of :data:`LAYOUTS`; ``auto`` goes by the columns.
        split: Of a folder or a dataset on a Hub; of a file ``train``, or a part of it such as ``train[:80%]``.
        limit: Conversations at most, drawn with ``seed``; None for all.
        seed: See ``limit``.
        keep: Other columns of the data that the conversations have too.

    Returns:
        Rows with columns ``id`` and ``messages`` and those of ``keep``, in the order of the data. A row without a
        response or an instruction is left out, and a warning counts these.

    Raises:
        UserError: There is no such data, layout or split, its columns are not known, a row is not what it
            should be, or no conversation is left.
    """
    rows = read_data(data, split)
    if missing := [column for column in keep if column not in rows.column_names]:
        hint = did_you_mean(missing[0], rows.column_names)
        raise UserError(f"data {data!r} has no column {missing[0]!r}{hint}: there are {', '.join(rows.column_names)}")
    name, found = _layout(data, layout, rows.column_names)
    stem, empty, kept = Path(data).stem, 0, []
    for number, row in enumerate(rows):
        try:
            conversations = list(found.read(row))
            for conversation in conversations:
                split_messages(conversation)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"data {data!r}, row {number + 1}, read as {name!r}: {error}; fix the row") from error
        for turn, conversation in enumerate(conversations):
            if not all(message["content"].strip() for message in conversation[-2:]):
                empty += 1
                continue
            row_id = f"{stem}/{number}" + (f"/{turn}" if turn else "")
            kept.append({"id": row_id, "messages": conversation, **{column: row[column] for column in keep}})
    if empty:
        logger.warning("%s: %d rows have no instruction or no response and are left out", data, empty)
    if not kept:
        raise UserError(f"data {data!r} has no row with an instruction and a response: check the file")
    features = Features({**CONVERSATIONS, **{column: rows.features[column] for column in keep}})
    return draw_rows(Dataset.from_list(kept, features=features), stem, limit=limit, seed=seed)


def read_data(data: str, split: str = "train", config: str | None = None, revision: str | None = None) -> Dataset:
    """The rows of a file (.json, .jsonl, .csv, .tsv or .parquet), a folder that `datasets` reads, or one on a Hub.

    Args:
        data: The path, or the id of a dataset on a Hub.
        split: Of a folder or a dataset on a Hub; of a file ``train``, or a part of it such as ``train[:80%]``.
        config: The configuration of a folder or a dataset on a Hub; needed where there are several.
        revision: Branch, tag or commit of a dataset on a Hub.

    Raises:
        UserError: There is no such data or split, or it cannot be read.
    """
    path = Path(data).expanduser()
    if path.is_file() and path.suffix not in _READERS:
        raise UserError(f"data {data!r} is not of a kind that is read: give one of {', '.join(_READERS)}")
    if not path.exists() and (not could_be_on_hub(data) or Path(data).suffix in _READERS):
        raise UserError(f"data {data!r} not found: check the path, or give the id of a dataset on a Hub")
    if path.is_file() and not path.stat().st_size:
        raise UserError(f"data {data!r} is an empty file: give one with rows")
    try:
        if path.is_file() and _READERS[path.suffix] == "json" and (exact := _json_with_dates(data, path, split)):
            return exact
        if path.is_file():
            options = _all_text(path) if _READERS[path.suffix] == "csv" else {}
            return load_dataset(
                _READERS[path.suffix], data_files=str(path), split=split, **content_key([path]), **options
            )
        which = {name: value for name, value in (("name", config), ("revision", revision)) if value is not None}
        return _with_texts(data, load_dataset(data, split=split, **which), split, which)
    except UserError:
        raise
    except _UNREADABLE as error:
        reason = (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"data {data!r} cannot be read: {reason}; check the file, its split or the connection"
        ) from error


def _json_with_dates(data: str, path: Path, split: str) -> Dataset | None:
    """The rows of a JSON file whose strings Arrow would take for dates, or that it cannot read; else None."""
    if is_read_by_arrow(path):
        try:
            rows = load_dataset("json", data_files=str(path), split="train", **content_key([path]))
        except _UNREADABLE:
            rows = None
        if rows is not None and not has_dates(rows.features):
            return None
    return json_rows(data, [path], split)


def _with_texts(data: str, rows: Dataset, split: str, which: Mapping[str, str]) -> Dataset:
    """Rows of a folder or of a dataset on a Hub, read again as text where its files are JSON with dates, or CSV."""
    if rows.info.builder_name == "csv":
        return load_dataset(data, split=split, **which, **_texts(rows.column_names))
    return (hub_json_rows(data, split, **which) if has_dates(rows.features) else None) or rows


def _all_text(path: Path) -> dict[str, Any]:
    """Options with which every field of a CSV file is text, "None" and "007" too.

    Raises:
        ValueError: A column appears twice, or a line has other fields than the header: they would be read as others.
    """
    delimiter = "\t" if path.suffix == ".tsv" else ","
    with path.open(newline="", encoding="utf-8-sig") as file, _long_fields():
        lines = csv.reader(file, delimiter=delimiter)
        header = next(lines, [])
        if twice := [name for name, count in Counter(header).items() if count > 1]:
            raise ValueError(f"the column {twice[0]!r} appears twice")
        for fields in lines:
            if fields and len(fields) != len(header):
                raise ValueError(f"line {lines.line_num} has {len(fields)} fields for {len(header)} columns")
    return _texts(header) | {"sep": delimiter}


@contextmanager
def _long_fields() -> Iterator[None]:
    """Within, a field of a CSV file may be as long as a book."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _texts(names: Iterable[str]) -> dict[str, Any]:
    return {"features": Features({name: Value("string") for name in names}), "keep_default_na": False}


def _layout(data: str, name: str, columns: list[str]) -> tuple[str, Layout]:
    if name != "auto":
        if name not in LAYOUTS:
            raise UserError(f"no layout {name!r}{did_you_mean(name, LAYOUTS)}: choose auto, {', '.join(LAYOUTS)}")
        if missing := sorted(LAYOUTS[name].columns - set(columns)):
            raise UserError(f"data {data!r} has no column {missing[0]!r}, which layout {name!r} needs: name another")
        return name, LAYOUTS[name]
    for known, layout in LAYOUTS.items():
        if layout.columns <= set(columns):
            return known, layout
    wanted = "; ".join(f"{known}: {', '.join(sorted(layout.columns))}" for known, layout in LAYOUTS.items())
    raise UserError(f"data {data!r} has the columns {', '.join(columns)}, of no known layout: rename them ({wanted})")


def _text(row: Row, column: str) -> str:
    """The text of a column, without white space or a byte order mark around it and with line breaks of one kind;
    missing is empty.
    """
    value = row.get(column)
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{column!r} holds {value!r}, which is not text")
    if value is not None and not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ValueError(f"{column!r} holds half of a character ({value!r})")
    return (value or "").replace("\r\n", "\n").strip().strip("\ufeff").strip()


def _exchange(instruction: str, response: str) -> Conversation:
    return [{"role": "input", "content": instruction}, {"role": "output", "content": response}]


def _answers(dialogue: Conversation) -> Iterator[Conversation]:
    """The conversation up to each response of a dialogue."""
    for position, message in enumerate(dialogue):
        if message["role"] == "output":
            if position == 0 or dialogue[position - 1]["role"] != "input":
                raise ValueError(f"message {position} is a response to nothing")
            yield dialogue[: position + 1]


def _messages(row: Row) -> Iterator[Conversation]:
    dialogue: Conversation = []
    messages = row["messages"] or ()
    if isinstance(messages, str):
        raise TypeError(f"'messages' holds the text {messages[:80]!r}, not a list")
    for position, message in enumerate(messages):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise TypeError(f"message {position} is {message!r}, without a 'role' and a 'content'")
        role = ROLES.get(message["role"], message["role"])
        dialogue.append({"role": role, "content": _text(message, "content")})
    yield from _answers(dialogue)


def _lima(row: Row) -> Iterator[Conversation]:
    turns = row["conversations"] or ()
    if isinstance(turns, str):
        raise TypeError(f"'conversations' holds the text {turns[:80]!r}, not a list")
    yield from _answers(
        [
            {"role": "output" if position % 2 else "input", "content": _text({"conversations": turn}, "conversations")}
            for position, turn in enumerate(turns)
        ]
    )


def _columns(instruction: str, response: str, given: str | None = None) -> Callable[[Row], Iterator[Conversation]]:
    """A reader of one exchange per row; the text of ``given``, where there is some, follows the instruction."""

    def read(row: Row) -> Iterator[Conversation]:
        asked = [_text(row, instruction), _text(row, given) if given else ""]
        yield _exchange("\n\n".join(filter(None, asked)), _text(row, response))

    return read


def _self_instruct(row: Row) -> Iterator[Conversation]:
    instruction = _text(row, "instruction")
    for instance in row["instances"] or ():
        if not isinstance(instance, Mapping):
            raise TypeError(f"'instances' holds {instance!r}, without an 'input' and an 'output'")
        asked = "\n\n".join(filter(None, [instruction, _text(instance, "input")]))
        yield _exchange(asked, _text(instance, "output"))


def _haiku(row: Row) -> Iterator[Conversation]:
    """A poem has no title: its instruction names its first line, so that instructions differ as poems do."""
    lines = [_text(row, column) for column in "012"]
    yield _exchange(f'Write a haiku that begins with the line "{lines[0]}".', "\n".join(filter(None, lines)))


def _squad(row: Row) -> Iterator[Conversation]:
    """A paragraph and a question about it, with its first answer; one that the paragraph does not answer has none."""
    for _, paragraph in _paragraphs(row):
        for pair in _list(paragraph, "qas"):
            answers = [_text(answer, "text") for answer in _list(pair, "answers")]
            asked = f"{_text(paragraph, 'context')}\n\n{_text(pair, 'question')}"
            yield _exchange(asked, answers[0] if answers else "")


def _squad_questions(row: Row) -> Iterator[Conversation]:
    """What a paragraph is about, and a question: in files of several languages the instruction is the same."""
    for title, paragraph in _paragraphs(row):
        for pair in _list(paragraph, "qas"):
            yield _exchange(f"Ask a question about this topic: {title}", _text(pair, "question"))


def _paragraphs(row: Row) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The paragraphs of a file in the layout of SQuAD, each with the title of its article."""
    for article in _list(row, "data"):
        for paragraph in _list(article, "paragraphs"):
            yield _text(article, "title").replace("_", " "), paragraph


def _list(row: Row, column: str) -> Sequence[Mapping[str, Any]]:
    """The mappings that a column holds."""
    found = row[column]
    if not isinstance(found, Sequence) or isinstance(found, str) or not all(isinstance(one, Mapping) for one in found):
        raise TypeError(f"{column!r} holds {str(found)[:80]!r}, which is not a list of objects")
    return found


LAYOUTS: Mapping[str, Layout] = {
    "messages": Layout(frozenset({"messages"}), _messages),
    "lima": Layout(frozenset({"conversations"}), _lima),
    "self_instruct": Layout(frozenset({"instruction", "instances"}), _self_instruct),
    "dolly": Layout(frozenset({"instruction", "response"}), _columns("instruction", "response", "context")),
    "instruction": Layout(frozenset({"instruction", "output"}), _columns("instruction", "output", "input")),
    "mbpp": Layout(frozenset({"text", "code"}), _columns("text", "code")),
    "gsm8k": Layout(frozenset({"question", "answer"}), _columns("question", "answer")),
    "haikus": Layout(frozenset("012"), _haiku),
    "squad": Layout(frozenset({"data", "version"}), _squad),
    "squad_questions": Layout(frozenset({"data", "version"}), _squad_questions),
}
"""Name -> layout. ``auto`` takes the first whose columns are there."""
