"""Netflix Prize: the stars that one customer gave to movies, and the movies that one customer has seen.

Upstream: https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data. Licence: restricted, research on the prize
only. Raw rows (made up): a movie's id, then the customer, stars and date of each rating; and id, year and title, in
Latin-1 and with unquoted commas:

    7:                         7,1998,Bread, Butter and Salt
    1201,4,2004-05-06          8,NULL,A Canção

The whole files: 17,770 movies in four files, of which the first three are read, in blocks, so that 75 million ratings
need little memory; each movie begins once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.gathered_answers import gathered
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.seeding import stable_sample

_RATINGS = tuple(f"combined_data_{part}.txt" for part in (1, 2, 3))
_TITLES = "movie_titles.csv"

NETFLIX = Source(
    name="netflix",
    title="Netflix Prize ratings",
    homepage="https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data",
    license="restricted: research on the Netflix Prize, no redistribution",
    redistributable="no",
    commercial="no",
    citation="Bennett and Lanning 2007, The Netflix Prize, KDD Cup and Workshop",
    folder="netflix",
    files=tuple(SourceFile(path) for path in (*_RATINGS, _TITLES)),
)

_BLOCK_BYTES = 1 << 25
_DATE_CHARS, _RATING_CHARS = len(",2004-05-06"), len(",4,2004-05-06")
_LINE = r"^(?:\d{1,9}:|\d{1,9},[1-5],\d{4}-\d{2}-\d{2})$"


def read_titles(raw_files: RawFiles) -> dict[int, str]:
    """Movie id -> title."""
    path = raw_files[_TITLES]
    titles: dict[int, str] = {}
    for row, line in enumerate(path.read_text(encoding="latin-1").removesuffix("\n").split("\n"), start=1):
        with raw.at_row(path, row):
            number, _, title = line.split(",", 2)
            if not title.strip() or int(number) in titles:
                raise ValueError(f"movie {number} has no title, or another one above")
            titles[int(number)] = title.strip()
    return titles


def read_ratings(raw_files: RawFiles, titles: dict[int, str]) -> Iterator[pl.DataFrame]:
    """Blocks of ratings in upstream order, with columns movie, customer and rating.

    Args:
        raw_files: Upstream path -> local path.
        titles: The known movies.

    Raises:
        UserError: A line is neither a movie nor a rating, a movie has no title or is repeated, a rating no movie.
    """
    seen: set[int] = set()
    for name in _RATINGS:
        movie = None
        for first_row, lines in _lines(raw_files[name]):
            block = _parse(raw_files[name], first_row, lines, movie)
            for row, number in block.filter(pl.col("customer").is_null()).select("row", "movie").iter_rows():
                if number in seen or number not in titles:
                    why = "is repeated" if number in seen else f"is not in {_TITLES}"
                    raise raw.bad_row(raw_files[name], row, f"movie {number} {why}")
                seen.add(number)
            movie = block["movie"][-1]
            yield block.drop_nulls("customer").drop("row")


def _lines(path: Path) -> Iterator[tuple[int, pl.Series]]:
    """Number of the first line, and lines, of each block."""
    first_row = 1
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES) + file.readline():
            text = block.decode("ascii", errors="replace").removesuffix("\n")
            lines = pl.Series("line", [text]).str.split("\n").explode()
            yield first_row, lines
            first_row += len(lines)
    if first_row == 1:
        raise raw.bad_row(path, 1, "the file is empty")


def _parse(path: Path, first_row: int, lines: pl.Series, movie: int | None) -> pl.DataFrame:
    """Row, movie, customer and rating of each line; customer and rating are null where a movie begins."""
    if len(bad := (~lines.str.contains(_LINE)).arg_true()):
        why = f"the line {lines[bad[0]]!r} is neither 'movie:' nor 'customer,rating,date'"
        raise raw.bad_row(path, first_row + bad[0], why)
    line, is_movie, last_movie = pl.col("line"), pl.col("line").str.ends_with(":"), pl.lit(movie, pl.UInt32)
    block = lines.to_frame().select(
        pl.int_range(first_row, first_row + len(lines)).alias("row"),
        pl.when(is_movie).then(line.str.head(-1)).cast(pl.UInt32).forward_fill().fill_null(last_movie).alias("movie"),
        pl.when(~is_movie).then(line.str.head(-_RATING_CHARS)).cast(pl.UInt32).alias("customer"),
        pl.when(~is_movie).then(line.str.head(-_DATE_CHARS).str.tail(1)).cast(pl.UInt8).alias("rating"),
    )
    if block["movie"][0] is None:
        raise raw.bad_row(path, first_row, "a rating comes before the first movie")
    return block


_MIN_RATINGS, _MAX_VIEWERS, _MAX_RATERS = 10, 2000, 1000
STARS = ("1", "2", "3", "4", "5")

_RATING_TEXTS = (
    "Star ratings of movies, all by the same person.",
    "One person rates movies with 1 to 5 stars, where 5 is best.",
)
_VIEW_TEXTS = (
    "Movies that one person has seen.",
    "Titles of movies, all of them watched and rated by the same person.",
)


def read(raw_files: RawFiles, *, max_people: int, stars: bool) -> Iterator[Example | Dropped]:
    """One process per customer, by their first rating; the files are read twice and never held whole.

    Args:
        raw_files: Upstream path -> local path.
        max_people: How many of the customers with enough ratings are chosen; fewer are a subset of more.
        stars: Whether draws are titles and their stars, or titles alone.
    """
    titles = read_titles(raw_files)
    counts = _ratings_per_customer(raw_files, titles)
    enough = counts.filter(pl.col("ratings") >= _MIN_RATINGS)
    names = stable_sample(map(str, enough["customer"]), max_people, NETFLIX.name)
    people = enough.filter(pl.col("customer").cast(pl.String).is_in(list(names)))
    all_ratings, of_enough, kept = (table["ratings"].sum() for table in (counts, enough, people))
    if of_enough < all_ratings:
        yield Dropped(f"rating by a person with fewer than {_MIN_RATINGS}", all_ratings - of_enough)
    if kept < of_enough:
        yield Dropped(f"rating by a person beyond the {max_people}", of_enough - kept)
    chosen = people["customer"].implode()
    blocks = [block.filter(pl.col("customer").is_in(chosen)) for block in read_ratings(raw_files, titles)]
    for (customer,), group in pl.concat(blocks).partition_by("customer", as_dict=True, maintain_order=True).items():
        rated = [(titles[movie], str(rating)) for movie, rating in group.select("movie", "rating").iter_rows()]
        draws = tuple(Draw(title, rating) if stars else Draw(None, title) for title, rating in rated)
        yield Example(str(customer), _RATING_TEXTS if stars else _VIEW_TEXTS, draws)


def _ratings_per_customer(raw_files: RawFiles, titles: dict[int, str]) -> pl.DataFrame:
    counts = pl.DataFrame(schema={"customer": pl.UInt32, "ratings": pl.UInt32})
    for block in read_ratings(raw_files, titles):
        in_block = block.group_by("customer").agg(pl.len().cast(pl.UInt32).alias("ratings"))
        counts = pl.concat([counts, in_block]).group_by("customer").sum()
    return counts


def _task(name: str, summary: str, *, inputs: tuple[str, ...], output: str, max_people: int) -> TaskSpec:
    stars = bool(inputs)
    return TaskSpec(
        name=f"netflix_individual_{name}",
        kind="icl",
        split="train",
        source=NETFLIX,
        group="human_variation",
        summary=summary,
        process="one customer",
        inputs=inputs,
        outputs=(output,),
        sequences=Sequences("one", Mix(64)),
        options=STARS if stars else None,
        read=partial(read, max_people=max_people, stars=stars),
        domain="Culture",
        quirks="Customers are chosen by a hash of their ids, the same everywhere; the release draws others.",
    )


_RATINGS_TASK = _task(
    "ratings",
    "The stars that one customer gives to movies.",
    inputs=("title",),
    output="rating_str",
    max_people=_MAX_RATERS,
)

TASKS = [
    _RATINGS_TASK,
    _task("views", "The movies that one customer has seen.", inputs=(), output="title", max_people=_MAX_VIEWERS),
    gathered(
        _RATINGS_TASK,
        "netflix",
        "How different customers rate a film.",
        "Customers of a film rental rate films from 1 to 5 stars. Each output is the rating of another customer.",
    ),
]
