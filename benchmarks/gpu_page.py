"""Writes docs/gpu.md from the results of the check of a device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spectrum_suite.markdown import markdown_table

PAGE = Path(__file__).parents[1] / "docs" / "gpu.md"


def write_page(path: Path) -> None:
    """Write the page from a result."""
    PAGE.write_text(page(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")


def page(found: dict[str, Any]) -> str:
    """The whole page: a table a part, as the result has it."""
    libraries = ", ".join(f"{name} {number}" for name, number in found["conditions"]["libraries"].items())
    parts = [
        "# On an accelerator",
        f"`make gpu-check` on {found['device']} ({libraries}). This page is made from its result by "
        "`python -m benchmarks.gpu --page RESULT`.",
    ]
    for name, part in found["parts"].items():
        parts.append(f"## {name.capitalize()} ({part['seconds']:.0f} s)")
        parts.append(markdown_table(["what", "result"], told_by(part)))
    return "\n\n".join(parts) + "\n"


def told_by(part: dict[str, Any], path: str = "") -> list[tuple[str, str]]:
    """Every number of a part, with its name."""
    found: list[tuple[str, str]] = []
    for name, value in part.items():
        if name == "seconds" and not path:
            continue
        key = f"{path}, {name}" if path else str(name)
        if isinstance(value, dict):
            found += told_by(value, key)
        else:
            found.append((key, f"{value:.4g}" if isinstance(value, float) else str(value)))
    return found
