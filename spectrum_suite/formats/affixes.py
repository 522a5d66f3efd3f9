"""What a tokenizer puts around a text by itself: a beginning of sequence before it, with some an end after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_PROBE = "a"


def added_around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The token ids that the tokenizer adds before and after a text, found by looking at one."""
    alone = tokenizer.encode(_PROBE, add_special_tokens=False)
    whole = tokenizer.encode(_PROBE)
    for start in range(len(whole) - len(alone) + 1):
        end = start + len(alone)
        if whole[start:end] == alone:
            return whole[:start], whole[end:]
    return [], []  # it writes texts otherwise where it adds something: then nothing is added
