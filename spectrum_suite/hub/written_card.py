"""The card that training leaves beside what it tuned: ours from the first minute, and not a library's stub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from spectrum_suite.errors import UserError
from spectrum_suite.hub.cards import base_model_of, render_model_card, template
from spectrum_suite.hub.results import read_json
from spectrum_suite.training.report import REPORT

FULL = "full fine-tuning"
"""What a training report calls it when all weights were trained."""


def write_card(folder: Path, *, merged: bool) -> Path:
    """Write the README of a tuned model from its training report; returns its path.

    It is the card that would be published, without results; or, where that cannot be written (a base that is a folder
    here, an objective other than the suite's, a suite that has gone), a short one that says what was run.

    Args:
        folder: Of the run, with its training report.
        merged: Whether the card is that of the merged model in ``merged/``.
    """
    training = read_json(folder / REPORT, "give the folder that train_sft.py wrote")
    try:
        card = None if training["adaptation"] == FULL else render_model_card(folder, [], merged=merged)
    except UserError:
        card = None
    card = card or short_card(training, folder, merged=merged)
    path = folder / "merged" / "README.md" if merged else folder / "README.md"
    card.save(path)
    return path


def short_card(training: dict[str, Any], folder: Path, *, merged: bool) -> ModelCard:
    """A card that says on what a model was trained, and how it is loaded."""
    try:
        base = base_model_of(training).hub_id
    except UserError:
        base = None
    whole = merged or training["adaptation"] == FULL
    metadata = ModelCardData(
        base_model=base,
        library_name="transformers" if whole else "peft",
        pipeline_tag="text-generation",
        tags=["spectrum-tuning", *([] if whole else ["lora"]), "trl", "sft"],
    )
    text = template("short.md.jinja").render(
        card_data=metadata.to_yaml(),
        base=base or training["base_model"],
        training=training,
        whole=whole,
        merged=merged,
        location=(folder / "merged" if merged else folder).as_posix(),
    )
    return ModelCard(text)
