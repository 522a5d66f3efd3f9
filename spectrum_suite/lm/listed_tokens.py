"""The likeliest next tokens that a completions server lists, as log-probabilities by token id.

Servers list them in two forms: texts with their log-probabilities (OpenAI's completions, llama-cpp-python, SGLang), and
entries with ids (llama.cpp's own server). A text stands for a token only if no other token of the vocabulary is written
like it, be it by itself or after other text: of two that are, a server may mean either, or keep the less likely one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

_REPLACED = "\N{REPLACEMENT CHARACTER}"  # a part of a character, which some servers leave out


def texts_of_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Text -> the only token that is written so; texts of several tokens, and empty ones, are left out."""
    (anchor,) = tokenizer("a", add_special_tokens=False).input_ids[-1:]
    before = tokenizer.decode([anchor])
    ids = range(len(tokenizer))
    alone = tokenizer.batch_decode([[token] for token in ids], clean_up_tokenization_spaces=False)
    after = tokenizer.batch_decode([[anchor, token] for token in ids], clean_up_tokenization_spaces=False)
    after = [text.removeprefix(before) for text in after]
    written = [{text, other, text.replace(_REPLACED, ""), other.replace(_REPLACED, "")}
               for text, other in zip(alone, after, strict=True)]  # fmt: skip
    times = Counter(text for texts in written for text in texts)
    return {text: token for token, text in enumerate(after) if text and _REPLACED not in text and times[text] == 1}


def listed_tokens(choice: Mapping[str, Any], texts: Mapping[str, int]) -> dict[int, float]:
    """Token -> its log-probability in nats after the prompt, for those that a completion of one token lists.

    Args:
        choice: The completion.
        texts: As :func:`texts_of_tokens` gives them.
    """
    pairs = [(texts.get(name) if isinstance(name, str) else name, log_prob) for name, log_prob in _listed(choice)]
    return {
        token: log_prob
        for token, log_prob in pairs
        if token is not None and isinstance(log_prob, (int, float)) and math.isfinite(log_prob)
    }


def count_listed(choice: Mapping[str, Any]) -> int:
    """How many tokens, or texts of tokens, it lists."""
    return len(_listed(choice))


def _listed(choice: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Ids or texts with what is told of them."""
    told = choice.get("logprobs") or {}
    if told.get("content"):
        return [(entry.get("id"), entry.get("logprob")) for entry in told["content"][0].get("top_logprobs") or ()]
    return list(((told.get("top_logprobs") or [None])[0] or {}).items())
