"""How the models of inspect-ai are asked: by their weights, by token ids over a completions API, or by chat.

weights       a model that runs in this process (``hf/``): log-probabilities and samples are ours
completions   a service that takes token ids and tells the log-probabilities of a prompt's tokens
              (``openai-api-completions/``, ``vllm-completions/``), where ``tokenizer`` names its tokenizer
chat          any other: answers at temperature 1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import torch
from anyio import to_thread
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    get_model,
)
from inspect_ai.util import collect
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message
from spectrum_suite.formats.tags import find_format
from spectrum_suite.generation.logprobs import TokenIds, prompt_token_ids, score_options, tokenize_options
from spectrum_suite.generation.sample import Samples, sample
from spectrum_suite.lm.answers import Answer
from spectrum_suite.lm.base import OptionScores
from spectrum_suite.lm.chat_messages import SYSTEM_PROMPT, chat_turns
from spectrum_suite.models import find_model, load_tokenizer

_TURNS = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
_PROBED = "one two"
_PLAIN = GenerateConfig(temperature=1.0, top_p=1.0)


@dataclass
class Weights:
    """A model in this process.

    Attributes:
        model: The model.
        tokenizer: Its tokenizer.
        text_format: How messages are written.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    text_format: Format
    _one_at_a_time: anyio.Lock = field(default_factory=anyio.Lock)
    _drawn: dict[tuple[str, int, int, int], Samples] = field(default_factory=dict)

    async def option_scores(self, messages: Sequence[Message], options: Sequence[str]) -> OptionScores:
        """The log-probability of each option after a prompt.

        Raises:
            UserError: As :func:`spectrum_suite.option_logprobs`.
        """
        (item,) = tokenize_options(self.tokenizer, [messages], [options], self.text_format)
        async with self._one_at_a_time:
            (found,) = await to_thread.run_sync(score_options, self.model, [item])
        return OptionScores(found, item.options)

    async def answer(
        self, messages: Sequence[Message], number: int, *, max_new_tokens: int, seed: int, together: int
    ) -> Answer:
        """The answer of this number; ``together`` of them are drawn at a time, which share the prompt's pass."""
        first = number // together * together
        key = repr(list(messages)), max_new_tokens, seed, first
        async with self._one_at_a_time:
            if key not in self._drawn:
                draw = partial(sample, first=first, text_format=self.text_format, max_new_tokens=max_new_tokens)
                draw = partial(draw, self.model, self.tokenizer, [messages], together, seed=seed)
                (self._drawn[key],) = await to_thread.run_sync(draw)
        drawn = self._drawn[key]
        return Answer(drawn.texts[number - first], drawn.ended[number - first])


@dataclass(frozen=True)
class Completions:
    """A service that is sent token ids.

    Attributes:
        model: The service, as inspect-ai speaks to it.
        tokenizer: The model's tokenizer.
        text_format: How messages are written.
        asking: What has it tell the log-probabilities of a prompt's tokens.
    """

    model: Model
    tokenizer: PreTrainedTokenizerBase
    text_format: Format
    asking: GenerateConfig

    async def option_scores(self, messages: Sequence[Message], options: Sequence[str]) -> OptionScores:
        """See :meth:`Weights.option_scores`: one request for each option."""
        (item,) = tokenize_options(self.tokenizer, [messages], [options], self.text_format)
        told = await collect(
            *(prompt_log_probs(self.model, item.prompt + option, self.asking) for option in item.options)
        )
        if any(found is None for found in told):
            raise UserError("the service told no log-probabilities of a prompt: give -T estimate=samples")
        sums = [sum(found[-len(option) :]) for found, option in zip(told, item.options, strict=True)]
        return OptionScores(torch.tensor(sums, dtype=torch.float64), item.options)

    async def answer(
        self, messages: Sequence[Message], number: int, *, max_new_tokens: int, seed: int, together: int
    ) -> Answer:
        """See :meth:`Weights.answer`; the service draws with a seed of its own, or with none."""
        (ids,) = prompt_token_ids(self.tokenizer, [messages], self.text_format)
        end = self.text_format.terminator
        stop = {} if self.text_format.ends_with_token else {"stop_seqs": [end]}
        config = _PLAIN.merge(GenerateConfig(max_tokens=max_new_tokens, seed=seed + number, **stop))
        output = await self.model.generate([as_tokens(ids)], config=config)
        text = output.completion.partition(end)[0].removeprefix(self.text_format.output_prefix)
        return Answer(text, output.stop_reason == "stop")


@dataclass(frozen=True)
class Chat:
    """A service, or a model, that is asked as a chat; it gives answers alone."""

    model: Model

    async def answer(
        self, messages: Sequence[Message], number: int, *, max_new_tokens: int, seed: int, together: int
    ) -> Answer:
        """See :meth:`Completions.answer`."""
        config = _PLAIN.merge(GenerateConfig(max_tokens=max_new_tokens, seed=seed + number))
        output = await self.model.generate(as_chat(messages), config=config)
        return Answer(output.completion, output.stop_reason == "stop", output.stop_reason == "content_filter")


Engine = Weights | Completions | Chat


@dataclass
class Asking:
    """Asks the model that inspect-ai evaluates, in the way that is found when it is asked first.

    Attributes:
        format_name: How messages are written: ``auto`` or the name of a format.
        tokenizer: Folder or Hub id of the tokenizer of a service's model; None where that is not to be asked by tokens.
    """

    format_name: str
    tokenizer: str | None
    _found: dict[Model, Engine] = field(default_factory=dict)
    _finding: anyio.Lock = field(default_factory=anyio.Lock)

    async def engine(self) -> Engine:
        """How it is asked."""
        model = get_model()
        async with self._finding:
            if model not in self._found:
                self._found[model] = await find_engine(model, self.format_name, self.tokenizer)
        return self._found[model]

    async def option_scores(self, messages: Sequence[Message], options: Sequence[str]) -> OptionScores:
        """The log-probability of each option after a prompt.

        Raises:
            UserError: The model does not tell it.
        """
        engine = await self.engine()
        if isinstance(engine, Chat):
            raise UserError(f"{engine.model} tells no log-probabilities of options: give -T estimate=samples")
        return await engine.option_scores(messages, options)

    async def answer(self, messages: Sequence[Message], number: int, **how: int) -> Answer:
        """The answer of this number; see :meth:`Weights.answer`."""
        return await (await self.engine()).answer(messages, number, **how)


def is_exact(tokenizer: str | None) -> bool:
    """Whether the model that inspect-ai evaluates tells log-probabilities of options."""
    return tokenizer is not None or _weights_of(get_model()) is not None


def as_chat(messages: Sequence[Message]) -> list[ChatMessage]:
    """Messages as the turns of a chat, as ``evaluate --api chat`` sends them."""
    return [_TURNS[turn["role"]](content=turn["content"]) for turn in chat_turns(messages, SYSTEM_PROMPT)]


def as_tokens(ids: TokenIds) -> ChatMessageUser:
    """A prompt of token ids, for a provider that speaks the completions API."""
    return ChatMessageUser(content="", metadata={"prompt_token_ids": list(ids)})


async def prompt_log_probs(model: Model, ids: TokenIds, asking: GenerateConfig) -> list[float] | None:
    """The log-probability in nats of each token after the first; None where the service does not tell them."""
    output = await model.generate([as_tokens(ids)], config=asking)
    told = output.choices[0].prompt_logprobs or output.choices[0].logprobs if output.choices else None
    if told is None or len(told.content) < len(ids) - 1:
        return None
    return [each.logprob for each in told.content[: len(ids) - 1]]


_WAYS = (  # vLLM's and SGLang's, and that of the API
    GenerateConfig(prompt_logprobs=1, max_tokens=1),
    GenerateConfig(logprobs=True, top_logprobs=1, max_tokens=1, extra_body={"echo": True}),
)


def _weights_of(model: Model) -> tuple[PreTrainedModel, PreTrainedTokenizerBase] | None:
    """The model and tokenizer themselves, where they are in this process."""
    weights, tokenizer = getattr(model.api, "model", None), getattr(model.api, "tokenizer", None)
    return (weights.eval(), tokenizer) if isinstance(weights, PreTrainedModel) and tokenizer is not None else None


async def find_engine(model: Model, format_name: str, tokenizer: str | None) -> Engine:
    """How a model of inspect-ai is best asked; what it can do is tried on it.

    Args:
        model: The model.
        format_name: How messages are written: ``auto`` or the name of a format.
        tokenizer: Folder or Hub id of the tokenizer of a service's model, if that is to be asked about token ids.

    Raises:
        UserError: There is no such tokenizer, or the service cannot be asked about its tokens.
    """
    if found := _weights_of(model):
        return Weights(*found, find_format(format_name, found[1]))
    if tokenizer is None:
        return Chat(model)
    theirs = load_tokenizer(find_model(tokenizer))
    engine = partial(Completions, model, theirs, find_format(format_name, theirs))
    ids = tuple(theirs(_PROBED).input_ids)
    for asking in _WAYS:
        try:
            found = await prompt_log_probs(model, ids, asking)
        except (TypeError, ValueError) as error:  # a provider that takes no token ids
            raise UserError(f"{model} is sent no token ids ({error}): leave -T tokenizer out") from error
        if found is not None:
            return engine(asking)
    raise UserError(f"{model} tells no log-probabilities of a prompt's tokens: leave -T tokenizer out")
