"""YAML files of names and values that people write: read in one way, and each mistake named by its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args

import yaml

from spectrum_suite.errors import UserError, did_you_mean

Kind = type | UnionType

_IN_WORDS: Mapping[Any, str] = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list",
    dict: "names with values", NoneType: "nothing",
}  # fmt: skip


class Entries(dict[Any, Any]):
    """A mapping in a YAML file.

    Attributes:
        place: The file and the line on which the mapping starts, ``FILE:LINE``.
        places: Name as it is written -> the same of its entry.
    """

    place: str
    places: Mapping[str, str]

    def at(self, name: Any) -> str:
        """Where the entry of that name is; where the mapping is, if it has none."""
        return self.places.get(str(name), self.place)

    def check(self, kinds: Mapping[str, Kind], needed: Iterable[str] = ()) -> None:
        """Refuse names and values that do not fit.

        Args:
            kinds: Name -> what its value may be; ``float`` takes whole numbers, too.
            needed: The names that must be there.

        Raises:
            UserError: A name is unknown or missing, or a value is of another kind.
        """
        for name, value in self.items():
            if name not in kinds:
                raise UserError(f"{self.at(name)}: {unknown(name, kinds)}")
            if not _fits(value, kinds[name]):
                raise UserError(f"{self.at(name)}: {name!r} is {value!r}: give {_in_words(kinds[name])}")
        for name in needed:
            if name not in self:
                raise UserError(f"{self.place}: {name!r} is missing: add it")


def read_entries(path: str | Path, what: str, remedy: str) -> Entries:
    """The mapping that a YAML file holds; each mapping in it is :class:`Entries`, too.

    Args:
        path: The file.
        what: What it is to be, for the error: ``recipe``.
        remedy: What to do where it is not: ``write lines such as 'seed: 1'``.

    Raises:
        UserError: There is no such file, or it is not YAML, has a name twice or holds something else.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123 - a Path would drop a slash at the end
            loader = _Loader(file.read())
        loader.name = str(path)
        entries = loader.get_single_data()
    except OSError as error:
        raise UserError(f"{what} {str(path)!r} cannot be read ({error.strerror}): {remedy}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{what} {str(path)!r} is not text in UTF-8: save it as such") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = _place(mark) if mark else str(path)
        why = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UserError(f"{place}: not YAML, {why}: put text with '?', ':', ',' or '#' in quotes") from error
    if not isinstance(entries, Entries):
        raise UserError(f"{what} {str(path)!r} does not hold names with values: {remedy}")
    return entries


def unknown(name: Any, known: Iterable[str], what: str = "entry") -> str:
    """What is said of a name that is not among those that there are."""
    return f"no {what} {name!r}{did_you_mean(str(name), known)}: there are {', '.join(sorted(known))}"


def _fits(value: Any, kind: Kind) -> bool:
    kinds = set(get_args(kind) or (kind,))
    kinds |= {int} if float in kinds else set()
    is_bool = isinstance(value, bool)  # which is an int, too
    return (bool in kinds or object in kinds) if is_bool else isinstance(value, tuple(kinds))


def _in_words(kind: Kind) -> str:
    return " or ".join(_IN_WORDS[each] for each in get_args(kind) or (kind,))


def _place(mark: yaml.Mark) -> str:
    return f"{mark.name}:{mark.line + 1}"


def _construct_entries(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Iterator[Entries]:
    entries = Entries()
    entries.place = _place(node.start_mark)
    entries.places = {key.value: _place(key.start_mark) for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    yield entries  # as it is constructed in two steps, a mapping can be an entry of its own
    entries.update(loader.construct_mapping(node))


class _Loader(yaml.SafeLoader):
    """Makes :class:`Entries` of mappings, keeps dates as they are written, and refuses a name that is given twice."""

    yaml_constructors = yaml.SafeLoader.yaml_constructors | {
        "tag:yaml.org,2002:map": _construct_entries,
        "tag:yaml.org,2002:timestamp": yaml.SafeLoader.construct_yaml_str,
    }

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in seen:
                raise UserError(f"{_place(key.start_mark)}: {key.value!r} is given twice: leave one out")
            seen.add(name)
        return node
