"""A model behind an OpenAI-compatible completions server, as a scorer and a sampler.

Options are scored by sending prompt and option together and reading back the log-probabilities of the option's tokens
(``echo`` with ``logprobs``, nothing generated). Both are sent as token ids, tokenized as everywhere in this project:
the prompt with BOS once, the option apart. So no server can add a second BOS or move the boundary, and the option's
tokens are the last ones, whatever ``text_offset`` says (servers count special tokens and parts of a character in it
each in their own way).

vLLM does both. llama.cpp's server refuses ``echo``, SGLang says that its ``echo`` does not go with ``logprobs``, and
`transformers serve` has neither nor ``n``; a server that gives no log-probabilities of a prompt is told to the user,
never scored as 0. llama.cpp and SGLang can be sampled from.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import requests
import torch
from requests.adapters import HTTPAdapter, Retry
from requests.auth import AuthBase
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from dataset_builder.seeding import generator
from spectrum.formats.render import Format, Message, get_format
from spectrum.generation.logprobs import Prompt, TokenIds, option_token_ids, prompt_token_ids
from spectrum.generation.respond import Response
from spectrum.generation.sample import Samples

KEY = "OPENAI_API_KEY"
"""The environment variable with the server's key, if it wants one."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TIMEOUT_S = (10, 600)  # to connect, and to answer
_RETRIES = Retry(total=5, backoff_factor=1, status_forcelist=(408, 429, 500, 502, 503, 504), allowed_methods=None)
_UNCHANGED = {"temperature": 1, "top_p": 1}
_NO_CUTS = {"top_k": -1, "min_p": 0, "repetition_penalty": 1}
"""Not OpenAI's, but servers of open models know them, and cut where they are not told: vLLM as the model's generation
config says (Gemma's has a top-k of 64), llama.cpp at a top-k of 40."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served.

    The key is taken from ``OPENAI_API_KEY`` when a request is made, and goes only over https or to this machine.

    Attributes:
        url: The server's address as OpenAI's clients take it, e.g. ``http://localhost:8000/v1``; a bare host means
            its ``/v1``.
        model: The name under which the server has the model.
        as_text: Send text instead of token ids, for a server that takes no other. What would then be tokenized
            otherwise than token ids is refused.
    """

    url: str
    model: str
    as_text: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.username or parts.password or parts.query:
            raise UserError(f"the endpoint's address holds more than a host and a path: put the key into {KEY} instead")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"endpoint {self.url!r} is no http address: give one like http://localhost:8000/v1")


def served_model(url: str) -> str:
    """The name of the only model that a server has.

    Raises:
        UserError: It has several or none, or does not answer.
    """
    with _client(Endpoint(url, "")) as client:
        names = [entry["id"] for entry in client.ask("GET", "models")["data"]]
    if len(names) != 1:
        raise UserError(f"the endpoint at {url} serves {', '.join(names) or 'no model'}: name the one to use")
    return names[0]


def endpoint_option_logprobs(
    endpoint: Endpoint,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    options: Sequence[Sequence[str]],
    *,
    text_format: Format | None = None,
    batch_size: int = 64,
    progress: bool = False,
) -> list[torch.Tensor]:
    """The log-probability of each option after its prompt, as :func:`spectrum.option_logprobs` gives it.

    An option that is the beginning of another, token by token, is read from that one.

    Args:
        endpoint: The server.
        tokenizer: The tokenizer of the served model.
        prompts: Each a list of messages or a string; BOS is added to either where the tokenizer adds it.
        options: The options of each prompt.
        text_format: How messages are written; by default the one that fits the tokenizer (``auto``).
        batch_size: Options per request.
        progress: Show a progress bar.

    Returns:
        Per prompt a float32 tensor of shape (n_options,), in nats.

    Raises:
        UserError: The numbers of prompts and option lists differ, a prompt or an option has no tokens, the server
            cannot be reached or refuses, or it does not give the log-probabilities of a prompt's tokens.
    """
    if len(prompts) != len(options):
        raise UserError(f"{len(prompts)} prompts but {len(options)} lists of options: pass one list per prompt")
    text_format = _format_for(tokenizer, prompts, text_format)
    sent = _texts(tokenizer, prompts, text_format)
    option_ids = [
        option_token_ids(tokenizer, texts, None if isinstance(prompt, str) else text_format)
        for prompt, texts in zip(prompts, options, strict=True)
    ]
    wanted = [
        Continuation(prompt.ids, option, prompt.text + prefix + text)
        for prompt, prefix, ids, texts in zip(sent, _prefixes(prompts, text_format), option_ids, options, strict=True)
        for option, text in _longest(ids, texts)
    ]
    found: dict[tuple[TokenIds, TokenIds], float] = {}
    scores = continuation_logprobs(endpoint, tokenizer, wanted, batch_size=batch_size, progress=progress)
    for scored, log_probs in zip(wanted, scores, strict=True):
        ends = range(1, len(scored.continuation) + 1)
        found |= {(scored.prompt, scored.continuation[:end]): sum(log_probs[:end]) for end in ends}
    return [
        torch.tensor([found[prompt.ids, option] for option in ids], dtype=torch.float32)
        for prompt, ids in zip(sent, option_ids, strict=True)
    ]


@dataclass(frozen=True)
class Continuation:
    """Tokens behind a prompt whose log-probabilities are wanted.

    Attributes:
        prompt: The tokens of the prompt, one at least.
        continuation: The tokens behind it.
        text: The text of both, without the BOS that a server adds; needed where text is sent.
    """

    prompt: TokenIds
    continuation: TokenIds
    text: str = ""


def continuation_logprobs(
    endpoint: Endpoint,
    tokenizer: PreTrainedTokenizerBase,
    wanted: Sequence[Continuation],
    *,
    batch_size: int,
    progress: bool = False,
) -> Iterator[list[float]]:
    """For each continuation the log-probabilities of its tokens, in nats.

    Raises:
        UserError: As :func:`endpoint_option_logprobs`.
    """
    with (
        _client(endpoint) as client,
        tqdm(total=len(wanted), desc="Scoring", leave=None, disable=not progress) as bar,
    ):
        for start in range(0, len(wanted), batch_size):
            batch = wanted[start : start + batch_size]
            yield from _score(client, tokenizer, batch)
            bar.update(len(batch))


def endpoint_sample(
    endpoint: Endpoint,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    n: int,
    *,
    text_format: Format | None = None,
    max_new_tokens: int,
    batch_size: int = 128,
    seed: int,
    progress: bool = False,
) -> list[Samples]:
    """Draw ``n`` samples from each prompt at temperature 1, as :func:`spectrum.generation.sample.sample` does.

    They are not the samples that it draws with the same seed, and whether a server repeats its own is up to the server.

    Args:
        endpoint: The server.
        tokenizer: The tokenizer of the served model.
        prompts: Each a list of messages or a string.
        n: Samples per prompt.
        text_format: How messages are written and where an output ends; by default the one that fits the tokenizer
            (``auto``) for messages, and none for a string, which then ends where the server ends it.
        max_new_tokens: Tokens per sample at most.
        batch_size: Samples per request.
        seed: Each request has a seed of its own, which follows from this one and the prompt.
        progress: Show a progress bar.

    Returns:
        Per prompt its samples.

    Raises:
        UserError: A number is below 1, a prompt has no tokens, or the server cannot be reached or refuses.
    """
    for name, value in (("n", n), ("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        if value < 1:
            raise UserError(f"{name} is {value}: give a number of at least 1")
    written = _format_for(tokenizer, prompts, text_format)
    found, seen = [], Counter()
    with (
        _client(endpoint) as client,
        tqdm(total=len(prompts) * n, desc="Sampling", leave=None, disable=not progress) as bar,
    ):
        for prompt, sent in zip(prompts, _texts(tokenizer, prompts, written), strict=True):
            end = text_format if isinstance(prompt, str) else written
            request = _sampling(tokenizer, end) | {"prompt": client.prompt(sent.ids, sent.text)}
            request |= {"max_tokens": max_new_tokens}
            choices: list[Json] = []
            while len(choices) < n:
                numbers = generator(seed, "endpoint", *sent.ids, seen[sent.ids], len(choices))
                several = {"n": min(batch_size, n - len(choices)), "seed": int(numbers.integers(2**31))}
                choices += client.complete(request | several, several["n"])
                bar.update(several["n"])
            seen[sent.ids] += 1
            found.append(_samples(choices, "" if end is None else end.output_prefix))
    return found


def endpoint_respond(
    endpoint: Endpoint,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    *,
    text_format: Format,
    max_new_tokens: int,
    progress: bool = False,
) -> list[Response]:
    """Greedy responses, as :func:`spectrum.generation.respond.respond` gives them; their tokens are counted here.

    Args:
        endpoint: The server.
        tokenizer: The tokenizer of the served model.
        prompts: Each a list of messages up to where the response begins.
        text_format: How they are written, and what ends a response.
        max_new_tokens: Tokens of a response at most.
        progress: Show a progress bar.

    Raises:
        UserError: A prompt has no tokens, or the server cannot be reached or refuses.
    """
    found = []
    with _client(endpoint) as client:
        sent = _texts(tokenizer, prompts, text_format)
        for prompt in tqdm(sent, "Responding", unit="response", leave=None, disable=not progress):
            request = _sampling(tokenizer, text_format) | {"prompt": client.prompt(prompt.ids, prompt.text)}
            request |= {"max_tokens": max_new_tokens, "temperature": 0, "n": 1, "seed": 0}
            (choice,) = client.complete(request, 1)
            text, ended = choice["text"].removeprefix(text_format.output_prefix), choice["finish_reason"] != "length"
            found.append(Response(text, len(tokenizer(text, add_special_tokens=False).input_ids) + ended, ended))
    return found


@dataclass(frozen=True)
class _Sent:
    """A prompt: its tokens, and its text without the BOS that a server adds to text."""

    ids: TokenIds
    text: str


@dataclass(frozen=True)
class _Client:
    """An open connection."""

    endpoint: Endpoint
    session: requests.Session

    def prompt(self, ids: TokenIds, text: str) -> list[int] | str:
        """What goes over the wire for a prompt."""
        return text if self.endpoint.as_text else list(ids)

    def complete(self, request: Json, n_choices: int) -> list[Json]:
        """The choices of a completion, in order."""
        answer = self.ask("POST", "completions", {"model": self.endpoint.model} | _UNCHANGED | request)
        choices = sorted(answer.get("choices", []), key=lambda choice: choice["index"])
        if len(choices) != n_choices:
            raise UserError(
                f"the endpoint at {self.endpoint.url} gave {len(choices)} completions, not the {n_choices} asked for: "
                "it does not support lists of prompts or 'n', use one that does, e.g. vLLM"
            )
        return choices

    def ask(self, method: str, path: str, content: Json | None = None) -> Json:
        """One request, tried again while the server is busy."""
        url = self.endpoint.url.rstrip("/")
        base = url if urlsplit(url).path else url + "/v1"
        try:
            response = self.session.request(method, f"{base}/{path}", json=content, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise UserError(
                f"the endpoint at {self.endpoint.url} does not answer ({type(error).__name__}): is the server running?"
            ) from error
        if response.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise UserError(
                f"the endpoint at {self.endpoint.url} wants a key: set {KEY} (it goes over https or to this machine)"
            )
        if not response.ok:
            said = " ".join(response.text.split())[:200]
            raise UserError(f"the endpoint at {self.endpoint.url} refuses with {response.status_code}: {said}")
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise UserError(
                f"the endpoint at {self.endpoint.url} does not answer in JSON: check the address"
            ) from error


class _Key(AuthBase):
    """Adds the key to a request."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        parts = urlsplit(request.url)
        if KEY in os.environ and (parts.scheme == "https" or parts.hostname in _LOOPBACK):
            request.headers["Authorization"] = f"Bearer {os.environ[KEY]}"
        return request


@contextmanager
def _client(endpoint: Endpoint) -> Iterator[_Client]:
    with requests.Session() as session:
        session.auth = _Key()
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
        yield _Client(endpoint, session)


def _format_for(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], text_format: Format | None
) -> Format | None:
    """The format of the messages; none is needed where every prompt is a string."""
    if text_format is None and not all(isinstance(prompt, str) for prompt in prompts):
        return get_format("auto", tokenizer)
    return text_format


def _texts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], text_format: Format | None) -> list[_Sent]:
    texts = [
        prompt if isinstance(prompt, str) else text_format.prompt(prompt).removeprefix(text_format.bos)
        for prompt in prompts
    ]
    return [_Sent(*pair) for pair in zip(prompt_token_ids(tokenizer, prompts, text_format), texts, strict=True)]


def _prefixes(prompts: Sequence[Prompt], text_format: Format | None) -> list[str]:
    """What stands between each prompt and its options."""
    return ["" if isinstance(prompt, str) else text_format.output_prefix for prompt in prompts]


def _longest(option_ids: Sequence[TokenIds], texts: Sequence[str]) -> Iterator[tuple[TokenIds, str]]:
    """The options that are not the beginning of another one, each once."""
    options = sorted(dict(zip(option_ids, texts, strict=True)).items())
    for (ids, text), (following, _) in pairwise([*options, ((), "")]):
        if following[: len(ids)] != ids:
            yield ids, text


def _score(client: _Client, tokenizer: PreTrainedTokenizerBase, batch: Sequence[Continuation]) -> Iterator[list[float]]:
    """For each continuation the log-probabilities of its tokens."""
    prompts = []
    for wanted in batch:
        ids = (*wanted.prompt, *wanted.continuation)
        if client.endpoint.as_text and tokenizer(wanted.text).input_ids != list(ids):
            raise UserError(
                f"{wanted.text[-60:]!r} as text has other tokens than prompt and option by themselves: "
                "use a server that takes token ids, and leave as_text out"
            )
        prompts.append(client.prompt(ids, wanted.text))
    request = {"prompt": prompts, "max_tokens": 0, "echo": True, "logprobs": 1}
    for wanted, choice in zip(batch, client.complete(request, len(batch)), strict=True):
        yield _last_log_probs(client.endpoint, choice, wanted)


def _last_log_probs(endpoint: Endpoint, choice: Json, wanted: Continuation) -> list[float]:
    expected = len(wanted.prompt) + len(wanted.continuation)
    log_probs = (choice.get("logprobs") or {}).get("token_logprobs") or []
    found = log_probs[-len(wanted.continuation) :]
    if len(log_probs) != expected or None in found:
        raise UserError(
            f"the endpoint at {endpoint.url} gave {len(log_probs)} log-probabilities for {expected} tokens: options "
            "need a server that echoes those of a prompt (vLLM does), with the tokenizer that is used here"
        )
    return found


def _sampling(tokenizer: PreTrainedTokenizerBase, end: Format | None) -> Json:
    """How to draw, and where a sample ends beside the server's own end-of-sequence token."""
    if end is None:
        return _NO_CUTS
    stops: Json = {"stop": [end.terminator]}
    if end.turn is not None:  # servers leave special tokens out of the text in which they look for stops
        stops["stop_token_ids"] = [tokenizer.convert_tokens_to_ids(end.terminator)]
    return _NO_CUTS | stops


def _samples(choices: Iterable[Json], prefix: str) -> Samples:
    return Samples(
        texts=tuple(choice["text"].removeprefix(prefix) for choice in choices),
        unfinished=sum(choice["finish_reason"] == "length" for choice in choices),
    )
