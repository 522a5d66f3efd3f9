"""How a question is put to a model, and what of its answer is scored.

    options   the options are listed by name in one of our formats, and each whole name is scored: any number of them,
              of any length
    labels    the prompt that vLLM's ``/v1/systemone`` sends (as of vLLM 0.32), and the one token of each label is
              scored: A to Z of a choice, yes and no of a noul, 0 to 9 of a score

The state comes first in both, so that the questions about it share its tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase, digits
from typing import Literal, get_args

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError, first_line
from spectrum_suite.formats.control_tokens import START
from spectrum_suite.formats.render import Format, Message, control_of
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.generation.logprobs import TokenizedOptions, tokenize_options
from spectrum_suite.systemone import NO, YES, Question

Read = Literal["options", "labels"]
READS: tuple[Read, ...] = get_args(Read)

Order = tuple[int, ...]
"""Which option stands at each place of the list."""

_REQUEST = "Answer with one of these options and nothing else."

_LABELS = {"choice": tuple(ascii_uppercase), "noul": (YES, NO), "score": tuple(digits)}
_LABEL_REQUESTS = {
    "choice": "Answer with the letter of one option only.",
    "noul": "Answer with yes or no only.",
    "score": "Answer with the number of one level only.",
}
"""The wording is vLLM's (Apache-2.0): other words would give other probabilities."""


def option_messages(state: str, question: Question, order: Order, instructions: str | None = None) -> list[Message]:
    """The prompt that lists the options of a question by name, in an order.

    Args:
        state: What the question is about.
        question: The question.
        order: In which the options are listed.
        instructions: What holds for all questions of the state.
    """
    listed = (question.options[place] for place in order)
    lines = [
        f"- {option.name}: {option.description}" if option.description else f"- {option.name}" for option in listed
    ]
    asked = "\n".join([question.instructions, *lines, _REQUEST])
    said = [Message(role="input", content=f"{state}\n\n{asked}" if state else asked)]
    return [Message(role="description", content=instructions), *said] if instructions else said


def label_text(state: str, question: Question, order: Order) -> str:
    """What the user says in the prompt that vLLM sends, with the options in an order.

    Letters stay in their places when options move; yes, no and the numbers of levels stay with their options.
    """
    lines = [f"Question: {question.instructions}"]
    labels = labels_of(question, order)
    for index in order:
        option, label = question.options[index], labels[index]
        meaning = option.description if question.type == "noul" else option.name
        if question.type != "noul" and option.description:
            meaning = f"{option.name} - {option.description}"
        lines.append(f"{label}: {meaning}" if meaning else label)
    return "\n".join([f"{state}\n", *lines, _LABEL_REQUESTS[question.type]])


def labels_of(question: Question, order: Order) -> tuple[str, ...]:
    """The label of each option.

    Raises:
        UserError: There are more options than labels.
    """
    labels = _LABELS[question.type]
    if len(question.options) > len(labels):
        raise UserError(
            f"question {question.id[:60]!r} has {len(question.options)} options, and there are {len(labels)} labels: "
            "ask with read='options'"
        )
    if question.type != "choice":
        return labels[: len(question.options)]
    return tuple(labels[order.index(index)] for index in range(len(order)))


@dataclass(frozen=True)
class OptionPrompts:
    """Prompts that list the options by name, in one of our formats.

    Attributes:
        tokenizer: The model's tokenizer.
        text_format: How messages are written.
    """

    tokenizer: PreTrainedTokenizerBase
    text_format: Format

    def tokenized(
        self, state: str, question: Question, orders: Sequence[Order], instructions: str | None
    ) -> list[TokenizedOptions]:
        """The question in each order, its options always in their own.

        Raises:
            UserError: As :func:`spectrum_suite.generation.logprobs.tokenize_options`.
        """
        prompts = [option_messages(state, question, order, instructions) for order in orders]
        return tokenize_options(self.tokenizer, prompts, [question.names] * len(orders), self.text_format)


@dataclass(frozen=True)
class LabelPrompts:
    """Prompts as vLLM sends them, in the chat template of the tokenizer with thinking off.

    Attributes:
        tokenizer: The model's tokenizer, with a chat template.
    """

    tokenizer: PreTrainedTokenizerBase
    _ids: dict[str, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Find out whether there is a chat template.

        Raises:
            UserError: There is none.
        """
        if not self.tokenizer.chat_template:
            raise UserError("read='labels' needs a chat template, which this tokenizer lacks: ask with read='options'")

    def tokenized(
        self, state: str, question: Question, orders: Sequence[Order], instructions: str | None
    ) -> list[TokenizedOptions]:
        """The question in each order, its options always in their own.

        Raises:
            UserError: There are more options than labels, a label is not one token, or the template refuses the prompt.
        """
        return [
            TokenizedOptions(
                tuple(self._ids_of(self._rendered(label_text(state, question, order), instructions))),
                tuple((self._label_id(label),) for label in labels_of(question, order)),
            )
            for order in orders
        ]

    def _label_id(self, label: str) -> int:
        """The token of a label at the start of an answer."""
        if label not in self._ids:
            prompt = self._rendered("x", None)
            found = self._ids_of(prompt + label)
            if found[:-1] != self._ids_of(prompt):
                raise UserError(
                    f"label {label!r} is not one token after this model's chat prompt: ask with read='options'"
                )
            self._ids[label] = found[-1]
        return self._ids[label]

    def _rendered(self, said: str, instructions: str | None) -> str:
        """The text of a prompt, with the control tokens of what is said marked."""
        mark = control_of(self.tokenizer, None).mark
        chat = [{"role": "user", "content": mark(said)}]
        if instructions:
            chat.insert(0, {"role": "system", "content": mark(instructions)})
        try:
            return self.tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise UserError(
                f"the chat template of this model refuses the prompt ({first_line(error)}): leave instructions out"
            ) from error

    def _ids_of(self, text: str) -> list[int]:
        if START in text:
            return token_encoder(self.tokenizer, None).at_start([text])[text]
        return self.tokenizer.encode(text, add_special_tokens=False)
