"""The fields of a dataclass, read from its source: importing transformers' settings would import `torch`, for seconds.

What comes out is a dataclass with the same names, defaults, choices and help texts, from which a parser can be made.
Whatever cannot be read this way raises :class:`Unreadable`, and the class itself has to be imported.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import operator
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

_BUILT_IN: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}


class Unreadable(Exception):  # noqa: N818 - the caller imports the class instead; it is not an error
    """A source is not written as expected."""


class Later:
    """Stands for a default that is computed when the class is imported or made."""

    def __str__(self) -> str:
        return "decided when it runs"


LATER = Later()


def read_dataclass(name: str, chain: Sequence[tuple[str, str]]) -> type:
    """A dataclass with the fields of the last class of an inheritance chain.

    Args:
        name: Of the dataclass that is made.
        chain: (module, class) from the first base class to the class itself, each the only base of the next.

    Raises:
        Unreadable: A file, a class or a field is not what is expected.
    """
    found: dict[str, tuple[str, Any, dataclasses.Field]] = {}
    base = None
    for module, class_name in chain:
        node = _class_of(_path_of(module), class_name)
        if [ast.unparse(each) for each in node.bases] != ([base] if base else []):
            raise Unreadable(f"{module}.{class_name} has other base classes")
        base = class_name
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                each = _field(statement)
                found[statement.target.id] = (statement.target.id, _type_of(statement.annotation), each)
    return dataclasses.make_dataclass(name, found.values())


def _path_of(module: str) -> Path:
    package, *rest = module.split(".")
    spec = find_spec(package)  # of the package alone: it is not imported
    if spec is None or not spec.submodule_search_locations:
        raise Unreadable(f"package {package} is not a folder")
    return Path(spec.submodule_search_locations[0], *rest).with_suffix(".py")


def _class_of(path: Path, name: str) -> ast.ClassDef:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError) as error:
        raise Unreadable(f"{path} cannot be read") from error
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise Unreadable(f"{path} has no class {name}")


def _field(statement: ast.AnnAssign) -> dataclasses.Field:
    value = statement.value
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "field"):
        raise Unreadable(f"{ast.unparse(statement)} is not a field")
    given = {keyword.arg: keyword.value for keyword in value.keywords}
    if "init" in given:
        raise Unreadable(f"{ast.unparse(statement)} is not for the command line")
    options: dict[str, Any] = {"metadata": _metadata(given.get("metadata"))}
    if "default" in given:
        options["default"] = _literal(given["default"])
    elif "default_factory" in given:
        made = _made(given["default_factory"])
        options |= {"default": made} if made is LATER else {"default_factory": functools.partial(list, made)}
    return dataclasses.field(**options)


def _metadata(node: ast.expr | None) -> dict[str, Any]:
    """The entries that are written out; choices that are computed are left to the class itself."""
    if not isinstance(node, ast.Dict):
        return {}
    entries = {ast.literal_eval(key): _literal(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    return {key: value for key, value in entries.items() if value is not LATER}


def _made(node: ast.expr) -> Any:
    """What a factory makes, for ``list`` and for a lambda of a written list."""
    if isinstance(node, ast.Name) and node.id == "list":
        return []
    return _literal(node.body) if isinstance(node, ast.Lambda) else LATER


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return LATER


def _type_of(node: ast.expr) -> Any:
    """The type that is written; a class of the library's own is text on a command line."""
    if isinstance(node, ast.Constant) and node.value is None:
        return type(None)
    if isinstance(node, ast.Name):
        return _BUILT_IN.get(node.id, str)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return operator.or_(_type_of(node.left), _type_of(node.right))
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        outer = node.value.id
        if outer == "list":
            return list[_type_of(node.slice)]
        if outer == "dict":
            return dict
        if outer == "Literal":
            return Literal[_literal(node.slice)]
    raise Unreadable(f"{ast.unparse(node)} is not a type that is known here")
