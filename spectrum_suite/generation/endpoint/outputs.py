"""Outputs inside sequences, scored through a completions server.

A sequence is sent once for all of its outputs, and once more for every other option in the place of an output: a server
shares what it shares between requests by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from spectrum_suite.formats.render import Format, Message, get_format
from spectrum_suite.generation.endpoint.client import Endpoint
from spectrum_suite.generation.endpoint.scores import Continuation, continuation_logprobs
from spectrum_suite.generation.logprobs import TokenIds
from spectrum_suite.generation.output_logprobs import (
    TRUE_OUTPUT,
    OptionIds,
    OutputLogProbs,
    OutputOptions,
    TokenizedSequence,
    as_result,
    option_ids_of_outputs,
    tokenize_sequences,
)


def endpoint_output_logprobs(
    endpoint: Endpoint,
    tokenizer: PreTrainedTokenizerBase,
    sequences: Sequence[Sequence[Message]],
    *,
    options: OutputOptions | None = None,
    text_format: Format | None = None,
    batch_size: int = 16,
    progress: bool = False,
) -> list[OutputLogProbs]:
    """As :func:`spectrum_suite.generation.output_logprobs.output_logprobs`, by a server that takes token ids.

    Args:
        endpoint: The server.
        tokenizer: The tokenizer of the served model.
        sequences: Each a list of messages with one output or more.
        options: Answers to score in the place of every output, or each output's own; each costs a request of a whole
            sequence.
        text_format: How messages are written; by default the one that fits the tokenizer (``auto``).
        batch_size: Sequences per request.
        progress: Show a progress bar.

    Returns:
        One result per sequence.

    Raises:
        UserError: A role is out of place, two options are the same tokens, the server cannot be reached or refuses,
            or it does not give the log-probabilities of a prompt's tokens.
    """
    text_format = get_format("auto", tokenizer) if text_format is None else text_format
    tokenized = tokenize_sequences(tokenizer, sequences, text_format)
    option_ids = option_ids_of_outputs(tokenizer, tokenized, options, text_format)
    wanted = [row for sequence, ids in zip(tokenized, option_ids, strict=True) for row in _rows(sequence, ids)]
    scores = continuation_logprobs(endpoint, tokenizer, wanted, batch_size=batch_size, progress=progress)
    found = {(row.prompt, row.continuation): log_probs for row, log_probs in zip(wanted, scores, strict=True)}
    return [
        as_result(sequence, _scores(sequence, ids, found), None if options is None else list(map(len, ids)))
        for sequence, ids in zip(tokenized, option_ids, strict=True)
    ]


def _rows(sequence: TokenizedSequence, options: OptionIds) -> list[Continuation]:
    """The whole sequence, and each option in each place where it is not the output itself."""
    if not sequence.scored:
        return []
    rows = [Continuation(*_split(sequence))]
    for output in sequence.scored:
        start, end = sequence.outputs[output]
        others = (option for option in options[output] if option != sequence.ids[start:end])
        rows += [Continuation(sequence.ids[:start], option) for option in others]
    return rows


def _split(sequence: TokenizedSequence) -> tuple[TokenIds, TokenIds]:
    """What stands before the first scored output, and all from there on."""
    start, _ = sequence.outputs[sequence.scored.start]
    return sequence.ids[:start], sequence.ids[start:]


def _scores(
    sequence: TokenizedSequence,
    options: OptionIds,
    found: dict[tuple[TokenIds, TokenIds], list[float]],
) -> dict[tuple[int, int], float]:
    """(output, option) -> log-probability in nats; the output itself is ``TRUE_OUTPUT``."""
    scores: dict[tuple[int, int], float] = {}
    for output in sequence.scored:
        start, end = sequence.outputs[output]
        before, after = _split(sequence)
        own = sum(found[before, after][start - len(before) : end - len(before)])
        scores[output, TRUE_OUTPUT] = own
        for index, option in enumerate(options[output]):
            same = option == sequence.ids[start:end]
            scores[output, index] = own if same else sum(found[sequence.ids[:start], option])
    return scores
