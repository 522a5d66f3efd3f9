"""The `datasets` builder of the suite: one configuration per task, raw files in, rows out.

from dataset_builder.suite_builder import SpectrumSuite

builder = SpectrumSuite("coinflip", seed=42)            # config_name is a task; data_dir is where raw files are
builder.download_and_prepare("out/coinflip", file_format="parquet")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from datasets.builder import Key
from datasets.utils.py_utils import classproperty

from dataset_builder.files import find_files
from dataset_builder.hygiene import Hygiene, left_as_they_are
from dataset_builder.registry import get_task, known_tasks
from dataset_builder.sequences import cut
from dataset_builder.tables import CoverageRows, DistributionRows, IclRows, features
from dataset_builder.task_spec import MIN_DRAWS, Draw, Dropped, Example, Noted, RawFiles, TaskSpec
from spectrum_suite import seeding
from spectrum_suite.errors import UserError

_TOO_SHORT = f"row with fewer than {MIN_DRAWS} draws"
_ATTEMPTS = 1000
_TABLE_TEXTS = 200_000  # a table is closed once it holds so many texts: this bounds memory


@dataclass
class SpectrumSuiteConfig(datasets.BuilderConfig):
    """Settings of one task.

    Attributes:
        name: The task. ``data_dir`` (of the base class) is the folder of raw files.
        seed: Seed of every random choice, combined with the names of task and process.
        max_rows: Stop after so many rows, for a quick look; None for all.
        allow_missing: Build a divisible source from the files that are present.
        raw_files: The raw files, upstream path -> local path, if already located.
        strict: Stop where something is wrong with rows of somebody's own table, instead of leaving them out.
    """

    seed: int = 42
    max_rows: int | None = None
    allow_missing: bool = False
    raw_files: RawFiles | None = None
    strict: bool = False


@dataclass
class Counts:
    """What went into a task, for the build report."""

    rows: int = 0
    processes: int = 0
    draws: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    cleaned: Counter[str] = field(default_factory=Counter)
    personal: Counter[str] = field(default_factory=Counter)  # what looks like data on people -> cells
    first: dict[str, str] = field(default_factory=dict)  # reason -> where the first row is, where that is known
    faults: dict[str, int] = field(default_factory=dict)  # what is wrong with rows -> how many


class SpectrumSuite(datasets.ArrowBasedBuilder):
    """Builds one task of the suite, by name.

    Attributes:
        counts: What went into the task, once it is built.
    """

    counts: Counts
    BUILDER_CONFIG_CLASS = SpectrumSuiteConfig

    @classproperty
    @classmethod
    def builder_configs(cls) -> dict[str, SpectrumSuiteConfig]:
        """One configuration per task."""
        return {spec.name: SpectrumSuiteConfig(name=spec.name, version=spec.version) for spec in known_tasks()}

    def _info(self) -> datasets.DatasetInfo:
        spec = get_task(self.config.name)
        return datasets.DatasetInfo(description=spec.summary, features=features([spec]), homepage=spec.source.homepage)

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        spec = get_task(self.config.name)
        files = self.config.raw_files
        if files is None:
            sources_dir = Path(self.config.data_dir) if self.config.data_dir else None
            files = find_files(spec, sources_dir, allow_missing=self.config.allow_missing).found
            if spec.read is not None and not files:
                raise UserError(
                    f"task {spec.name!r} has none of its raw files: leave '--allow_missing' out to see which"
                )
        return [datasets.SplitGenerator(name=spec.split, gen_kwargs={"spec": spec, "files": files})]

    def _generate_tables(self, spec: TaskSpec, files: RawFiles) -> Iterator[tuple[Key, pa.Table]]:
        self.counts = Counts()
        examples = _without_dropped(read_examples(spec, files, self.config.seed, self.counts.cleaned), self.counts)
        for index, table in enumerate(tables(spec, examples, self.config.seed, self.config.max_rows, self.counts)):
            self.counts.rows += len(table)
            if spec.kind == "icl":
                self.counts.draws += pc.sum(table["n_outputs"]).as_py()
            yield Key(0, index), table
        if self.config.strict and self.counts.faults:
            lines = (f"{rows} x {why} (first: {self.counts.first[why]})" for why, rows in self.counts.faults.items())
            raise UserError(f"task {spec.name!r}: {'; '.join(lines)}: fix the table, or build without '--strict'")
        if not self.counts.rows:
            dropped = ", ".join(f"{rows} rows: {reason}" for reason, rows in self.counts.dropped.items())
            raise UserError(
                f"task {spec.name!r} has nothing to build from in its raw files (dropped: {dropped or 'none'}): "
                "use larger files, or leave the task out"
            )


def read_examples(
    spec: TaskSpec, files: RawFiles, seed: int, cleaned: Counter[str] | None = None
) -> Iterator[Example | Dropped]:
    """The processes of a task, in upstream order, with clean texts, and what is dropped.

    Args:
        spec: The task.
        files: Its raw files.
        seed: Seed of every random choice.
        cleaned: Counts the texts that were repaired, by what was repaired in them.

    Raises:
        UserError: Raw rows do not make an example, or two processes have the same id.
    """
    if spec.generate is not None:
        held_out = _looks(spec.apart_from, seed)
        yield from (_generated(spec, seed, index, held_out) for index in range(spec.n_processes))
        return
    items = _different(spec, _read(spec, files))
    hygiene = Hygiene(Counter() if cleaned is None else cleaned)
    yield from left_as_they_are(items) if spec.verbatim else hygiene.examples(items)


def _generated(spec: TaskSpec, seed: int, index: int, held_out: Set[Hashable]) -> Example:
    """The index-th process of a task, drawn again for as long as it equals a held-out one."""
    for attempt in range(_ATTEMPTS):
        again = (attempt,) if attempt else ()
        example = spec.generate(seeding.generator(seed, spec.name, "process", index, *again), index)
        if not held_out or held_out.isdisjoint(_look(example)):
            return example
    raise ValueError(f"task {spec.name!r} has only processes of {', '.join(spec.apart_from)}: widen its settings")


def _looks(tasks: Iterable[str], seed: int) -> set[Hashable]:
    """What identifies the processes of some tasks, built with the same seed."""
    return {each for task in tasks for example in read_examples(get_task(task), {}, seed) for each in _look(example)}


def _look(example: Example) -> set[Hashable]:
    """What identifies a process with a target: its descriptions, and the distribution over its options."""
    shares = dict(zip(example.target.options, example.target.probabilities, strict=True))
    return {*example.descriptions, frozenset((option, round(share, 12)) for option, share in shares.items() if share)}


def _different(spec: TaskSpec, items: Iterable[Example | Dropped]) -> Iterator[Example | Dropped]:
    seen: set[str] = set()
    for item in items:
        if isinstance(item, Example):
            if item.process in seen:
                raise UserError(
                    f"task {spec.name!r} has two processes {item.process!r}: its raw files contain one twice"
                )
            seen.add(item.process)
        yield item


def tables(
    spec: TaskSpec, examples: Iterable[Example], seed: int, max_rows: int | None = None, counts: Counts | None = None
) -> Iterator[pa.Table]:
    """Cut the processes into rows and yield them in tables of bounded size; rows with fewer than two draws are dropped.

    Args:
        spec: The task.
        examples: Its processes.
        seed: Every choice depends on it, on the names of task and process, and on the row, and on nothing else.
        max_rows: Stop after so many rows.
        counts: Where the processes that have rows, and the dropped rows, are counted.
    """
    empty, rows_of = _KINDS[spec.kind]
    batch = empty(spec)
    for row in islice(rows_of(spec, examples, seed, counts or Counts()), max_rows):
        batch.add(*row)
        if batch.size >= _TABLE_TEXTS:
            yield batch.table()
            batch = empty(spec)
    if batch.ids:
        yield batch.table()


def _sequences(
    spec: TaskSpec, examples: Iterable[Example], seed: int, counts: Counts
) -> Iterator[tuple[str, Example, str | None, list[Draw], list[tuple[str, ...]]]]:
    for example in examples:
        options = _options(spec, example)
        key = (seed, spec.name, example.process)
        counted = False
        for row, order in enumerate(cut(len(example.draws), spec.sequences, *key)):
            if len(order) < MIN_DRAWS:
                counts.dropped[_TOO_SHORT] += 1
                continue
            if not counted:
                counts.processes, counted = counts.processes + 1, True
            shown = order.tolist()
            yield (
                f"{spec.name}/{example.process}/{row}",
                example,
                _description(example, *key, row),
                [example.draws[i] for i in shown],
                [options[i] for i in shown] if len(options) > 1 else options,
            )


def _described(
    spec: TaskSpec, examples: Iterable[Example], seed: int, counts: Counts
) -> Iterator[tuple[str, str | None, Example]]:
    """One row for each process, with one of its descriptions."""
    for example in examples:
        counts.processes += 1
        description = _description(example, seed, spec.name, example.process, 0)
        yield f"{spec.name}/{example.process}", description, example


_KINDS = {
    "icl": (IclRows, _sequences),
    "distribution": (DistributionRows, _described),
    "coverage": (CoverageRows, _described),
}


def _description(example: Example, *key: str | int) -> str | None:
    if not example.descriptions:
        return None
    return example.descriptions[seeding.generator(*key, "description").integers(len(example.descriptions))]


def _options(spec: TaskSpec, example: Example) -> list[tuple[str, ...]]:
    """The closed answers of an example's draws: one list for all or one for each; empty where any answer is possible.

    Raises:
        UserError: A draw is not one of the task's answers.
    """
    if example.options or spec.options is None:
        return list(example.options)
    if unknown := {draw.output for draw in example.draws} - set(spec.options):
        raise UserError(
            f"task {spec.name!r}: output {min(unknown)!r} of process {example.process!r} is not one of its answers "
            f"{list(spec.options)}: leave the row out of the raw files"
        )
    return [spec.options]


def _read(spec: TaskSpec, files: RawFiles) -> Iterator[Example | Dropped]:
    """What the reader of a task yields; its errors name the task and the raw files."""
    try:
        yield from spec.read(files)
    except UserError:
        raise
    except (ValueError, KeyError) as error:
        raise UserError(
            f"task {spec.name!r}: the raw files of source {spec.source.name!r} ({', '.join(map(str, files.values()))}) "
            f"hold a row that cannot be used ({type(error).__name__}: {error}): fetch them again"
        ) from error


def _count(counts: Counts, into: Counter[str], item: Dropped) -> None:
    into[item.reason] += item.rows
    if item.first:
        counts.first.setdefault(item.reason, item.first)
    if item.is_fault:
        counts.faults[item.reason] = counts.faults.get(item.reason, 0) + item.rows


def _without_dropped(items: Iterable[Example | Dropped], counts: Counts) -> Iterator[Example]:
    for item in items:
        if isinstance(item, Noted):
            _count(counts, counts.personal if item.is_personal else counts.cleaned, item)
        elif isinstance(item, Dropped):
            _count(counts, counts.dropped, item)
        else:
            yield item
