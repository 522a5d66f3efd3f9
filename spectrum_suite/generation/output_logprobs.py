"""Exact log-probabilities of the outputs inside long sequences, and of the options that could stand in their places.

A sequence is run once and gives the log-probability of each of its outputs, terminator included. Where options are
given, they are packed after the sequence as a tree of tokens, each attending to the sequence up to where its output
would begin:

    sequence          B D C x e C y e         (output x, output y, each with its terminator e)
    options           x e, y e, z e
    packed            B D C x e C y e  y z x z    (y and z in the place of x, x and z in the place of y)

So options cost the tokens in which they differ from the sequence, and nothing is run twice. The LM head sees the
positions that predict a scored token, some at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message, WrittenRow, get_format, written_draws
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter
from spectrum_suite.generation.steps import MAX_BRANCH_TOKENS, Row, score_rows
from spectrum_suite.layouts import Layout
from spectrum_suite.tree_attention import ROOT

OutputOptions = Sequence[str] | Sequence[Sequence[Sequence[str]]]
"""Answers to score in the place of every output; or per sequence and output its own ones, none where none are asked."""

OptionIds = Sequence[Sequence[tuple[int, ...]]]
"""The token ids of the options of each output of a sequence."""

TRUE_OUTPUT = -1
"""Stands for the output itself where other candidates have the index of their option."""


@dataclass(frozen=True)
class TokenizedSequence:
    """A sequence of draws as token ids.

    Attributes:
        ids: Token ids, up to the terminator of the last output.
        outputs: Per output, the indices of its first token and after its terminator.
        scored: The outputs that are scored.
    """

    ids: tuple[int, ...]
    outputs: tuple[tuple[int, int], ...]
    scored: range


@dataclass(frozen=True)
class OutputLogProbs:
    """Log-probabilities of the outputs of a sequence. Output k has k examples before it.

    Attributes:
        log_probs: (n_outputs,), float32, in nats: of each output with its terminator, given all before it. NaN for an
            output that is not asked for, and for one where the model's logits are not finite.
        tokens: (n_outputs,), int64: tokens of each output, terminator included.
        asked: (n_outputs,), boolean: false for the first output of a sequence without a description, which nothing
            tells. A NaN where it is true is a fault of the model, and counts as one.
        options: (n_outputs, n_options), float32, in nats: the same of each option in place of the output, so that the
            events exclude one another; None where no options were asked for. An output with fewer options than another
            has NaN in the places that it lacks.
    """

    log_probs: torch.Tensor
    tokens: torch.Tensor
    asked: torch.Tensor
    options: torch.Tensor | None = None


@torch.inference_mode()
def output_logprobs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sequences: Sequence[Sequence[Message]],
    *,
    options: OutputOptions | None = None,
    text_format: Format | None = None,
    rules: RuleBasedAdapter | None = None,
    batch_size: int = 8,
    progress: bool = False,
) -> list[OutputLogProbs]:
    """The log-probability of each output of each sequence, and of each option in its place.

    Tokens are those of training: segments' borders are token borders, and an output ends with its terminator (the
    end-of-turn token, or the blank line of plain text), whose probability counts.

    Args:
        model: Any causal language model, with or without an adapter, in eval mode.
        tokenizer: The model's tokenizer.
        sequences: Each a list of messages with one output or more.
        options: Answers to score in the place of every output, or each output's own; see :data:`OutputOptions`.
        text_format: How messages are written; by default the one that fits the tokenizer (``auto``).
        rules: What the model is multiplied by at every step; the response that they speak of is the output alone.
        batch_size: Sequences per forward pass. Sequences of similar length go together.
        progress: Show a progress bar.

    Returns:
        One result per sequence, on the CPU.

    Raises:
        UserError: A role is out of place, two options are the same tokens, or a sequence with an option is longer than
            the model allows.
    """
    text_format = get_format("auto", tokenizer) if text_format is None else text_format
    tokenized = tokenize_sequences(tokenizer, sequences, text_format)
    option_ids = option_ids_of_outputs(tokenizer, tokenized, options, text_format)
    _check_lengths(model, tokenized, option_ids)

    def rows(pack: _Pack, indices: Iterable[int]) -> Iterator[_Row]:
        return (row for index in indices for row in pack(index, tokenized[index], option_ids[index]))

    def rows_again(layout: Layout, candidates: list[tuple[int, int, int]]) -> Iterator[_Row]:
        shared = options and layout is Layout.TREE
        return rows(_pack_apart, sorted({index for index, *_ in candidates}) if shared else ())

    found = score_rows(
        model,
        lambda layout: rows(_pack if layout is Layout.TREE else _pack_apart, range(len(tokenized))),
        rows_again,
        shared="a sequence",
        longest=max(map(_longest, tokenized, option_ids), default=0),
        rules=rules,
        batch_size=batch_size,
        progress=progress,
    )
    of_sequence: list[dict[tuple[int, int], float]] = [{} for _ in tokenized]
    for (index, *candidate), log_prob in found.items():
        of_sequence[index][tuple(candidate)] = log_prob
    return [
        as_result(sequence, scores, None if options is None else list(map(len, ids)))
        for sequence, scores, ids in zip(tokenized, of_sequence, option_ids, strict=True)
    ]


def tokenize_sequences(
    tokenizer: PreTrainedTokenizerBase, sequences: Sequence[Sequence[Message]], text_format: Format
) -> list[TokenizedSequence]:
    """The token ids of each sequence, as training has them.

    Raises:
        UserError: A role is unknown or out of place.
    """
    encode = token_encoder(tokenizer, text_format)
    written = [written_draws(messages, text_format) for messages in sequences]
    begun = encode.at_start(description or draws[0].context for description, draws in written if draws)
    inside = (text for _, draws in written for draw in draws for text in (draw.context, draw.output))
    ids = encode([text_format.bos, text_format.separator, *inside])
    return [_joined(row, begun, ids, text_format) for row in written]


def outputs_that_fit(
    sequences: Sequence[Sequence[Message]],
    written: Iterable[tuple[PreTrainedTokenizerBase, Format]],
    max_length: int,
    *,
    options: Sequence[Sequence[Sequence[str]]] | None = None,
    max_positions: int | None = None,
) -> list[int]:
    """How many leading outputs of each sequence fit into ``max_length`` tokens however it is written.

    Formats and models that are given these outputs are compared on the same ones.

    Args:
        sequences: Each a list of messages.
        written: Every tokenizer and format that a sequence has to fit in.
        max_length: Tokens, at most, up to the terminator of the last output.
        options: Answers that are scored in the places of each sequence's outputs.
        max_positions: Tokens, at most, with any of these in the place of the last output; None for any number.

    Returns:
        A number of outputs per sequence.
    """
    counts = []
    for tokenizer, text_format in written:
        tokenized = tokenize_sequences(tokenizer, sequences, text_format)
        asked = options if max_positions is not None else None
        ids = option_ids_of_outputs(tokenizer, tokenized, asked, text_format)
        counts.append([
            next((k for k in range(len(one.outputs)) if not _fits(one, k, of_outputs[k], max_length, max_positions)),
                 len(one.outputs))
            for one, of_outputs in zip(tokenized, ids, strict=True)
        ])  # fmt: skip
    return [min(fitting) for fitting in zip(*counts, strict=True)]


def _joined(
    row: WrittenRow, begun: dict[str, list[int]], ids: dict[str, list[int]], text_format: Format
) -> TokenizedSequence:
    description, draws = row
    tokens: list[int] = []
    outputs = []
    for place, draw in enumerate(draws):
        if place == 0:
            tokens += ids[text_format.bos] + begun[description or draw.context]
        else:
            tokens += ids[text_format.separator]
        if place or description:
            tokens += ids[draw.context]
        outputs.append((len(tokens), len(tokens) + len(ids[draw.output])))
        tokens += ids[draw.output]
    context = sum(not draw.trained for draw in draws)
    return TokenizedSequence(tuple(tokens), tuple(outputs), scored=range(context, len(draws)))


def output_option_ids(
    tokenizer: PreTrainedTokenizerBase, options: Sequence[str], text_format: Format
) -> list[tuple[int, ...]]:
    """The token ids of each option as an output, with its terminator.

    Raises:
        UserError: Two options are the same tokens.
    """
    texts = [text_format.output(option) for option in options]
    ids = token_encoder(tokenizer, text_format)(texts)
    found = [tuple(ids[text]) for text in texts]
    if len(set(found)) < len(found):
        raise UserError("two options are the same tokens: list each answer once")
    return found


def option_ids_of_outputs(
    tokenizer: PreTrainedTokenizerBase,
    sequences: Sequence[TokenizedSequence],
    options: OutputOptions | None,
    text_format: Format,
) -> list[OptionIds]:
    """Per sequence the token ids of the options of each of its outputs.

    Raises:
        UserError: Two options of an output are the same tokens, or there is not one list of options for each output.
    """
    if not options or isinstance(options[0], str):
        shared = output_option_ids(tokenizer, options or (), text_format)
        return [[shared] * len(sequence.outputs) for sequence in sequences]
    if [len(of_sequence) for of_sequence in options] != [len(sequence.outputs) for sequence in sequences]:
        raise UserError("the lists of options are not one for each output of each sequence: pass them in their order")
    distinct = {tuple(texts) for of_sequence in options for texts in of_sequence}
    ids = {texts: output_option_ids(tokenizer, texts, text_format) for texts in distinct}
    return [[ids[tuple(texts)] for texts in of_sequence] for of_sequence in options]


def _fits(
    sequence: TokenizedSequence,
    output: int,
    options: Sequence[tuple[int, ...]],
    max_length: int,
    max_positions: int | None,
) -> bool:
    """Whether a sequence fits up to an output, and up to any of the options in its place."""
    longest = longest_with_options(sequence, output, options)
    return sequence.outputs[output][1] <= max_length and (max_positions is None or longest <= max_positions)


def longest_with_options(sequence: TokenizedSequence, output: int, options: Sequence[tuple[int, ...]]) -> int:
    """The tokens of a sequence up to the end of an output, or of the longest option in its place."""
    start, end = sequence.outputs[output]
    return max(end, start + max(map(len, options), default=0))


def _longest(sequence: TokenizedSequence, of_outputs: OptionIds) -> int:
    return max(
        (longest_with_options(sequence, output, ids) for output, ids in enumerate(of_outputs)),
        default=len(sequence.ids),
    )


def _check_lengths(model: PreTrainedModel, sequences: Sequence[TokenizedSequence], options: list[OptionIds]) -> None:
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    for position, (sequence, of_outputs) in enumerate(zip(sequences, options, strict=True)):
        longest = _longest(sequence, of_outputs)
        if 0 < limit < longest:
            raise UserError(
                f"sequence {position} has {longest} tokens, more than the {limit} that the model was made for: "
                "keep fewer of its outputs"
            )


_Row = Row[tuple[int, int, int]]
"""A sequence with options in the places of some of its outputs, which scores (sequence, output, option)."""

_Pack = Callable[[int, TokenizedSequence, OptionIds], Iterator[_Row]]


def _pack(index: int, sequence: TokenizedSequence, options: OptionIds) -> Iterator[_Row]:
    """Rows that score the outputs of a sequence and every option in their places: one row, more for many options."""
    for outputs in _outputs_per_row(sequence, options):
        row = _Row()
        row.tree.extend(ROOT, sequence.ids[: sequence.outputs[outputs[-1]][1]])
        for output in outputs:
            start, end = sequence.outputs[output]
            row.steps[index, output, TRUE_OUTPUT] = row.tree.steps(start - 1, sequence.ids[start:end])
            for option, ids in enumerate(options[output]):
                row.steps[index, output, option] = row.tree.steps(start - 1, ids)
        yield row


def _outputs_per_row(sequence: TokenizedSequence, options: OptionIds) -> Iterator[range]:
    """The scored outputs in runs whose options have no more tokens than go into a row."""
    first, tokens = sequence.scored.start, 0
    for output in sequence.scored:
        more = sum(map(len, options[output]))
        if output > first and tokens + more > MAX_BRANCH_TOKENS:
            yield range(first, output)
            first, tokens = output, 0
        tokens += more
    if first < sequence.scored.stop:
        yield range(first, sequence.scored.stop)


def _pack_apart(index: int, sequence: TokenizedSequence, options: OptionIds) -> Iterator[_Row]:
    """The same in rows without branches, one more for each option in each place."""
    yield from _pack(index, sequence, [()] * len(sequence.outputs))
    for output in sequence.scored:
        start, _ = sequence.outputs[output]
        for option, ids in enumerate(options[output]):
            row = _Row()
            row.tree.extend(ROOT, sequence.ids[:start])
            row.steps[index, output, option] = row.tree.steps(start - 1, ids)
            yield row


def as_result(
    sequence: TokenizedSequence, scores: Mapping[tuple[int, int], float], n_options: Sequence[int] | None
) -> OutputLogProbs:
    """The result of a sequence from {(output, option or ``TRUE_OUTPUT``): log-probability}; NaN for what is missing.

    ``n_options`` are the options of each output; None where none were asked for.
    """
    outputs = range(len(sequence.outputs))
    most = max(n_options or (), default=0)
    return OutputLogProbs(
        log_probs=torch.tensor([scores.get((output, TRUE_OUTPUT), math.nan) for output in outputs]),
        tokens=torch.tensor([end - start for start, end in sequence.outputs], dtype=torch.int64),
        asked=torch.tensor([output in sequence.scored for output in outputs], dtype=torch.bool),
        options=None
        if n_options is None
        else torch.tensor([[scores.get((output, option), math.nan) for option in range(most)] for output in outputs]),
    )
