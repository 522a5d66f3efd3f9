"""In-context steerability: how well a model predicts a process's outputs from its description and earlier outputs.

Arxiv 2510.06084, section "in-context steerability": a sequence is run once, and each output gets a loss (its terminator
counts), and where its answers form a closed set, an accuracy and a confidence, by the number of examples before it.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from metrics.in_context_steerability.scoring import (
    METRICS,
    Outputs,
    as_outputs,
    at_largest_k,
    bootstrap_intervals,
    by_examples,
    paired_differences,
    reliability,
    score_options,
    summarize,
    with_examples,
)
from spectrum.formats.render import FORMATS, Format, Message, get_format, split_messages, turn_tokens
from spectrum.generation.output_logprobs import OutputLogProbs, output_logprobs, outputs_that_fit
from spectrum.suite import draw_rows

LIMIT = 1000
SEED = 42
MAX_LENGTH = 1024
MAX_OPTIONS = 12
DRAWS_PER_OPTION = 10

CAPABILITY_TASKS = frozenset(
    {
        "arc",
        "chemistry_esol",
        "chemistry_oxidative",
        "drop",
        "gpqa",
        "gsm8k_answer_from_question",
        "hellaswag",
        "jeopardy_answer_prediction",
        "mmlu",
        "truthful_qa",
        "winogrande",
    }
)
"""Tasks that ask for what a model knows: reported apart from those that ask it to follow a process."""

Written = tuple[PreTrainedTokenizerBase, Format]
"""A way to write a sequence: a tokenizer and a format."""


@dataclass(frozen=True)
class ScoredSequence:
    """The scored outputs of one sequence; the tuples hold one entry for each.

    Attributes:
        id: The row's id in the suite.
        content: A hash of the whole row's messages, by which results of different models are paired.
        k: Examples before the output.
        losses: Minus the log-probability of the output with its terminator, in nats.
        tokens: Its tokens, terminator included.
        answers: The index of the true option; empty where the task has no options.
        log_probs: The log-probability of each option with its terminator, in nats; empty likewise.
    """

    id: str
    content: str
    k: tuple[int, ...]
    losses: tuple[float, ...]
    tokens: tuple[int, ...]
    answers: tuple[int, ...] = ()
    log_probs: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class TaskSteerability:
    """The steerability of a model on one task.

    Attributes:
        task: The task's name.
        capability: Whether the task asks for what a model knows.
        options: The closed set of answers, or None.
        max_length: Tokens that every sequence fits in, in each format that it was cut for.
        n_available: Rows in the suite, from which ``sequences`` were drawn.
        n_too_long: Drawn rows of which no scored output fits.
        sequences: The scored sequences, in the order of the suite.
        rows_fingerprint: A hash of the drawn rows.
        seconds: Time spent on scoring.
    """

    task: str
    capability: bool
    options: tuple[str, ...] | None
    max_length: int
    n_available: int
    n_too_long: int
    sequences: tuple[ScoredSequence, ...]
    rows_fingerprint: str
    seconds: float

    def outputs(self) -> Outputs:
        """All scored outputs as arrays."""
        columns: dict[str, list[Any]] = {"sequence": [], "k": [], "loss": [], "tokens": []}
        for sequence in self.sequences:
            columns["sequence"] += [sequence.id] * len(sequence.k)
            columns["k"] += sequence.k
            columns["loss"] += sequence.losses
            columns["tokens"] += sequence.tokens
        if self.options is None:
            return as_outputs(**columns)
        correct, confidence = score_options(
            [row for sequence in self.sequences for row in sequence.log_probs],
            [answer for sequence in self.sequences for answer in sequence.answers],
        )
        return as_outputs(**columns, correct=correct, confidence=confidence)

    def summary(self) -> dict[str, float]:
        """``loss``, ``loss_per_token``, ``accuracy``, ``ece``, the ``<metric>_se`` of each, and counts.

        Over the outputs with at least one example before them; standard errors are clustered by sequence.
        """
        return summarize(with_examples(self.outputs()))

    def at_largest_k(self) -> dict[str, float]:
        """The same over the last output of each sequence, and ``mean_k``, the examples before it on average."""
        last = at_largest_k(self.outputs())
        return summarize(last) | {"mean_k": float(last.k.mean()) if len(last) else math.nan}

    def by_k(self) -> dict[str, list[float]]:
        """The same for each number of examples, 0 included, as columns of a table."""
        return by_examples(self.outputs())

    def reliability(self) -> dict[str, list[float]]:
        """The columns of a reliability diagram, over the outputs with at least one example before them."""
        return reliability(with_examples(self.outputs()))

    def intervals(self, *, seed: int = 0) -> dict[str, tuple[float, float]]:
        """Metric of the summary -> its bootstrap 95% interval over sequences."""
        return bootstrap_intervals(with_examples(self.outputs()), seed=seed)

    def as_dict(self) -> dict[str, Any]:
        """The task's part of a report: JSON's types only, though numbers may be NaN."""
        found = asdict(self)
        return {name: value for name, value in found.items() if name != "sequences"} | {
            "n": len(self.sequences),
            "summary": self.summary(),
            "ci95": {name: list(interval) for name, interval in self.intervals().items()},
            "at_largest_k": self.at_largest_k(),
            "by_k": self.by_k(),
            "reliability": self.reliability() if self.options else None,
            "sequences": found["sequences"],
        }

    @classmethod
    def from_dict(cls, section: Mapping[str, Any]) -> TaskSteerability:
        """The result in a report, from what :meth:`as_dict` made; None stands for a number that is not finite."""
        sequences = tuple(
            ScoredSequence(
                id=sequence["id"],
                content=sequence["content"],
                k=tuple(sequence["k"]),
                losses=tuple(math.inf if loss is None else loss for loss in sequence["losses"]),
                tokens=tuple(sequence["tokens"]),
                answers=tuple(sequence["answers"]),
                log_probs=tuple(
                    tuple(-math.inf if value is None else value for value in row) for row in sequence["log_probs"]
                ),
            )
            for sequence in section["sequences"]
        )
        names = ("task", "capability", "max_length", "n_available", "n_too_long", "rows_fingerprint", "seconds")
        options = None if section["options"] is None else tuple(section["options"])
        return cls(**{name: section[name] for name in names}, options=options, sequences=sequences)


def evaluate_steerability(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Mapping[str, Dataset],
    *,
    text_format: str | Format = "auto",
    written: Iterable[Written] | None = None,
    options: Mapping[str, Sequence[str] | None] | None = None,
    capability_tasks: Collection[str] = CAPABILITY_TASKS,
    max_length: int = MAX_LENGTH,
    limit: int | None = LIMIT,
    seed: int = SEED,
    batch_size: int = 8,
    progress: bool = False,
) -> dict[str, TaskSteerability]:
    """Score a model on ``icl`` tasks.

    Args:
        model: A causal language model in eval mode, with or without an adapter.
        tokenizer: Its tokenizer.
        tasks: Task -> its rows, with the columns ``id`` and ``messages``.
        text_format: ``auto``, ``spectrum``, ``colon`` or ``chat``.
        written: The tokenizers and formats in each of which a sequence has to fit; by default this tokenizer in every
            format that it has. Give those of all models to be compared, so that all see the same sequences.
        options: Task -> its closed set of answers, or None for none. A task that is not named has the answers that
            :func:`closed_answers` finds in its rows.
        capability_tasks: Names of the tasks to be reported apart.
        max_length: Tokens in a sequence, at most; later outputs are left out.
        limit: Sequences per task at most, drawn with ``seed`` and the same for every model; None for all.
        seed: See ``limit``.
        batch_size: Sequences per forward pass.
        progress: Show a progress bar.

    Returns:
        Task -> its result.

    Raises:
        UserError: There is no such format, no output of a task fits, or an output is none of its task's options.
    """
    found = get_format(text_format, tokenizer) if isinstance(text_format, str) else text_format
    ways = list(formats_of(tokenizer) if written is None else written)
    return {
        task: steer_task(
            model,
            tokenizer,
            task,
            rows,
            found,
            written=ways,
            options=options[task] if options and task in options else closed_answers(rows),
            capability=task in capability_tasks,
            max_length=max_length,
            limit=limit,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
        )
        for task, rows in tasks.items()
    }


def steer_task(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: str,
    rows: Dataset,
    text_format: Format,
    *,
    written: Iterable[Written] = (),
    options: Sequence[str] | None = None,
    capability: bool = False,
    max_length: int = MAX_LENGTH,
    limit: int | None = LIMIT,
    seed: int = SEED,
    batch_size: int = 8,
    progress: bool = False,
) -> TaskSteerability:
    """Score a model on one task, given as its rows; see :func:`evaluate_steerability`.

    A sequence is cut for ``text_format`` and for what ``written`` names besides it.
    """
    started = time.monotonic()
    drawn = draw_rows(rows, task, limit=limit, seed=seed)
    ways = list(written)
    if not any(each is tokenizer and how == text_format for each, how in ways):
        ways.append((tokenizer, text_format))
    messages: list[list[Message]] = drawn["messages"][:]
    kept = _cut(messages, ways, max_length)
    if not kept:
        raise UserError(f"no output of task {task!r} fits into {max_length} tokens: raise the maximum length")
    scores = output_logprobs(
        model,
        tokenizer,
        list(kept.values()),
        options=options,
        text_format=text_format,
        batch_size=batch_size,
        progress=progress,
    )
    ids = drawn["id"][:]
    sequences = [
        _scored(ids[index], _hash(messages[index]), part, found, options)
        for (index, part), found in zip(kept.items(), scores, strict=True)
    ]
    return TaskSteerability(
        task=task,
        capability=capability,
        options=None if options is None else tuple(options),
        max_length=max_length,
        n_available=len(rows),
        n_too_long=len(drawn) - len(kept),
        sequences=tuple(sequences),
        rows_fingerprint=sequences_fingerprint(drawn),
        seconds=round(time.monotonic() - started, 2),
    )


def formats_of(tokenizer: PreTrainedTokenizerBase) -> list[Written]:
    """The tokenizer with every format that it has the tokens for."""
    names = FORMATS if turn_tokens(tokenizer) else ("colon",)
    return [(tokenizer, get_format(name, tokenizer)) for name in names]


def closed_answers(rows: Dataset) -> tuple[str, ...] | None:
    """The distinct outputs of a task in sorted order, where they are a closed set; None where they are not.

    They are taken for one if there are two to twelve, and ten draws or more of each on average.
    """
    counts = Counter(
        message["content"] for messages in rows["messages"] for message in messages if message["role"] == "output"
    )
    closed = 1 < len(counts) <= MAX_OPTIONS and counts.total() >= DRAWS_PER_OPTION * len(counts)
    return tuple(sorted(counts)) if closed else None


def paired_steerability(
    mine: TaskSteerability, theirs: TaskSteerability, *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Metric -> ``mine`` minus ``theirs`` over the outputs that both scored and that have an example before them.

    The numbers of examples may differ between the two: an output depends on what stands before it alone.

    Returns:
        Metric -> ``difference``, ``ci95`` (paired bootstrap over sequences) and ``n``, the outputs. Accuracy and
        calibration error are NaN if the two had other options.

    Raises:
        UserError: They share no output, or a sequence is not the same in both.
    """
    contents = {sequence.id: sequence.content for sequence in theirs.sequences}
    for sequence in mine.sequences:
        if contents.get(sequence.id, sequence.content) != sequence.content:
            raise UserError(
                f"sequence {sequence.id!r} of task {mine.task!r} is not the same in both: evaluate both on one suite"
            )
    if mine.options != theirs.options:
        mine, theirs = (replace(side, options=None) for side in (mine, theirs))
    a, b = (with_examples(side.outputs()) for side in (mine, theirs))
    shared = set(zip(a.sequence.tolist(), a.k.tolist(), strict=True)) & set(
        zip(b.sequence.tolist(), b.k.tolist(), strict=True)
    )
    if not shared:
        raise UserError(f"the two share no output of task {mine.task!r}: score both with the same seed and limit")
    return {
        metric: {"difference": difference, "ci95": interval, "n": len(shared)}
        for metric, (difference, interval) in paired_differences(a, b, seed=seed).items()
    }


def summary_by_group(results: Iterable[TaskSteerability]) -> dict[str, dict[str, float]]:
    """The mean over tasks of each metric, for ``steerability`` tasks and for ``capability`` tasks apart.

    Returns:
        Group -> ``<metric>``, ``<metric>_se`` (of independent tasks) and ``<metric>_tasks``, the tasks that have it. A
        group without tasks is not there.
    """
    summaries: dict[str, list[dict[str, float]]] = {}
    for result in results:
        summaries.setdefault("capability" if result.capability else "steerability", []).append(result.summary())
    return {group: _mean_over_tasks(found) for group, found in summaries.items()}


def sequences_fingerprint(rows: Dataset) -> str:
    """A hash of what the score of some sequences depends on: their ids and messages."""
    return _hash(list(rows.select_columns(["id", "messages"])))


def _cut(
    sequences: Sequence[Sequence[Message]], written: Iterable[Written], max_length: int
) -> dict[int, list[Message]]:
    """Index -> the messages up to the last output that fits, for the sequences that keep an output to score."""
    found = {}
    for index, (messages, count) in enumerate(
        zip(sequences, outputs_that_fit(sequences, written, max_length), strict=True)
    ):
        ends = [place for place, message in enumerate(messages) if message["role"] == "output"]
        described = split_messages(messages)[0] is not None
        if count >= (1 if described else 2):
            found[index] = list(messages[: ends[count - 1] + 1])
    return found


def _scored(
    row_id: str,
    content: str,
    messages: Sequence[Message],
    scores: OutputLogProbs,
    options: Sequence[str] | None,
) -> ScoredSequence:
    log_probs = scores.log_probs.tolist()
    k = [index for index, value in enumerate(log_probs) if not math.isnan(value)]
    found = ScoredSequence(
        id=row_id,
        content=content,
        k=tuple(k),
        losses=tuple(-log_probs[index] for index in k),
        tokens=tuple(scores.tokens[k].tolist()),
    )
    if options is None:
        return found
    outputs = [draw.output for draw in split_messages(messages)[1]]
    place = {option: index for index, option in enumerate(options)}
    unknown = [outputs[index] for index in k if outputs[index] not in place]
    if unknown:
        raise UserError(f"output {unknown[0]!r} of row {row_id!r} is none of the options {list(options)}: add it")
    return replace(
        found,
        answers=tuple(place[outputs[index]] for index in k),
        log_probs=tuple(map(tuple, scores.options[k].tolist())),
    )


def _mean_over_tasks(summaries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric in METRICS:
        having = [summary for summary in summaries if not math.isnan(summary[metric])]
        errors = np.array([summary[f"{metric}_se"] for summary in having])
        found |= {
            metric: float(np.mean([summary[metric] for summary in having])) if having else math.nan,
            f"{metric}_se": float(np.sqrt(np.square(errors).sum()) / len(having)) if having else math.nan,
            f"{metric}_tasks": len(having),
        }
    return found


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
