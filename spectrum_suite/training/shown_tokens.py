"""Token ids and labels as text in which a person sees what is trained: colours, or brackets where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAINED = ("black on green3", "black on green1")
CONTEXT = ("bright_black", "white")
"""Two shades each: neighbouring tokens alternate, so that their boundaries are seen."""

BOUNDARY = "\u00b7"
NEWLINE = "\u23ce\n"
_BROKEN = "\ufffd"


class Token(NamedTuple):
    """A token as it is shown (or several, where they share a character), and whether it is trained."""

    text: str
    trained: bool


def shown_tokens(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], trained: Sequence[bool]) -> list[Token]:
    """Token ids -> their texts; special tokens are written out, and tokens that share a character are shown as one."""
    tokens: list[Token] = []
    pending: list[int] = []
    for position, token_id in enumerate(ids):
        pending.append(token_id)
        text = tokenizer.decode(pending, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        last = position + 1 == len(ids) or trained[position + 1] != trained[position]
        if last or _BROKEN not in text:
            tokens.append(Token(text, trained[position]))
            pending = []
    return tokens


def mark_tokens(tokens: Sequence[Token], *, colour: bool) -> Text:
    """Tokens as one text: trained ones on green and the rest pale, or trained spans in brackets without colour."""
    return _in_colour(tokens) if colour else _in_brackets(tokens)


def legend(*, colour: bool) -> Text:
    """What the marks mean."""
    if colour:
        parts = [("trained", TRAINED[0]), "  ", ("context", CONTEXT[0]), "  shades alternate from token to token"]
        return Text.assemble(*parts)
    return Text(f"[trained]  context  {BOUNDARY} between tokens  {NEWLINE.strip()} a newline")


def _in_colour(tokens: Sequence[Token]) -> Text:
    text = Text()
    for position, token in enumerate(tokens):
        text.append(_with_newlines(token), style=(TRAINED if token.trained else CONTEXT)[position % 2])
    return text


def _in_brackets(tokens: Sequence[Token]) -> Text:
    spans = [
        (trained, BOUNDARY.join(map(_with_newlines, span))) for trained, span in groupby(tokens, lambda t: t.trained)
    ]
    return Text(BOUNDARY.join(f"[{span}]" if trained else span for trained, span in spans))


def _with_newlines(token: Token) -> str:
    return token.text.replace("\n", NEWLINE)
