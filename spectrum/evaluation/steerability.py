"""In-context steerability: the outputs of sequences scored, given the description and the outputs before them.

Arxiv 2510.06084, section "in-context steerability": a sequence is run once, and each output gets a loss (its terminator
counts), and where its answers form a closed set, the probability of each of them. What comes of these numbers is in
:mod:`spectrum.evaluation.steerability_results`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from spectrum.formats.render import FORMATS, Format, Message, get_format, split_messages, turn_tokens
from spectrum.generation.output_logprobs import OutputLogProbs, outputs_that_fit

MAX_OPTIONS = 12
DRAWS_PER_OPTION = 10

Written = tuple[PreTrainedTokenizerBase, Format]
"""A way to write a sequence: a tokenizer and a format."""


class OutputScorer(Protocol):
    """A model behind a function: ``partial(output_logprobs, model, tokenizer, text_format=...)``, or an endpoint."""

    def __call__(
        self, sequences: Sequence[Sequence[Message]], *, options: Sequence[str] | None = None
    ) -> Sequence[OutputLogProbs]:
        """The log-probabilities of the outputs of each sequence, and of the options in their places."""


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

    @classmethod
    def from_dict(cls, sequence: Mapping[str, Any]) -> ScoredSequence:
        """The sequence in a report; None stands for a number that is not finite."""
        return cls(
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


def steer_rows(
    score: OutputScorer,
    rows: Dataset,
    written: Iterable[Written],
    *,
    options: Sequence[str] | None = None,
    max_length: int,
) -> tuple[ScoredSequence | None, ...]:
    """Score a model on sequences of an ``icl`` task.

    Args:
        score: The model.
        rows: The sequences, with the columns ``id`` and ``messages``.
        written: The tokenizers and formats in each of which a sequence has to fit: the model's own, and those of all
            that it is to be compared with, so that all are scored on the same outputs.
        options: The task's closed set of answers, or None.
        max_length: Tokens in a sequence, at most; later outputs are left out.

    Returns:
        One result per row, None where no output to score fits.

    Raises:
        UserError: An output is none of the options.
    """
    messages: list[list[Message]] = rows["messages"][:]
    kept = _cut(messages, written, max_length)
    scores = score(list(kept.values()), options=options) if kept else []
    ids = rows["id"][:]
    found = {
        index: _scored(ids[index], _hash(messages[index]), part, of_part, options)
        for (index, part), of_part in zip(kept.items(), scores, strict=True)
    }
    return tuple(found.get(index) for index in range(len(rows)))


def formats_of(tokenizer: PreTrainedTokenizerBase) -> list[Written]:
    """The tokenizer with every format that it has the tokens for."""
    names = FORMATS if turn_tokens(tokenizer) else ("colon",)
    return [(tokenizer, get_format(name, tokenizer)) for name in names]


def closed_answers(rows: Dataset) -> tuple[str, ...] | None:
    """The distinct outputs of a task in sorted order, where they are a closed set; None where they are not.

    They are taken for one if there are two to twelve, and ten draws or more of each on average.
    """
    column: pa.ChunkedArray = rows.select_columns(["messages"]).with_format("arrow")[:]["messages"]
    messages = pc.list_flatten(column)
    outputs = pc.filter(pc.struct_field(messages, "content"), pc.equal(pc.struct_field(messages, "role"), "output"))
    answers = pc.unique(outputs).to_pylist()
    closed = 1 < len(answers) <= MAX_OPTIONS and len(outputs) >= DRAWS_PER_OPTION * len(answers)
    return tuple(sorted(answers)) if closed else None


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


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
