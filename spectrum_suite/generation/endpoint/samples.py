"""Samples and greedy responses from a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message
from spectrum_suite.generation.endpoint.client import Endpoint, Json, connected
from spectrum_suite.generation.endpoint.prompts import format_for, sent_prompts
from spectrum_suite.generation.logprobs import Prompt
from spectrum_suite.generation.respond import Response
from spectrum_suite.generation.sample import Samples
from spectrum_suite.seeding import generator

_NO_CUTS = {"top_k": -1, "min_p": 0, "repetition_penalty": 1}
"""Not OpenAI's, but servers of open models know them, and cut where they are not told: vLLM as the model's generation
config says (Gemma's has a top-k of 64), llama.cpp at a top-k of 40."""


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
    """Draw ``n`` samples from each prompt at temperature 1, as :func:`spectrum_suite.generation.sample.sample` does.

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
    written = format_for(tokenizer, prompts, text_format)
    found, seen = [], Counter()
    with (
        connected(endpoint) as client,
        tqdm(total=len(prompts) * n, desc="Sampling", leave=None, disable=not progress) as bar,
    ):
        wire = sent_prompts(tokenizer, prompts, written, as_text=endpoint.as_text)
        for prompt, sent in zip(prompts, wire, strict=True):
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
    """Greedy responses, as :func:`spectrum_suite.generation.respond.respond` gives them; their tokens are counted here.

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
    with connected(endpoint) as client:
        sent = sent_prompts(tokenizer, prompts, text_format, as_text=endpoint.as_text)
        for prompt in tqdm(sent, "Responding", unit="response", leave=None, disable=not progress):
            request = _sampling(tokenizer, text_format) | {"prompt": client.prompt(prompt.ids, prompt.text)}
            request |= {"max_tokens": max_new_tokens, "temperature": 0, "n": 1, "seed": 0}
            (choice,) = client.complete(request, 1)
            text, ended = choice["text"].removeprefix(text_format.output_prefix), choice["finish_reason"] != "length"
            found.append(Response(text, len(tokenizer(text, add_special_tokens=False).input_ids) + ended, ended))
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
