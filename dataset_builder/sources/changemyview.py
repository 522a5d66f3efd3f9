"""Threads of Reddit's ChangeMyView, whose authors state a view and ask to be argued out of it.

Upstream: https://zenodo.org/records/3778298 (Webis-CMV-20). Licence: CC BY 4.0, not verified. A raw line (made up):

    {"title": "CMV: Soup is a drink", "selftext": "You can sip it from a cup.", "score": 12, "num_comments": 5,
     "comments": [{"body": "So is stew, then?", "score": 3}]}

The file has many gigabytes: it is read line by line, and only the lines of the sample are decoded. No id is relied on:
a post counts as a copy of another where title and text are the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec
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


_WHERE = "the forum ChangeMyView, where people post a view on which they might change their mind"
_TEXTS = {
    "posts": (
        f"Posts (title and body) from {_WHERE}.",
        "Each output is the title and text of a post by someone who holds a view and is open to change their mind.",
    ),
    "titles": (
        f"Titles of posts from {_WHERE}.",
        "Each output states a view in one line, the title of a post by someone who is open to change their mind.",
    ),
}
_PARTS = {
    "selftext_from_title": (
        f"The input is the title of a post from {_WHERE}. The output is the text of the post.",
        "Given the title of a ChangeMyView post, write the post.",
    ),
    "title_from_selftext": (
        f"The input is the text of a post from {_WHERE}. The output is its title.",
        "Given the text of a ChangeMyView post, write its title.",
    ),
    "score_from_title_selftext": (
        f"The input is a post from {_WHERE}. The output is its score: upvotes minus downvotes.",
        "How a ChangeMyView post, given by title and text, is scored: the number of upvotes less that of downvotes.",
    ),
}
_MAX_DRAWS = 7500  # of a variant: hardly ever more than 500 sequences of mean length 16


def read_texts(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """Two processes: whole posts and titles, each text once."""
    texts: dict[str, dict[str, None]] = {name: {} for name in _TEXTS}
    for thread in read_threads(raw_files):
        if isinstance(thread, Dropped):
            yield thread
        else:
            texts["posts"][f"{thread.title}\n\n{thread.selftext}"] = None
            texts["titles"][thread.title] = None
    for name, distinct in texts.items():
        if distinct:
            yield Example(name, _TEXTS[name], tuple(Draw(None, text) for text in distinct))


def read_parts(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """Three processes: the body for a title, the title for a body, and the score of both."""
    threads = []
    for thread in read_threads(raw_files):
        if isinstance(thread, Dropped):
            yield thread
        else:
            threads.append(thread)
    for variant, descriptions in _PARTS.items():
        chosen = stable_sample((str(thread.line) for thread in threads), _MAX_DRAWS, variant)
        if len(threads) > len(chosen):
            yield Dropped(f"post beyond the {_MAX_DRAWS} of the variant {variant}", len(threads) - len(chosen))
        if draws := tuple(_draw(variant, thread) for thread in threads if str(thread.line) in chosen):
            yield Example(variant, descriptions, draws)


def _draw(variant: str, thread: Thread) -> Draw:
    if variant == "selftext_from_title":
        return Draw(thread.title, thread.selftext)
    if variant == "title_from_selftext":
        return Draw(thread.selftext, thread.title)
    post = {"title": thread.title, "selftext": thread.selftext}
    return Draw(json.dumps(post, ensure_ascii=False), str(thread.score))


_QUIRKS = "Names of users in the texts are replaced by 'another user'. "


TASKS = [
    TaskSpec(
        name="changemyview_categories",
        kind="icl",
        split="train",
        source=CHANGEMYVIEW,
        group="text_collections",
        summary="Posts, or titles, of people who hold a view and might change their mind.",
        process="one list: whole posts or titles",
        outputs=("text",),
        sequences=Sequences("partition", Mix(16)),
        read=read_texts,
        domain="Conversation",
        quirks=_QUIRKS.strip(),
        version="1.1.0",
    ),
    TaskSpec(
        name="changemyview_posts",
        kind="icl",
        split="train",
        source=CHANGEMYVIEW,
        group="text_collections",
        summary="The body, the title or the score of a post, given the rest.",
        process="what is given and what is wanted",
        inputs=("title", "selftext"),
        outputs=("selftext", "title", "score"),
        sequences=Sequences("partition", Mix(16)),
        read=read_parts,
        domain="Conversation",
        quirks=_QUIRKS + f"A variant has at most {_MAX_DRAWS} posts, about 470 sequences.",
        version="1.1.0",
    ),
]
