"""The columns of each kind of task, and fast Arrow tables of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import pyarrow as pa
from datasets import Features, List, Value

from dataset_builder.task_spec import Draw, Example, Kind, Target, TaskSpec

_MESSAGES = List({"role": Value("string"), "content": Value("string")})

FEATURES: dict[Kind, Features] = {
    "icl": Features(
        {
            "id": Value("string"),
            "process": Value("string"),
            "messages": _MESSAGES,
            "source": Value("string"),
            "n_outputs": Value("int64"),
            "options": List(List(Value("string"))),
        }
    ),
    "distribution": Features(
        {
            "id": Value("string"),
            "messages": _MESSAGES,
            "options": List(Value("string")),
            "probabilities": List(Value("float64")),
            "n_responses": Value("int64"),
            "source": Value("string"),
            "output_label": Value("string"),
        }
    ),
    "coverage": Features(
        {
            "id": Value("string"),
            "description": Value("string"),
            "examples": List(Value("string")),
            "validator": Value("string"),
            "valid_items": List(Value("string")),
            "max_new_tokens": Value("int64"),
            "source": Value("string"),
        }
    ),
}
"""Columns by kind of task. The answer follows the last message of a ``distribution`` row. The ``options`` of an
``icl`` row are the closed answers of its outputs: one list for all of them, or one for each; none where any answer is
possible."""

MORE_FEATURES = Features({"groups": Value("string"), "ordered": Value("bool")})
"""Columns that only some tasks have. ``groups`` is what is known of the people of the row, as JSON: {"age": "18-29"};
``ordered`` is true where the options are an ordered scale."""


def features(specs: Iterable[TaskSpec]) -> Features:
    """The columns of tasks of one kind together; a task has null in those that it lacks."""
    specs = list(specs)
    more = {name for spec in specs for name in spec.more_columns}
    return Features(FEATURES[specs[0].kind] | {name: kind for name, kind in MORE_FEATURES.items() if name in more})


_ROLES = pa.array(["description", "input", "output"])
_DESCRIPTION, _INPUT, _OUTPUT = range(3)


@dataclass
class Messages:
    """The column ``messages`` of some rows, kept flat: one list of contents, one of roles, one of lengths."""

    contents: list[str] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, description: str | None, draws: list[Draw]) -> None:
        """Add a row of whole draws, after their description."""
        before = self._start(description)
        for given, output in draws:
            if given is not None:
                self.contents.append(given)
                self.roles.append(_INPUT)
            self.contents.append(output)
            self.roles.append(_OUTPUT)
        self.lengths.append(len(self.contents) - before)

    def add_prompt(self, description: str | None, given: str | None) -> None:
        """Add a row that ends where the answer begins."""
        before = self._start(description)
        if given is not None:
            self.contents.append(given)
            self.roles.append(_INPUT)
        self.lengths.append(len(self.contents) - before)

    def _start(self, description: str | None) -> int:
        before = len(self.contents)
        if description is not None:
            self.contents.append(description)
            self.roles.append(_DESCRIPTION)
        return before

    def array(self) -> pa.ListArray:
        """The column as lists of structs."""
        roles = pa.DictionaryArray.from_arrays(np.asarray(self.roles, dtype=np.int8), _ROLES).cast(pa.string())
        pairs = pa.StructArray.from_arrays([roles, pa.array(self.contents, pa.string())], names=["role", "content"])
        return pa.ListArray.from_arrays(_offsets(self.lengths), pairs)


@dataclass
class Options:
    """The column ``options`` of some ``icl`` rows, kept flat like :class:`Messages`."""

    texts: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, options: Sequence[Sequence[str]]) -> None:
        """Add those of a row, one list for each output; if they are all the same, one list is kept for all of them."""
        if len(set(options)) == 1:
            options = options[:1]
        for each in options:
            self.texts += each
            self.sizes.append(len(each))
        self.lengths.append(len(options))

    def array(self) -> pa.ListArray:
        """The column as lists of lists."""
        inner = pa.ListArray.from_arrays(_offsets(self.sizes), pa.array(self.texts, pa.string()))
        return pa.ListArray.from_arrays(_offsets(self.lengths), inner)


@dataclass
class IclRows:
    """Rows of an ``icl`` task on their way to a table."""

    spec: TaskSpec
    ids: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    n_outputs: list[int] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    messages: Messages = field(default_factory=Messages)
    options: Options = field(default_factory=Options)

    def add(
        self,
        row_id: str,
        example: Example,
        description: str | None,
        draws: list[Draw],
        options: Sequence[tuple[str, ...]] = (),
    ) -> None:
        """Add one sequence; ``options`` are the closed answers of its draws, one list for all or one for each."""
        self.ids.append(row_id)
        self.processes.append(example.process)
        self.groups.append(_json(example.groups))
        self.n_outputs.append(len(draws))
        self.messages.add(description, draws)
        self.options.add(options)

    @property
    def size(self) -> int:
        """Texts held."""
        return len(self.messages.contents) + len(self.options.texts)

    def table(self) -> pa.Table:
        """The rows added so far, with the columns of ``FEATURES["icl"]``."""
        sources = [self.spec.source.name] * len(self.ids)
        columns = [self.ids, self.processes, self.messages.array(), sources, self.n_outputs, self.options.array()]
        return _table(self.spec, columns, {"groups": self.groups})


@dataclass
class DistributionRows:
    """Rows of a ``distribution`` task on their way to a table."""

    spec: TaskSpec
    ids: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    ordered: list[bool] = field(default_factory=list)
    messages: Messages = field(default_factory=Messages)

    def add(self, row_id: str, description: str | None, example: Example) -> None:
        """Add one prompt with its true distribution."""
        self.ids.append(row_id)
        self.targets.append(example.target)
        self.groups.append(_json(example.groups))
        self.ordered.append(example.ordered)
        self.messages.add_prompt(description, example.target.input)

    @property
    def size(self) -> int:
        """Texts held."""
        return len(self.messages.contents)

    def table(self) -> pa.Table:
        """The rows added so far, with the columns of ``FEATURES["distribution"]``."""
        columns = [
            self.ids,
            self.messages.array(),
            [target.options for target in self.targets],
            [target.probabilities for target in self.targets],
            [target.n_responses for target in self.targets],
            [self.spec.source.name] * len(self.ids),
            [self.spec.output_label] * len(self.ids),
        ]
        return _table(self.spec, columns, {"groups": self.groups, "ordered": self.ordered})


@dataclass
class CoverageRows:
    """Rows of a ``coverage`` task on their way to a table."""

    spec: TaskSpec
    ids: list[str] = field(default_factory=list)
    descriptions: list[str | None] = field(default_factory=list)
    examples: list[list[str]] = field(default_factory=list)
    valid_items: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, row_id: str, description: str | None, example: Example) -> None:
        """Add one generation task."""
        self.ids.append(row_id)
        self.descriptions.append(description)
        self.examples.append([draw.output for draw in example.draws])
        self.valid_items.append(example.valid)

    @property
    def size(self) -> int:
        """Texts held."""
        return sum(map(len, self.valid_items))

    def table(self) -> pa.Table:
        """The rows added so far, with the columns of ``FEATURES["coverage"]``."""
        columns = [
            self.ids,
            self.descriptions,
            self.examples,
            [self.spec.validator] * len(self.ids),
            self.valid_items,
            [self.spec.max_new_tokens] * len(self.ids),
            [self.spec.source.name] * len(self.ids),
        ]
        return _table(self.spec, columns, {})


def _json(groups: Sequence[tuple[str, str]]) -> str | None:
    return json.dumps(dict(groups), ensure_ascii=False) if groups else None


def _table(spec: TaskSpec, columns: list[list | pa.Array], more: Mapping[str, list]) -> pa.Table:
    schema = features([spec]).arrow_schema
    columns = [*columns, *(more[name] for name in MORE_FEATURES if name in spec.more_columns)]
    typed = [
        column if isinstance(column, pa.Array) else pa.array(column, schema_field.type)
        for column, schema_field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(typed, schema=schema)


def _offsets(lengths: list[int]) -> pa.Array:
    return pa.array(accumulate(lengths, initial=0), pa.int32())
