"""Samples from a model at temperature 1, many from one prompt at little more than the cost of what differs among them.

The prompt runs once. Samples that have drawn the same tokens so far have the same distribution over the next one, so
they share a row of the batch, and a finished sample has none. A row costs one token a step, however many share it:

    drawn so far     A B    A B    A C    A B    A .      (five samples; the last one has come to its end)
    next pass        A B           A C                    (two rows, each a copy of the keys and values of A)

A sample draws its tokens by inverting the cumulative distribution at uniform numbers of its own, which depend on the
seed, the prompt and the sample's number alone. So the first 10 of 100 samples are the 10 samples, and neither the batch
size nor the other prompts change a sample (but for rounding: a uniform number may fall between two ways to round).
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from tqdm import tqdm
from transformers import Cache, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import ModelOutput

from spectrum_suite.compared_passes import cache_of, likely_difference
from spectrum_suite.devices import widest_float
from spectrum_suite.errors import UserError
from spectrum_suite.formats.decode import Decode, output_decoder
from spectrum_suite.formats.render import Format, get_format
from spectrum_suite.generation.logprobs import Prompt, TokenIds, prompt_token_ids
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter, Rules
from spectrum_suite.layouts import NotApart, alone, cache_differs, check_repeats, likely_tolerance, name_of, proof_of
from spectrum_suite.lm_head import HeadView, unwatched
from spectrum_suite.seeding import generator

logger = logging.getLogger(__name__)

NOT_FINITE = "the model's logits are not finite: load it in float32 or bfloat16 (--dtype)"
"""What to say of a model that gives NaN or infinity, as some do in float16."""

_BLOCK = 1024  # tokens whose probabilities are added up before one of them is looked for
_BELOW_ONE = 1 - 2.0**-53


@dataclass(frozen=True)
class Samples:
    """What was drawn from one prompt.

    Attributes:
        texts: The samples, without what ended them and without special tokens.
        unfinished: How many of them reached ``max_new_tokens`` before their end.
        ended: Of each whether it did not.
        token_ids: The tokens of each, without one that ended it.
    """

    texts: tuple[str, ...]
    unfinished: int
    ended: tuple[bool, ...] = field(default=(), compare=False, repr=False)
    token_ids: tuple[TokenIds, ...] = field(default=(), compare=False, repr=False)


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    n: int,
    *,
    first: int = 0,
    text_format: Format | None = None,
    max_new_tokens: int,
    rules: RuleBasedAdapter | None = None,
    batch_size: int = 128,
    seed: int,
    progress: bool = False,
) -> list[Samples]:
    """Draw ``n`` samples from each prompt, distributed as those of ``generate(do_sample=True, top_k=0, top_p=1.0)``.

    A sample ends at an end-of-sequence token of the tokenizer or of the model's generation config, and at the format's
    terminator: its end-of-turn token, or the blank line in plain text.

    Args:
        model: A causal language model in eval mode, with or without an adapter.
        tokenizer: The model's tokenizer.
        prompts: Each a list of messages or a string, as in :func:`spectrum_suite.option_logprobs`.
        n: Samples per prompt.
        first: The number of the first of them: 10 samples and 20 more from number 10 on are the 30 of one call.
        text_format: How messages are written and where an output ends; by default the one that fits the tokenizer
            (``auto``) for messages, and none for a string, which then ends at an end-of-sequence token alone.
        max_new_tokens: Tokens per sample at most, the one that ends it included.
        rules: What the model is multiplied by at every step.
        batch_size: Samples that are drawn together.
        seed: Of the uniform numbers.
        progress: Show a progress bar.

    Returns:
        Per prompt its samples.

    Raises:
        UserError: A number is below 1, a prompt has no tokens or leaves too little room, or the model gives no
            probabilities.
    """
    for name, value in (("n", n), ("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        if value < 1:
            raise UserError(f"{name} is {value}: give a number of at least 1")
    default = text_format
    if text_format is None and not all(isinstance(prompt, str) for prompt in prompts):
        default = get_format("auto", tokenizer)
    prompt_ids = prompt_token_ids(tokenizer, prompts, default)
    check_room(getattr(model.config.get_text_config(), "max_position_embeddings", None), prompt_ids, max_new_tokens)
    kinds = [text_format if isinstance(prompt, str) else default for prompt in prompts]
    found, seen = [], Counter()
    ends = {kind: ending_of(model.generation_config, tokenizer, kind) for kind in {*kinds}}
    with tqdm(total=len(prompts) * n, desc="Sampling", unit="sample", leave=None, disable=not progress) as bar:
        for kind, ids in zip(kinds, prompt_ids, strict=True):
            end = ends[kind]
            numbers = range(first, first + n)
            uniforms = [sample_uniforms(seed, ids, seen[ids], number, max_new_tokens) for number in numbers]
            samples = _drawn(_Drawing(model, ids, end, rules, caches=True), uniforms, batch_size, bar)
            seen[ids] += 1
            found.append(samples_of([(drawn.tokens, drawn.ended) for drawn in samples], end))
    return found


def samples_of(drawn: Sequence[tuple[list[int], bool]], end: Ending) -> Samples:
    """Samples from the tokens of each, up to the one that ended it, and whether it came to its end."""
    ended = tuple(is_ended for _, is_ended in drawn)
    return Samples(
        texts=tuple(end.text_before(tokens) for tokens, _ in drawn),
        unfinished=ended.count(False),
        ended=ended,
        token_ids=tuple(end.tokens_before(tokens) for tokens, _ in drawn),
    )


def sample_uniforms(seed: int, prompt_ids: TokenIds, occurrence: int, number: int, size: int) -> np.ndarray:
    """The uniform numbers in [0, 1) of a sample, one per token; more of them begin with the same ones.

    Args:
        seed: The seed.
        prompt_ids: The prompt.
        occurrence: How many equal prompts came before, so that a prompt given twice is sampled independently.
        number: Which of the prompt's samples it is.
        size: How many numbers.
    """
    return generator(seed, "sample", " ".join(map(str, prompt_ids)), occurrence, number).random(size)


def draw_tokens(logits: torch.Tensor, rows: Sequence[int], uniforms: Sequence[float]) -> list[int]:
    """For each sample the token whose interval of the cumulative distribution its uniform number falls into.

    Probabilities are added up in float64 where the device has it, so that tokens of very small probability are drawn
    as often as they should be. A block of tokens is found first and a token in it second, so no second array of the
    logits' size is made.

    Args:
        logits: (rows, vocabulary); their content is lost.
        rows: The row of each sample.
        uniforms: A number in [0, 1) for each sample.

    Raises:
        UserError: The logits are not finite.
    """
    position_index = torch.tensor(rows, device=logits.device)
    exact = widest_float(logits.device)
    weights = logits.float()
    weights.sub_(weights.amax(-1, keepdim=True)).exp_()
    masses = torch.stack([part.sum(-1, dtype=exact) for part in weights.split(_BLOCK, dim=-1)], dim=-1)
    if not masses.isfinite().all():
        raise UserError(NOT_FINITE)
    block, rest = _invert(masses[position_index], torch.tensor(uniforms, dtype=exact, device=logits.device))
    columns = block[:, None] * _BLOCK + torch.arange(_BLOCK, device=logits.device)
    last = weights.shape[-1] - 1
    members = weights[position_index[:, None], columns.clamp(max=last)].to(exact) * (columns <= last)
    place, _ = _invert(members, rest)
    return (block * _BLOCK + place).tolist()


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The place where each cumulative distribution passes its uniform number, and how far into the place, in [0, 1).

    Args:
        weights: (samples, places), not divided by their sums.
        uniforms: (samples,).
    """
    cumulative = weights.cumsum(-1)
    target = (uniforms * cumulative[:, -1])[:, None]
    place = torch.searchsorted(cumulative, target, right=True)
    weight = weights.gather(-1, place)
    rest = (target - cumulative.gather(-1, place) + weight) / weight
    return place[:, 0], rest[:, 0].clamp(0, _BELOW_ONE)


@dataclass
class _Sample:
    """A sample in the making: its uniform numbers, its tokens so far, and whether it has come to its end."""

    uniforms: np.ndarray
    tokens: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def live(self) -> bool:
        """Whether there are tokens to come."""
        return not self.ended and len(self.tokens) < len(self.uniforms)


@dataclass(frozen=True)
class Ending:
    """What ends a sample.

    Attributes:
        decode: Writes tokens as text.
        ids: Tokens that do.
        blank_line: Text that does, or nothing.
        prefix: What a text begins with that is not part of the output.
    """

    decode: Decode
    ids: frozenset[int]
    blank_line: str = ""
    prefix: str = ""

    def reached(self, tokens: list[int]) -> bool:
        """Whether the last token ends the sample. Only one with a line break can complete a blank line."""
        if tokens[-1] in self.ids:
            return True
        if not self.blank_line or self.blank_line[-1] not in self.decode(tokens[-1:]):
            return False
        return self.blank_line in self.decode(tokens)

    def cut(self, tokens: list[int]) -> tuple[list[int], bool]:
        """The tokens up to the one that ends the sample, and whether there is one."""
        for length in range(1, len(tokens) + 1):
            if self.reached(tokens[:length]):
                return tokens[:length], True
        return tokens, False

    def tokens_before(self, tokens: list[int]) -> TokenIds:
        """The tokens of a sample, without one that ends it."""
        return tuple(tokens[:-1] if tokens[-1] in self.ids else tokens)

    def text_before(self, tokens: list[int]) -> str:
        """The text of a sample, without its end."""
        text = self.decode(self.tokens_before(tokens))
        if self.blank_line:
            text = text.partition(self.blank_line)[0]
        return text.removeprefix(self.prefix)


def ending_of(
    config: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase, text_format: Format | None
) -> Ending:
    """What ends the samples of a model: its and its tokenizer's ends of sequence, and the format's terminator."""
    declared = getattr(config, "eos_token_id", None)
    ids = {tokenizer.eos_token_id, *(declared if isinstance(declared, list) else [declared])} - {None}
    decode = output_decoder(tokenizer, text_format)
    if text_format is None:
        return Ending(decode, frozenset(ids))
    if not text_format.ends_with_token:
        return Ending(decode, frozenset(ids), text_format.terminator, text_format.output_prefix)
    end = tokenizer.convert_tokens_to_ids(text_format.terminator)
    return Ending(decode, frozenset({*ids, end}), prefix=text_format.output_prefix)


def rule_adapter(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text_format: Format | None, rules: Rules
) -> RuleBasedAdapter:
    """The rules for a model and a format: what ends its samples is what the rule about the end is about."""
    ends = ending_of(model.generation_config, tokenizer, text_format).ids
    if rules.ending and not ends:
        raise UserError(
            "the rule about the end needs a token that ends a response, which this model lacks: leave it out"
        )
    adapter = RuleBasedAdapter(tokenizer, rules, eos_token_id=sorted(ends))
    if adapter.missing:
        words = ", ".join(map(repr, adapter.missing))
        logger.warning("no token of this vocabulary is %s: the rules have no effect there", words)
    return adapter


def check_room(limit: int | None, prompts: Sequence[TokenIds], max_new_tokens: int) -> None:
    """Refuse prompts after which a model that takes so many tokens has no room for as many new ones.

    Raises:
        UserError: There is one.
    """
    for position, ids in enumerate(prompts):
        if limit is not None and 0 < limit < len(ids) + max_new_tokens:
            raise UserError(
                f"prompt {position} with {max_new_tokens} new tokens has {len(ids) + max_new_tokens} tokens, more than "
                f"the {limit} that the model was made for: shorten it or draw fewer tokens"
            )


@dataclass
class _Drawing:
    """From what samples are drawn: the model, the prompt, what ends a sample, and the rules of an adapter.

    Attributes:
        caches: Whether a pass continues from the keys and values of the one before; otherwise it runs whole texts.
        cache_name: What the model calls these, in what it returns and in what it takes.
    """

    model: PreTrainedModel
    prompt: TokenIds
    end: Ending
    rules: RuleBasedAdapter | None
    caches: bool
    cache_name: str = ""

    @cached_property
    def view(self) -> HeadView:
        """The model, with a head that sees the last token of each row."""
        return HeadView(self.model)

    def run(self, texts: Sequence[TokenIds], cache: Cache | None) -> ModelOutput:
        """One pass: the logits after each text after the prompt, (rows, vocabulary), and the cache with all tokens.

        Args:
            texts: Of equal length.
            cache: With all tokens but the last of each text; None to run all of them.
        """
        rows = [[*self.prompt, *text] if cache is None else text[-1:] for text in texts]
        inputs = torch.tensor(rows, device=self.model.device)
        given = {} if cache is None else {self.cache_name: cache}
        return self.view(_last_of_each_row, input_ids=inputs, use_cache=self.caches, **given)

    def cache_of(self, output: ModelOutput) -> Cache | None:
        """The keys and values of a pass; from then on they are passed under the name that they have there."""
        self.cache_name, cache = cache_of(output)
        return cache

    def check(self, text: TokenIds, logits: torch.Tensor) -> None:
        """Compare the logits after a text, which a cache led to, with those of the whole text alone.

        Raises:
            NotApart: They differ.
            UserError: The model gives other numbers each time.
        """
        ids = [*self.prompt, *text]
        right = alone(unwatched(self.model), ids)[-1:]
        difference = likely_difference(logits[None], right)
        if not difference <= likely_tolerance(self.model):
            check_repeats(self.model, ids, right.float().log_softmax(-1))
            raise NotApart(f"after {len(text)} tokens by {difference:.3g} nats")

    def extend(self, samples: Sequence[_Sample], rows: Sequence[int], output: ModelOutput) -> None:
        """Draw a token for each sample from its row of the logits, which are lost."""
        logits = output.logits if self.rules is None else self._with_rules(self.rules, samples, rows, output.logits)
        tokens = draw_tokens(logits, rows, [drawn.uniforms[len(drawn.tokens)] for drawn in samples])
        for drawn, token in zip(samples, tokens, strict=True):
            drawn.tokens.append(token)
            drawn.ended = self.end.reached(drawn.tokens)

    def _with_rules(
        self, rules: RuleBasedAdapter, samples: Sequence[_Sample], rows: Sequence[int], logits: torch.Tensor
    ) -> torch.Tensor:
        responses = [
            tokens for _, tokens in sorted({row: s.tokens for row, s in zip(rows, samples, strict=True)}.items())
        ]
        before = list(self.prompt) if rules.rules.repetition_in == "prompt" else []
        return rules.add(logits.float(), list(map(len, responses)), [before + tokens for tokens in responses])


def _drawn(drawing: _Drawing, uniforms: Sequence[np.ndarray], batch_size: int, bar: tqdm) -> list[_Sample]:
    """The samples of a prompt, with the model's cache where that leads to the probabilities of whole texts."""
    proof, begun = proof_of(drawing.model), bar.n
    if proof.caches is None and (reason := cache_differs(drawing.model)):
        _say_that_whole_texts_run(drawing.model, reason)
        proof.caches = False
    for caches in (True, False) if proof.caches is not False else (False,):
        drawing.caches, bar.n = caches, begun
        samples = [_Sample(numbers) for numbers in uniforms]
        try:
            for finished in _draw_all(drawing, samples, batch_size):
                bar.update(finished)
        except NotApart as found:
            if not caches:
                raise UserError(f"{name_of(drawing.model)} cannot be sampled: a batch differs {found}") from found
            _say_that_whole_texts_run(drawing.model, found)
            proof.caches = False
        else:
            break
    return samples


def _say_that_whole_texts_run(model: PreTrainedModel, reason: object) -> None:
    logger.warning("%s cannot continue from its cache (%s): running whole texts", name_of(model), reason)


def _draw_all(drawing: _Drawing, samples: Sequence[_Sample], batch_size: int) -> Iterator[int]:
    """Draw the samples of a prompt; yields how many were finished, now and then.

    Raises:
        NotApart: The model's cache does not lead to the probabilities of whole texts.
    """
    try:
        output = drawing.run([()], None)
        cache = drawing.cache_of(output) if drawing.caches else None
    except (TypeError, ValueError) as error:  # as where there is no cache, or one of its own kind
        if not drawing.caches:
            raise
        raise NotApart(f"it takes none ({type(error).__name__})") from error
    if drawing.caches and not hasattr(cache, "reorder_cache"):
        raise NotApart("it gives none")
    drawing.extend(samples, [0] * len(samples), output)
    alike = sorted(samples, key=lambda drawn: drawn.tokens)
    for start in range(0, len(alike), batch_size):
        yield from _finish(drawing, copy.deepcopy(cache), alike[start : start + batch_size])


def _finish(drawing: _Drawing, cache: Cache | None, samples: Sequence[_Sample]) -> Iterator[int]:
    """Draw the tokens after the first. A step runs the distinct texts among the unfinished samples, once each.

    Args:
        drawing: From what they are drawn.
        cache: The keys and values of the prompt, in one row; None to run whole texts.
        samples: With a token each.

    Yields:
        How many samples were finished by the step before.

    Raises:
        NotApart: As :func:`_draw_all`.
    """
    proof = proof_of(drawing.model)
    row_of, n_rows, last = [0] * len(samples), 1, None
    while True:
        going = [(row, drawn) for row, drawn in zip(row_of, samples, strict=True) if drawn.live]
        if not going and last is not None and len(drawing.prompt) + len(last[0]) > proof.cached_reach:
            drawing.check(*last)
            proof.cached_reach = len(drawing.prompt) + len(last[0])
        yield len(samples) - len(going)
        if not going:
            return
        rows: dict[tuple[int, int], int] = {}  # a row before and the token after it -> the new row
        row_of = [rows.setdefault((row, drawn.tokens[-1]), len(rows)) for row, drawn in going]
        samples = [drawn for _, drawn in going]
        texts = {row: tuple(drawn.tokens) for row, drawn in zip(row_of, samples, strict=True)}
        parents = tuple(row for row, _ in rows)
        moved = parents != tuple(range(n_rows))
        if cache is not None and moved:
            cache.reorder_cache(torch.tensor(parents, device=drawing.model.device))
        n_rows = len(rows)
        output = drawing.run([texts[row] for row in range(n_rows)], cache)
        last = texts[n_rows - 1], output.logits[-1].clone()
        if cache is not None and n_rows > 1 and moved and not proof.caches:
            drawing.check(*last)
            proof.caches = True
        drawing.extend(samples, row_of, output)


def _last_of_each_row(states: torch.Tensor) -> torch.Tensor:
    """(rows, length, width) -> (rows, width), contiguous, which a CPU needs for speed."""
    return states[:, -1].contiguous()
