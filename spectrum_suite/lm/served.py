"""A model behind an OpenAI-compatible completions server.

Options are scored by sending prompt and option together and reading back the log-probabilities of the option's tokens
(``echo`` with ``logprobs``, nothing generated). Both are sent as token ids, tokenized as everywhere in this project:
the prompt with BOS once, the option apart. So no server can add a second BOS or move the boundary, and the option's
tokens are the last ones, whatever ``text_offset`` says (servers count special tokens and parts of a character in it
each in their own way).

vLLM does both. llama.cpp's server refuses ``echo``, SGLang says that its ``echo`` does not go with ``logprobs``, and
`transformers serve` has neither nor ``n``; a server that gives no log-probabilities of a prompt is named to the user,
never scored as 0. llama.cpp and SGLang can be sampled from.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.affixes import added_around
from spectrum_suite.formats.render import Format, Message, get_format
from spectrum_suite.generation.logprobs import Prompt, TokenIds, option_token_ids, prompt_token_ids
from spectrum_suite.generation.output_logprobs import (
    TRUE_OUTPUT,
    OptionIds,
    OutputLogProbs,
    OutputOptions,
    TokenizedSequence,
    as_result,
    option_ids_of_outputs,
    tokenize_sequences,
)
from spectrum_suite.generation.respond import Response
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm.base import SERVICES_ONLY, OptionScores, Question, TokenLM
from spectrum_suite.lm.client import Endpoint, Json, NoAnswerError, connected
from spectrum_suite.models import ModelFiles
from spectrum_suite.seeding import generator

OPTIONS_PER_REQUEST = 64
SEQUENCES_PER_REQUEST = 16
SAMPLES_PER_REQUEST = 128

_TEMPERATURE_1 = {"temperature": 1, "top_p": 1}
_NO_CUTS = {"top_k": -1, "min_p": 0, "repetition_penalty": 1}
"""Not OpenAI's, but servers of open models know them, and truncate by default: vLLM as the generation config says
(Gemma's has a top-k of 64), llama.cpp at a top-k of 40."""

_SMALL = "1 2 3"
"""A prompt that shows what a server can do."""

_ASKED_AS: dict[Question, Question] = {
    "output_logprobs": "option_logprobs",
    "answers": "sample",
    "draw_options": "sample",
}
"""Questions that are asked as others are."""

_Continuation = tuple[TokenIds, TokenIds]  # a prompt, and the tokens after it whose log-probabilities are wanted


@dataclass
class ServedLM(TokenLM):
    """A model behind a completions server; only its tokenizer and its configuration are here.

    Samples are not those of a :class:`~spectrum_suite.lm.local.LocalLM` with the same seed, and whether a server
    repeats its own is up to the server.

    Attributes:
        endpoint: Where it is served.
    """

    endpoint: Endpoint

    @classmethod
    def of(
        cls,
        endpoint: Endpoint,
        tokenizer: PreTrainedTokenizerBase,
        text_format: Format | None = None,
        *,
        positions: int | None = None,
        progress: bool = False,
    ) -> ServedLM:
        """A served model whose tokenizer is loaded already.

        Args:
            endpoint: Where it is served.
            tokenizer: Its tokenizer.
            text_format: How messages are written; by default the one that fits the tokenizer (``auto``).
            positions: The most tokens that the model takes; None where it is not known.
            progress: Show progress bars.
        """
        text_format = get_format("auto", tokenizer) if text_format is None else text_format
        files = ModelFiles(tokenizer.name_or_path, Path(tokenizer.name_or_path))
        found = cls(files, text_format.name, endpoint, progress=progress)
        vars(found).update(tokenizer=tokenizer, text_format=text_format, positions=positions)
        return found

    def load(self) -> None:
        """Load the tokenizer; the model is elsewhere."""
        _ = self.text_format

    def cannot(self, question: Question) -> str | None:
        """See :class:`LM`: found out once, with a small question of the kind."""
        if question in SERVICES_ONLY:
            return SERVICES_ONLY[question]
        question = _ASKED_AS.get(question, question)
        if question not in self._refusals:
            self._refusals[question] = self._refusal(question)
        return self._refusals[question]

    @cached_property
    def _refusals(self) -> dict[Question, str | None]:
        """Question -> why it cannot be asked, for those that were tried."""
        return {}

    def _refusal(self, question: Question) -> str | None:
        try:
            if question == "sample":
                self.sample([_SMALL], 2, max_new_tokens=1, seed=0)
            elif question == "respond":
                self.respond([_SMALL], max_new_tokens=1)
            else:
                (ids,) = self._prompt_ids([_SMALL])
                self._scored([(ids[:-1], ids[-1:])], 1)
        except NoAnswerError:
            raise
        except UserError as error:
            return str(error)
        return None

    @property
    def conditions(self) -> dict[str, Any]:
        """See :class:`LM`."""
        served = {"url": self.endpoint.url, "model": self.endpoint.model}
        return {"dtype": None, "device": None, "load_in_4bit": None, "endpoint": served}

    @cached_property
    def fingerprint(self) -> str:
        """Of the server's address, the name of the model there and the tokenizer's files: its weights are not seen."""
        served = f"{self.endpoint.url} {self.endpoint.model} {self.files.fingerprint()}"
        return hashlib.sha256(served.encode()).hexdigest()[:16]

    def option_logprobs(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, refuse_long: bool = False
    ) -> list[OptionScores]:
        """See :class:`LM`. An option that is the beginning of another, token by token, is read from that one."""
        asked = self.tokenized(prompts, options, refuse_long=refuse_long)
        wanted = [(item.prompt, option) for item in asked.fitting for option in _longest(item.options)]
        found: dict[_Continuation, float] = {}
        for (prompt, option), log_probs in self._scored(wanted, OPTIONS_PER_REQUEST).items():
            found |= {(prompt, option[:end]): sum(log_probs[:end]) for end in range(1, len(option) + 1)}
        return asked.scored(
            torch.tensor([found[item.prompt, option] for option in item.options], dtype=torch.float32)
            for item in asked.fitting
        )

    def output_logprobs(
        self, sequences: Sequence[Sequence[Message]], *, options: OutputOptions | None = None
    ) -> list[OutputLogProbs]:
        """See :class:`LM`.

        A sequence is sent once for all of its outputs, and once more for every other option in the place of an output:
        a server shares what it shares between requests by itself.
        """
        tokenized = tokenize_sequences(self.tokenizer, sequences, self.text_format)
        option_ids = option_ids_of_outputs(self.tokenizer, tokenized, options, self.text_format)
        wanted = [row for sequence, ids in zip(tokenized, option_ids, strict=True) for row in _rows(sequence, ids)]
        found = self._scored(wanted, SEQUENCES_PER_REQUEST)
        return [
            as_result(sequence, _output_scores(sequence, ids, found), None if options is None else list(map(len, ids)))
            for sequence, ids in zip(tokenized, option_ids, strict=True)
        ]

    def sample(
        self, prompts: Sequence[Prompt], n: int, *, first: int = 0, max_new_tokens: int, seed: int
    ) -> list[Samples]:
        """See :class:`LM`. Each request has a seed of its own, which depends on ``seed`` and the prompt.

        Raises:
            UserError: A number is below 1, a prompt has no tokens, or the server cannot be reached or refuses.
        """
        for name, value in (("n", n), ("max_new_tokens", max_new_tokens)):
            if value < 1:
                raise UserError(f"{name} is {value}: give a number of at least 1")
        requests, of_prompt, seen = [], [], Counter()
        for index, ids in enumerate(self._prompt_ids(prompts)):
            fixed = self._drawing | {"prompt": self._wire(ids), "max_tokens": max_new_tokens}
            for start in range(first, first + n, SAMPLES_PER_REQUEST):
                numbers = generator(seed, "endpoint", *ids, seen[ids], start)
                drawn = {"n": min(SAMPLES_PER_REQUEST, first + n - start), "seed": int(numbers.integers(2**31))}
                requests.append(fixed | drawn)
                of_prompt.append(index)
            seen[ids] += 1
        choices: list[list[Json]] = [[] for _ in prompts]
        for index, answered in zip(of_prompt, self._complete(requests, "Sampling"), strict=True):
            choices[index] += answered
        return [self._samples(drawn) for drawn in choices]

    def _samples(self, drawn: Sequence[Json]) -> Samples:
        """What a server drew from a prompt. Its texts have the tokens of options; one written otherwise has none."""
        texts = [self._text(choice) for choice in drawn]
        ended = tuple(choice["finish_reason"] != "length" for choice in drawn)
        known = sorted({text for text in texts if text.strip()})
        ids = dict(zip(known, option_token_ids(self.tokenizer, known, self.text_format), strict=True))
        prefix = self.text_format.output_prefix
        return Samples(
            texts=tuple(texts),
            unfinished=ended.count(False),
            ended=ended,
            token_ids=tuple(
                ids[text] if text in ids and choice["text"].startswith(prefix) else ()
                for text, choice in zip(texts, drawn, strict=True)
            ),
        )

    def respond(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Response]:
        """See :class:`LM`. The tokens of a response are counted here."""
        greedy = {"max_tokens": max_new_tokens, "temperature": 0, "n": 1, "seed": 0}
        requests = [self._drawing | {"prompt": self._wire(ids)} | greedy for ids in self._prompt_ids(prompts)]
        found = []
        for (choice,) in self._complete(requests, "Responding"):
            text, ended = self._text(choice), choice["finish_reason"] != "length"
            found.append(Response(text, len(self.tokenizer(text, add_special_tokens=False).input_ids) + ended, ended))
        return found

    def _prompt_ids(self, prompts: Sequence[Prompt]) -> list[TokenIds]:
        return prompt_token_ids(self.tokenizer, prompts, self.text_format)

    def _scored(self, wanted: Sequence[_Continuation], per_request: int) -> dict[_Continuation, list[float]]:
        """Each continuation with the log-probabilities of its tokens, in nats."""
        distinct = list(dict.fromkeys(wanted))
        starts = range(0, len(distinct), per_request)
        requests = [
            {
                "prompt": [self._wire((*prompt, *after)) for prompt, after in distinct[start : start + per_request]],
                "max_tokens": 0,
                "echo": True,
                "logprobs": 1,
            }
            for start in starts
        ]
        choices = [choice for answered in self._complete(requests, "Scoring") for choice in answered]
        return {asked: self._last_log_probs(choice, *asked) for asked, choice in zip(distinct, choices, strict=True)}

    def _last_log_probs(self, choice: Json, prompt: TokenIds, continuation: TokenIds) -> list[float]:
        expected = len(prompt) + len(continuation)
        log_probs = (choice.get("logprobs") or {}).get("token_logprobs") or []
        found = log_probs[-len(continuation) :]
        if len(log_probs) != expected or None in found:
            raise UserError(
                f"the endpoint at {self.endpoint.url} gave {len(log_probs)} log-probabilities for {expected} tokens: "
                "options need a server that echoes those of a prompt (vLLM does), with the tokenizer that is used here"
            )
        return found

    def _wire(self, ids: TokenIds) -> list[int] | str:
        """What is sent for a prompt: its tokens, or its text without the BOS that a server adds to text.

        Raises:
            UserError: A server would give the text other tokens.
        """
        if not self.endpoint.as_text:
            return list(ids)
        before, _ = added_around(self.tokenizer)
        text = self.tokenizer.decode(ids[len(before) :], clean_up_tokenization_spaces=False)
        if self.tokenizer(text).input_ids != list(ids):
            raise UserError(
                f"{text[-60:]!r} as text has other tokens than prompt and option by themselves: "
                "use a server that takes token ids, and leave as_text out"
            )
        return text

    def _complete(self, requests: Sequence[Json], doing: str) -> list[list[Json]]:
        """The choices of each completion, in order."""
        found: dict[int, list[Json]] = {}
        if requests:
            with (
                connected(self.endpoint) as client,
                tqdm(total=len(requests), desc=doing, unit="request", leave=None, disable=not self.progress) as bar,
            ):
                for index, answer in client.ask_each("completions", [_TEMPERATURE_1 | request for request in requests]):
                    found[index] = self._choices(answer, requests[index])
                    bar.update()
        return [found[index] for index in range(len(requests))]

    def _choices(self, answer: Json, request: Json) -> list[Json]:
        expected = request.get("n") or len(request["prompt"])
        choices = sorted(answer.get("choices", []), key=lambda choice: choice["index"])
        if len(choices) != expected:
            raise UserError(
                f"the endpoint at {self.endpoint.url} gave {len(choices)} completions, not the {expected} asked for: "
                "it does not support lists of prompts or 'n', use one that does, e.g. vLLM"
            )
        return choices

    @property
    def _drawing(self) -> Json:
        """How to draw, and where a text ends besides the server's own end of sequence."""
        end = self.text_format
        stops: Json = {"stop": [end.terminator]}
        if end.ends_with_token:  # servers leave special tokens out of the text in which they look for stops
            stops["stop_token_ids"] = [self.tokenizer.convert_tokens_to_ids(end.terminator)]
        return _NO_CUTS | stops

    def _text(self, choice: Json) -> str:
        return choice["text"].removeprefix(self.text_format.output_prefix)


def _longest(options: Sequence[TokenIds]) -> Iterator[TokenIds]:
    """The options that are not the beginning of another one, each once."""
    for ids, following in pairwise([*sorted(set(options)), ()]):
        if following[: len(ids)] != ids:
            yield ids


def _rows(sequence: TokenizedSequence, options: OptionIds) -> list[_Continuation]:
    """The whole sequence, and each option in each place where it is not the output itself."""
    if not sequence.scored:
        return []
    rows = [_split(sequence)]
    for output in sequence.scored:
        start, end = sequence.outputs[output]
        others = (option for option in options[output] if option != sequence.ids[start:end])
        rows += [(sequence.ids[:start], option) for option in others]
    return rows


def _split(sequence: TokenizedSequence) -> _Continuation:
    """What is before the first scored output, and all from there on."""
    start, _ = sequence.outputs[sequence.scored.start]
    return sequence.ids[:start], sequence.ids[start:]


def _output_scores(
    sequence: TokenizedSequence, options: OptionIds, found: dict[_Continuation, list[float]]
) -> dict[tuple[int, int], float]:
    """(output, option) -> log-probability in nats; the output itself is ``TRUE_OUTPUT``."""
    scores: dict[tuple[int, int], float] = {}
    for output in sequence.scored:
        start, end = sequence.outputs[output]
        before, after = _split(sequence)
        own = sum(found[before, after][start - len(before) : end - len(before)])
        scores[output, TRUE_OUTPUT] = own
        for index, option in enumerate(options[output]):
            same = option == sequence.ids[start:end]
            scores[output, index] = own if same else sum(found[sequence.ids[:start], option])
    return scores
