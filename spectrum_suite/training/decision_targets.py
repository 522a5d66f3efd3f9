"""Rows of decisions as targets to train on, alone or together with tasks of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from datasets import Dataset, Features, Value, concatenate_datasets

from spectrum_suite.decisions.prompts import Read
from spectrum_suite.decisions.rows import load_decisions, target_rows
from spectrum_suite.instruction_data import named_data
from spectrum_suite.training.mixture import Mixture
from spectrum_suite.training.targets import target_columns


def with_decisions(
    mixture: Mixture | None, data: Sequence[str], *, read: Read, split: str, limit: int | None, seed: int
) -> Mixture:
    """A mixture with a target for every question of rows of decisions, which come last; each dataset is a group.

    Args:
        mixture: Rows of a suite; None for none.
        data: Files, folders or datasets on a Hub, as :func:`spectrum_suite.decisions.rows.load_decisions` reads them.
        read: What is to be answered; see :func:`spectrum_suite.decisions.rows.target_rows`.
        split: Of the rows.
        limit: Rows of each dataset at most, drawn with ``seed``.
        seed: See ``limit``.

    Raises:
        UserError: There are no such data, or a row is not one of decisions.
    """
    mixture = mixture or Mixture(rows=None, rows_per_task={}, groups=(), group_of_row=[])
    parts = [] if mixture.targets is None else [mixture.targets]
    for name, each in named_data(data).items():
        found = target_rows(load_decisions(each, split=split, limit=limit, seed=seed), read)
        parts.append(_with_columns(found, parts[0].features if parts else None))
        groups = (*mixture.groups, name)
        mixture = replace(
            mixture,
            rows_per_task=mixture.rows_per_task | {name: len(found)},
            groups=groups,
            group_of_row=[*mixture.group_of_row, *[len(groups) - 1] * len(found)],
        )
    return replace(mixture, targets=concatenate_datasets(parts))


def _with_columns(rows: Dataset, features: Features | None) -> Dataset:
    """The columns of a target, with the types of other rows where there are any."""
    found = target_columns(rows)
    return found.cast_column("n_responses", Value("int64")) if features is None else found.cast(features)
