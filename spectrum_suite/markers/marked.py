"""Responses of a model that writes markers: what a user sees, and the list that came before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from spectrum_suite.generation.respond import Response
from spectrum_suite.markers.marker_list import OPEN, split_completion
from spectrum_suite.markers.taxonomy import TAXONOMY, Markers, Taxonomy


@dataclass(frozen=True)
class MarkedResponse:
    """A response without its list.

    Attributes:
        text: What a user sees.
        markers: What the list said, as far as it could be read.
        problems: What is wrong with the list, one phrase each: it is missing, does not end, or has what is not valid.
        tokens: Of the text.
        ended: Whether it came to its end before there were too many.
    """

    text: str
    markers: Markers
    problems: tuple[str, ...]
    tokens: int
    ended: bool


def strip_markers(
    responses: Sequence[Response], tokenizer: PreTrainedTokenizerBase, taxonomy: Taxonomy = TAXONOMY
) -> list[MarkedResponse]:
    """Responses as a user sees them, each with its markers.

    A list that is missing or garbled is a problem that the result names; nothing is raised.

    Args:
        responses: As :func:`spectrum_suite.generation.respond.respond` gives them.
        tokenizer: Of the model.
        taxonomy: The categories.
    """
    found = []
    for response in responses:
        completion = split_completion(response.text, taxonomy)
        n_tokens = len(tokenizer(completion.text, add_special_tokens=False).input_ids) if completion.text else 0
        found.append(MarkedResponse(completion.text, completion.markers, completion.problems, n_tokens, response.ended))
    return found


def takes_markers(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the chat template of a tokenizer takes ``markers``: whether its model was tuned with them."""
    template = tokenizer.chat_template
    return isinstance(template, str) and OPEN in template
