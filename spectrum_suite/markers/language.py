"""Which of the 23 languages a text is in."""

from __future__ import annotations

import functools
import re

from lingua import IsoCode639_1, Language, LanguageDetector, LanguageDetectorBuilder

from spectrum_suite.markers.taxonomy import LANGUAGES

MIN_LETTERS = 3
"""A text with fewer letters is in no language."""
MIN_CONFIDENCE = 0.3
"""Below this share for the likeliest of the 23, nothing is said."""

_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`|https?://\S+|\S+@\S+|<[^<>\n]+>", flags=re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")


def detect_language(text: str) -> str | None:
    """The language of the prose in ``text`` (code blocks, addresses and tags are passed over), or None if unsure."""
    prose = _NOT_PROSE.sub(" ", text)
    if len(_LETTER.findall(prose)) < MIN_LETTERS:
        return None
    likeliest = _detector().compute_language_confidence_values(prose)[0]
    return _names()[likeliest.language] if likeliest.value >= MIN_CONFIDENCE else None


@functools.cache
def _names() -> dict[Language, str]:
    """Lingua's languages -> ours."""
    codes = {name: getattr(IsoCode639_1, code.upper()) for name, code in LANGUAGES.items()}
    return {Language.from_iso_code_639_1(code): name for name, code in codes.items()}


@functools.cache
def _detector() -> LanguageDetector:
    """One detector for all calls: its models are read from disk when their languages first come up."""
    return LanguageDetectorBuilder.from_languages(*_names()).build()
