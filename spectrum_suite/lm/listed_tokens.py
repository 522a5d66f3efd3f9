"""The likeliest next tokens that a completions server lists, as log-probabilities by token id.

Servers list them in two forms: texts with their log-probabilities (OpenAI's completions, llama-cpp-python, SGLang), and
entries with ids (llama.cpp's own server). A text stands for a token only if no other token of the vocabulary is written
like it, be it by itself or after other text: of two that are, a server may mean either, or keep the less likely one.

The tokens of single bytes (``<0x31>``) are written like the characters that tokenizers have for them ("1"). No text is
tokenized into such a byte, so no model has learnt to say it: a likely one is the character.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from spectrum_suite.generation.rule_adapter import added_texts

_REPLACED = "\N{REPLACEMENT CHARACTER}"  # a part of a character, which some servers leave out
_BYTE = re.compile("<0x[0-9A-F]{2}>")

LIKELY = math.log(1e-3)
"""Nats that a text has at least which a token shares with the token of a byte."""


@dataclass(frozen=True)
class TokenTexts:
    """What texts of tokens stand for.

    Attributes:
        own: Text -> the only token that is written so.
        shared: Text -> the only token that is written so but for the token of a byte.
    """

    own: Mapping[str, int]
    shared: Mapping[str, int]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> TokenTexts:
        """The texts of a vocabulary; those of several tokens, of parts of characters and empty ones are left out."""
        ids = range(len(tokenizer))
        alone = tokenizer.batch_decode([[token] for token in ids], clean_up_tokenization_spaces=False)
        after = added_texts(tokenizer)
        pieces = tokenizer.convert_ids_to_tokens(list(ids))
        tokens, bytes_ = defaultdict(set), set()
        for token, texts in enumerate(zip(alone, after, strict=True)):
            written = {*texts, *(text.replace(_REPLACED, "") for text in texts)}
            if _BYTE.fullmatch(pieces[token] or ""):
                bytes_ |= written
            else:
                for text in written:
                    tokens[text].add(token)
        found = {
            text: token
            for text, (token, *others) in tokens.items()
            if not others and after[token] == text and text and _REPLACED not in text
        }
        return cls(
            {text: token for text, token in found.items() if text not in bytes_},
            {text: token for text, token in found.items() if text in bytes_},
        )

    def token(self, text: str, log_prob: float) -> int | None:
        """The token that a listed text stands for; None where that cannot be told."""
        return self.own.get(text, self.shared.get(text) if log_prob >= LIKELY else None)


def listed_tokens(choice: Mapping[str, Any], texts: TokenTexts) -> dict[int, float]:
    """Token -> its log-probability in nats after the prompt, for those that a completion of one token lists.

    Args:
        choice: The completion.
        texts: What the tokens of the vocabulary are written like.
    """
    pairs = [
        (texts.token(name, log_prob) if isinstance(name, str) else name, log_prob)
        for name, log_prob in _listed(choice)
        if isinstance(log_prob, (int, float)) and math.isfinite(log_prob)
    ]
    return {token: log_prob for token, log_prob in pairs if token is not None}


def count_listed(choice: Mapping[str, Any]) -> int:
    """How many tokens, or texts of tokens, it lists."""
    return len(_listed(choice))


def _listed(choice: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Ids or texts with what is told of them."""
    told = choice.get("logprobs") or {}
    if told.get("content"):
        return [(entry.get("id"), entry.get("logprob")) for entry in told["content"][0].get("top_logprobs") or ()]
    return list(((told.get("top_logprobs") or [None])[0] or {}).items())
