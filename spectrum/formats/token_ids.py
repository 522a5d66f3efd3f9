"""From segments of text to token ids, with the boundaries that training and inference share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from transformers import PreTrainedTokenizerBase

from spectrum.formats.render import Format


def token_encoder(
    tokenizer: PreTrainedTokenizerBase, text_format: Format
) -> Callable[[Iterable[str]], dict[str, list[int]]]:
    """A function from segments of ``text_format`` to ``{segment: token ids}``, in one tokenizer call.

    Where the tokens at the end of a turn depend on what follows (the blank line of plain text), the start of the next
    turn is tokenized behind it and cut off again, so that the ids are those of the text as a whole.
    """
    follower = text_format.follower
    tail = len(tokenizer(follower, add_special_tokens=False).input_ids) if follower else 0

    def encode(texts: Iterable[str]) -> dict[str, list[int]]:
        distinct = sorted({text for text in texts if text})
        ends = [text.endswith(text_format.terminator) for text in distinct]
        whole = [text + follower * end for text, end in zip(distinct, ends, strict=True)]
        ids = tokenizer(whole, add_special_tokens=False).input_ids if whole else []
        cut = (found[: len(found) - tail * end] for found, end in zip(ids, ends, strict=True))
        return {"": [], **dict(zip(distinct, cut, strict=True))}

    return encode
