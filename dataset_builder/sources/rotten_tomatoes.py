"""Rotten Tomatoes: which share of critics, and of the audience, liked each of some thousand movies of 1970 to 2024.

Upstream: https://www.reddit.com/r/datasets/comments/1ecj6m2/dataset_for_rotten_tomatoes_movies_1970_2024/, which links
a shared drive. Licence: unstated. A raw row (made up):

    title,url,release_date,critic_score,audience_score
    The Quiet Kiln,https://example.org/the_quiet_kiln,"Mar 3, 2001",87%,90%

Titles are repeated, sometimes with the same date: the first row is used, others are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Dropped, Example, RawFiles, Source, SourceFile, Target, TaskSpec

_PATH = "rotten_tomatoes_data_1970_2024/movie_info.csv"

ROTTEN_TOMATOES = Source(
    name="rotten_tomatoes",
    title="Rotten Tomatoes scores of movies, 1970 to 2024",
    homepage="https://www.reddit.com/r/datasets/comments/1ecj6m2/dataset_for_rotten_tomatoes_movies_1970_2024/",
    license="unstated",
    redistributable="unknown",
    citation="Dataset for Rotten Tomatoes movies 1970-2024, r/datasets, 2024",
    folder="rotten_tomatoes",
    files=(SourceFile(_PATH),),
)

OPTIONS = ("Good", "Bad")
_DESCRIPTIONS = {
    "critic": "A random film critic says whether a movie is Good or Bad.",
    "audience": "A random person who has seen the movie says whether it is Good or Bad.",
}
_NO_SCORE = ("", "--")
_PERCENT = re.compile(r"(\d{1,3})%?")


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per movie and audience that scored it, in upstream order."""
    path = raw_files[_PATH]
    columns = ("title", "release_date", *(f"{audience}_score" for audience in _DESCRIPTIONS))
    seen = set()
    for row, values in enumerate(raw.read_csv(path, dict.fromkeys(columns, pl.String)).iter_rows(), start=1):
        title, date, *scores = (" ".join((value or "").split()) for value in values)
        movie = f"{title}\nRelease date: {date}" if date else title
        if not title or movie in seen:
            yield Dropped("movie with the title and date of one above" if title else "movie without a title")
            continue
        seen.add(movie)
        for (audience, description), score in zip(_DESCRIPTIONS.items(), scores, strict=True):
            with raw.at_row(path, row):
                percent = _percent(score)
            if percent is None:
                yield Dropped(f"movie without a score by the {audience}")
            else:
                target = Target(movie, OPTIONS, (percent / 100, (100 - percent) / 100))
                yield Example(f"{title}/{date}/{audience}", (description,), target=target)


def _percent(score: str) -> int | None:
    """87 for ``87%``; None where there is no score."""
    if score in _NO_SCORE:
        return None
    if not (match := _PERCENT.fullmatch(score)) or int(match[1]) > 100:  # noqa: PLR2004
        raise ValueError(f"the score {score!r} is not a percentage")
    return int(match[1])


TASKS = [
    TaskSpec(
        name="dist_rotten_tomatoes",
        kind="distribution",
        split="test",
        source=ROTTEN_TOMATOES,
        group="human_variation",
        summary="Whether a random critic, or person in the audience, finds a movie good or bad.",
        process="one movie and one audience, critics or viewers",
        inputs=("movie",),
        outputs=("answer",),
        options=OPTIONS,
        read=read,
        domain="Culture",
        output_label="Movie Rating (Good or Bad)",
        quirks="A second row of the same title and date is dropped: one prompt has one target.",
    )
]
