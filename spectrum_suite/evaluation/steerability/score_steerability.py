"""In-context steerability: the outputs of sequences scored, given the description and the outputs before them.

Arxiv 2510.06084, section "in-context steerability": a sequence is run once, and each output gets a loss (its terminator
counts), and where its answers form a closed set, the probability of each of them. What comes of these numbers is in
:mod:`spectrum_suite.evaluation.steerability.summarize_steerability`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.steerability.closed_answers import (
    Answers,
    ClosedAnswers,
    shared_answers,
)
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.formats.render import FORMATS, Format, Message, first_trained, get_format, split_messages
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.generation.output_logprobs import OutputLogProbs, outputs_that_fit
from spectrum_suite.lm.base import LM

Written = tuple[PreTrainedTokenizerBase, Format]
"""A way to write a sequence: a tokenizer and a format."""


@dataclass(frozen=True)
class ScoredSequence:
    """The scored outputs of one sequence; the tuples hold one entry for each.

    Attributes:
        id: The row's id in the suite.
        content: A hash of the whole row's messages, by which results of different models are paired.
        k: Examples before the output.
        losses: Minus the log-probability of the output with its terminator, in nats; NaN where it failed.
        tokens: Its tokens, terminator included.
        answers: The index of the true option, None for an output without options; empty where the task has none.
        log_probs: The log-probability of each option with its terminator, in nats; empty likewise.
        asked: The place of the output's options among the lists of the task, None without; empty likewise.
        failed: The k of outputs for which the model gave NaN instead of a number.
        drawn: Answers that were drawn in the place of each output, if its numbers come from answers: ``log_probs`` are
            then those of the shares of the options among them, and losses and tokens are not known.
    """

    id: str
    content: str
    k: tuple[int, ...]
    losses: tuple[float, ...]
    tokens: tuple[int | None, ...]
    answers: tuple[int | None, ...] = ()
    log_probs: tuple[tuple[float, ...], ...] = ()
    asked: tuple[int | None, ...] = ()
    failed: tuple[int, ...] = ()
    drawn: int = 0

    @classmethod
    def from_dict(cls, sequence: Mapping[str, Any]) -> ScoredSequence:
        """The sequence in a report; None stands for a number that is not finite: NaN for an output that failed."""
        k, failed = tuple(sequence["k"]), tuple(sequence.get("failed", ()))
        unknown = [math.nan if each in failed else math.inf for each in k]
        log_probs = [
            tuple(-other if value is None else value for value in row)
            for row, other in zip(sequence["log_probs"], unknown, strict=False)
        ]
        answers = tuple(sequence["answers"])
        drawn = sequence.get("drawn", 0)
        return cls(
            id=sequence["id"],
            content=sequence["content"],
            k=k,
            losses=tuple(
                (math.nan if drawn else other) if loss is None else loss
                for loss, other in zip(sequence["losses"], unknown, strict=True)
            ),
            drawn=drawn,
            tokens=tuple(sequence["tokens"]),
            answers=answers,
            log_probs=tuple(log_probs),
            asked=tuple(sequence.get("asked", [0] * len(answers))),  # earlier reports have one list for the whole task
            failed=failed,
        )


def score_sequences(
    lm: LM,
    rows: Dataset,
    written: Iterable[Written],
    *,
    options: Sequence[str] | ClosedAnswers | None = None,
    max_length: int,
    max_positions: int | None = None,
) -> tuple[ScoredSequence | None, ...]:
    """Score a model on sequences of an ``icl`` task.

    Args:
        lm: The model.
        rows: The sequences, with the columns ``id`` and ``messages``.
        written: The tokenizers and formats in each of which a sequence has to fit: the model's own, and those of all
            that it is to be compared with, so that all are scored on the same outputs.
        options: The closed answers of the rows' outputs; a list of texts holds for all of them, and None for no output.
        max_length: Tokens in a sequence, at most; later outputs are left out.
        max_positions: Tokens that the model takes, options in the place of an output included; None for any number.

    Returns:
        One result per row, None where no output to score fits.

    Raises:
        UserError: An output is none of the options.
    """
    messages: list[list[Message]] = rows["messages"][:]
    if options is not None and not isinstance(options, ClosedAnswers):
        options = shared_answers(options, rows)
    if options is not None and not options.lists:
        options = None
    answers = None if options is None else [options.of_row(index) for index in range(len(rows))]
    kept = _cut(messages, written, max_length, answers=answers, max_positions=max_positions)
    asked = None if answers is None else [answers[index][: _count(part)] for index, part in kept.items()]
    scores = lm.output_logprobs(list(kept.values()), options=asked) if kept else []
    ids = rows["id"][:]
    found = {
        index: _scored((ids[index], fingerprint(messages[index])), part, of_part, index, options)
        for (index, part), of_part in zip(kept.items(), scores, strict=True)
    }
    return tuple(found.get(index) for index in range(len(rows)))


def formats_of(tokenizer: PreTrainedTokenizerBase) -> list[Written]:
    """The tokenizer with every format that it can write."""
    found = []
    for name in FORMATS:
        try:
            text_format = get_format(name, tokenizer)
            token_encoder(tokenizer, text_format)
        except UserError:  # it lacks the tokens, its family has no such turns, or it does not keep blank lines
            continue
        found.append((tokenizer, text_format))
    return found


def _cut(
    sequences: Sequence[Sequence[Message]],
    written: Iterable[Written],
    max_length: int,
    *,
    answers: Sequence[Sequence[Answers]] | None,
    max_positions: int | None,
) -> dict[int, list[Message]]:
    """Index -> the messages up to the last output that fits, for the sequences that keep an output to score."""
    counts = outputs_that_fit(sequences, written, max_length, options=answers, max_positions=max_positions)
    found = {}
    for index, (messages, count) in enumerate(zip(sequences, counts, strict=True)):
        ends = [place for place, message in enumerate(messages) if message["role"] == "output"]
        if count > first_trained(described=split_messages(messages)[0] is not None):
            found[index] = list(messages[: ends[count - 1] + 1])
    return found


def _count(messages: Sequence[Message]) -> int:
    return sum(message["role"] == "output" for message in messages)


def _scored(
    names: tuple[str, str],
    messages: Sequence[Message],
    scores: OutputLogProbs,
    row: int,
    options: ClosedAnswers | None,
) -> ScoredSequence:
    row_id, content = names
    log_probs = scores.log_probs.tolist()
    k = [index for index, asked in enumerate(scores.asked.tolist()) if asked]
    found = ScoredSequence(
        id=row_id,
        content=content,
        k=tuple(k),
        losses=tuple(-log_probs[index] for index in k),
        tokens=tuple(scores.tokens[k].tolist()),
        failed=tuple(index for index in k if math.isnan(log_probs[index])),
    )
    if options is None:
        return found
    outputs = [draw.output for draw in split_messages(messages)[1]]
    lists = options.of_row(row)
    unknown = [index for index in k if lists[index] and outputs[index] not in lists[index]]
    if unknown:
        output, answers = outputs[unknown[0]], lists[unknown[0]]
        raise UserError(f"output {output!r} of row {row_id!r} is none of the options {list(answers)}: add it")
    of_options = [tuple(scores.options[index, : len(lists[index])].tolist()) for index in k]
    failed = [index for index, values in zip(k, of_options, strict=True) if any(map(math.isnan, values))]
    return replace(
        found,
        answers=tuple(lists[index].index(outputs[index]) if lists[index] else None for index in k),
        log_probs=tuple(of_options),
        asked=tuple(options.asked[row][index] for index in k),
        failed=tuple(sorted({*found.failed, *failed})),
    )
