"""What sources of people's answers share: who is kept, and how a description introduces a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dataset_builder.task_spec import Dropped
from spectrum_suite.seeding import stable_sample

_DECLINED = ("prefer not", "decline")


def known(facts: Mapping[str, str | None]) -> dict[str, str]:
    """The facts that a person gave; empty ones, and those that the person declined to give, are left out."""
    told = {name: (value or "").strip() for name, value in facts.items()}
    return {name: value for name, value in told.items() if value and not value.lower().startswith(_DECLINED)}


def with_and_without(texts: Sequence[str], facts: Mapping[str, str | None]) -> tuple[str, ...]:
    """Each text alone, and followed by what is known of the person, if anything is."""
    about = "; ".join(f"{name}: {value}" for name, value in known(facts).items())
    return (*texts, *(f"{text} About this person: {about}." for text in texts)) if about else tuple(texts)


def choose(
    rows: Mapping[str, Sequence[object]], key: str, *, at_least: int = 1, at_most: int | None = None
) -> tuple[list[str], list[Dropped]]:
    """Who of the people is kept.

    Args:
        rows: Person -> their rows.
        key: Names the choice, so that it is the same on every machine.
        at_least: Rows that a person must have.
        at_most: How many people are kept; None for all.

    Returns:
        The people kept, in the order of ``rows``, and the rows dropped by reason.
    """
    enough = [name for name in rows if len(rows[name]) >= at_least]
    chosen = set(enough) if at_most is None else stable_sample(enough, at_most, key)
    few = sum(len(own) for own in rows.values() if len(own) < at_least)
    many = sum(len(rows[name]) for name in enough if name not in chosen)
    reasons = {f"row of a person with fewer than {at_least}": few, f"row of a person beyond the {at_most} kept": many}
    return [name for name in enough if name in chosen], [Dropped(why, count) for why, count in reasons.items() if count]
