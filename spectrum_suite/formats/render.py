"""One renderer: messages with the roles ``description``, ``input`` and ``output`` -> texts, and which are trained.

A format is chosen by the tokens a tokenizer has, never by a model's name. The same fields make the Python renderer and
the chat template that a published tokenizer carries, so that the two cannot drift apart (a test compares them).

The borders of these texts are token borders: what comes before an output is tokenized as a prompt, and the output with
its terminator is tokenized as a continuation, exactly as `apply_chat_template` followed by `generate` will have them.

Texts are data: a control token inside a description, an input or an output is marked in the segments that are tokenized
(:mod:`spectrum_suite.formats.control_tokens`), and becomes plain text. What people and templates see has no marks.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError
from spectrum_suite.formats.affixes import added_around
from spectrum_suite.formats.control_tokens import BORDER, ControlTokens, control_tokens, unmarked

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

FormatName = Literal["spectrum", "colon", "chat", "tags", "meaningless_tags", "model_chat"]
FORMATS: tuple[FormatName, ...] = ("spectrum", "colon", "chat")


class Message(TypedDict):
    """One message; roles are ``description`` (first, at most once), ``input`` and ``output``."""

    role: str
    content: str


class WrittenDraw(NamedTuple):
    """A draw as the encoder is given it.

    Attributes:
        context: What is between the output before it (or the description) and its own output.
        output: The output with its terminator.
        trained: Whether the loss falls on the output, and its likelihood is scored.
    """

    context: str
    output: str
    trained: bool


WrittenRow = tuple[str, list[WrittenDraw]]
"""The text of a row's description, or "", and the draws after it."""


@dataclass(frozen=True)
class TurnTokens:
    """How a model family writes a turn: ``start + role + header_end + content + end + after``.

    ``system`` and ``assistant`` are the roles that its chat models know for a preamble and for an answer; empty where
    a chat does not name its roles.
    """

    family: str
    start: str
    header_end: str
    end: str
    after: str
    system: str = "system"
    assistant: str = "assistant"

    @property
    def special(self) -> tuple[str, ...]:
        """The tokens that a tokenizer must have for this family, e.g. ``("<start_of_turn>", "<end_of_turn>")``."""
        header_end = self.header_end.strip()
        return (self.start, self.end, *([header_end] if header_end else []))


FAMILIES = (
    TurnTokens("gemma", "<start_of_turn>", "\n", "<end_of_turn>", "\n", system="user", assistant="model"),
    TurnTokens("llama3", "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", ""),
    TurnTokens("chatml", "<|im_start|>", "\n", "<|im_end|>", "\n"),
    TurnTokens("mistral", "[INST]", "[/INST]", "</s>", "", system="", assistant=""),
)

REQUEST = "Give one output."
"""What the user says in the ``chat`` format where a draw has no input."""


@dataclass(frozen=True)
class Format:
    """A way to write messages as text. Make one with :func:`get_format`.

    Attributes:
        name: ``spectrum`` (turns named after our roles), ``colon`` (plain text) or ``chat`` (a conversation).
        turn: The turn tokens of the tokenizer's family; None for plain text.
        bos: The text of the beginning-of-sequence token where the tokenizer adds one by itself, else empty.
        control: The tokens of the tokenizer that a text must not hold but as plain text.
    """

    name: FormatName
    turn: TurnTokens | None
    bos: str = ""
    control: ControlTokens | None = None

    @property
    def output_prefix(self) -> str:
        """What stands between the generation prompt and the output's own text."""
        return " " if self.turn is None else ""

    @property
    def terminator(self) -> str:
        """What ends an output: the end-of-turn token, or the blank line of plain text."""
        return "\n\n" if self.turn is None else self.turn.end

    @property
    def separator(self) -> str:
        """What is between a terminator and the next turn, and is not trained."""
        return "" if self.turn is None else self.turn.after

    @property
    def follower(self) -> str:
        """Text to tokenize after a finished turn, where the tokens of its end depend on what comes next."""
        return "Output" if self.turn is None else ""

    @property
    def ends_with_token(self) -> bool:
        """Whether the terminator is a single token."""
        return self.turn is not None

    @property
    def family(self) -> str:
        """Whose turn tokens they are."""
        return self.turn.family if self.turn else "plain"

    @property
    def template(self) -> str:
        """The name of the Jinja file that writes it."""
        return self.name

    @property
    def output_header(self) -> str:
        """What stands right before an output."""
        return self._header("output")

    def description(self, content: str) -> str:
        """The text of a description, for the encoder."""
        return self._turn("description", self.marked(content))

    def context(self, given: str | None) -> str:
        """The text between the previous output (or the description) and the next output, for the encoder."""
        if given is None and self.name == "chat":
            given = REQUEST
        before = "" if given is None else self._turn("input", self.marked(given))
        return before + self._header("output")

    def output(self, content: str) -> str:
        """The text of an output with its terminator, for the encoder: what is trained."""
        return self.option(content) + self.terminator

    def option(self, content: str) -> str:
        """The text of an output without its terminator, for the encoder."""
        return self.output_prefix + self.marked(content)

    def marked(self, content: str) -> str:
        """A text with its control tokens marked.

        Raises:
            UserError: The tokenizer finds a control token where the text has none.
        """
        return content if self.control is None else self.control.mark(content)

    def before(self, text: str) -> str:
        """What comes right before a segment inside a text, or nothing where it begins with a token of its own."""
        if text == self.bos or (self.turn is not None and text.startswith(self.turn.start)):
            return ""
        if text == self.separator:
            return self.terminator
        if self.output_prefix:
            is_output = text.startswith(self.output_prefix)
        else:
            is_output = self.turn is not None or text.endswith(self.terminator)
        return self.output_header if is_output else self.terminator + self.separator

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text after which the next output begins: ``apply_chat_template(..., add_generation_prompt=True)``."""
        return self.bos + unmarked(self.marked_prompt(messages))

    def marked_prompt(self, messages: Sequence[Message]) -> str:
        """The prompt without BOS for the encoder: control tokens in texts are marked, and so are segments' borders."""
        *_, given = split_messages(messages)
        description, draws = written_draws(messages, self)
        finished = (text for draw in draws for text in (draw.context, draw.output, self.separator))
        return BORDER.join(text for text in (description, *finished, self.context(given)) if text)

    def chat_template(self) -> str:
        """The Jinja template that makes a tokenizer render this format without our code.

        What is trained stands between ``{% generation %}`` and ``{% endgeneration %}``, where TRL looks for it.
        """
        body = (Path(__file__).parent / f"{self.template}.jinja").read_text(encoding="utf-8")
        constants: dict[str, str] = {}
        if self.turn is not None:
            turn = self.turn
            constants = {"start": turn.start, "header_end": turn.header_end, "end": turn.end, "after": turn.after}
            if self.name == "chat":
                constants |= {"system": turn.system, "assistant": turn.assistant, "request": REQUEST}
        preamble = "".join(f"{{%- set {name} = {json.dumps(text)} -%}}\n" for name, text in constants.items())
        return preamble + ("{{- bos_token -}}\n" if self.bos else "") + body

    def _header(self, role: str) -> str:
        if self.turn is None:
            return role.capitalize() + ":"
        if self.name == "chat":
            role = {"description": self.turn.system, "input": "user", "output": self.turn.assistant}[role]
        return self.turn.start + role + self.turn.header_end

    def _turn(self, role: str, content: str) -> str:
        if self.turn is None:
            return f"{self._header(role)} {content}" + ("\n" if role == "input" else "\n\n")
        return self._header(role) + content + self.turn.end + self.turn.after


def split_messages(messages: Sequence[Message]) -> tuple[str | None, list[Draw], str | None]:
    """Messages as (description or None, draws, the last input if its output is yet to come).

    Raises:
        UserError: A role is unknown or out of place.
    """
    _check(messages)
    description, given, draws = None, None, []
    for message in messages:
        if message["role"] == "description":
            description = message["content"]
        elif message["role"] == "input":
            given = message["content"]
        else:
            draws.append(Draw(given, message["content"]))
            given = None
    return description, draws, given


def first_trained(*, described: bool) -> int:
    """The place of the first output of a sequence that is trained and scored; so are all after it.

    Without a description nothing tells what the first output should be, so it is context.
    """
    return 0 if described else 1


def written_draws(messages: Sequence[Message], text_format: Format) -> WrittenRow:
    """What is written of a sequence of draws: before each output, the output itself, and whether it is trained.

    An input whose output is yet to come is left out.

    Raises:
        UserError: A role is unknown or out of place.
    """
    description, draws, _ = split_messages(messages)
    first = first_trained(described=description is not None)
    return "" if description is None else text_format.description(description), [
        WrittenDraw(text_format.context(draw.input), text_format.output(draw.output), trained=place >= first)
        for place, draw in enumerate(draws)
    ]


def response_after_prompt(messages: Sequence[Message], text_format: Format) -> WrittenRow:
    """The same of a conversation, whose last message alone is trained; all before it is written as at inference."""
    *before, response = messages
    return text_format.marked_prompt(before), [WrittenDraw("", text_format.output(response["content"]), trained=True)]


def _check(messages: Sequence[Message]) -> None:
    before = None
    for position, message in enumerate(messages):
        role = message["role"]
        if role not in ("description", "input", "output"):
            raise UserError(f"message {position} has the role {role!r}: use 'description', 'input' and 'output'")
        if role == "description" and position > 0:
            raise UserError(f"message {position} is a description: there is one at most, and it comes first")
        if role == before == "input":
            raise UserError(f"message {position} is an input after an input: each input is followed by its output")
        before = role


def turn_tokens(tokenizer: PreTrainedTokenizerBase) -> TurnTokens | None:
    """The family whose turn tokens ``tokenizer`` has, each as a single token; None when it has none."""
    for family in FAMILIES:
        pieces = tokenizer(list(family.special), add_special_tokens=False).input_ids
        if all(len(ids) == 1 and ids[0] != tokenizer.unk_token_id for ids in pieces):
            return family
    return None


def get_format(name: str, tokenizer: PreTrainedTokenizerBase) -> Format:
    """The format ``name`` for ``tokenizer``; ``auto`` is ``spectrum``, or ``colon`` where there are no turn tokens.

    Raises:
        UserError: The name is unknown, or the format needs turn tokens that the tokenizer does not have.
    """
    if name not in ("auto", *FORMATS):
        raise UserError(f"no format {name!r}: choose auto, {', '.join(FORMATS)}")
    turn = turn_tokens(tokenizer)
    if name == "auto":
        name = "colon" if turn is None else "spectrum"
        if turn is None:
            _warn_once(
                f"tokenizer {tokenizer.name_or_path!r} has no turn tokens of a known family: using the plain text "
                "format 'colon'"
            )
    if name != "colon" and turn is None:
        families = ", ".join("/".join(family.special) for family in FAMILIES)
        raise UserError(f"format {name!r} needs turn tokens ({families}) that this tokenizer lacks: use --format colon")
    if name == "chat" and not turn.assistant:
        raise UserError(f"format 'chat' is not written for {turn.family} models: use --format spectrum or colon")
    control = control_of(tokenizer, turn)
    return Format(name, None if name == "colon" else turn, bos=_bos(tokenizer), control=control)  # type: ignore[arg-type]


def control_of(tokenizer: PreTrainedTokenizerBase, turn: TurnTokens | None) -> ControlTokens:
    """The control tokens of a tokenizer that writes turns with ``turn``, and those of any known family."""
    known = (token for family in FAMILIES for token in family.special)
    return control_tokens(tokenizer, turn.special if turn else (), known)


@cache
def _warn_once(message: str) -> None:
    """Say it the first time only: a format is looked for in every call that is given none."""
    logger.warning("%s", message)


def _bos(tokenizer: PreTrainedTokenizerBase) -> str:
    """The BOS token's text if the tokenizer puts it in front by itself."""
    before, _ = added_around(tokenizer)
    starts = bool(before) and before[0] == tokenizer.bos_token_id
    return tokenizer.bos_token if starts else ""
