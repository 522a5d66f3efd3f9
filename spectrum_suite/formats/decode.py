"""From the tokens of an output back to its text.

Most tokenizers write tokens alike wherever they stand. Those of SentencePiece take off the space that they put in front
of a text, some of them all blanks at its ends; there an output is decoded between other tokens, whose text is cut off.
What gives some short outputs back as they were is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from spectrum_suite.formats.render import Format
from spectrum_suite.formats.token_ids import token_encoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Decode = Callable[[Sequence[int]], str]

_OUTPUTS = ("Heads", " Heads", "7")


def output_decoder(tokenizer: PreTrainedTokenizerBase, text_format: Format | None) -> Decode:
    """A function from the token ids of outputs, or of their beginnings, to their text, without special tokens.

    Args:
        tokenizer: The tokenizer.
        text_format: How the prompt is written; None for a string.
    """
    encoder = token_encoder(tokenizer, text_format)
    texts = [encoder.text_format.output_prefix * (text_format is not None) + text for text in _OUTPUTS]
    if encoder.text_format.terminator.isspace():
        texts.append(texts[0] + encoder.text_format.terminator)
    probes = dict(zip(texts, encoder.options(texts), strict=True))
    ways = list(_ways(tokenizer, encoder.text_format))
    faithful = (way for way in ways if all(way(ids) == text for text, ids in probes.items()))
    return next(faithful, ways[0])


def _ways(tokenizer: PreTrainedTokenizerBase, text_format: Format) -> Iterator[Decode]:
    def decode(ids: Sequence[int]) -> str:
        return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    yield decode
    header, letter = (tokenizer.encode(text, add_special_tokens=False) for text in (text_format.output_header, "a"))
    for before, after in ((header, []), (header, letter), (letter, []), (letter, letter)):
        yield _between(decode, before, after)


def _between(decode: Decode, before: list[int], after: list[int]) -> Decode:
    """Decode tokens between others, whose text is cut off."""
    start, whole = len(decode(before)), len(decode([*before, *after]))

    def decode_between(ids: Sequence[int]) -> str:
        text = decode([*before, *ids, *after])
        return text[start : len(text) - (whole - start)]

    return decode_between
