"""A model behind an OpenAI-compatible completions server.

Options are scored by sending prompt and option together and reading back the log-probabilities of the option's tokens
(``echo`` with ``logprobs``, nothing generated). Both are sent as token ids, tokenized as everywhere in this project:
the prompt with BOS once, the option apart. So no server can add a second BOS or move the boundary, and the option's
tokens are the last ones, whatever ``text_offset`` says (servers count special tokens and parts of a character in it
each in their own way).

vLLM does both. llama.cpp's server refuses ``echo``, SGLang says that its ``echo`` does not go with ``logprobs``, and
`transformers serve` has neither nor ``n``. Of such a server an option is scored by the likeliest tokens that it lists
after each beginning, as many as it lists; one that is not among them is named to the user, never scored as 0.
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
from spectrum_suite.lm.chat_manner import MOST_LIKELY
from spectrum_suite.lm.client import Endpoint, Json, NoAnswerError, RefusedError, connected
from spectrum_suite.lm.continuations import FOLLOWERS, Continuation, ContinuationLM, Node
from spectrum_suite.lm.listed_tokens import TokenTexts, count_listed, listed_tokens
from spectrum_suite.models import ModelFiles
from spectrum_suite.seeding import generator

SCORED_PER_REQUEST = 64
TOKENS_PER_REQUEST = 2**14
SAMPLES_PER_REQUEST = 128

LISTED = (1000, *MOST_LIKELY)
"""How many of the likeliest tokens a server is asked to list: the first that it does not refuse."""

_NEARLY = 0.5  # of what was asked for is listed at least, where some tokens are written alike

ECHO_TOLERANCE = 0.1  # nats, between a token in a prompt and the same after it: half precision rounds

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
            elif self._no_echo and not self.takes_nodes():
                return self._no_echo
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
        """Whether the server tells the log-probabilities of next tokens; found out once.

        The few that some list are asked for only where nothing else is told.
        """
        return self._takes_ids or self._listed >= LISTED[0] or bool(self._listed and self._no_echo)

    @cached_property
    def _takes_ids(self) -> bool:
        """Whether it tells those of tokens that it is asked about by their ids."""
        if self.endpoint.as_text:
            return False
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

    @cached_property
    def _listed(self) -> int:
        """How many of the likeliest tokens it lists."""
        (prompt,) = self._prompt_ids([_SMALL])
        for most in LISTED:
            try:
                ((choice,),) = self._complete([self._list_request(self._wire(prompt), most)], "Asking")
            except RefusedError as error:
                if error.temporary:
                    raise
                continue
            count = count_listed(choice)
            return most if count > _NEARLY * most else count
        return 0

    @cached_property
    def _no_echo(self) -> str:
        """Why continuations cannot be asked about whole; an empty string if they can.

        Where a server lists next tokens, too, the two have to agree: llama-cpp-python counts the tokens of a prompt
        without a beginning of sequence from another one than their log-probabilities.
        """
        (ids,) = self._prompt_ids([_SMALL])
        small = (ids[:-1], ids[-1:])
        try:
            _, ((echoed,),) = self._told([], [small])
        except NoAnswerError:
            raise
        except UserError as error:
            return str(error)
        if self.endpoint.as_text and self._listed:
            ((listed,),) = self._from_lists([small], (self._listed,))
            if listed is not None and not abs(listed - echoed) <= ECHO_TOLERANCE:
                return f"the endpoint at {self.endpoint.url} echoes log-probabilities that are not those of its tokens"
        return ""

    @cached_property
    def _texts(self) -> TokenTexts:
        return TokenTexts.of(self.tokenizer)

    def scored(self, wanted: Sequence[Continuation]) -> dict[Continuation, list[float]]:
        """See :class:`~spectrum_suite.lm.continuations.ContinuationLM`.

        A prompt that would have other tokens as text, such as one that spells control tokens, is refused before
        anything is sent.
        """
        for prompt in dict.fromkeys(prompt for prompt, _ in wanted):
            self._wire(prompt)
        return super().scored(wanted)

    def asked(
        self, nodes: Sequence[Node], paths: Sequence[Continuation]
    ) -> tuple[list[list[float | None]], list[list[float]]]:
        """See :class:`~spectrum_suite.lm.continuations.ContinuationLM`."""
        listed = self._from_lists(nodes, self._rounds) if nodes and not self._takes_ids else []
        nodes = [] if listed else nodes
        if paths and self.endpoint.as_text and self._no_echo:
            return listed, self._along_lists(paths, self._no_echo)
        try:
            after, along = self._told(nodes, paths)
        except UserError as error:
            lost = isinstance(error, NoAnswerError) or getattr(error, "temporary", False)
            if lost or nodes or not self._listed:
                raise
            return listed, self._along_lists(paths, str(error))
        return listed or after, along

    def _told(
        self, nodes: Sequence[Node], paths: Sequence[Continuation]
    ) -> tuple[list[list[float | None]], list[list[float]]]:
        """Those of tokens that are asked about by their ids, and of continuations that are asked about whole."""
        requests = [self._node_request(together) for together in _together(nodes, followers=FOLLOWERS)]
        if self.endpoint.as_text:  # some servers take one text at a time, and at least one token after it
            requests += [self._echo_request(self._wire((*prompt, *after)), more=1) for prompt, after in paths]
        else:
            requests += [
                self._echo_request([self._wire((*prompt, *after)) for prompt, after in together], more=0)
                for together in _together(paths)
            ]
        choices = [choice for answered in self._complete(requests, "Scoring") for choice in answered]
        after = [_next_log_probs(choice, node) for choice, node in zip(choices[: len(nodes)], nodes, strict=True)]
        along = [self._last_log_probs(choice, *path) for choice, path in zip(choices[len(nodes) :], paths, strict=True)]
        return after, along

    def _along_lists(self, paths: Sequence[Continuation], reason: str) -> list[list[float]]:
        """Those of continuations that cannot be asked about whole: each token among the likeliest that follow there.

        Raises:
            UserError: One is not listed; ``reason`` says why it is not asked about otherwise.
        """
        after = [[((*prompt, *ids[:end]), (token,)) for end, token in enumerate(ids)] for prompt, ids in paths]
        nodes = list(dict.fromkeys(node for of_path in after for node in of_path))
        found = dict(zip(nodes, self._from_lists(nodes, self._rounds), strict=True))
        along = [[found[node][0] for node in of_path] for of_path in after]
        for (_, ids), log_probs in zip(paths, along, strict=True):
            if None in log_probs:
                raise UserError(
                    f"{reason}; and {self.tokenizer.decode(ids)!r} is not among the {self._listed} likeliest "
                    "continuations that it lists: estimate by samples (--estimate samples)"
                )
        return along

    @property
    def _rounds(self) -> tuple[int, ...]:
        """How many tokens are asked for, and how many where some are not among these.

        A whole vocabulary is a long list: what is echoed is asked about whole instead.
        """
        many = self._listed == LISTED[0] and self._no_echo
        return (self._listed, len(self.tokenizer)) if many else (self._listed,)

    def _from_lists(self, nodes: Sequence[Node], rounds: Sequence[int]) -> list[list[float | None]]:
        """Those of tokens among so many of the likeliest; None for what is not listed."""
        texts = dict(enumerate(self._wire_or_none(context) for context, _ in nodes))
        found: list[dict[int, float]] = [{} for _ in nodes]
        for most in rounds:
            left = [
                place
                for place, (_, ids) in enumerate(nodes)
                if texts[place] is not None and not found[place].keys() >= set(ids)
            ]
            try:
                answered = self._complete([self._list_request(texts[place], most) for place in left], "Scoring")
            except RefusedError as error:
                if error.temporary or most == rounds[0]:
                    raise
                break
            for place, (choice,) in zip(left, answered, strict=True):
                found[place] = listed_tokens(choice, self._texts)
        return [[log_probs.get(token) for token in ids] for log_probs, (_, ids) in zip(found, nodes, strict=True)]

    def _echo_request(self, prompt: str | list[list[int] | str], *, more: int) -> Json:
        """The log-probabilities of the tokens of prompts, and so many generated ones."""
        return {"prompt": prompt, "max_tokens": more, "echo": True, "logprobs": 1}

    def _list_request(self, prompt: list[int] | str, most: int) -> Json:
        """The log-probabilities of the likeliest tokens after a prompt."""
        return {"prompt": prompt, "max_tokens": 1, "logprobs": most}

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
        log_probs = (choice.get("logprobs") or {}).get("token_logprobs") or []
        echoed = log_probs[: len(log_probs) - choice.get("generated", 0)]
        expected = len(prompt) + len(continuation)
        added = len(added_around(self.tokenizer)[0]) if self.endpoint.as_text else 0  # some leave it out of the echo
        found = echoed[-len(continuation) :]
        if len(echoed) not in (expected, expected - added) or None in found:
            raise UserError(
                f"the endpoint at {self.endpoint.url} gave {len(echoed)} log-probabilities for {expected} tokens: "
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

    def _wire_or_none(self, ids: TokenIds) -> list[int] | str | None:
        """See :meth:`_wire`; None where a server would give the text other tokens."""
        try:
            return self._wire(ids)
        except UserError:
            return None

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
        alone = isinstance(request["prompt"], str) or request["prompt"] == [] or isinstance(request["prompt"][0], int)
        expected = request.get("n") or (1 if alone else len(request["prompt"]))
        choices = sorted(answer.get("choices", []), key=lambda choice: choice["index"])
        if len(choices) != expected:
            raise UserError(
                f"the endpoint at {self.endpoint.url} gave {len(choices)} completions, not the {expected} asked for: "
                "it does not support lists of prompts or 'n', use one that does, e.g. vLLM"
            )
        if request.get("echo") and request["max_tokens"]:
            try:
                choices[0]["generated"] = answer["usage"]["completion_tokens"]
            except (KeyError, TypeError) as error:
                lacks = "does not say how many tokens it generated ('usage')"
                raise UserError(f"the endpoint at {self.endpoint.url} {lacks}: use another server") from error
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
