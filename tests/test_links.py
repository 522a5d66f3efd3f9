"""Every relative link in the documents leads somewhere, and every anchor to a heading."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "model_cards/*.md", "metrics/*/README.md")
    for path in ROOT.glob(pattern)
)


def links(text):
    """The targets of links and images, code left out, that are not on another machine."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return [found for found in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", found)]


def anchors(path):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(document, text):
    """The links of a document that lead nowhere."""
    for link in links(text):
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_every_relative_link_leads_somewhere(path):
    assert not list(broken(ROOT / path, (ROOT / path).read_text(encoding="utf-8")))


def test_a_broken_link_would_be_found(tmp_path):
    (tmp_path / "there.md").write_text("# What is there?\n")
    text = "[a](there.md) [b](gone.md) ![c](gone.png) [d](there.md#what-is-there) [e](there.md#gone) [f](https://x.org)"
    assert list(broken(tmp_path / "index.md", text + " `[g](code.md)`")) == ["gone.md", "gone.png", "there.md#gone"]
