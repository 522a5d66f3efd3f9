"""What is published of the adapter: which files, and a card that fits them."""

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from spectrum_suite.generation import rule_adapter
from spectrum_suite.hub.rule_adapter_repo import rule_adapter_publication

pytestmark = pytest.mark.hub

REPO = "our-org/rule-adapter"


def test_the_files_and_the_card():
    publication = rule_adapter_publication(REPO)
    files = {file.name: file.source for file in publication.files}
    assert files["custom_generate/generate.py"] == Path(rule_adapter.__file__)
    assert files.keys() == {"LICENSE", "custom_generate/generate.py", "custom_generate/requirements.txt"}
    card = ModelCard(publication.card)
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "transformers")
    assert "custom_generate" in card.data.tags
    assert f'custom_generate="{REPO}"' in card.text
    assert re.search(
        r'\| `words` \| `"<"` -4, `" <"` -4, `"\\\|"` -4, .*`" should"` -6, .*`"\\n"` \+1, `"!"` \+1 \|', card.text
    )
    assert "from 0 to 15.0 over 250 tokens" in card.text
    assert "{{" not in card.text
