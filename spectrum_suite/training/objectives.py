"""What can be learnt: an objective makes of the user's settings the rows to train on, and batches of them.

A further objective is one more entry of :data:`OBJECTIVES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.formats.render import Format
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.markers.dropout import MarkerDropout
from spectrum_suite.markers.marked_rows import load_marked
from spectrum_suite.markers.marker_list import chat_template
from spectrum_suite.markers.taxonomy import TAXONOMY, load_taxonomy
from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig
from spectrum_suite.training.collator import SpectrumCollator
from spectrum_suite.training.decision_targets import with_decisions
from spectrum_suite.training.implicit import load_objective, tokenize_conversations
from spectrum_suite.training.marked import MarkedView, all_shown
from spectrum_suite.training.mixture import Mixture, load_mixture
from spectrum_suite.training.option_terms import OptionTerms
from spectrum_suite.training.targets import tokenize_targets, with_no_target
from spectrum_suite.training.tokenize import tokenize_rows

SUITE_OPTIONS = frozenset(
    {
        "suite", "dataset", "split", "columns", "dataset_config", "dataset_revision", "tasks", "rows",
        "mixing_temperature", "allow_held_out", "train_on", "description_dropout", "permute", "branching",
        "task_branching", "alignment_steps", "alignment_items",
    }
)  # fmt: skip
TARGET_OPTIONS = frozenset({"target_draws", "target_smoothing", "target_brier", "target_rps"})
DATA_OPTIONS = frozenset({"data", "layout", "data_split", "data_limit"})
MARKER_OPTIONS = frozenset(
    {
        "data", "data_split", "data_limit", "marked", "markers_dropout", "markers_sample_dropout", "marker_categories",
        "marker_taxonomy", "description_dropout", "permute",
    }
)  # fmt: skip


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on.

    Attributes:
        tokenized: Rows as :data:`spectrum_suite.training.tokenize.TOKENIZED`.
        collator: Makes batches of them.
        groups: Names of the groups of rows, for their losses; rows carry the numbers.
        rows_per_task: Rows of each task or dataset, those that are too long included.
        too_long: Draws that were left out for being too long.
        targets_too_long: Rows with a target that were.
        texts: The same rows as texts, those of a task next to one another, in the order of ``rows_per_task``.
    """

    tokenized: Dataset
    collator: SpectrumCollator
    groups: tuple[str, ...]
    rows_per_task: dict[str, int]
    too_long: int
    targets_too_long: int = 0
    texts: tuple[Dataset | None, ...] = ()


@dataclass(frozen=True)
class Objective:
    """Something to learn.

    Attributes:
        load: The settings of a run, the tokenizer and the format -> what it trains on. It raises a UserError where
            these do not fit.
        options: The fields of :class:`SpectrumArguments` that it goes by, of those that not every objective does.
    """

    load: Callable[[SpectrumArguments, TuningConfig, PreTrainedTokenizerBase, Format], TrainingData]
    options: frozenset[str]

    def settings(self, arguments: SpectrumArguments) -> dict[str, Any]:
        """The arguments that count for this objective."""
        return {name: value for name, value in asdict(arguments).items() if name not in self._foreign}

    def check(self, arguments: SpectrumArguments) -> None:
        """Refuse what is said to another objective.

        Raises:
            UserError: An option has been set that this objective does not go by.
        """
        for each in fields(arguments):
            default = each.default if each.default_factory is MISSING else each.default_factory()
            if each.name in self._foreign and getattr(arguments, each.name) != default:
                takers = ", ".join(name for name, other in OBJECTIVES.items() if each.name in other.options)
                raise UserError(f"--{each.name} means nothing to --objective {arguments.objective}, but to {takers}")

    @property
    def _foreign(self) -> frozenset[str]:
        return frozenset().union(*(other.options for other in OBJECTIVES.values())) - self.options


def find_objective(arguments: SpectrumArguments) -> Objective:
    """The objective that the arguments name.

    Raises:
        UserError: There is none of that name, or an option is for others only.
    """
    name = arguments.objective
    if name not in OBJECTIVES:
        raise UserError(f"no --objective {name!r}{did_you_mean(name, OBJECTIVES)}: choose {', '.join(OBJECTIVES)}")
    OBJECTIVES[name].check(arguments)
    return OBJECTIVES[name]


def _spectrum(
    arguments: SpectrumArguments, config: TuningConfig, tokenizer: PreTrainedTokenizerBase, text_format: Format
) -> TrainingData:
    """Draws of the processes of a suite."""
    mixture = _mixture(arguments, config, with_targets=False)
    collator = _collator(
        config,
        tokenizer,
        text_format,
        **_of_draws(arguments, mixture.rows_per_task),
        train_on=arguments.train_on,
    )
    tokenized, too_long = tokenize_rows(
        mixture.rows, tokenizer, text_format, max_length=config.max_length, groups=mixture.group_of_row
    )
    texts = (mixture.rows,)
    return TrainingData(tokenized, collator, mixture.groups, mixture.rows_per_task, too_long, texts=texts)


def _distribution(
    arguments: SpectrumArguments, config: TuningConfig, tokenizer: PreTrainedTokenizerBase, text_format: Format
) -> TrainingData:
    """Target distributions of a suite, together with draws of its processes where tasks of those are named too.

    Rows of decisions have targets too. Where they are given, the suite is read only for tasks that are named.
    """
    mixture = None if arguments.data and arguments.tasks == ["all"] else _mixture(arguments, config, with_targets=True)
    if arguments.data:
        mixture = with_decisions(
            mixture, arguments.data, read=arguments.read, split=arguments.data_split, limit=arguments.data_limit,
            seed=config.seed,
        )  # fmt: skip
    if mixture.targets is None:
        raise UserError(
            "--objective distribution has no row with a target: name a distribution task or dist_train in --tasks, or "
            "train on draws with --objective spectrum"
        )
    n_draws = len(mixture.rows or ())
    of_draws = dict(_first_tasks(mixture.rows_per_task, n_draws))
    terms = OptionTerms(arguments.target_brier, arguments.target_rps)
    wanted = {"targets": True, "terms": terms if terms != OptionTerms() else None}
    collator = _collator(config, tokenizer, text_format, **_of_draws(arguments, of_draws), **wanted)
    parts, too_long = [], 0
    if mixture.rows is not None:
        drawn, too_long = tokenize_rows(
            mixture.rows, tokenizer, text_format, max_length=config.max_length, groups=mixture.group_of_row[:n_draws]
        )
        parts.append(with_no_target(drawn))
    targets, targets_too_long = tokenize_targets(
        mixture.targets,
        tokenizer,
        text_format,
        max_length=config.max_length,
        draws=arguments.target_draws,
        smoothing=arguments.target_smoothing,
        every_option=collator.terms is not None,
        groups=mixture.group_of_row[n_draws:],
        first=n_draws,
    )
    tokenized = concatenate_datasets([*parts, targets])
    texts = (mixture.rows, mixture.targets)
    return TrainingData(
        tokenized, collator, mixture.groups, mixture.rows_per_task, too_long, targets_too_long, texts=texts
    )


def _mixture(arguments: SpectrumArguments, config: TuningConfig, *, with_targets: bool) -> Mixture:
    """The rows of a suite that the arguments ask for."""
    return load_mixture(
        arguments.suite,
        arguments.tasks,
        seed=config.seed,
        total=arguments.rows,
        temperature=arguments.mixing_temperature,
        allow_held_out=arguments.allow_held_out,
        with_targets=with_targets,
    )


def _collator(
    config: TuningConfig, tokenizer: PreTrainedTokenizerBase, text_format: Format, **options: Any
) -> SpectrumCollator:
    """The collator of a run, with what its objective asks for."""
    shared = {"max_length": config.max_length, "packing": config.packing, "seed": config.seed}
    return SpectrumCollator.for_format(text_format, tokenizer, **shared, **options)


def _of_draws(arguments: SpectrumArguments, rows_per_task: Mapping[str, int]) -> dict[str, Any]:
    """The options of a collator of draws of the suite."""
    return {
        "description_dropout": arguments.description_dropout,
        "branching": arguments.branching,
        "row_branching": row_branching(arguments, rows_per_task) if arguments.task_branching else None,
        "permute": arguments.permute,
    }


def _first_tasks(rows_per_task: Mapping[str, int], count: int) -> Iterator[tuple[str, int]]:
    """The first tasks of a mixture, which have so many rows together."""
    for task, rows in rows_per_task.items():
        if count < rows:
            return
        count -= rows
        yield task, rows


def row_branching(arguments: SpectrumArguments, rows_per_task: Mapping[str, int]) -> list[float]:
    """The probability of branching of every row of a mixture, whose tasks follow one another.

    Raises:
        UserError: An entry of ``--task_branching`` is not a task of the mixture with a probability.
    """
    told: dict[str, float] = {}
    for entry in arguments.task_branching:
        task, _, text = entry.partition("=")
        if task not in rows_per_task:
            raise UserError(
                f"--task_branching {entry!r}: no task {task!r} is trained on{did_you_mean(task, rows_per_task)}"
            )
        try:
            told[task] = float(text)
        except ValueError:
            told[task] = math.nan
        if not 0 <= told[task] <= 1:
            raise UserError(f"--task_branching {entry!r}: give a number from 0 to 1, e.g. {task}=1")
    return [told.get(task, arguments.branching) for task, count in rows_per_task.items() for _ in range(count)]


def _implicit(
    arguments: SpectrumArguments, config: TuningConfig, tokenizer: PreTrainedTokenizerBase, text_format: Format
) -> TrainingData:
    """Responses of instruction data, as one of three views shows them."""
    rows, rows_per_data = load_objective(
        arguments.objective,
        arguments.data,
        layout=arguments.layout,
        split=arguments.data_split,
        limit=arguments.data_limit,
        seed=config.seed,
    )
    groups = _group_of_row(rows_per_data)
    tokenized, too_long = tokenize_conversations(
        rows, tokenizer, text_format, max_length=config.max_length, groups=groups
    )
    collator = _collator(config, tokenizer, text_format, description_dropout=0.0)
    return TrainingData(tokenized, collator, tuple(rows_per_data), rows_per_data, too_long, texts=(rows,))


def _markers(
    arguments: SpectrumArguments, config: TuningConfig, tokenizer: PreTrainedTokenizerBase, text_format: Format
) -> TrainingData:
    """Annotated rows with their markers; the tokenizer's chat template then takes markers too. Or the same without."""
    dropout = MarkerDropout(arguments.markers_dropout, arguments.markers_sample_dropout, config.seed)
    rows, rows_per_data = load_marked(
        arguments.data,
        categories=arguments.marker_categories,
        taxonomy=load_taxonomy(Path(arguments.marker_taxonomy)) if arguments.marker_taxonomy else TAXONOMY,
        split=arguments.data_split,
        limit=arguments.data_limit,
        seed=config.seed,
    )
    tokenized, too_long = tokenize_rows(
        rows,
        tokenizer,
        text_format,
        max_length=config.max_length,
        groups=_group_of_row(rows_per_data),
        cut=all_shown,
    )
    view = MarkedView(rows, token_encoder(tokenizer, text_format), text_format, dropout, marked=arguments.marked)
    collator = _collator(
        config,
        tokenizer,
        text_format,
        description_dropout=arguments.description_dropout,
        permute=arguments.permute,
        view=view,
    )
    if arguments.marked:
        tokenizer.chat_template = chat_template(tokenizer.chat_template)
    return TrainingData(tokenized, collator, tuple(rows_per_data), rows_per_data, too_long, texts=(rows,))


def _group_of_row(rows_per_data: Mapping[str, int]) -> list[int]:
    return [group for group, count in enumerate(rows_per_data.values()) for _ in range(count)]


OBJECTIVES: Mapping[str, Objective] = {
    "spectrum": Objective(_spectrum, SUITE_OPTIONS),
    "distribution": Objective(
        _distribution, SUITE_OPTIONS - {"train_on"} | TARGET_OPTIONS | DATA_OPTIONS - {"layout"} | {"read"}
    ),
    "instruction": Objective(_implicit, DATA_OPTIONS),
    "response": Objective(_implicit, DATA_OPTIONS),
    "single_task": Objective(_implicit, DATA_OPTIONS),
    "markers": Objective(_markers, MARKER_OPTIONS),
}
