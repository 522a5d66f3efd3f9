"""Distributional alignment: how far a model's distribution over declared options lies from the true one.

Arxiv 2510.06084, section "distributional alignment": every option of an item is scored as the continuation of its
prompt, the probabilities are divided by their sum over the options, and the result is compared with the target.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from metrics.spectrum_alignment.scoring import score_items, summarize
from spectrum.formats.render import Format, Message, get_format
from spectrum.generation.exclusive import exclusive_log_probs
from spectrum.generation.logprobs import Prompt, TokenIds, option_logprobs, option_token_ids
from spectrum.suite import distribution_tasks, draw_rows, task_rows

LIMIT = 1000
SEED = 42
SMOOTHING = 1e-6
"""As in the paper's evaluation; see ``metrics/spectrum_alignment``."""

Scores = Mapping[str, float]


@dataclass(frozen=True)
class AlignmentItem:
    """One prompt of a distribution task, scored.

    Attributes:
        id: The item's id in the suite.
        options: The declared answers.
        target: Their true probabilities.
        log_probs: The model's log-probability of each option's text, in nats, whatever comes after it.
        probabilities: The model's distribution over the options: exclusive masses (see :func:`exclusive_log_probs`)
            divided by their sum, which is the coverage.
        scores: Metrics of the model, in nats where they have a unit.
        uniform: The same metrics of the uniform guess.
    """

    id: str
    options: tuple[str, ...]
    target: tuple[float, ...]
    log_probs: tuple[float, ...]
    probabilities: tuple[float, ...]
    scores: Scores
    uniform: Scores


@dataclass(frozen=True)
class TaskAlignment:
    """The alignment of a model on one task.

    Attributes:
        task: The task's name.
        n_available: Items in the suite, of which ``items`` were drawn.
        items: The scored items, in the order of the suite.
        rows_fingerprint: A hash of the items' prompts, options and targets.
        seconds: Time spent on scoring.
    """

    task: str
    n_available: int
    items: tuple[AlignmentItem, ...]
    rows_fingerprint: str
    seconds: float

    def summary(self) -> dict[str, float]:
        """``<metric>``, ``<metric>_se``, ``n`` and ``n_scored`` of the model."""
        return summarize(_columns([item.scores for item in self.items]))

    def uniform_summary(self) -> dict[str, float]:
        """The same of the uniform guess."""
        return summarize(_columns([item.uniform for item in self.items]))


def evaluate_alignment(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    suite: str,
    tasks: Sequence[str] = ("all",),
    *,
    text_format: str | Format = "auto",
    limit: int | None = LIMIT,
    seed: int = SEED,
    task_labels: bool = False,
    batch_size: int = 8,
    progress: bool = False,
) -> dict[str, TaskAlignment]:
    """Score a model on distribution tasks of a suite, and the uniform guess beside it.

    Args:
        model: A causal language model in eval mode, with or without an adapter.
        tokenizer: Its tokenizer.
        suite: A built suite's folder, or a dataset on a Hub.
        tasks: Names of distribution tasks; ``all`` is every one that the suite has.
        text_format: ``auto``, ``spectrum``, ``colon`` or ``chat``. In ``colon`` an option follows ``Output:`` and a
            space.
        limit: Items per task at most, drawn with ``seed`` and the same for every model; None for all.
        seed: See ``limit``.
        task_labels: In ``colon``, write the task's own label (``output_label``, e.g. ``Response (color)``) in place of
            ``Output``, as the paper does.
        batch_size: Prompts per forward pass.
        progress: Show a progress bar.

    Returns:
        Task -> its result.

    Raises:
        UserError: There is no such suite, task or format, a task is empty, or two options are the same tokens.
    """
    found = get_format(text_format, tokenizer) if isinstance(text_format, str) else text_format
    return {
        task: align_task(
            model,
            tokenizer,
            task,
            task_rows(suite, task),
            found,
            limit=limit,
            seed=seed,
            task_labels=task_labels,
            batch_size=batch_size,
            progress=progress,
        )
        for task in distribution_tasks(suite, tasks)
    }


def align_task(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: str,
    rows: Dataset,
    text_format: Format,
    *,
    limit: int | None = LIMIT,
    seed: int = SEED,
    task_labels: bool = False,
    batch_size: int = 8,
    progress: bool = False,
) -> TaskAlignment:
    """Score a model on one task, given as its rows; see :func:`evaluate_alignment`."""
    started = time.monotonic()
    drawn = draw_rows(rows, task, limit=limit, seed=seed)
    options: list[list[str]] = drawn["options"][:]
    prompts: list[Prompt] = drawn["messages"][:]
    texts, option_format = options, text_format
    if task_labels:
        prompts = [_labelled(*row, text_format) for row in zip(prompts, drawn["output_label"], strict=True)]
        texts, option_format = [[text_format.output_prefix + option for option in row] for row in options], None
    log_probs = option_logprobs(
        model, tokenizer, prompts, texts, text_format=text_format, batch_size=batch_size, progress=progress
    )
    token_ids = [option_token_ids(tokenizer, row, option_format) for row in texts]
    items = score_alignment(drawn["id"][:], options, drawn["probabilities"][:], log_probs, token_ids)
    return TaskAlignment(task, len(rows), items, rows_fingerprint(drawn), round(time.monotonic() - started, 2))


def _labelled(messages: Sequence[Message], label: str, text_format: Format) -> str:
    """The plain text prompt without BOS, ending in the task's own label instead of ``Output:``."""
    if text_format.turn is not None:
        raise UserError(f"format {text_format.name!r} has no labels: use --task_labels with --format colon")
    text = text_format.prompt(messages).removeprefix(text_format.bos)
    return text.removesuffix(text_format.context(None)) + f"{label}:"


def score_alignment(
    ids: Sequence[str],
    options: Sequence[Sequence[str]],
    targets: Sequence[Sequence[float]],
    log_probs: Sequence[torch.Tensor],
    token_ids: Sequence[Sequence[TokenIds]],
) -> tuple[AlignmentItem, ...]:
    """Compare log-probabilities of options with their targets; all arguments hold one entry per item."""
    exclusive = [exclusive_log_probs(found, tokens) for found, tokens in zip(log_probs, token_ids, strict=True)]
    scores = score_items(targets, exclusive, prediction_type="log_probabilities", smoothing=SMOOTHING)
    uniform = score_items(targets, [np.full(len(texts), 1 / len(texts)) for texts in options], smoothing=SMOOTHING)
    return tuple(
        AlignmentItem(
            id=item_id,
            options=tuple(options[index]),
            target=tuple(targets[index]),
            log_probs=tuple(log_probs[index].tolist()),
            probabilities=tuple(torch.softmax(exclusive[index], dim=0).tolist()),
            scores={name: float(values[index]) for name, values in scores.items()},
            uniform={name: float(values[index]) for name, values in uniform.items()},
        )
        for index, item_id in enumerate(ids)
    )


def rows_fingerprint(rows: Dataset) -> str:
    """A hash of what the score of some items depends on: prompts, options and targets."""
    digest = hashlib.sha256()
    for row in rows.select_columns(["id", "messages", "options", "probabilities"]):
        digest.update(json.dumps(row, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _columns(scores: Sequence[Scores]) -> dict[str, np.ndarray]:
    """Per-item scores as one array of shape (n_items,) per metric."""
    return {name: np.array([item[name] for item in scores]) for name in scores[0]}
