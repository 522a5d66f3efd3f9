"""OpinionQA: which of several wordings of a question a respondent was asked.

Upstream and licence: see ``opinionqa.py``. Raw rows (made up) of a wave's info.csv, most columns left out; the question
is put to respondents of each race in other words, and to those of another race in the last ones:

    key,question,references
    SOUP_W43,How proud are you of white soup?,"['Very', 'Not']"
    SOUP_W43,How proud are you of Asian soup?,"['Very', 'Not']"
    SOUP_W43,How proud are you of your soup?,"['Very', 'Not']"
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dataset_builder.sources.opinionqa import Asked

RACE, _OTHER = "RACE", "Other"


def by_race(rows: Iterable[tuple[str, Asked]], races: Iterable[str]) -> dict[str, dict[str | None, Asked]]:
    """Key -> race (None where it is not known) -> the question that such respondents were asked, where that is told.

    Of several wordings, the only one that names a race, and no other race, is for the respondents of it; the only one
    that names none is for those of another race.
    """
    wordings: dict[str, dict[Asked, None]] = {}
    for key, asked in rows:
        wordings.setdefault(key, {})[asked] = None
    named = set(races) - {_OTHER}
    found: dict[str, dict[str | None, Asked]] = {}
    for key, several in wordings.items():
        if len(several) == 1:
            found[key] = dict.fromkeys((*named, _OTHER, None), *several)
            continue
        about = {asked: _named(asked.question, named) or {_OTHER} for asked in several}
        fitting = {race: [asked for asked in several if about[asked] == {race}] for race in (*named, _OTHER)}
        found[key] = {race: one[0] for race, one in fitting.items() if len(one) == 1}
    return found


def _named(text: str, races: Iterable[str]) -> set[str]:
    """The races that a text names."""
    return {race for race in races if re.search(rf"\b{re.escape(race)}\b", text, re.IGNORECASE)}
