"""The number game: whether a random person says that a number belongs to a set of which some numbers are shown.

Upstream: https://doi.org/10.7910/DVN/A8ZWLF (doi 10.5334/jopd.19), to be fetched by hand. Licence: unstated. A raw row
(made up):

    set,target,rating,id,p
    2_ 4_ 8,16,1,0,0.9
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dataset_builder.sources.numbergame import ANSWERS, GAME, NUMBERGAME, listed, read_table
from dataset_builder.task_spec import Dropped, Example, RawFiles, Target, TaskSpec

_MIN_ANSWERS = 9


def read_targets(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per set and target with at least 9 answers, in order of appearance."""
    table = yield from read_table(raw_files)
    pairs = table.group_by("set", "target", maintain_order=True).agg(pl.len(), pl.col("rating").sum()).rows()
    for numbers, target, answers, yes in pairs:
        if answers < _MIN_ANSWERS:
            yield Dropped(f"answer to a pair with fewer than {_MIN_ANSWERS}", answers)
            continue
        prompt = f"Numbers of the set: {listed(numbers)}\nTarget: {target}"
        shares = (yes / answers, 1 - yes / answers)
        truth = Target(prompt, tuple(ANSWERS.values()), shares, n_responses=answers)
        yield Example(f"{numbers}/{target}", (f"{GAME} Does the target belong to the set: Yes or No?",), target=truth)


TASKS = [
    TaskSpec(
        name="dist_numbergame",
        kind="distribution",
        split="test",
        source=NUMBERGAME,
        group="human_variation",
        summary="Whether a random person takes a number for a member of a set of which they know some numbers.",
        process="one set of numbers and one target number",
        inputs=("example",),
        outputs=("answer",),
        options=tuple(ANSWERS.values()),
        read=read_targets,
        domain="Math",
        output_label="Target Number Membership (Yes/No)",
    ),
]
