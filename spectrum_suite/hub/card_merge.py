"""A card on the Hub and the one to publish: our part is replaced, what people wrote around it is kept.

Our part of the text stands between two comments; of the metadata, it is the keys that we set.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub import RepoCard
from huggingface_hub.utils import yaml_dump
from yaml import YAMLError

from spectrum_suite.errors import UserError

BEGIN = "<!-- spectrum:begin: written by push_to_hub.py; the next push undoes edits before spectrum:end -->"
END = "<!-- spectrum:end -->"

Metadata = dict[str, Any]


@dataclass(frozen=True)
class Ours:
    """Which metadata of a card is ours.

    Attributes:
        keys: Keys that are ours alone: what the card on the Hub has there is replaced or removed.
        entries: Key -> whether an entry of its list, on the Hub, is ours; the entries of others are kept. By default
            all tags that are on the Hub are kept.
    """

    keys: Collection[str]
    entries: Mapping[str, Callable[[Any], bool]] = field(default_factory=lambda: {"tags": lambda tag: False})


def merge_card(rendered: str, remote: str | None, ours: Ours) -> str:
    """The card to publish.

    Args:
        rendered: Our card, with metadata on top and without the comments.
        remote: The card that is on the Hub, if there is one.
        ours: What of its metadata is ours.

    Raises:
        UserError: A card's metadata is not YAML, or one of the two comments is gone from the card on the Hub.
    """
    data, text = split_card(rendered, "the card to publish")
    part = f"{BEGIN}\n\n{text.strip()}\n\n{END}"
    if remote is None:
        return _join(data, f"\n{part}\n")
    kept_data, kept_text = split_card(remote, "the card on the Hub")
    return _join(_merged_metadata(data, kept_data, ours), _merged_text(part, kept_text))


def split_card(card: str, name: str) -> tuple[Metadata, str]:
    """The metadata of a card, as plain values, and its text.

    Raises:
        UserError: The metadata is not YAML, or is not what the Hub knows.
    """
    try:
        found = RepoCard(card, ignore_metadata_errors=False)
    except (ValueError, TypeError, YAMLError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"the metadata of {name} is not valid ({why}): correct its YAML block") from error
    return found.data.to_dict(), found.text


def _join(data: Metadata, text: str) -> str:
    return f"---\n{yaml_dump(data, sort_keys=False).strip()}\n---\n{text}"


def _merged_metadata(data: Metadata, kept: Metadata, ours: Ours) -> Metadata:
    merged = dict(data)
    for key, value in kept.items():
        if key in ours.entries:
            mine = _as_list(data.get(key))
            others = [entry for entry in _as_list(value) if entry not in mine and not ours.entries[key](entry)]
            merged |= {key: mine + others} if others else {}
        elif key not in ours.keys:
            merged.setdefault(key, value)
    return merged


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _merged_text(part: str, kept: str) -> str:
    """The kept text with ``part`` in place of our part; above all of it when it has none."""
    begins, ends = kept.count(BEGIN), kept.count(END)
    if not begins and not ends:
        return f"\n{part}\n" + (f"\n{kept.strip()}\n" if kept.strip() else "")
    if (begins, ends) != (1, 1) or kept.index(BEGIN) > kept.index(END):
        raise UserError(
            "the card on the Hub has lost one of the two comments around our part: restore the line "
            f"'{END if begins > ends else BEGIN}', or remove both with all between them"
        )
    before, _, rest = kept.partition(BEGIN)
    return before + part + rest.partition(END)[2]
