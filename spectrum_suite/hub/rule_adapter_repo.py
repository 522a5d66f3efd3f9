"""What is published of the three-rule adapter: a card, and the adapter's file as ``custom_generate/generate.py``."""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import ModelCardData

from dataset_builder.licences import APACHE
from spectrum_suite.generation import rule_adapter
from spectrum_suite.hub.card_merge import Ours
from spectrum_suite.hub.cards import template
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.push_plan import Publication, Repository

_FOLDER = "custom_generate/"
_KEYS = {"library_name", "license", "language"}


def rule_adapter_publication(repo_id: str) -> Publication:
    """What is published of the adapter, from which ``generate(custom_generate=repo_id)`` takes it.

    Args:
        repo_id: Where, ``<org>/<name>``; the card's code loads it from there.
    """
    code = LocalFile(f"{_FOLDER}generate.py", Path(rule_adapter.__file__))
    return Publication(
        repository=Repository(repo_id, "model"),
        card=_card(repo_id),
        files=(
            code,
            LocalFile(f"{_FOLDER}requirements.txt", b"pyyaml\n"),
            LocalFile("LICENSE", APACHE),
        ),
        ours=lambda _: Ours(_KEYS),
        owns=lambda name, _: name.startswith(_FOLDER),
        message="a three-rule adapter for base language models",
        kind="rule_adapter",
        expected=(code.sha256,),
    )


def _card(repo_id: str) -> str:
    metadata = ModelCardData(
        library_name="transformers",
        license="apache-2.0",
        language="en",
        tags=["custom_generate", "instruction-following", "logits-processor"],
    )
    card = template("rule_adapter.md.jinja", quoted=_quoted)
    return card.render(card_data=metadata.to_yaml(), repo_id=repo_id, rules=rule_adapter.Rules())


def _quoted(word: str) -> str:
    """A word with its spaces and line breaks to be seen, as code in a cell of a table."""
    return "`" + json.dumps(word).replace("|", "\\|") + "`"
