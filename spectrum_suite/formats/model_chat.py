"""The chat template of the model itself: what it was taught to answer, whatever its family.

    <|im_start|>system
    You draw ... nothing else.<|im_end|>
    <|im_start|>user
    A coin is tossed.

    Give one output.<|im_end|>
    <|im_start|>assistant
    <think>

    </think>

    Heads<|im_end|>

The template is rendered around some probes, and what stands between those is what the format writes between texts. So
it needs to know no family. Every answer stands after the same header, that of a prompt, and thinking is closed in it:
a prompt grows into its continuation, which templates that write past turns in another way (Qwen3's) do not give.
Texts are written as they are, also where a template would take blanks off their ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import TemplateError

from spectrum_suite.errors import UserError
from spectrum_suite.formats.control_tokens import control_tokens
from spectrum_suite.formats.render import FAMILIES, REQUEST, Format

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODEL_CHAT = "model_chat"

SYSTEM = (
    "You are a source of random draws. The user describes what is drawn, or shows it by earlier draws, and may give an "
    "input for the next one. Answer with one draw, at random and as likely as it is there, and with nothing else."
)
"""The system prompt."""

JOINT = "\n\n"
"""Stands between a description and what the user says next, and after a system prompt that has no turn of its own."""

_DATE = "26 Jul 2024"
"""The date of all prompts of Llama 3's templates, 3.1's own default: later ones write today's."""

_USER, _ANSWER = ("First question", "Second question", "Third question"), ("First answer", "Second answer")
_SWITCH = re.compile(r"\b[a-z_]*(?:think|reason)[a-z_]*\b")

_HEAD = '{%- if messages and messages[0].role in ["description", "input", "output"] -%}\n'
_OTHERWISE, _END = '{%- else -%}{{- "" }}', '{{ "" -}}{%- endif -%}'


class _Chat(NamedTuple):
    """What a template writes around texts: before all, before an answer, and before the next question."""

    opening: str
    ask: str
    between: str


@dataclass(frozen=True)
class ModelChatFormat(Format):
    """A conversation as the model's own template has it. Make one with :func:`model_chat_format`.

    ``bos`` is all that comes before the first text of a user, the system prompt included.

    Attributes:
        header: From the end of what the user says to the answer.
        prefix: Blanks that begin an answer and are not part of a prompt.
        end: The token that ends an answer.
        after: From there to what the user says next.
        own_template: The template of the tokenizer.
    """

    header: str = ""
    prefix: str = ""
    end: str = ""
    after: str = ""
    own_template: str = ""

    @property
    def output_prefix(self) -> str:
        """Blanks, with few templates."""
        return self.prefix

    @property
    def terminator(self) -> str:
        """The token that ends an answer."""
        return self.end

    @property
    def separator(self) -> str:
        """The rest of the end of the turn, and the header of the user's next."""
        return self.after

    @property
    def output_header(self) -> str:
        """The end of the user's turn, the header of the answer, and what closes thinking."""
        return self.header

    @property
    def follower(self) -> str:
        """Nothing: the terminator is a token whatever comes next."""
        return ""

    @property
    def family(self) -> str:
        """The tokens are those of the template."""
        return "those of its own chat template"

    @property
    def ends_with_token(self) -> bool:
        """Always."""
        return True

    def description(self, content: str) -> str:
        """The text of a description, with which the first turn of the user begins, for the encoder."""
        return self.marked(content) + JOINT

    def context(self, given: str | None) -> str:
        """What the user says, and the header of the answer, for the encoder."""
        return self.marked(REQUEST if given is None else given) + self.header

    def before(self, text: str) -> str:
        """What comes right before a segment inside a text."""
        if text == self.bos:
            return ""
        if text == self.after:
            return self.end
        return self.end + self.after if text.endswith(self.header) else self.header

    def chat_template(self) -> str:
        """The template of the model, which now writes our roles too, without our code."""
        constants = {
            "opening": self.bos, "joint": JOINT, "request": REQUEST, "header": self.header, "prefix": self.prefix,
            "end": self.end, "after": self.after,
        }  # fmt: skip
        texts = {name: json.dumps(text, ensure_ascii=False) for name, text in constants.items()}
        lines = (f"  {{%- set {name} = {text} -%}}\n" for name, text in texts.items())
        body = (Path(__file__).parent / f"{self.template}.jinja").read_text(encoding="utf-8")
        return "".join([_HEAD, *lines, body, _OTHERWISE, self.own_template, _END])


def model_chat_format(tokenizer: PreTrainedTokenizerBase, *, system: str = SYSTEM) -> ModelChatFormat:
    """The format that follows the chat template of a tokenizer; an empty ``system`` leaves the system prompt out.

    Raises:
        UserError: It has none, or one that cannot be followed.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not template:
        raise UserError(
            f"format {MODEL_CHAT!r} needs a chat template, which this tokenizer lacks: use the "
            "instruction-tuned model, or another format"
        )
    template = _own_part(template)
    render = _Renderer(tokenizer, template, system)
    chat = render.chat()
    answered = render.between(_USER[0], _ANSWER[0], [_ANSWER[0]])
    header, prefix = _answer_header(chat.ask, answered, closed=bool(render.switches))
    end, after = _end_of_turn(tokenizer, chat.between)
    written = "".join([template, chat.opening, header, chat.between])
    known = {token for family in FAMILIES for token in family.special}
    added = (token.content for token in tokenizer.added_tokens_decoder.values())
    turn = [token for token in added if (token in written or token in known) and not token.isspace()]
    control = control_tokens(tokenizer, turn)
    return ModelChatFormat(MODEL_CHAT, None, chat.opening, control, header, prefix, end, after, template)  # type: ignore[arg-type]


class _Renderer:
    """A template, around probes: with the system prompt where it takes one, and with thinking off where it can."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: str, system: str) -> None:
        self.tokenizer, self.template = tokenizer, template
        self.switches: dict[str, Any] = {}
        self.start: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
        self.before = ""
        if system and not self._takes_system(system):
            self.start, self.before = [], system + JOINT
        asked = self.text([], prompt=True)
        for name in sorted(set(_SWITCH.findall(template))):
            found = self._try([], switches={name: False})
            if found is not None and found != asked and "False" not in found:
                self.switches[name] = False

    def text(self, answers: Sequence[str], *, prompt: bool) -> str:
        """The text of a conversation; with a prompt another question comes last.

        Raises:
            UserError: The template fails.
        """
        found = self._try(answers, prompt=prompt, switches=self.switches)
        if found is None:
            raise UserError(f"format {MODEL_CHAT!r} cannot follow this chat template: it fails on a conversation")
        return found

    def between(self, first: str, second: str, answers: Sequence[str] = _ANSWER) -> str:
        """What stands between two probes; with a single answer it ends the conversation."""
        text = self.text(answers, prompt=len(answers) != 1)
        return text.partition(first)[2].partition(second)[0]

    def chat(self) -> _Chat:
        """The pieces of a conversation.

        Raises:
            UserError: They differ from turn to turn.
        """
        opening, _, ask = self.text([], prompt=True).partition(_USER[0])
        whole = self.text(_ANSWER, prompt=True)
        between = self.between(_ANSWER[0], _USER[1])
        same = (
            whole.startswith(opening + _USER[0])
            and whole.endswith(between + _USER[2] + ask)
            and between == self.between(_ANSWER[1], _USER[2])
        )
        if not (same and ask and between):
            raise UserError(f"format {MODEL_CHAT!r} cannot follow this chat template: its turns differ from each other")
        return _Chat(opening, ask, between)

    def _takes_system(self, system: str) -> bool:
        """Whether a system prompt comes before all that the user says, and once."""
        found = self._try(_ANSWER, prompt=True)
        return found is not None and found.count(system) == 1 and found.index(system) < found.index(_USER[0])

    def _try(
        self, answers: Sequence[str], *, prompt: bool = True, switches: Mapping[str, Any] | None = None
    ) -> str | None:
        chat = list(self.start)
        for question, answer in zip(_USER, [*answers, None], strict=False):
            said = self.before + question if question == _USER[0] else question
            chat.append({"role": "user", "content": said})
            if answer is None:
                break
            chat.append({"role": "assistant", "content": answer})
        if not prompt:
            chat.pop()
        try:
            return self.tokenizer.apply_chat_template(
                chat, chat_template=self.template, tokenize=False, add_generation_prompt=prompt,
                date_string=_DATE, **(switches or {}),
            )  # fmt: skip
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError):
            return None


def _answer_header(ask: str, answered: str, *, closed: bool) -> tuple[str, str]:
    """What comes before an answer, and the blanks with which it begins.

    Args:
        ask: What ends a prompt.
        answered: The same in a conversation that ends with the answer: more where a prompt leaves it to the model to
            say that it will not think, less where it opens thinking.
        closed: Whether the prompt closes thinking by itself.
    """
    if answered.startswith(ask):
        rest = answered.removeprefix(ask)
        return (ask, rest) if rest.isspace() else (answered, "")
    return (answered if ask.startswith(answered) and not closed else ask), ""


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, between: str) -> tuple[str, str]:
    """The token that ends an answer, and what follows to the next question; blanks before the token are left out."""
    text = between.lstrip()
    added = (token.content for token in tokenizer.added_tokens_decoder.values())
    end = max((token for token in added if text.startswith(token)), key=len, default="")
    if not end:
        raise UserError(
            f"format {MODEL_CHAT!r} cannot follow this chat template: no token of its own ends an answer, but "
            f"{between[:20]!r}"
        )
    return end, text.removeprefix(end)


def _own_part(template: str) -> str:
    """The template of the model in one that :meth:`ModelChatFormat.chat_template` made."""
    if not template.startswith(_HEAD):
        return template.removesuffix("\n")  # as Jinja has it
    return template.partition(_OTHERWISE)[2].removesuffix(_END)
