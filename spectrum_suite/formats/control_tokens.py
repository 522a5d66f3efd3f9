"""Control tokens inside texts: a text is data, so what looks like a turn or an end in it is written as plain text.

A text that a format puts into a turn is marked: each control token in it stands between two characters that no text has
(noncharacters of Unicode; one that is there nevertheless is marked like a control token). The encoder spells what is
marked, with the tokens that its letters have, and `apply_chat_template(..., sanitize_control_tokens=True)` of
`transformers` does the same for those who use the published template.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tokenizers.normalizers import Normalizer

from spectrum_suite.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

START, END = "\ufdd0", "\ufdd1"
"""Stand around what is to be spelled."""

BORDER = "\ufdd2"
"""Stands where one segment of a text ends and the next begins."""

_MARKED = re.compile(f"{START}(.[^{END}]*){END}", re.DOTALL)
_BORDER = re.compile(f"(?<!{START}){BORDER}")

_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, dict[tuple[str, ...], ControlTokens]] = WeakKeyDictionary()


@dataclass(frozen=True)
class ControlTokens:
    """The control tokens of a tokenizer.

    Attributes:
        texts: What they are written as, and the characters that mark.
        normalizer: What the tokenizer makes of a text before it looks for them, if anything.
    """

    texts: frozenset[str]
    normalizer: Normalizer | None = field(default=None, compare=False)
    _first: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _lengths: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        firsts = "".join(sorted({text[0] for text in self.texts}))
        object.__setattr__(self, "_first", re.compile(f"[{re.escape(firsts)}]"))
        object.__setattr__(self, "_lengths", tuple(sorted({len(text) for text in self.texts}, reverse=True)))

    def mark(self, text: str) -> str:
        """The text with its control tokens marked; the longest wins where several begin.

        Raises:
            UserError: The tokenizer rewrites the text into one that has a control token.
        """
        if self.normalizer is not None:
            self._check_rewritten(text)
        if self._first.search(text) is None:
            return text
        parts, at = [], 0
        for found in self._first.finditer(text):
            start = found.start()
            if start < at:
                continue
            for length in self._lengths:
                if text[start : start + length] in self.texts:
                    parts += [text[at:start], START, text[start : start + length], END]
                    at = start + length
                    break
        return "".join([*parts, text[at:]]) if parts else text

    def _check_rewritten(self, text: str) -> None:
        rewritten = self.normalizer.normalize_str(text)
        new = sorted(token for token in self.texts if rewritten.count(token) > text.count(token))
        if new:
            raise UserError(f"this tokenizer reads {text[:60]!r} as having the control token {new[0]}: change the text")


def control_tokens(
    tokenizer: PreTrainedTokenizerBase, turn: Iterable[str] = (), known: Iterable[str] = ()
) -> ControlTokens:
    """The special tokens of a tokenizer, and the turn tokens that it has.

    Args:
        tokenizer: The tokenizer.
        turn: Tokens that it writes turns with, special or not.
        known: Tokens that are control tokens where it has them as added tokens, special or not.
    """
    key = (*turn, *map(str, tokenizer.all_special_tokens))
    kept = _KNOWN.setdefault(tokenizer, {})
    if key not in kept:
        kept[key] = _control_tokens(tokenizer, frozenset(turn), frozenset(known))
    return kept[key]


def _control_tokens(tokenizer: PreTrainedTokenizerBase, turn: frozenset[str], known: frozenset[str]) -> ControlTokens:
    added = tokenizer.added_tokens_decoder.values()
    found = [token for token in added if token.special or token.content in turn | known]
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    rewrites = any(token.normalized for token in found)
    texts = {token.content for token in found} | turn | set(map(str, tokenizer.all_special_tokens))
    return ControlTokens(frozenset({*texts, START, END, BORDER} - {""}), normalizer if rewrites else None)


def unmarked(text: str) -> str:
    """A marked text as people read it."""
    if not any(mark in text for mark in (START, BORDER)):
        return text
    return _MARKED.sub(r"\1", _BORDER.sub("", text))


def segments_of(text: str) -> list[str]:
    """The segments of a text with borders."""
    return _BORDER.split(text) if BORDER in text else [text]


def spelled_parts(text: str) -> list[str]:
    """A marked text as [text, what is spelled, text, what is spelled, ..., text]."""
    return _MARKED.split(text)
