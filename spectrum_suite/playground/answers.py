"""What the playground computes: how models answer a prompt, by the probabilities of options and by samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message
from spectrum_suite.formats.tags import find_format
from spectrum_suite.generation.sample import sample
from spectrum_suite.generation.table import option_table
from spectrum_suite.lm.calibration_file import Calibration, calibration_of
from spectrum_suite.models import ModelFiles, find_model, load_for_scoring, load_tokenizer

BASE_FORMAT, TUNED_FORMAT = "colon", "auto"
"""How a base model and a tuned one are asked: in plain text, and in turns where the tokenizer has them."""

ARROW = "=>"
"""Stands between the input and the output of an example."""

LONGEST_TEXT = 4000
MOST_OPTIONS = 200
MOST_SAMPLES = 200
NEW_TOKENS = 32


@dataclass(frozen=True)
class Model:
    """A model that is asked.

    Attributes:
        label: What it is called on the page.
        name: The path or id that it was loaded from.
        model: It, in eval mode.
        tokenizer: Its tokenizer.
        text_format: How it is asked.
        calibration: What the probabilities of options are corrected by; samples are drawn as they are.
    """

    label: str
    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    text_format: Format
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Question:
    """What models are asked.

    Attributes:
        messages: Description, examples and the next input, as far as there are any.
        options: The answers whose probabilities are shown; there may be none.
    """

    messages: tuple[Message, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """How a model answers.

    Attributes:
        label: What the model is called.
        probabilities: Of each option, divided by their sum.
        mass: The probability that it says any of the options; None where there are none.
        counts: The samples and how often each was drawn, the most frequent first.
        options: How many options there are.
        reached: How many of them were drawn.
        valid: How many samples are one of them.
    """

    label: str
    probabilities: tuple[float, ...]
    mass: float | None
    counts: tuple[tuple[str, int], ...]
    options: int
    reached: int
    valid: int

    @property
    def n(self) -> int:
        """Samples."""
        return sum(count for _, count in self.counts)


def load_models(
    base: str | None,
    tuned: str | None,
    *,
    base_format: str = BASE_FORMAT,
    tuned_format: str = TUNED_FORMAT,
    calibration: Path | None = None,
) -> list[Model]:
    """The models of a playground, the base model first.

    Args:
        base: Path or id; by default what ``tuned`` is an adapter of.
        tuned: Path or id of a tuned model or adapter, if there is one.
        base_format: How the base model is asked; `model_chat` for an instruction-tuned one.
        tuned_format: How the tuned model is asked.
        calibration: A ``calibration.json`` or its folder, of the tuned model, or of the base model where that is alone.

    Raises:
        UserError: There is no such model or format, no model was named, or the calibration is of another.
    """
    files = find_model(tuned) if tuned else None
    base_files = find_model(base) if base else files.base if files else None
    found = [
        *([_load("base", base_files, base_format, None if files else calibration)] if base_files else []),
        *([_load("tuned", files, tuned_format, calibration)] if files else []),
    ]
    if not found:
        raise UserError("no model to play with: name one with --base or --tuned")
    return found


def _load(label: str, files: ModelFiles, text_format: str, calibration: Path | None) -> Model:
    tokenizer = load_tokenizer(files)
    asked = find_format(text_format, tokenizer)
    found = calibration_of(files, asked, calibration)
    model, _ = load_for_scoring(files)
    return Model(f"{label}, calibrated" if found else label, files.name, model, tokenizer, asked, found)


def read_question(description: str, examples: str, given: str, options: str) -> Question:
    """A question from what stands in the fields of the page; empty lines say nothing.

    Args:
        description: What is drawn from.
        examples: One a line: ``output``, or ``input => output``.
        given: The input that the next output belongs to.
        options: One a line.

    Raises:
        UserError: There is nothing to ask, or too much; an example has no output; an option is there twice.
    """
    if sum(map(len, (description, examples, given, options))) > LONGEST_TEXT:
        raise UserError(f"this is more text than the playground takes: use at most {LONGEST_TEXT:,} characters")
    messages = [Message(role="description", content=description.strip())] if description.strip() else []
    for line in _lines(examples):
        messages += _example(line)
    if given.strip():
        messages.append(Message(role="input", content=given.strip()))
    if not messages:
        raise UserError("there is nothing to ask: write a description or some examples")
    chosen = _lines(options)
    if twice := [option for option, count in Counter(chosen).items() if count > 1]:
        raise UserError(f"option {twice[0]!r} is written twice: leave one out")
    if len(chosen) > MOST_OPTIONS:
        raise UserError(f"there are {len(chosen)} options: write at most {MOST_OPTIONS}")
    return Question(tuple(messages), tuple(chosen))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _example(line: str) -> list[Message]:
    given, arrow, output = (part.strip() for part in line.partition(ARROW))
    if not arrow:
        return [Message(role="output", content=line)]
    if not given or not output:
        raise UserError(f"example {line!r} has no {'output' if given else 'input'}: write 'input {ARROW} output'")
    return [Message(role="input", content=given), Message(role="output", content=output)]


def answer(model: Model, question: Question, n: int, *, seed: int) -> Answer:
    """How a model answers: exact probabilities of the options, and ``n`` samples at temperature 1.

    Raises:
        UserError: Two options are the same to the model, or the question is too long for it.
    """
    probabilities, mass = _distribution(model, question)
    (drawn,) = sample(
        model.model, model.tokenizer, [question.messages], n,
        text_format=model.text_format, max_new_tokens=NEW_TOKENS, seed=seed,
    )  # fmt: skip
    counts = Counter(text.strip() for text in drawn.texts)
    valid = {text: count for text, count in counts.items() if text in question.options}
    return Answer(
        label=model.label,
        probabilities=probabilities,
        mass=mass,
        counts=tuple(counts.most_common()),
        options=len(question.options),
        reached=len(valid),
        valid=sum(valid.values()),
    )


def _distribution(model: Model, question: Question) -> tuple[tuple[float, ...], float | None]:
    if not question.options:
        return (), None
    table = option_table(
        model.model, model.tokenizer, question.messages, question.options, text_format=model.text_format
    )
    if math.isnan(table.mass):
        raise UserError(f"the {model.label} model gives NaN for these options: its weights or precision are broken")
    if model.calibration is None:
        return table.probabilities, table.mass
    calibrated = model.calibration.probabilities(table.probabilities, question.messages, question.options)
    return tuple(calibrated.tolist()), table.mass


def ask(models: Sequence[Model], question: Question, n: int, *, seed: int) -> list[Answer]:
    """The answers of all models.

    Raises:
        UserError: ``n`` is out of range, or as :func:`answer`.
    """
    if not 1 <= n <= MOST_SAMPLES:
        raise UserError(f"{n} samples: draw between 1 and {MOST_SAMPLES}")
    return [answer(model, question, n, seed=seed) for model in models]
