"""A model that vLLM runs on this machine, without a server.

It is sent token ids. Nodes are asked about with `logprob_token_ids` and read what they share from the prefix cache; of
paths, the tokens of the prompt are scored (`prompt_logprobs`), which reads no cache.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import packages_distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from spectrum_suite.errors import UserError, first_line
from spectrum_suite.generation.logprobs import Prompt, TokenIds, prompt_token_ids
from spectrum_suite.generation.respond import Response
from spectrum_suite.generation.sample import Ending, Samples, check_room, ending_of, samples_of
from spectrum_suite.lm.base import SERVICES_ONLY, Question, kept
from spectrum_suite.lm.continuations import Continuation, ContinuationLM, Node
from spectrum_suite.models import generation_config, load_merged
from spectrum_suite.seeding import generator

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput

CPU_BLOCK = 32
"""Tokens of a block of the cache on a CPU, the fewest that its kernels are made for; by default it is 128, and shorter
prompts are not kept."""

_Request = tuple[TokenIds, dict[str, Any]]  # a prompt, and the arguments of its SamplingParams


@dataclass
class VllmLM(ContinuationLM):
    """A model that vLLM runs, loaded when it is first needed.

    An adapter is merged into its base first. A sample depends on the seed, its prompt and its number, as those of a
    :class:`~spectrum_suite.lm.local.LocalLM` do, and is not the same one.

    Attributes:
        device: Where it runs: what vLLM was built for.
        dtype: In which precision.
        engine_options: More arguments of `vllm.LLM`, such as ``tensor_parallel_size``.
    """

    device: torch.device
    dtype: torch.dtype
    engine_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conditions(self) -> dict[str, Any]:
        """See :class:`LM`."""
        return {
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": self.device.type,
            "load_in_4bit": False,
            "endpoint": None,
            "engine": {"name": "vllm", "version": vllm_version(), "options": dict(self.engine_options)},
        }

    @cached_property
    def fingerprint(self) -> str:
        """Of all its files."""
        return kept("fingerprint", self.files, self.files.fingerprint)

    def load(self) -> None:
        """See :class:`LM`."""
        _ = self.text_format, self.llm

    def cannot(self, question: Question) -> str | None:
        """See :class:`LM`."""
        return SERVICES_ONLY.get(question)

    @cached_property
    def llm(self) -> LLM:
        """The model in vLLM.

        Raises:
            UserError: vLLM cannot load it.
        """
        options = tuple(sorted((name, repr(value)) for name, value in self.engine_options.items()))
        return kept("vllm", (self.fingerprint, self.dtype, options), self._load)

    def _load(self) -> LLM:
        from vllm import LLM  # noqa: PLC0415 - it is an extra, and takes seconds

        gc.collect()  # a model that is not needed any more holds its memory until then
        on_cpu = {"block_size": CPU_BLOCK} if self.device.type == "cpu" else {}
        own = {
            "max_model_len": -1,  # as many tokens as the model takes, or fewer where memory is short
            "generation_config": "vllm",  # no cuts that the model's files ask for
            "enable_prefix_caching": True,
            "disable_log_stats": True,
        }
        with self._checkpoint() as folder:
            try:
                return LLM(str(folder), dtype=self.dtype, **on_cpu | own | dict(self.engine_options))
            except (ValueError, TypeError, RuntimeError, OSError) as error:
                raise UserError(f"vLLM cannot load model {self.files.name!r}: {_reason(error)}") from error

    @contextmanager
    def _checkpoint(self) -> Iterator[Path]:
        """A folder with the whole model, for as long as it takes to load it."""
        if self.files.base is None:
            yield self.files.folder
            return
        with TemporaryDirectory() as folder:
            load_merged(self.files, dtype=self.dtype).save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            yield Path(folder)

    def asked(
        self, nodes: Sequence[Node], paths: Sequence[Continuation]
    ) -> tuple[list[list[float | None]], list[list[float]]]:
        """See :class:`~spectrum_suite.lm.continuations.ContinuationLM`."""
        requests = [(context, _SCORE | {"logprob_token_ids": list(ids)}) for context, ids in nodes]
        for prompt, (*inside, last) in paths:  # the last token is asked about as a node's, and not run
            requests.append(((*prompt, *inside), _SCORE | {"prompt_logprobs": 0, "logprob_token_ids": [last]}))
        answered = self._ask(requests)
        after = [_after(output, ids) for (_, ids), output in zip(nodes, answered[: len(nodes)], strict=True)]
        along = []
        for (prompt, (*inside, last)), output in zip(paths, answered[len(nodes) :], strict=True):
            positions = output.prompt_logprobs[len(prompt) :]
            found = [at[token].logprob for at, token in zip(positions, inside, strict=True)]
            along.append([*found, *_after(output, [last])])
        return after, along

    def sample(
        self, prompts: Sequence[Prompt], n: int, *, first: int = 0, max_new_tokens: int, seed: int
    ) -> list[Samples]:
        """See :class:`LM`."""
        for name, value in (("n", n), ("max_new_tokens", max_new_tokens)):
            if value < 1:
                raise UserError(f"{name} is {value}: give a number of at least 1")
        prompt_ids = prompt_token_ids(self.tokenizer, prompts, self.text_format)
        check_room(self.positions, prompt_ids, max_new_tokens)
        drawing, requests, seen = self._generating | {"temperature": 1.0, "max_tokens": max_new_tokens}, [], Counter()
        for ids in prompt_ids:
            for number in range(first, first + n):
                numbers = generator(seed, "vllm", " ".join(map(str, ids)), seen[ids], number)
                requests.append((ids, drawing | {"seed": int(numbers.integers(2**31))}))
            seen[ids] += 1
        answered = [self._written(output) for output in self._ask(requests)]
        return [samples_of(answered[start : start + n], self._ending) for start in range(0, len(answered), n)]

    def respond(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Response]:
        """See :class:`LM`."""
        greedy = self._generating | {"temperature": 0.0, "max_tokens": max_new_tokens}
        requests = [(ids, greedy) for ids in prompt_token_ids(self.tokenizer, prompts, self.text_format)]
        answered = [self._written(output) for output in self._ask(requests)]
        return [Response(self._ending.text_before(tokens), len(tokens), ended) for tokens, ended in answered]

    def _written(self, output: RequestOutput) -> tuple[list[int], bool]:
        """The tokens of a text up to its end, and whether it came to one."""
        (written,) = output.outputs
        tokens, ended = self._ending.cut(list(written.token_ids))
        return tokens, ended or written.finish_reason == "stop"

    @cached_property
    def _ending(self) -> Ending:
        return ending_of(generation_config(self.files), self.tokenizer, self.text_format)

    @property
    def _generating(self) -> dict[str, Any]:
        """The ends are ours: vLLM's own of the model are switched off, and what it stops at is cut here again."""
        stops = {"stop": [self._ending.blank_line], "include_stop_str_in_output": True}
        return {
            "ignore_eos": True,
            "stop_token_ids": sorted(self._ending.ids),
            "spaces_between_special_tokens": False,
            **(stops if self._ending.blank_line else {"detokenize": False}),
        }

    def _ask(self, requests: Sequence[_Request]) -> list[RequestOutput]:
        """What vLLM answers to each request.

        Raises:
            UserError: It refuses one.
        """
        from vllm import SamplingParams  # noqa: PLC0415

        if not requests:
            return []
        prompts = [{"prompt_token_ids": list(ids)} for ids, _ in requests]
        try:
            return self.llm.generate(
                prompts, [SamplingParams(**asked) for _, asked in requests], use_tqdm=self.progress
            )
        except ValueError as error:
            raise UserError(f"vLLM refuses: {_reason(error)}") from error


_SCORE = {"max_tokens": 1, "temperature": 0.0, "detokenize": False}
"""A request for log-probabilities has to generate a token, which is not looked at."""


def _after(output: RequestOutput, ids: Sequence[int]) -> list[float]:
    """The log-probabilities of tokens after a prompt."""
    (first,) = output.outputs[0].logprobs
    return [first[token].logprob for token in ids]


def vllm_version() -> str:
    """The version of vLLM, which comes in packages of several names.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    packages = packages_distributions().get("vllm")
    if not packages:
        raise ModuleNotFoundError("vllm is not installed", name="vllm")
    return version(packages[0])


def _reason(error: Exception) -> str:
    """The first line of what an error says; of pydantic's, which begin with a count, that of the first it counts."""
    if hasattr(error, "errors") and (found := error.errors()):
        return first_line(ValueError(found[0]["msg"].removeprefix("Value error, ")))
    return first_line(error)
