"""Every relative link in the documents leads somewhere, and every anchor to a heading."""

import re

import pytest

from tests.documents import DOCUMENTS, REPOSITORY, headings, links, read


def anchors(path):
    """The anchors of a document's headings, as GitHub makes them."""
    found = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings(path.read_text(encoding="utf-8"))]
    return {heading.replace(" ", "-") for heading in found}


def broken(document, text):
    """The links of a document that lead nowhere; those to other machines are not looked at."""
    for link in links(text):
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        local = not re.match(r"[a-z]+:", link)
        if local and (not target.exists() or (anchor and anchor not in anchors(target))):
            yield link


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_every_relative_link_leads_somewhere(path):
    assert not list(broken(REPOSITORY / path, read(path)))


def test_a_broken_link_would_be_found(tmp_path):
    (tmp_path / "there.md").write_text("# What is there?\n")
    text = "[a](there.md) [b](gone.md) ![c](gone.png) [d](there.md#what-is-there) [e](there.md#gone) [f](https://x.org)"
    assert list(broken(tmp_path / "index.md", text + " `[g](code.md)`")) == ["gone.md", "gone.png", "there.md#gone"]
