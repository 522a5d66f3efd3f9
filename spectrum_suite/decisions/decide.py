"""System One answers of a model: the exact probability of every allowed answer, in as many orders as are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.decisions.prompts import (
    READS,
    LabelPrompts,
    OptionPrompts,
    Order,
    Read,
    option_messages,
)
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, get_format
from spectrum_suite.generation.logprobs import TokenIds, TokenizedOptions, exclusive_log_probs, score_options
from spectrum_suite.generation.sample import NOT_FINITE
from spectrum_suite.lm.calibration_file import Calibration
from spectrum_suite.lm.listed_options import drawn_orders, flip_rate
from spectrum_suite.lm_head import LIKELIEST
from spectrum_suite.systemone import CONFIDENCES, Confidence, Question, answer, check_text, read_questions, state_text


@dataclass(frozen=True)
class Decisions:
    """What a model makes of the questions about a state.

    Attributes:
        answers: Id of a question -> its answer, as ``/v1/systemone`` sends it.
        diagnostics: Id of a question -> ``label_mass``, the probability that the model says any of the options
            (labels), the mean over orders, and ``argmax_is_label``, whether in every order the likeliest of all tokens
            begins an option; with several orders also ``orders``, how many there were, and ``flip_rate``, the share of
            the others in which another option is the likeliest one.
        input_tokens: Of all prompts, where a state counts for each.
    """

    answers: dict[str, dict[str, Any]]
    diagnostics: dict[str, dict[str, float | bool]]
    input_tokens: int


def decide(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    state: Any,
    questions: Mapping[str, Mapping[str, Any]],
    *,
    instructions: str | None = None,
    read: Read = "options",
    confidence: Confidence = "above_uniform",
    orders: int = 1,
    seed: int = 42,
    text_format: Format | None = None,
    calibration: Calibration | None = None,
    batch_size: int = 64,
) -> Decisions:
    """Answer typed questions about a state by the exact probability of every allowed answer.

    Args:
        model: Any causal language model, with or without an adapter, in eval mode.
        tokenizer: Its tokenizer.
        state: What the questions are about: a string, or anything that JSON can hold.
        questions: {id: {``type``: ``choice``, ``noul`` or ``score``; ``instructions``; ``criteria``}}.
        instructions: What holds for all questions.
        read: ``options``: whole names of options, any number of them. ``labels``: letters, yes and no, and digits, in
            the prompt that vLLM sends.
        confidence: ``above_uniform``: how far an answer is from a guess. ``over_vocabulary``: the probability of the
            likeliest option among all that the model may say, as from vLLM.
        orders: Orders of the options over which probabilities are averaged, the given one first; there may be fewer.
            The levels of a score are listed upwards and downwards only.
        seed: Of the orders of a choice.
        text_format: How messages are written for ``options``; by default the one that fits the tokenizer (``auto``).
        calibration: What the probabilities of ``options`` are corrected by, in every order.
        batch_size: Prompts per forward pass; those about one state share its tokens.

    Raises:
        UserError: A question is not one, an option has no tokens or those of another, a prompt is longer than the model
            allows, there are more options than labels, or the model gives no probabilities.
    """
    reader = Reader.of(
        tokenizer, read=read, confidence=confidence, orders=orders, seed=seed, text_format=text_format,
        calibration=calibration,
    )  # fmt: skip
    if instructions is not None:
        check_text(instructions, "instructions", None)
    text = state_text(state)
    asked = [reader.ask(text, question, instructions) for question in read_questions(questions)]
    scores = iter(score_options(model, [item for each in asked for item in each.scored], batch_size=batch_size))
    return gathered([reader.answer(each, [next(scores) for _ in each.items]) for each in asked])


class NoProbabilitiesError(UserError):
    """The model's logits after a question are not finite, so that its answers have no probabilities."""

    def __init__(self) -> None:
        super().__init__(NOT_FINITE)


@dataclass(frozen=True)
class Asked:
    """A question as a model is asked it.

    Attributes:
        state: What it is about.
        question: The question.
        orders: In which its options are listed, one after another.
        instructions: What holds for all questions of the state.
        items: Of each order the prompt and the options, which are always in their own order.
    """

    state: str
    question: Question
    orders: tuple[Order, ...]
    instructions: str | None
    items: tuple[TokenizedOptions, ...]

    @property
    def scored(self) -> list[TokenizedOptions]:
        """The same with what is scored besides, in the place of more options: how options begin, and the likeliest."""
        return [TokenizedOptions(item.prompt, (*item.options, *_besides(item.options))) for item in self.items]


def _besides(options: Sequence[TokenIds]) -> tuple[TokenIds, ...]:
    """The first tokens of options, and the likeliest of all tokens, none of which costs a pass."""
    return (*((first,) for first in dict.fromkeys(option[0] for option in options)), (LIKELIEST,))


@dataclass(frozen=True)
class Answered:
    """The answer to a question; see :class:`Decisions`.

    Attributes:
        question: The question.
        probabilities: Of its options.
        answer: As it is sent.
        diagnostics: What else is reported.
        input_tokens: Of its prompts.
    """

    question: Question
    probabilities: tuple[float, ...]
    answer: dict[str, Any]
    diagnostics: dict[str, float | bool]
    input_tokens: int


@dataclass(frozen=True)
class Reader:
    """How questions are put and answers are read. Make one with :meth:`of`; see :func:`decide` for what there is."""

    prompts: OptionPrompts | LabelPrompts
    confidence: Confidence = "above_uniform"
    orders: int = 1
    seed: int = 42
    calibration: Calibration | None = None

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        *,
        read: Read = "options",
        confidence: Confidence = "above_uniform",
        orders: int = 1,
        seed: int = 42,
        text_format: Format | None = None,
        calibration: Calibration | None = None,
    ) -> Reader:
        """A reader for a tokenizer.

        Raises:
            UserError: There is no such read or confidence, or the tokenizer does not have what they need.
        """
        if read not in READS:
            raise UserError(f"no read {read!r}: choose from {', '.join(READS)}")
        if confidence not in CONFIDENCES:
            raise UserError(f"no confidence {confidence!r}: choose from {', '.join(CONFIDENCES)}")
        if orders < 1:
            raise UserError(f"orders is {orders}: give a number of at least 1")
        if read == "labels":
            if calibration is not None or text_format is not None:
                raise UserError("read='labels' takes no format and no calibration: ask with read='options'")
            return cls(LabelPrompts(tokenizer), confidence, orders, seed)
        prompts = OptionPrompts(tokenizer, text_format or get_format("auto", tokenizer))
        return cls(prompts, confidence, orders, seed, calibration)

    def ask(self, state: str, question: Question, instructions: str | None = None) -> Asked:
        """A question as token ids.

        Raises:
            UserError: An option has no tokens or those of another, or there are more options than labels.
        """
        orders = tuple(self._orders(state, question))
        items = self.prompts.tokenized(state, question, orders, instructions)
        if len(set(items[0].options)) < len(question.options):
            raise UserError(
                f"question {question.id[:60]!r} has two options of the same tokens: give each option a name of its own"
            )
        return Asked(state, question, orders, instructions, tuple(items))

    def answer(self, asked: Asked, log_probs: Sequence[torch.Tensor]) -> Answered:
        """The answer, from the log-probabilities of :attr:`Asked.scored` in each order.

        Raises:
            NoProbabilitiesError: Some of them are NaN.
        """
        count = len(asked.question.options)
        orders = range(len(log_probs))
        found, masses = zip(
            *(self._distribution(asked, order, log_probs[order][:count]) for order in orders), strict=True
        )
        every, mass = np.array(found), float(np.mean(masses))
        mean = tuple(every.mean(axis=0).tolist())
        diagnostics = {"label_mass": mass, "argmax_is_label": all(map(_begins_likeliest, log_probs, repeat(count)))}
        if len(every) > 1:
            diagnostics |= {"orders": len(every), "flip_rate": flip_rate(every)}
        return Answered(
            question=asked.question,
            probabilities=mean,
            answer=answer(asked.question, mean, mass, self.confidence),
            diagnostics=diagnostics,
            input_tokens=sum(len(item.prompt) for item in asked.items),
        )

    def _orders(self, state: str, question: Question) -> list[Order]:
        count = len(question.options)
        if question.type == "choice":
            return drawn_orders(count, self.orders, seed=self.seed, text=f"{state}\n\n{question.instructions}")
        upwards = tuple(range(count))
        return [upwards, upwards[::-1]][: self.orders]

    def _distribution(self, asked: Asked, order: int, log_probs: torch.Tensor) -> tuple[np.ndarray, float]:
        """The probabilities of the options in one order, and their sum before they were divided by it."""
        exclusive = exclusive_log_probs(log_probs, asked.items[order].options)
        probabilities = torch.softmax(exclusive, dim=0).numpy()
        if np.isnan(probabilities).any():
            raise NoProbabilitiesError
        if self.calibration is not None:
            messages = option_messages(asked.state, asked.question, asked.orders[order], asked.instructions)
            probabilities = self.calibration.probabilities(probabilities, messages, asked.question.names)
        return probabilities, exclusive.exp().sum().item()


def _begins_likeliest(log_probs: torch.Tensor, count: int) -> bool:
    """Whether the likeliest token begins one of the options, which stand first."""
    *firsts, likeliest = log_probs[count:].tolist()
    return max(firsts) >= likeliest


def gathered(answered: Sequence[Answered]) -> Decisions:
    """The answers to the questions of a state together."""
    return Decisions(
        {each.question.id: each.answer for each in answered},
        {each.question.id: each.diagnostics for each in answered},
        sum(each.input_tokens for each in answered),
    )
