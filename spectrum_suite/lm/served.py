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
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.affixes import added_around
from spectrum_suite.formats.render import Format, get_format
from spectrum_suite.generation.logprobs import Prompt, TokenIds, option_token_ids, prompt_token_ids
from spectrum_suite.generation.respond import Response
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm.base import SERVICES_ONLY, Question
from spectrum_suite.lm.client import Endpoint, Json, NoAnswerError, connected
from spectrum_suite.lm.continuations import FOLLOWERS, Continuation, ContinuationLM, Node
from spectrum_suite.models import ModelFiles
from spectrum_suite.seeding import generator

SCORED_PER_REQUEST = 64
TOKENS_PER_REQUEST = 2**14
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


@dataclass
class ServedLM(ContinuationLM):
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
                self.scored([(ids[:-1], ids[-1:])])
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

    def takes_nodes(self) -> bool:
        """Whether the server gives the log-probabilities of tokens that it is asked about; found out once."""
        return not self.endpoint.as_text and self._takes_nodes

    @cached_property
    def _takes_nodes(self) -> bool:
        (prompt,) = self._prompt_ids([_SMALL])
        some = [(prompt, (0, 1, 2))]  # a server that does not know the field tells two of them at most, by chance
        try:
            ((choice,),) = self._complete([self._node_request(some)], "Asking")
            _next_log_probs(choice, some[0])
        except NoAnswerError:
            raise
        except UserError:
            return False
        return True

    def asked(
        self, nodes: Sequence[Node], paths: Sequence[Continuation]
    ) -> tuple[list[list[float]], list[list[float]]]:
        """See :class:`~spectrum_suite.lm.continuations.ContinuationLM`."""
        requests = [self._node_request(together) for together in _together(nodes, followers=FOLLOWERS)]
        requests += [
            {
                "prompt": [self._wire((*prompt, *after)) for prompt, after in together],
                "max_tokens": 0,
                "echo": True,
                "logprobs": 1,
            }
            for together in _together(paths)
        ]
        choices = [choice for answered in self._complete(requests, "Scoring") for choice in answered]
        after = [_next_log_probs(choice, node) for choice, node in zip(choices[: len(nodes)], nodes, strict=True)]
        along = [self._last_log_probs(choice, *path) for choice, path in zip(choices[len(nodes) :], paths, strict=True)]
        return after, along

    def _node_request(self, nodes: Sequence[Node]) -> Json:
        """The log-probabilities of the tokens after any of some nodes, after each of them (vLLM's own fields)."""
        return {
            "prompt": [self._wire(context) for context, _ in nodes],
            "max_tokens": 1,
            "logprobs": 1,
            "logprob_token_ids": sorted({token for _, ids in nodes for token in ids}),
            "return_tokens_as_token_ids": True,
        }

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


def _next_log_probs(choice: Json, node: Node) -> list[float]:
    """The log-probabilities of the tokens after a node.

    Raises:
        UserError: The server does not tell them.
    """
    told = ((choice.get("logprobs") or {}).get("top_logprobs") or [None])[0] or {}
    try:
        return [told[f"token_id:{token}"] for token in node[1]]
    except KeyError as error:
        raise UserError("the server leaves out log-probabilities that it was asked for by token") from error


def _together(wanted: Sequence[Node], *, followers: float = math.inf) -> Iterator[list[Node]]:
    """Nodes or continuations in order, as many in a request as its limits allow, and at least one.

    ``followers`` is how many tokens may be asked about in a request.
    """
    together: list[Node] = []
    tokens, asked = 0, set()
    for context, ids in wanted:
        more = len(context) + len(ids)
        full = len(together) == SCORED_PER_REQUEST or tokens + more > TOKENS_PER_REQUEST
        if together and (full or len(asked.union(ids)) > followers):
            yield together
            together, tokens, asked = [], 0, set()
        together.append((context, ids))
        tokens += more
        asked.update(ids)
    if together:
        yield together
