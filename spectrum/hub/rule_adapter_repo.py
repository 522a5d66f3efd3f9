"""The Hub repository of the three-rule adapter: a card, and the adapter's file as ``custom_generate/generate.py``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from huggingface_hub import ModelCardData
from huggingface_hub.utils import HFValidationError, validate_repo_id
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from dataset_builder.errors import UserError
from spectrum.generation import rule_adapter

_ROOT = Path(__file__).parents[2]


def render_rule_adapter_repo(folder: str | Path, repo_id: str) -> Path:
    """Write the files of the repository into a new or empty folder, ready to be uploaded as a model repository.

    Args:
        folder: Where to.
        repo_id: Where it will be published, ``<org>/<name>``; the card's code loads it from there.

    Returns:
        The folder.

    Raises:
        UserError: ``repo_id`` is no name on a Hub, or the folder holds something already.
    """
    folder = Path(folder)
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UserError(f"repository {repo_id!r} is no name on a Hub: give one like 'org/rule-adapter'") from error
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"folder {str(folder)!r} is not empty: give a new one")
    (folder / "custom_generate").mkdir(parents=True)
    shutil.copyfile(rule_adapter.__file__, folder / "custom_generate" / "generate.py")
    (folder / "custom_generate" / "requirements.txt").write_text("pyyaml\n", encoding="utf-8")
    shutil.copyfile(_ROOT / "LICENSE", folder / "LICENSE")
    (folder / "README.md").write_text(_card(repo_id), encoding="utf-8")
    return folder


def _card(repo_id: str) -> str:
    metadata = ModelCardData(
        library_name="transformers",
        license="apache-2.0",
        language="en",
        tags=["custom_generate", "instruction-following", "logits-processor"],
    )
    environment = Environment(
        loader=FileSystemLoader(_ROOT / "model_cards"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=select_autoescape(["html"]),  # Markdown is written as it is
    )
    environment.filters["quoted"] = _quoted
    template = environment.get_template("rule_adapter.md.jinja")
    return template.render(card_data=metadata.to_yaml(), repo_id=repo_id, rules=rule_adapter.Rules())


def _quoted(word: str) -> str:
    """A word with its spaces and line breaks to be seen, as code in a cell of a table."""
    return "`" + json.dumps(word).replace("|", "\\|") + "`"
