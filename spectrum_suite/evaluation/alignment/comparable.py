"""Which ways to estimate a distribution can be compared with which, and by what numbers.

Log-probabilities, a service's own probabilities and a distribution that is written are numbers without noise of
sampling. Answers that are independent are compared by their corrected numbers, which are right on average; the plug-in
would make a model look worse the fewer of its answers there are. So

    a sequence      with a sequence of as many draws alone: no bias can be taken out of draws that see one another
    first tokens    with other ways only where all items are exact: those with bounds alone are not a random selection
    metrics         those that both have; of answers those that have a corrected number
    coverage        only where the same was counted: the first tokens of an answer, whole answers, or another
                    estimate's own
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spectrum_suite.evaluation.report import Section

Item = Mapping[str, Any]

_EXACT: Mapping[str, str] = {"name": "logprobs"}
"""The estimate of a report that names none."""


def estimate_of(section: Section) -> Mapping[str, Any]:
    """How the distributions of a task were estimated."""
    return section.get("estimate", _EXACT)


def why_not_comparable(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """Why two estimates make no numbers to compare, from what reports say of them; None if they may."""
    names = {mine["name"], theirs["name"]}
    if "sequence" in names and (len(names) > 1 or mine["n"] != theirs["n"]):
        found = " and ".join(f"{each['name']!r}" + f" of {each['n']}" * ("n" in each) for each in (mine, theirs))
        return (
            f"the reports are by {found}: the bias of draws in one answer depends on their number and cannot be taken "
            "out; compare it with a sequence of as many draws, or measure both by --estimate samples"
        )
    return None


def why_not_comparable_items(mine: Section, theirs: Section) -> str | None:
    """The same, where it depends on the items of a task."""
    if reason := why_not_comparable(estimate_of(mine), estimate_of(theirs)):
        return reason
    for section in (mine, theirs):
        inexact = sum(bool(item.get("refused")) and item.get("bounds") is not None for item in section["items"])
        if inexact and estimate_of(mine)["name"] != estimate_of(theirs)["name"]:
            return (
                f"{inexact} of {len(section['items'])} items have bounds and no number by 'top_logprobs', and the "
                "others are not a random selection: measure both by --estimate samples"
            )
    return None


def value(item: Item, metric: str) -> float | None:
    """The number of an item that is compared: the corrected one of answers that are independent."""
    corrected = (item.get("drawn") or {}).get("corrected")
    if corrected is None or metric == "coverage":
        return item["scores"].get(metric)
    return corrected.get(metric)


def shared_metrics(mine: Section, theirs: Section) -> list[str]:
    """The metrics that items of both have, in order; without the coverage where it is not of the same thing."""
    names = dict.fromkeys(name for item in mine["items"] for name in item["scores"] if value(item, name) is not None)
    others = {name for item in theirs["items"] for name in item["scores"] if value(item, name) is not None}
    same = _covers(mine) == _covers(theirs)
    return [name for name in names if name in others and (same or name != "coverage")]


def _covers(section: Section) -> str:
    """What the coverage of a task is of."""
    name = estimate_of(section)["name"]
    drawn = next((item["drawn"] for item in section["items"] if item.get("drawn")), {})
    return "tokens" if name == "logprobs" or drawn.get("by") == "tokens" else name
