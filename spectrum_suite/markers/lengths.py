"""How long a completion is: in tokens, sentences and paragraphs, and in which bucket that puts it."""

from __future__ import annotations

import re

import sentencex

from spectrum_suite.markers.taxonomy import LANGUAGES

MEDIUM, LONG = 300, 1000
"""Tokens from which a completion is medium, and above which it is long."""

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_WORD = re.compile(r"\w")


def count_sentences(text: str, lang: str = "English") -> int:
    """Sentences of ``text``; a line of a list is one, and what has neither letter nor digit is none.

    Args:
        text: Any text.
        lang: A language of :data:`~spectrum_suite.markers.taxonomy.LANGUAGES`: how it ends sentences and which of
            its abbreviations end in a full stop.
    """
    return sum(bool(_WORD.search(sentence)) for sentence in sentencex.segment(LANGUAGES[lang], text))


def count_paragraphs(text: str) -> int:
    """Paragraphs of ``text``: what stands between blank lines."""
    return len(_BLANK_LINES.split(text.strip())) if text.strip() else 0


def length_bucket(n_tokens: int) -> str:
    """``concise``, ``medium`` or ``long``."""
    if n_tokens < MEDIUM:
        return "concise"
    return "medium" if n_tokens <= LONG else "long"
