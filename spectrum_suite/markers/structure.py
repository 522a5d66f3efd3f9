"""The form of a completion: one of the eight formats, found by parsing it."""

from __future__ import annotations

import csv
import functools
import json
import re
from collections.abc import Iterator
from xml.parsers import expat

from markdown_it import MarkdownIt

from spectrum_suite.markers.code_type import BLOCK, detect_code_type

_ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\\documentclass|\\usepackage\{", flags=re.DOTALL)
_FORMULA = re.compile(r"\\\[.*?\\\]|\\\(.*?\\\)|\$\$.+?\$\$|\$[^$\n]*\\[a-z]+[^$\n]*\$", flags=re.DOTALL)
_COMMAND = re.compile(r"\\(?:section|subsection|textbf|emph|textit|item|cite|ref|label|title|author|maketitle|frac)\b")

_LETTERED = re.compile(r"\(?([A-Ea-e])[).:\]](?:\s+\S.{0,120})?")
_CHOSEN = re.compile(
    r"(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:answer|option|choice)(?:\s+is)?\s*:?\s*"
    r"(?:option\s+)?[(\[*]*([A-E])\b[)\]*.:,]*(?:\s.{0,120})?",
    flags=re.IGNORECASE,
)
_OPTION = re.compile(r"(?:^|\s)\(?([A-E])[).:]\s+(\S.*?)(?=\s+\(?[B-E][).:]\s|\n|$)", flags=re.MULTILINE)

_STEP = re.compile(
    r"^\W*step \d+|\blet'?s think\b|\blet us think\b|\bfirst(?:ly)?,|\bthen,? |\bnext,|\bso,? |\bthus\b|\bhence\b"
    r"|\btherefore\b|\bsince\b|\bbecause\b|\bfinally,|\bwhich (?:means|gives|leaves)\b"
    r"|\d\s*[-+*/x\u00d7\u00f7]\s*\d+[^=\n]{0,20}=|\bthis means\b|\bit follows\b|<<[^<>\n]+>>",
    flags=re.IGNORECASE | re.MULTILINE,
)
_CONCLUSION = re.compile(
    r"^####\s*\S|\b(?:final )?answer(?: is|:)"
    r"|\b(?:therefore|thus|hence|so|in conclusion|we conclude)\b,?[^.\n]*[.!]?\s*\Z",
    flags=re.IGNORECASE | re.MULTILINE,
)
MIN_STEPS = 2
"""Signs of reasoning that a chain of thought has at least, besides its conclusion."""


def detect_format(prompt: str, completion: str) -> str | None:
    """The format of ``completion``, or None where it is plain prose or code.

    The strictest form comes first: what parses as JSON is not looked at as Markdown.

    Args:
        prompt: What was asked; the options of a multiple choice question stand there.
        completion: The answer.
    """
    text = completion.strip()
    whole = _only_block(text)
    return next((name for name, applies in _CHECKS if applies(prompt, text if whole is None else whole)), None)


def _only_block(text: str) -> str | None:
    """The content of a text that is a single fenced block, ends included."""
    block = BLOCK.fullmatch(text)
    return block[2].strip() if block and "```" not in block[2] else None


def _is_json(_: str, text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_xml(_: str, text: str) -> bool:
    if not text.startswith("<"):
        return False
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError):
        return False
    return True


def _refuse(*_: object) -> None:
    """No document that defines entities is read: they could blow it up."""
    raise ValueError("a document that defines entities")


def _is_latex(_: str, text: str) -> bool:
    return bool(_ENVIRONMENT.search(text)) or len(_FORMULA.findall(text)) + len(_COMMAND.findall(text)) > 1


def _is_choice(prompt: str, text: str) -> bool:
    if "\n" in text:
        return False
    bare = text.strip("*() .")
    options = dict(_OPTION.findall(prompt))
    if len(options) > 1:
        by_letter = re.match(r"\W*([A-Ea-e])\b(?!')", text)
        named = {option.strip(" .").casefold() for option in options.values()}
        if bare.casefold() in named or (by_letter and by_letter[1].upper() in options):
            return True
    return bool(re.fullmatch(r"[A-E]", bare) or _LETTERED.fullmatch(text) or _CHOSEN.fullmatch(text))


def _is_table(_: str, text: str) -> bool:
    if any(token.type == "table_open" for token in _markdown().parse(text)):
        return True
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines) > 2 and any(_is_separated(lines, delimiter) for delimiter in "\t|;,")  # noqa: PLR2004


def _is_separated(lines: list[str], delimiter: str) -> bool:
    """Whether all lines have as many fields, several and short ones; a comma is followed by no space."""
    if delimiter == "," and any(re.search(r",\s\S", re.sub(r'"[^"]*"', "", line)) for line in lines):
        return False
    widths = {len(fields) for fields in csv.reader(lines, delimiter=delimiter)}
    return len(widths) == 1 and widths.pop() > 1


def _is_reasoning(_: str, text: str) -> bool:
    return len(_STEP.findall(text)) >= MIN_STEPS and bool(_CONCLUSION.search(text))


def _is_enumeration(_: str, text: str) -> bool:
    """Whether at least half of the lines are items of a list, and no heading stands above."""
    tokens = _markdown().parse(text)
    if any(token.type in ("heading_open", "fence", "blockquote_open") for token in tokens):
        return False
    items = [token for token in tokens if token.type == "list_item_open"]
    lines = sum(bool(line.strip()) for line in text.splitlines())
    spanned = {number for token in tokens if token.type.endswith("list_open") for number in range(*token.map)}
    listed = sum(bool(line.strip()) for number, line in enumerate(text.splitlines()) if number in spanned)
    return len(items) > 1 and 2 * listed >= lines


def _is_markdown(_: str, text: str) -> bool:
    return any(True for _ in _marks(text))


def _marks(text: str) -> Iterator[str]:
    """What makes a text Markdown rather than prose."""
    for token in _markdown().parse(text):
        if token.type in ("heading_open", "fence", "blockquote_open", "list_item_open"):
            yield token.type
        for child in token.children or []:
            if child.type in ("strong_open", "link_open", "code_inline", "image"):
                yield child.type


def _is_code(_: str, text: str) -> bool:
    """Whether a text is code alone; that has none of the formats that come after."""
    return not BLOCK.search(text) and detect_code_type(text) is not None


@functools.cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


_CHECKS = (
    ("JSON", _is_json),
    ("XML", _is_xml),
    (None, _is_code),
    ("Latex", _is_latex),
    ("MCQAnswer", _is_choice),
    ("Tabular", _is_table),
    ("ChainOfThought", _is_reasoning),
    ("Enumeration", _is_enumeration),
    ("Markdown", _is_markdown),
)
