"""The Markdown documents in tests: fences, tables, links and headings, as a CommonMark parser finds them."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = [
    path.relative_to(REPOSITORY)
    for pattern in ("*.md", "docs/**/*.md", "model_cards/*.md", "metrics/*/README.md")
    for path in sorted(REPOSITORY.glob(pattern))
]
PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language, its lines, the place of its section, and whether it follows another at once."""

    language: str
    text: str
    section: int
    follows: bool


def read(path):
    return (REPOSITORY / path).read_text(encoding="utf-8")


def fences(text):
    """The fenced blocks of a document, in order."""
    found, section, before = [], 0, None
    for token in PARSER.parse(text):
        section += token.type == "heading_open"
        if token.type == "fence":
            found.append(Fence(token.info.strip(), token.content, section, before == "fence"))
        before = token.type
    return found


def commands(text):
    """The commands in a document's plain fences; continued lines are joined."""
    lines = [
        line for fence in fences(text) if not fence.language for line in fence.text.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if line.startswith(("python ", "spectrum-suite ", "accelerate "))]


def headings(text):
    """The headings of a document, as they are written."""
    tokens = PARSER.parse(text)
    return [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]


def links(text):
    """The targets of links and images."""
    inline = [child for token in PARSER.parse(text) for child in token.children or ()]
    targets = [child.attrGet("href") or child.attrGet("src") for child in inline]
    return [target for target in targets if target]


def first_cells(text):
    """The tables of a document, each as the first cells of its rows without the head; `code` is taken as its text."""
    found, body = [], False
    tokens = PARSER.parse(text)
    for before, token, cell in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if token.type in ("tbody_open", "tbody_close"):
            body = token.type == "tbody_open"
            found += [[]] if body else []
        elif body and before.type == "tr_open":
            found[-1].append("".join(child.content for child in cell.children))
    return found
