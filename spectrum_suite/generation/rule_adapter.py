"""Three hand-written rules, multiplied into a base model's distribution, make it answer instructions.

The product of distributions of Hewitt et al. 2024 (arXiv 2409.14254, section 6): p(w | x) is proportional to
p_base(w | x) p_rules(w | x), where p_rules is the softmax of the summed scores of three rules. To add the scores to the
base model's logits is all that it takes, since the normalizers of both cancel.

This file stands alone: it needs only `torch` and `transformers`, and a Hub repository that has it as
``custom_generate/generate.py`` gives any model the rules:

    model.generate(**prompt, tokenizer=tokenizer, custom_generate="<org>/rule-adapter", trust_remote_code=True)
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

RULES = ("ending", "words", "repetition")

SPACES = "<spaces>"
"""Stands for every token that is a run of two or more spaces."""

WORDS: Mapping[str, float] = {
    "<": -4.0, " <": -4.0, "|": -4.0, "I": -5.0, " I": -5.0, "What": -5.0, "We": -3.0, " should": -6.0,
    " *": 1.0, " -": 1.0, SPACES: 1.0, " #": 1.0, " ##": 1.0, "\n": 1.0, "!": 1.0,
}  # fmt: skip
"""Scores of the second rule, for every step; a space in front belongs to the token."""


@dataclass(frozen=True)
class Rules:
    """The weights of the rules; the defaults are the paper's.

    Attributes:
        ending: Score of the end of the sequence from ``ending_length`` tokens on, to which it grows linearly from 0.
        ending_length: See ``ending``.
        words: Text of a token -> its score at every step. ``"<spaces>"`` is every run of spaces.
        repetition: Score of each token that has been used already, however often.
        repetition_in: Where "already" begins: with the ``response``, as the paper says, or with the ``prompt``, as
            its code does.
    """

    ending: float = 15.0
    ending_length: int = 250
    words: Mapping[str, float] = field(default_factory=lambda: dict(WORDS))
    repetition: float = -1.5
    repetition_in: Literal["response", "prompt"] = "response"

    def __post_init__(self) -> None:
        if self.ending_length < 1:
            raise ValueError(f"ending_length is {self.ending_length}: give at least 1")
        if self.repetition_in not in ("response", "prompt"):
            raise ValueError(f"repetition_in is {self.repetition_in!r}: choose 'response' or 'prompt'")

    def without(self, *rules: str) -> Rules:
        """These rules, less some of ``ending``, ``words`` and ``repetition``.

        Raises:
            ValueError: A name is not one of the three.
        """
        if unknown := set(rules) - set(RULES):
            raise ValueError(f"no rule {min(unknown)!r}: choose from {', '.join(RULES)}")
        off: dict[str, Any] = {"ending": 0.0, "words": {}, "repetition": 0.0}
        return replace(self, **{name: off[name] for name in rules})


class RuleBasedAdapter(LogitsProcessor):
    """Adds the scores of the rules to a model's logits, so that sampling follows the product of distributions.

        rules = RuleBasedAdapter(tokenizer)
        model.generate(**prompt, logits_processor=LogitsProcessorList([rules]), do_sample=True, top_k=0)

    It works with the key-value cache, in batches with padding on the left, greedy, sampling or with beams. A call that
    does not continue the call before begins a new response, so one adapter serves many calls of ``generate``.

    Attributes:
        missing: Words of the rules that are not a single token of this vocabulary; they have no effect.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rules: Rules | None = None,
        *,
        eos_token_id: int | Sequence[int] | None = None,
        prompt_length: int | None = None,
    ) -> None:
        """Find the words in the vocabulary.

        Args:
            tokenizer: The model's.
            rules: The weights; by default the paper's.
            eos_token_id: What ends a response; by default the tokenizer's end of sequence.
            prompt_length: Tokens of the prompt with its padding; by default what the first call of a response sees.

        Raises:
            ValueError: There is a rule about the end, and no token that ends a response.
        """
        self.rules = rules or Rules()
        ends = tokenizer.eos_token_id if eos_token_id is None else eos_token_id
        self.eos_token_ids = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        if self.rules.ending and not self.eos_token_ids:
            raise ValueError("the tokenizer has no end of sequence: give eos_token_id, or leave the rule 'ending' out")
        self.pad_token_id = tokenizer.pad_token_id
        self.prompt_length = prompt_length
        found = token_ids_of(tokenizer, self.rules.words)
        self.missing = tuple(word for word, ids in found.items() if not ids)
        self._word_ids = torch.tensor([i for ids in found.values() for i in ids], dtype=torch.long)
        self._word_scores = torch.tensor([self.rules.words[word] for word, ids in found.items() for _ in ids])
        self._prompt, self._length = torch.empty(0, 0), 0

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Logits with the scores of the rules added.

        Args:
            input_ids: (batch, length), prompt and response so far.
            scores: (batch, vocabulary), logits or log-probabilities of the next token.
        """
        begins = self._response_begins(input_ids)
        scores = self._with_words(scores)
        if self.eos_token_ids:
            grown = min(input_ids.shape[1] - begins, self.rules.ending_length) / self.rules.ending_length
            scores[:, self.eos_token_ids] += self.rules.ending * grown
        if not self.rules.repetition:
            return scores
        if self.rules.repetition_in == "response":
            used = input_ids[:, begins:]
        else:  # what pads the prompt has not been used: in its place count the last token once more
            padding = (input_ids == self.pad_token_id).cummin(1).values if self.pad_token_id is not None else False
            used = torch.where(torch.as_tensor(padding, device=input_ids.device), input_ids[:, -1:], input_ids)
        return scores.scatter(1, used, scores.gather(1, used) + self.rules.repetition)

    def add(
        self, scores: torch.FloatTensor, lengths: Sequence[int], used: Sequence[Sequence[int]]
    ) -> torch.FloatTensor:
        """The same for texts that are not a batch in the making, such as those of a scorer.

        Args:
            scores: (texts, vocabulary), logits or log-probabilities of each text's next token.
            lengths: Tokens of each response so far.
            used: Tokens of each text that have been used, as ``rules.repetition_in`` has it.
        """
        scores = self._with_words(scores)
        if self.eos_token_ids:
            grown = torch.tensor(lengths).clamp(max=self.rules.ending_length) / self.rules.ending_length
            scores[:, self.eos_token_ids] += self.rules.ending * grown.to(scores)[:, None]
        pairs = [(row, token) for row, tokens in enumerate(used) for token in set(tokens)]
        if self.rules.repetition and pairs:
            scores[tuple(torch.tensor(pairs, device=scores.device).T)] += self.rules.repetition
        return scores

    def _with_words(self, scores: torch.FloatTensor) -> torch.FloatTensor:
        """A copy of the scores with those of the second rule."""
        return scores.index_add(
            1, self._word_ids.to(scores.device), self._word_scores.to(scores).expand(len(scores), -1)
        )

    def _response_begins(self, input_ids: torch.LongTensor) -> int:
        """The length of the prompt: that of the first call whose text does not continue that of the call before."""
        if self.prompt_length is not None:
            return self.prompt_length
        longer = input_ids.shape[1] == self._length + 1
        if not longer or not torch.equal(input_ids[:, : self._prompt.shape[1]], self._prompt):
            self._prompt = input_ids.clone()
        self._length = input_ids.shape[1]
        return self._prompt.shape[1]


def token_ids_of(tokenizer: PreTrainedTokenizerBase, words: Iterable[str]) -> dict[str, list[int]]:
    """Text of a token -> the ids of all tokens that add exactly this text after other text.

    Found by decoding the vocabulary, so that a leading space is whatever the tokenizer makes it, and a byte token
    counts as its character.
    """
    wanted: dict[str, list[int]] = {word: [] for word in words}
    if not wanted:
        return wanted
    special = set(tokenizer.all_special_ids)
    for token_id, added in enumerate(added_texts(tokenizer)):
        if token_id in special:
            continue
        if added in wanted:
            wanted[added].append(token_id)
        if SPACES in wanted and re.fullmatch("  +", added):
            wanted[SPACES].append(token_id)
    return wanted


def added_texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What each token of the vocabulary adds after other text."""
    (anchor,) = tokenizer("a", add_special_tokens=False).input_ids[-1:]
    before = tokenizer.decode([anchor])
    rows = [[anchor, token] for token in range(len(tokenizer))]
    return [text.removeprefix(before) for text in tokenizer.batch_decode(rows, clean_up_tokenization_spaces=False)]


def generate(
    model: PreTrainedModel,
    *arguments: torch.Tensor,
    tokenizer: PreTrainedTokenizerBase | None = None,
    rules: Mapping[str, Any] | None = None,
    logits_processor: LogitsProcessorList | None = None,
    revision: str | None = None,
    **options: Any,
) -> Any:
    """``model.generate`` with the rules: what a Hub repository's ``custom_generate`` calls.

    Of the model's own generation config only its tokens count (what ends a text, what pads one): its penalties and cuts
    would make another distribution than the product. What the caller asks for counts.

    Args:
        model: Any causal language model.
        arguments: The prompt's ids, if they are not given by name.
        tokenizer: The model's; by default the one beside it.
        rules: Weights of :class:`Rules` that differ from the paper's.
        logits_processor: More processors; they come first.
        revision: Of the repository with this file. `transformers` has used it when it calls this function.
        options: Anything else that ``model.generate`` takes.
    """
    tokenizer = tokenizer or AutoTokenizer.from_pretrained(model.name_or_path)
    own = model.generation_config
    asked = options.get("generation_config") or own
    ends = options.get("eos_token_id", own.eos_token_id if asked.eos_token_id is None else asked.eos_token_id)
    adapter = RuleBasedAdapter(tokenizer, Rules(**(rules or {})), eos_token_id=ends)
    processors = LogitsProcessorList([*(logits_processor or []), adapter])
    plain = copy.copy(model)  # the same weights; ``generate`` takes what is not passed from its model's config
    plain.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    return plain.generate(*arguments, logits_processor=processors, **options)
