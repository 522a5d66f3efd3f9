"""Pages in Markdown: tables, and templates to fill in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]], align: str = "") -> str:
    """A table; its lines end without a line break after the last.

    Args:
        columns: What stands above each column.
        rows: The cells of each line.
        align: For each column ``l`` or ``r``, the side on which its cells stand; all left by default.
    """
    rules = ["--:" if side == "r" else "---" for side in align or "l" * len(columns)]
    lines = [f"| {' | '.join(columns)} |", f"|{'|'.join(rules)}|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)


def markdown_templates(folder: Path) -> Environment:
    """The templates of Markdown pages in a folder, without filters of their own."""
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # the result is Markdown
    )
