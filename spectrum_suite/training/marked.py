"""Marked rows as a model is trained on them: outputs begin with all their markers, prompts show what dropout leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from spectrum_suite.formats.render import Format, Message, WrittenRow, response_after_prompt, written_draws
from spectrum_suite.formats.token_ids import TokenEncoder
from spectrum_suite.markers.annotate import COLUMN
from spectrum_suite.markers.dropout import MarkerDropout
from spectrum_suite.markers.marked_rows import mark_messages, markers_of


def all_shown(row: Mapping[str, Any], text_format: Format) -> WrittenRow:
    """The texts of a marked row at its longest: all markers are shown."""
    markers = markers_of(row)
    return _written(row, mark_messages(row["messages"], markers, markers), text_format)


@dataclass(frozen=True)
class MarkedView:
    """What a marked row is in an epoch; a :data:`spectrum_suite.training.collator.View`.

    Attributes:
        rows: Those of :func:`load_marked`, in the order in which they were tokenized.
        encode: Segments of ``text_format`` -> token ids; see :func:`spectrum_suite.formats.token_ids.token_encoder`.
        text_format: How rows are written.
        dropout: What is left out of prompts.
        marked: Whether there are markers at all. Without them the rows are plain instruction data, or plain draws.
    """

    rows: Dataset
    encode: TokenEncoder
    text_format: Format
    dropout: MarkerDropout
    marked: bool = True

    def __call__(self, row: dict[str, Any], epoch: int) -> dict[str, Any]:
        """The tokenized ``row`` with the texts of this epoch; the draws are those that it has."""
        source = self.rows[row["row"]]
        messages = self._messages(source, row["row"], epoch) if self.marked else source["messages"]
        description, draws = _written(source, messages, self.text_format)
        contexts, outputs = zip(*(draws[draw][:2] for draw in row["draws"]), strict=True)
        begun = self.encode.at_start([description, *(contexts if "starts" in row else ())])
        ids = self.encode([*contexts, *outputs])
        starts = {"starts": [begun[context] for context in contexts]} if "starts" in row else {}
        texts = {"contexts": [ids[context] for context in contexts], "outputs": [ids[output] for output in outputs]}
        return row | {"description": begun[description]} | texts | starts

    def _messages(self, source: Mapping[str, Any], number: int, epoch: int) -> list[Message]:
        markers = markers_of(source)
        shown = [
            self.dropout.prompt_markers(found, epoch=epoch, row=number, draw=draw) for draw, found in enumerate(markers)
        ]
        return mark_messages(source["messages"], markers, shown)


def _written(row: Mapping[str, Any], messages: Sequence[Message], text_format: Format) -> WrittenRow:
    return (response_after_prompt if len(row[COLUMN]) == 1 else written_draws)(messages, text_format)
