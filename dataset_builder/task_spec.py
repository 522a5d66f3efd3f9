"""The two types used everywhere: an `Example` is one data-generating process, a `TaskSpec` is one task.

Standard library only, so that anything may import it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["icl", "distribution", "coverage"]
Split = Literal["train", "test"]
Group = Literal["human_variation", "text_collections", "random_draws", "uncertainty", "capability"]


class Draw(NamedTuple):
    """One draw from a process: what was given (or None) and what came out."""

    input: str | None
    output: str


@dataclass(frozen=True, slots=True)
class Target:
    """The true distribution of answers to one input, over declared options.

    ``n_responses`` is the number of answers that the shares were computed from, or None when they are known exactly.
    """

    input: str | None
    options: tuple[str, ...]
    probabilities: tuple[float, ...]
    n_responses: int | None = None

    def __post_init__(self) -> None:
        if len(self.options) < 2 or len(set(self.options)) != len(self.options):  # noqa: PLR2004
            raise ValueError(f"a target needs at least two different options, got {self.options!r}")
        if len(self.options) != len(self.probabilities):
            raise ValueError(f"{len(self.options)} options but {len(self.probabilities)} probabilities")
        if min(self.probabilities) < 0 or not math.isclose(sum(self.probabilities), 1, abs_tol=1e-6):
            raise ValueError(f"probabilities must be non-negative and sum to 1, got {self.probabilities!r}")
        _check_texts(() if self.input is None else (self.input,), "input")
        _check_texts(self.options, "option")


@dataclass(frozen=True, slots=True)
class Example:
    """One data-generating process: a person, a question, an urn, a whole table of word problems.

    Attributes:
        process: A stable id, unique within the task; never shown to a model.
        descriptions: Descriptions of the process, any of which may be shown; empty when it has none.
        draws: Exchangeable draws in upstream order (``icl`` tasks), or outputs to show as examples (``coverage``).
        target: The true distribution (``distribution`` tasks).
        valid: The valid outputs, where they are a list rather than a rule (``coverage`` tasks).
        options: The closed answers of the draws: one list for all of them, or one for each; empty where any answer is
            possible. A task whose draws all have the same ones may leave them to :attr:`TaskSpec.options`.
        groups: What is known of the people of the process, by which results can be told apart: (name, value).
        ordered: Whether the options of the target are an ordered scale, from one end to the other.
    """

    process: str
    descriptions: tuple[str, ...] = ()
    draws: tuple[Draw, ...] = ()
    target: Target | None = None
    valid: tuple[str, ...] = ()
    options: tuple[tuple[str, ...], ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    ordered: bool = False

    def __post_init__(self) -> None:
        if not self.process:
            raise ValueError("an example needs a process id")
        if bool(self.draws) == (self.target is not None):
            raise ValueError(f"process {self.process!r} needs either draws or a target")
        _check_texts(self.descriptions, "description")
        _check_texts((draw.output for draw in self.draws), "output")
        _check_texts((draw.input for draw in self.draws if draw.input is not None), "input")
        self._check_options()

    def _check_options(self) -> None:
        if len(self.options) not in (0, 1, len(self.draws)):
            raise ValueError(
                f"process {self.process!r} has {len(self.options)} lists of options for {len(self.draws)} draws: "
                "give one for all of them, or one for each"
            )
        for options in set(self.options):
            _check_texts(options, "option")
            if len(set(options)) < len(options):
                raise ValueError(f"process {self.process!r} has an option twice: {options!r}")
        shared = self.options * len(self.draws) if len(self.options) == 1 else self.options
        for draw, options in zip(self.draws, shared, strict=False):
            if options and draw.output not in options:
                raise ValueError(f"output {draw.output!r} of process {self.process!r} is not among {options!r}")


@dataclass(frozen=True, slots=True)
class Dropped:
    """Raw rows that a reader leaves out, and why; the build report counts them by reason.

    Attributes:
        reason: Why.
        rows: How many.
        first: Where the first of them is, as far as that is known.
        is_fault: Something is wrong with them, so that a strict build stops.
    """

    reason: str
    rows: int = 1
    first: str = ""
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class Noted(Dropped):
    """Raw rows that are kept, and what is to be said of them.

    Attributes:
        is_personal: They look like data on people; else something in them was converted.
    """

    is_personal: bool = False


@dataclass(frozen=True, slots=True)
class Mix:
    """A random length with the given mean and at least 1: Geometric(2 / mean) + Poisson(mean / 2)."""

    mean: int


@dataclass(frozen=True, slots=True)
class Sequences:
    """How the draws of a process become rows of the dataset; a row with fewer than two draws is dropped and counted.

    Attributes:
        mode: ``one`` row per process; ``several`` independent rows per process, which may share draws;
            ``partition``: the draws are shuffled once and cut, so that each is used in one row only.
        length: Draws in a row: a number (at most so many), a :class:`Mix`, or None for all of them.
        count: Rows per process in mode ``several``.
    """

    mode: Literal["one", "several", "partition"]
    length: int | Mix | None = None
    count: int = 1


MAX_DRAWS = 5000
"""No row holds more draws than this, as in the paper's release."""

MIN_DRAWS = 2
"""No row holds fewer draws than this: a single draw says nothing about the variation of the process."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One upstream file, or all that a pattern matches, and where the upstream allows it, where to fetch it.

    Attributes:
        path: Below the source's folder; may be a glob such as ``data/train-*.parquet``.
        url: A pinned address of the file itself, of an archive (.zip, .tar.gz, .tgz, .tar.bz2) with members at
            ``path``, or of the file compressed (.gz, .bz2, .xz). Without one, the file comes from the source's Hub
            repository, if it has one.
        sha256: Checksum of what the address gives.
        config: Configuration of the Hub repository whose split is written as this file; empty for its only one.
        split: That split; empty for a file in the repository.
    """

    path: str
    url: str | None = None
    sha256: str | None = None
    config: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where data comes from and under which terms.

    Attributes:
        name: Our name for it.
        title: Its full name.
        homepage: Where a person reads about it.
        license: SPDX id, the upstream's words, or ``unstated``.
        redistributable: Whether those terms allow redistribution of the data.
        citation: What to cite.
        folder: Its name below ``--sources_dir``.
        revision: The commit that everything is pinned to; empty where the upstream has none.
        files: The raw files.
        divisible: Each folder of files is independent: a task can be built from those that are present.
        hub: Name of a dataset repository on the Hub, from which files without an address are fetched.
        other_layouts: Other sets of files with the same data that the readers understand as well.
        commercial: Whether its terms allow commercial use; empty where the name of its licence says it.
        creators: Whom to name where its licence requires attribution.
        attribution: The attribution statement that upstream asks for, if any.
        notices: The notices that its licence requires: the copyright notice to insert in the licence's text, then
            further notices verbatim.
        root: The folder of its files where it is not below ``--sources_dir``: that of somebody's own data.
    """

    name: str
    title: str
    homepage: str
    license: str
    redistributable: Literal["yes", "no", "unknown"]
    citation: str
    folder: str = ""
    revision: str = ""
    files: tuple[SourceFile, ...] = ()
    divisible: bool = False
    hub: str = ""
    other_layouts: tuple[tuple[SourceFile, ...], ...] = ()
    commercial: Literal["", "yes", "no", "unknown"] = ""
    creators: str = ""
    attribution: str = ""
    notices: tuple[str, ...] = ()
    root: Path | None = None


RawFiles = Mapping[str, Path]
"""Upstream path -> local path, for the files of a source that were found."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task of the suite. Exactly one of ``read`` and ``generate`` gives its processes.

    Attributes:
        name: The task's id and config name.
        kind: ``icl`` (draws in context), ``distribution`` (a true distribution) or ``coverage``.
        split: ``train``, or ``test`` for a task that is held out as a whole.
        source: Where the data comes from.
        group: What the task is about, for mixtures.
        summary: One sentence for the card: what the task is.
        process: What one process is, e.g. "one voter in one conversation".
        inputs: Names of what is given in each draw (empty when nothing is).
        outputs: Names of what comes out.
        sequences: How draws become rows (``icl`` only).
        options: The closed set of answers, if there is one for the whole task; where questions have different ones,
            they are those of :attr:`Example.options`.
        read: Upstream files -> processes and dropped rows, in upstream order.
        generate: (generator, index) -> the index-th process; called ``n_processes`` times.
        apart_from: Held-out tasks, also generated, with which this task shares no process: a process with the texts or
            the distribution of one of theirs is drawn again.
        origin: ``paper`` for tasks of arXiv 2510.06084, ``ours`` for additions.
        output_label: What the answer is called in plain text formats.
        validator: The rule of :mod:`spectrum_suite.evaluation.coverage.validators` by which an output is valid
            (``coverage`` only).
        max_new_tokens: Longest output to generate, in tokens (``coverage`` only).
        verbatim: Why the texts are left unchanged, e.g. "code"; empty where :mod:`dataset_builder.hygiene` repairs
            them.
        version: Raised whenever the rows change.
        more_columns: Columns that its rows have besides those of every task of its kind: ``groups``, ``ordered``.
    """

    name: str
    kind: Kind
    split: Split
    source: Source
    group: Group
    summary: str
    process: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    sequences: Sequences | None = None
    options: tuple[str, ...] | None = None
    read: Callable[[RawFiles], Iterator[Example | Dropped]] | None = None
    generate: Callable[[np.random.Generator, int], Example] | None = None
    n_processes: int = 0
    apart_from: tuple[str, ...] = ()
    origin: Literal["paper", "ours"] = "paper"
    domain: str = "Unspecified"
    languages: tuple[str, ...] = ("en",)
    output_label: str = "Output"
    validator: str = ""
    max_new_tokens: int = 0
    verbatim: str = ""
    version: str = "1.0.0"
    more_columns: tuple[str, ...] = ()
    quirks: str = field(default="", repr=False)  # what differs from the paper's release, and why

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"task name {self.name!r}: use lower case letters, digits and underscores")
        if (self.read is None) == (self.generate is None):
            raise ValueError(f"task {self.name!r} needs exactly one of 'read' and 'generate'")
        if (self.generate is not None) != (self.n_processes > 0):
            raise ValueError(f"task {self.name!r}: 'n_processes' goes with 'generate'")
        if (self.kind == "icl") != (self.sequences is not None):
            raise ValueError(f"task {self.name!r}: 'sequences' goes with kind 'icl'")
        if (self.kind == "coverage") != bool(self.validator) or (self.kind == "coverage") != (self.max_new_tokens > 0):
            raise ValueError(f"task {self.name!r}: 'validator' and 'max_new_tokens' go with kind 'coverage'")
        if self.kind == "coverage" and self.split != "test":
            raise ValueError(f"task {self.name!r}: coverage tasks are for evaluation, so their split is 'test'")
        if self.apart_from and (self.generate is None or self.kind != "distribution"):
            raise ValueError(f"task {self.name!r}: 'apart_from' is for generated tasks of kind 'distribution'")


def _check_texts(texts: Iterator[str] | tuple[str, ...], what: str) -> None:
    for text in texts:
        if not text or text != text.strip():
            raise ValueError(f"{what} {text!r} is empty or has white space around it")
