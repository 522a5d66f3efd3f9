"""Netflix Prize: the stars that one customer gave to movies, and the movies that one customer has seen.

Upstream: https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data. Licence and raw rows: see
``netflix_ratings.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import polars as pl

from dataset_builder.sources.netflix_ratings import NETFLIX, read_ratings, read_titles
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import stable_sample

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


TASKS = [
    _task(
        "ratings",
        "The stars that one customer gives to movies.",
        inputs=("title",),
        output="rating_str",
        max_people=_MAX_RATERS,
    ),
    _task("views", "The movies that one customer has seen.", inputs=(), output="title", max_people=_MAX_VIEWERS),
]
