"""Which of the 17 programming languages a text has: by what its code blocks are labelled, else by the code itself.

Each language has signs with weights; the highest sum wins if it reaches :data:`ENOUGH`. A sign counts once, so that
length decides nothing. TypeScript and C++ build on JavaScript and C: they have their sum only where a sign of their own
is there, and then the other's with it. Python is parsed as well.
"""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections import Counter

from spectrum_suite.markers.code_signs import SIGNS

ENOUGH = 3.0

BLOCK = re.compile(r"^[ \t]*```[ \t]*([\w+#-]*)[^\n]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", flags=re.DOTALL | re.MULTILINE)
"""A fenced block: its label and its content."""

_ALIASES = {
    "py": "python", "python3": "python", "js": "javascript", "jsx": "javascript", "node": "javascript", "c++": "cpp",
    "cc": "cpp", "hpp": "cpp", "cbl": "cobol", "golang": "go", "rs": "rust", "cs": "csharp", "c#": "csharp",
    "ts": "typescript", "tsx": "typescript", "sh": "shell", "bash": "shell", "zsh": "shell", "console": "shell",
    "kt": "kotlin", "rb": "ruby", "hs": "haskell", "postgresql": "sql", "mysql": "sql", "sqlite": "sql",
}  # fmt: skip

BUILDS_ON = {"typescript": "javascript", "cpp": "c"}


def detect_code_type(text: str) -> str | None:
    """The programming language of ``text``, or None where there is no code or it is in none of the 17.

    Where it has fenced blocks, they decide: by their labels, weighed by length, or by their content.
    """
    found: Counter[str] = Counter()
    for label, content in BLOCK.findall(text):
        language = _labelled(label) or _by_signs(content)
        if language is not None:
            found[language] += len(content)
    if found:
        return found.most_common(1)[0][0]
    return _by_signs(text)


def _labelled(label: str) -> str | None:
    name = label.lower()
    name = _ALIASES.get(name, name)
    return name if name in SIGNS else None


def _by_signs(text: str) -> str | None:
    scores = {language: sum(weight for sign, weight in signs if sign.search(text)) for language, signs in _compiled()}
    for language, base in BUILDS_ON.items():
        if scores[language]:
            scores[language] += scores[base]
    if scores["python"] and _parses_as_python(text):
        scores["python"] += ENOUGH
    likeliest = max(scores, key=scores.__getitem__)
    return likeliest if scores[likeliest] >= ENOUGH else None


def _parses_as_python(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


@functools.cache
def _compiled() -> tuple[tuple[str, tuple[tuple[re.Pattern[str], float], ...]], ...]:
    return tuple(
        (language, tuple((re.compile(sign, flags=re.MULTILINE), weight) for sign, weight in signs))
        for language, signs in SIGNS.items()
    )
