"""Options and other continuations, scored by a server: prompt and continuation are echoed with log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format
from spectrum_suite.generation.endpoint.client import Client, Endpoint, Json, connected
from spectrum_suite.generation.endpoint.prompts import check_text, format_for, sent_prompts
from spectrum_suite.generation.logprobs import Prompt, TokenIds, option_token_ids


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
    """The log-probability of each option after its prompt, as :func:`spectrum_suite.option_logprobs` gives it.

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
    text_format = format_for(tokenizer, prompts, text_format)
    sent = sent_prompts(tokenizer, prompts, text_format)
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
        connected(endpoint) as client,
        tqdm(total=len(wanted), desc="Scoring", leave=None, disable=not progress) as bar,
    ):
        for start in range(0, len(wanted), batch_size):
            batch = wanted[start : start + batch_size]
            yield from _score(client, tokenizer, batch)
            bar.update(len(batch))


def _prefixes(prompts: Sequence[Prompt], text_format: Format | None) -> list[str]:
    """What stands between each prompt and its options."""
    return ["" if isinstance(prompt, str) else text_format.output_prefix for prompt in prompts]


def _longest(option_ids: Sequence[TokenIds], texts: Sequence[str]) -> Iterator[tuple[TokenIds, str]]:
    """The options that are not the beginning of another one, each once."""
    options = sorted(dict(zip(option_ids, texts, strict=True)).items())
    for (ids, text), (following, _) in pairwise([*options, ((), "")]):
        if following[: len(ids)] != ids:
            yield ids, text


def _score(client: Client, tokenizer: PreTrainedTokenizerBase, batch: Sequence[Continuation]) -> Iterator[list[float]]:
    """For each continuation the log-probabilities of its tokens."""
    prompts = []
    for wanted in batch:
        ids = (*wanted.prompt, *wanted.continuation)
        if client.endpoint.as_text:
            check_text(tokenizer, wanted.text, ids)
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
