"""Sentences about people and questions: Jinja templates over the columns of a table, in a sandbox.

A clause that prints a missing value is left out; ``{% if age %}`` and ``{{ age | default("unknown") }}`` see that it is
missing. ``row["a column"]`` is for columns whose names are not identifiers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, Undefined, UndefinedError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from spectrum_suite.errors import UserError

ROW = "row"
"""The name by which a sentence can ask for any column."""


class Missing(Undefined):
    """A value that is not there: printing it leaves the clause out, asking whether it is there does not."""

    __str__ = __iter__ = __len__ = Undefined._fail_with_undefined_error


class Clause:
    """One template.

    Attributes:
        source: Its text.
        names: The columns it uses.
    """

    def __init__(self, source: str, where: str) -> None:
        self.source = source
        try:
            tree = _environment().parse(source)
            self._template = _environment().from_string(source)
        except (TemplateSyntaxError, TemplateError) as error:
            raise UserError(f"{where}: {source!r} is not a Jinja template: {error.message}") from error
        self.names = frozenset(meta.find_undeclared_variables(tree) - {ROW} | set(_of_row(tree)))

    def text(self, values: Mapping[str, Any]) -> str | None:
        """The sentence of some values; None where it would print a missing one, or nothing.

        Raises:
            UserError: The template fails on these values.
        """
        present = {name: value for name, value in values.items() if value is not None}
        try:
            text = self._template.render(present | {ROW: _Row(present)}).strip()
        except UndefinedError:
            return None
        except (SecurityError, TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise UserError(f"the template {self.source!r} fails ({type(error).__name__}: {error}): fix it") from error
        return text or None


class _Row(dict):
    """The columns of a row by name; one without a value is missing."""

    def __missing__(self, name: str) -> Missing:
        return Missing(name=name)


def joined(clauses: Iterable[Clause], values: Mapping[str, Any]) -> str | None:
    """The clauses that have their values, one after another; None where there is none."""
    return " ".join(text for clause in clauses if (text := clause.text(values))) or None


def about(labels: Mapping[str, str], values: Mapping[str, Any]) -> str | None:
    """``label: value; label: value`` of the columns that have one."""
    return "; ".join(f"{label}: {values[column]}" for column, label in labels.items() if values.get(column)) or None


def _of_row(tree: nodes.Template) -> Sequence[str]:
    return [
        node.arg.value
        for node in tree.find_all(nodes.Getitem)
        if isinstance(node.node, nodes.Name) and node.node.name == ROW and isinstance(node.arg, nodes.Const)
    ]


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=Missing, autoescape=False)
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False, default=str)
    return environment
