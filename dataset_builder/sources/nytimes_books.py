"""How likely readers of four groups are to read a book of the New York Times' lists of notable books.

Upstream: https://github.com/nicolemeister/benchmarking-distributional-alignment (arXiv 2411.05403). Licence: unstated.
A raw row (made up), with one of the groups Democrat, Republican, Male, Female:

    "Salt Roads By Ana Example": {"MC_options": ["1: Very unlikely", "2: Somewhat unlikely", "3: Somewhat likely",
     "4: Very likely"], "genre": "Fiction", "summary": "A family crosses a desert.", "Democrat":
     {"1: Very unlikely": 4, "2: Somewhat unlikely": 2, "3: Somewhat likely": 1, "4: Very likely": 0}}

The whole file: 235 books, each with answers of all four groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import Dropped, Example, RawFiles, Source, SourceFile, Target, TaskSpec

_REVISION = "36869b56b214b5ddce13dc234d62b4cbce3706cd"
_PATH = "nytimes/NYTIMES_proportions.json"
_REPOSITORY = "nicolemeister/benchmarking-distributional-alignment"

NYTIMES_BOOKS = Source(
    name="nytimes_books",
    title="NYTimes Books reading likelihood (distributional-alignment benchmark)",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="unstated",
    redistributable="unknown",
    citation="arXiv 2411.05403",
    folder="nytimes",
    revision=_REVISION,
    files=(
        SourceFile(
            _PATH,
            f"https://raw.githubusercontent.com/{_REPOSITORY}/{_REVISION}/{_PATH}",
            "854d0321e338ed5acc6c70efe4276f471822308f1c87235b0e72bfac830a46de",
        ),
    ),
)

GROUPS = {"Democrat": "is a Democrat", "Republican": "is a Republican", "Male": "is male", "Female": "is female"}
ATTRIBUTES = {"Democrat": "party", "Republican": "party", "Male": "gender", "Female": "gender"}
ANSWERS = ("1: Very unlikely", "2: Somewhat unlikely", "3: Somewhat likely", "4: Very likely")
OPTIONS = ("1", "2", "3", "4")


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per book and group, in upstream order."""
    path = raw_files[_PATH]
    books = raw.read_json(path)
    if not isinstance(books, dict):
        raise raw.bad_row(path, 1, f"the file is not a JSON object of books but {type(books).__name__}")
    for row, (title, book) in enumerate(books.items(), start=1):
        with raw.at_row(path, row):
            items = [_item(title, book, group) for group in GROUPS]
        yield from items


def _item(title: str, book: dict[str, Any], group: str) -> Example | Dropped:
    genre, summary = (str.strip(book[name]) for name in ("genre", "summary"))
    if tuple(book["MC_options"]) != ANSWERS:
        raise ValueError(f"the options of {title!r} are {book['MC_options']!r} instead of {list(ANSWERS)!r}")
    counts = [book[group][answer] for answer in ANSWERS]
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError(f"the answers of group {group!r} on {title!r} are not counts: {counts!r}")
    if not (total := sum(counts)):
        return Dropped("no respondent of the group answered")
    question = "\n".join((title.strip(), f"Genre: {genre}", f"Summary: {summary}", *ANSWERS))
    target = Target(question, OPTIONS, tuple(count / total for count in counts), n_responses=total)
    groups = ((ATTRIBUTES[group], group),)
    return Example(f"{title}/{group}", (_description(group),), target=target, groups=groups, ordered=True)


def _description(group: str) -> str:
    spelled = ", ".join(answer.replace(": ", " = ").lower() for answer in ANSWERS)
    return (
        f"A random respondent who {GROUPS[group]} is shown a book and answers how likely they are to read it. The "
        f"answer is one number: {spelled}."
    )


TASKS = [
    TaskSpec(
        name="dist_nytimes",
        kind="distribution",
        split="test",
        source=NYTIMES_BOOKS,
        group="human_variation",
        summary="How likely a random respondent of a group says they are to read a book.",
        process="one book and one group",
        inputs=("book",),
        outputs=("answer",),
        options=OPTIONS,
        read=read,
        output_label="Reading Likelihood (1, 2, 3, 4)",
        version="1.1.0",
        more_columns=("groups", "ordered"),
        quirks="A group without answers to a book is dropped; the release takes a uniform target (none is so far).",
    )
]
