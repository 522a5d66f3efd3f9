"""Engines that are asked for the log-probabilities of the tokens that continue a prompt: options, or outputs.

Those of a prompt are asked about in one of two ways, whichever takes fewer tokens:

    nodes   each distinct beginning once, for the log-probabilities of all the tokens that follow it there; what
            beginnings share is the engine's to keep
    paths   each continuation whole, for the log-probabilities of its own tokens

    prompt  A B C    options  D E, D F, G    nodes  A B C: D, G    A B C D: E, F

So ten options of one token are one question, and so is one output of a hundred tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import torch

from spectrum_suite.formats.render import Message
from spectrum_suite.generation.logprobs import Prompt, TokenIds
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
from spectrum_suite.lm.base import OptionScores, TokenLM

Continuation = tuple[TokenIds, TokenIds]
"""A prompt, and the tokens after it whose log-probabilities are wanted."""


Node = tuple[TokenIds, tuple[int, ...]]
"""A prompt with the beginning of a continuation, and the tokens after it whose log-probabilities are wanted."""

NODE_TOKENS = 32
"""What a node counts, in tokens: about the end of it that is in no whole block of a prefix cache."""

FOLLOWERS = 128
"""Tokens after a node that are asked about at a time, at most: as many as vLLM takes."""


class ContinuationLM(TokenLM):
    """A model that is asked for the log-probabilities of continuations."""

    @abstractmethod
    def asked(
        self, nodes: Sequence[Node], paths: Sequence[Continuation]
    ) -> tuple[list[list[float | None]], list[list[float]]]:
        """Per node the log-probabilities of the tokens after it, and per path those of its tokens, in nats.

        One of a node may be None, where the model does not tell it: what continues with it is asked about as a path.

        Raises:
            UserError: The model cannot be asked.
        """

    def takes_nodes(self) -> bool:
        """Whether the model can be asked about nodes."""
        return True

    def scored(self, wanted: Sequence[Continuation]) -> dict[Continuation, list[float]]:
        """Each continuation with the log-probabilities of its tokens, in nats.

        Raises:
            UserError: The model cannot be asked.
        """
        nodes, paths = nodes_and_paths(wanted)
        if nodes and not self.takes_nodes():
            nodes, paths = [], list(dict.fromkeys(wanted))
        after, along = self.asked(nodes, paths)
        log_probs = {
            (context, token): log_prob
            for (context, ids), found in zip(nodes, after, strict=True)
            for token, log_prob in zip(ids, found, strict=True)
        }
        by_nodes = {
            (prompt, ids): [((*prompt, *ids[:end]), token) for end, token in enumerate(ids)]
            for prompt, ids in set(wanted).difference(paths)
        }
        scored = dict(zip(paths, along, strict=True))
        untold = [
            whole for whole in dict.fromkeys(wanted) if any(log_probs[at] is None for at in by_nodes.get(whole, ()))
        ]
        single = list(dict.fromkeys(at for whole in untold for at in by_nodes[whole] if log_probs[at] is None))
        if len(single) < len(untold):
            _, told = self.asked([], [(context, (token,)) for context, token in single])
            log_probs |= {at: log_prob for at, (log_prob,) in zip(single, told, strict=True)}
        else:
            _, told = self.asked([], untold)
            scored |= dict(zip(untold, told, strict=True))
        return {whole: [log_probs[at] for at in tokens] for whole, tokens in by_nodes.items()} | scored

    def option_logprobs(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, refuse_long: bool = False
    ) -> list[OptionScores]:
        """See :class:`LM`. An option that is the beginning of another, token by token, is read from that one."""
        asked = self.tokenized(prompts, options, refuse_long=refuse_long)
        wanted = [(item.prompt, option) for item in asked.fitting for option in _longest(item.options)]
        found: dict[Continuation, float] = {}
        for (prompt, option), log_probs in self.scored(wanted).items():
            found |= {(prompt, option[:end]): sum(log_probs[:end]) for end in range(1, len(option) + 1)}
        return asked.scored(
            torch.tensor([found[item.prompt, option] for option in item.options], dtype=torch.float32)
            for item in asked.fitting
        )

    def output_logprobs(
        self, sequences: Sequence[Sequence[Message]], *, options: OutputOptions | None = None
    ) -> list[OutputLogProbs]:
        """See :class:`LM`.

        A sequence is asked about once for all of its outputs, and once more for every other option in the place of an
        output: what they begin with alike is the engine's to share.
        """
        tokenized = tokenize_sequences(self.tokenizer, sequences, self.text_format)
        option_ids = option_ids_of_outputs(self.tokenizer, tokenized, options, self.text_format)
        wanted = [row for sequence, ids in zip(tokenized, option_ids, strict=True) for row in _rows(sequence, ids)]
        found = self.scored(wanted)
        return [
            as_result(sequence, _output_scores(sequence, ids, found), None if options is None else list(map(len, ids)))
            for sequence, ids in zip(tokenized, option_ids, strict=True)
        ]


def nodes_and_paths(wanted: Sequence[Continuation]) -> tuple[list[Node], list[Continuation]]:
    """How continuations are asked about: by nodes, those with equal followers in a row, and whole, in order."""
    of_prompt: dict[TokenIds, list[TokenIds]] = defaultdict(list)
    for prompt, after in dict.fromkeys(wanted):
        of_prompt[prompt].append(after)
    nodes: dict[TokenIds, set[int]] = defaultdict(set)
    paths: list[Continuation] = []
    for prompt, continuations in of_prompt.items():
        followers: dict[TokenIds, set[int]] = defaultdict(set)
        for after in continuations:
            for end, token in enumerate(after):
                followers[after[:end]].add(token)
        if NODE_TOKENS * len(followers) <= sum(len(prompt) + len(after) for after in continuations):
            for beginning, tokens in followers.items():
                nodes[*prompt, *beginning] |= tokens
        else:
            paths += [(prompt, after) for after in continuations]
    pieces = [
        (context, tuple(ids[start : start + FOLLOWERS]))
        for context, ids in ((context, sorted(tokens)) for context, tokens in nodes.items())
        for start in range(0, len(ids), FOLLOWERS)
    ]
    return sorted(pieces, key=lambda node: (node[1], node[0])), paths


def _longest(options: Sequence[TokenIds]) -> Iterator[TokenIds]:
    """The options that are not the beginning of another one, each once."""
    for ids, following in pairwise([*sorted(set(options)), ()]):
        if following[: len(ids)] != ids:
            yield ids


def _rows(sequence: TokenizedSequence, options: OptionIds) -> list[Continuation]:
    """The whole sequence, and each option in each place where it is not the output itself."""
    if not sequence.scored:
        return []
    rows = [_split(sequence)]
    for output in sequence.scored:
        start, end = sequence.outputs[output]
        others = (option for option in options[output] if option != sequence.ids[start:end])
        rows += [(sequence.ids[:start], option) for option in others]
    return rows


def _split(sequence: TokenizedSequence) -> Continuation:
    """What is before the first scored output, and all from there on."""
    start, _ = sequence.outputs[sequence.scored.start]
    return sequence.ids[:start], sequence.ids[start:]


def _output_scores(
    sequence: TokenizedSequence, options: OptionIds, found: Mapping[Continuation, Sequence[float]]
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
