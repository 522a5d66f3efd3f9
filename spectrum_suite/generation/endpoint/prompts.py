"""Prompts as they are sent: the tokens, and the text for a server that takes no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.control_tokens import unmarked
from spectrum_suite.formats.render import Format, get_format
from spectrum_suite.generation.logprobs import Prompt, TokenIds, prompt_token_ids


@dataclass(frozen=True)
class Sent:
    """A prompt: its tokens, and its text without the BOS that a server adds to text."""

    ids: TokenIds
    text: str


def format_for(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], text_format: Format | None
) -> Format | None:
    """The format of the messages; none is needed where every prompt is a string."""
    if text_format is None and not all(isinstance(prompt, str) for prompt in prompts):
        return get_format("auto", tokenizer)
    return text_format


def sent_prompts(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], text_format: Format | None, *, as_text: bool = False
) -> list[Sent]:
    """The prompts as they go over the wire, in order; ``text_format`` may be None where all are strings.

    Raises:
        UserError: A prompt has no tokens, or with ``as_text`` a server would give its text other tokens.
    """
    texts = [
        unmarked(prompt) if isinstance(prompt, str) else text_format.prompt(prompt).removeprefix(text_format.bos)
        for prompt in prompts
    ]
    sent = [Sent(*pair) for pair in zip(prompt_token_ids(tokenizer, prompts, text_format), texts, strict=True)]
    for prompt in sent if as_text else ():
        check_text(tokenizer, prompt.text, prompt.ids)
    return sent


def check_text(tokenizer: PreTrainedTokenizerBase, text: str, ids: TokenIds) -> None:
    """Refuse a text to which a server, which tokenizes it as a whole, would give other tokens.

    Raises:
        UserError: It would.
    """
    if tokenizer(text).input_ids != list(ids):
        raise UserError(
            f"{text[-60:]!r} as text has other tokens than prompt and option by themselves: "
            "use a server that takes token ids, and leave as_text out"
        )
