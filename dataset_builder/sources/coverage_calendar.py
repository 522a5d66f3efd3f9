"""Requests for a day of the week, in full, abbreviated or either.

Upstream: none. Licence: Apache-2.0, as the code. A raw row:

    description "Name a day of the week.", example "Thursday"
"""

from __future__ import annotations

from dataset_builder.sources.coverage import coverage_task

_SAME = "The ways to write a day are the same item when the different ones are counted."

TASKS = [
    coverage_task(
        "cov_weekdays_full",
        "Name a day of the week.",
        ("Thursday", "Sunday", "Tuesday"),
        summary="The seven days of the week, in full.",
        validator="weekday_name",
        max_new_tokens=10,
        quirks=_SAME,
    ),
    coverage_task(
        "cov_weekdays_abbreviated",
        "Each output is a day of the week, abbreviated.",
        ("Wed", "Sat.", "MON"),
        summary="The seven days of the week, abbreviated to three letters.",
        validator="weekday_abbreviation",
        max_new_tokens=5,
        quirks=_SAME,
    ),
    coverage_task(
        "cov_weekdays_any_format",
        "Name a day of the week, in full or abbreviated.",
        ("Friday", "Tue", "Su"),
        summary="The seven days of the week, in full or abbreviated.",
        validator="weekday_any",
        max_new_tokens=10,
        quirks=_SAME,
    ),
]
