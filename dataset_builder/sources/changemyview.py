"""Threads of Reddit's ChangeMyView, whose authors give a view and ask to be argued out of it.

Upstream: https://zenodo.org/records/3778298 (Webis-CMV-20). Licence: CC BY 4.0, not verified. A raw line (made up):

    {"title": "CMV: Soup is a drink", "selftext": "You can sip it from a cup.", "score": 12, "num_comments": 5,
     "comments": [{"body": "So is stew, then?", "score": 3}]}

The file has many gigabytes: it is read line by line, and only the lines of the sample are decoded.

Nothing rests on ids: a post counts as another's copy where title and text are the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dataset_builder import raw
from dataset_builder.task_spec import Dropped, RawFiles, Source, SourceFile
from spectrum_suite.seeding import stable_sample

_PATH = "threads.jsonl"

CHANGEMYVIEW = Source(
    name="changemyview",
    title="Webis-CMV-20: Reddit ChangeMyView threads",
    homepage="https://zenodo.org/records/3778298",
    license="CC BY 4.0 (not verified)",
    redistributable="unknown",
    commercial="unknown",
    creators="Khalid Al-Khatib, Michael Völske and others, Webis",
    citation="https://doi.org/10.5281/zenodo.3778298",
    folder="changemyview",
    revision="3778298",
    files=(SourceFile(_PATH, "https://zenodo.org/records/3778298/files/threads.jsonl.bz2"),),
)

_MAX_THREADS, _MIN_COMMENTS = 10_000, 5
_FOOTNOTE = re.compile(r"footnote from (?:your|the) moderators", re.IGNORECASE)
_RULE_AT_END = re.compile(r"(?:\s*^[_*-]{3,}\s*)+\Z", re.MULTILINE)
_USER = re.compile(r"(?:https?://)?(?:[\w.]*reddit\.com)?/?\bu(?:ser)?/[\w-]{3,20}")
_GONE = {"", "[deleted]", "[removed]"}


class Thread(NamedTuple):
    """The opening post of a thread, and the line it is at."""

    line: int
    title: str
    selftext: str
    score: int


def read_threads(raw_files: RawFiles) -> Iterator[Thread | Dropped]:
    """The usable ones of a fixed pseudo-random sample of threads, in upstream order, without repetitions."""
    path = raw_files[_PATH]
    with path.open("rb") as file:
        total = sum(1 for _ in file)
    if not total:
        raise raw.bad_row(path, 1, "the file is empty")
    if total > _MAX_THREADS:
        yield Dropped(f"thread beyond the sample of {_MAX_THREADS}", total - _MAX_THREADS)
    seen = set()
    for number, line in _sampled(path, total):
        with raw.at_row(path, number):
            thread = _thread(number, json.loads(line.decode()))
        if isinstance(thread, Dropped):
            yield thread
        elif (thread.title, thread.selftext) in seen:
            yield Dropped("post that came before")
        else:
            seen.add((thread.title, thread.selftext))
            yield thread


def _sampled(path: Path, total: int) -> Iterator[tuple[int, bytes]]:
    """(number, line) of at most so many of all lines."""
    chosen = stable_sample(map(str, range(1, total + 1)), _MAX_THREADS, "changemyview")
    with path.open("rb") as file:
        yield from ((number, line) for number, line in enumerate(file, start=1) if str(number) in chosen)


def _thread(number: int, row: dict[str, Any]) -> Thread | Dropped:
    title, selftext = cleaned(row["title"]), cleaned(row.get("selftext") or "")
    score, n_comments, comments = row["score"], row["num_comments"], row["comments"]
    if not isinstance(score, int) or not isinstance(n_comments, int):
        raise TypeError(f"'score' {score!r} or 'num_comments' {n_comments!r} is not a whole number")
    if not isinstance(comments, list) or not all(isinstance(comment, dict) for comment in comments):
        raise TypeError("'comments' is not a list of JSON objects")
    if not title or not selftext:
        return Dropped("title or body empty, deleted or removed")
    if n_comments < _MIN_COMMENTS:
        return Dropped(f"fewer than {_MIN_COMMENTS} comments")
    if not any(cleaned(comment.get("body") or "") for comment in comments):
        return Dropped("no comment with text")
    return Thread(number, title, selftext, score)


def cleaned(text: str) -> str:
    """The text without the moderators' footnote and without names of users; empty when it was deleted or removed."""
    lines = [line for line in str.splitlines(text) if not _FOOTNOTE.search(line)]
    body = _USER.sub("another user", _RULE_AT_END.sub("", "\n".join(lines))).strip()
    return "" if body in _GONE else body
