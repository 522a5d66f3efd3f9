"""Requests for one of the 50 U.S. states, by name, by code or by either.

Upstream: none. Licence: Apache-2.0, as the code. A raw row:

    description "Name a state of the United States.", example "Vermont"
"""

from __future__ import annotations

from dataset_builder.sources.coverage import coverage_task

TASKS = [
    coverage_task(
        "cov_us_states_full_names",
        "Name a state of the United States.",
        ("Vermont", "New Mexico", "Ohio"),
        summary="Names of the 50 U.S. states.",
        validator="us_state_name",
        max_new_tokens=15,
        domain="SocialSciences",
    ),
    coverage_task(
        "cov_us_states_abbreviations",
        "Each output is the two-letter abbreviation of a state of the United States.",
        ("MN", "UT", "GA"),
        summary="Two-letter codes of the 50 U.S. states.",
        validator="us_state_code",
        max_new_tokens=5,
        domain="SocialSciences",
    ),
    coverage_task(
        "cov_us_states_any_format",
        "Name a state of the United States, in full or by its two-letter abbreviation.",
        ("Oregon", "KS", "South Dakota"),
        summary="The 50 U.S. states, by name or two-letter code.",
        validator="us_state_any",
        max_new_tokens=15,
        domain="SocialSciences",
        quirks="Name and code of a state are the same item when the different ones are counted.",
    ),
]
