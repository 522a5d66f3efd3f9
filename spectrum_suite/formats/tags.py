"""Tags in plain text around instructions and responses: the format of Hewitt et al. 2024 (arXiv 2409.14254).

    <|user|>
    Name a day.
    <|assistant|>
    Monday</s>

It needs no token of its own but the end of the sequence, so every tokenizer has it, and a base model has most likely
never learned what its tags mean. To make sure of that there are tags that mean nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.formats.model_chat import MODEL_CHAT, model_chat_format
from spectrum_suite.formats.render import FORMATS, REQUEST, Format, get_format

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TAGS: Mapping[str, tuple[str, str]] = {
    "tags": ("<|user|>", "<|assistant|>"),
    "meaningless_tags": ("<|A|>", "<|B|>"),
}
"""Name -> the tags in front of an instruction and of a response."""

ALL_FORMATS = (*FORMATS, *TAGS, MODEL_CHAT)
"""The formats of the suite, those with tags, and the model's own."""


@dataclass(frozen=True)
class TaggedFormat(Format):
    """A conversation between two tags. Make one with :func:`tagged_format`.

    Attributes:
        tags: What stands in front of an instruction and of a response, each on a line of its own.
        end: The text of the end-of-sequence token, which ends a response.
    """

    tags: tuple[str, str] = TAGS["tags"]
    end: str = ""

    @property
    def output_prefix(self) -> str:
        """Nothing: a response begins on the line below its tag."""
        return ""

    @property
    def terminator(self) -> str:
        """The end of the sequence."""
        return self.end

    @property
    def separator(self) -> str:
        """A line break, which is not trained."""
        return "\n"

    @property
    def follower(self) -> str:
        """Nothing: the terminator is a token whatever comes next."""
        return ""

    @property
    def ends_with_token(self) -> bool:
        """Always: with the end of the sequence."""
        return True

    @property
    def template(self) -> str:
        """One for all tags."""
        return "tags"

    def context(self, given: str | None) -> str:
        """An instruction between its tag and that of the response, for the encoder."""
        return self._turn("input", self.marked(REQUEST if given is None else given)) + self._header("output")

    def chat_template(self) -> str:
        """The Jinja template that makes a tokenizer render this format without our code."""
        user, assistant = self.tags
        constants = {"user": user, "assistant": assistant, "end": self.end, "request": REQUEST}
        return "".join(f"{{%- set {name} = {json.dumps(text)} -%}}\n" for name, text in constants.items()) + (
            super().chat_template()
        )

    def _header(self, role: str) -> str:
        return self.tags[role == "output"] + "\n"

    def _turn(self, role: str, content: str) -> str:
        return self._header(role) + content + "\n"


def tagged_format(name: str, tokenizer: PreTrainedTokenizerBase) -> TaggedFormat:
    """The format with the tags ``name`` of :data:`TAGS`.

    Raises:
        UserError: There are no such tags, or the tokenizer has no end-of-sequence token.
    """
    if name not in TAGS:
        raise UserError(f"no tags {name!r}{did_you_mean(name, TAGS)}: choose from {', '.join(TAGS)}")
    if tokenizer.eos_token is None:
        raise UserError(f"format {name!r} ends a response with the end of the sequence, which this tokenizer lacks")
    plain = get_format("colon", tokenizer)
    return TaggedFormat(name, None, plain.bos, plain.control, TAGS[name], tokenizer.eos_token)


def find_format(name: str, tokenizer: PreTrainedTokenizerBase) -> Format:
    """The format ``name``, with tags, the model's own, or as :func:`spectrum_suite.formats.render.get_format` has it.

    Raises:
        UserError: The name is unknown, or the tokenizer lacks a token that the format needs.
    """
    if name not in ("auto", *ALL_FORMATS):
        raise UserError(f"no format {name!r}: choose auto, {', '.join(ALL_FORMATS)}")
    if name == MODEL_CHAT:
        return model_chat_format(tokenizer)
    return tagged_format(name, tokenizer) if name in TAGS else get_format(name, tokenizer)
