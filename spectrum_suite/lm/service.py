"""A service of which nothing is asked twice: every answer is kept under a key of all that decides it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from spectrum_suite.errors import UserError
from spectrum_suite.lm.answer_store import AnswerStore
from spectrum_suite.lm.client import Endpoint, Json, RefusedError, connected
from spectrum_suite.seeding import generator

Withheld = Callable[[RefusedError], Json | None]
"""The error of a refused request -> what is kept for each of its answers; None where it stays an error."""

Read = Callable[[Json], list[Json]]
"""A response -> what is kept of each of its answers. Raises ValueError where it is something else."""

USAGE = ("requests", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
"""What is counted of requests, by the service's own account."""

_SEEDS = 2**31


class PlannedError(Exception):
    """Nothing was asked, since only a plan was wanted."""


@dataclass(frozen=True)
class Draws:
    """Answers that are wanted to one request.

    Attributes:
        body: The request without ``model``, ``n`` and ``seed``.
        numbers: Which of the answers to this request; the same numbers are the same answers.
        stream: A name of these draws: another one has other answers.
        tokens: How many an answer has at most, for a plan.
    """

    body: Json
    numbers: range
    stream: str = ""
    tokens: int = 0

    def key(self, endpoint: Endpoint, path: str, number: int) -> str:
        """A hash of all that decides an answer, the order of a request's fields too: options may be among them."""
        content = [endpoint.base_url, path, endpoint.model, self.body, self.stream, number]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass
class Plan:
    """What would be asked.

    Attributes:
        requests: How many.
        characters: In all of them.
        tokens: Of their answers, at most.
        answers: How many are wanted.
        kept: How many answers are there already.
    """

    requests: int = 0
    characters: int = 0
    tokens: int = 0
    answers: int = 0
    kept: int = 0


@dataclass
class Service:
    """A service at an endpoint.

    Attributes:
        endpoint: Where it is.
        store: Where its answers are kept.
        progress: Show progress bars.
        plan: Counts what would be asked, and nothing is asked; None to ask.
    """

    endpoint: Endpoint
    store: AnswerStore
    progress: bool = False
    plan: Plan | None = None
    _names: set[str] = field(default_factory=set, repr=False)

    def ask_once(self, path: str, body: Json, read: Read) -> tuple[list[Json], dict[str, int]]:
        """What is kept of the answers to one request, with its own ``n`` and ``seed`` if any, and what they took.

        Raises:
            RefusedError: The service refuses it.
            UserError: It refuses everything.
            PlannedError: Nothing is to be asked.
        """
        wanted = Draws(body, range(1))
        key = wanted.key(self.endpoint, path, 0)
        kept = self.store.find([key])
        if key not in kept:
            if self.plan is not None:
                raise PlannedError
            with connected(self.endpoint) as client:
                found = client.ask("POST", path, {"model": self.endpoint.model} | body, check=read)
            kept[key] = {"answers": read(found), "usage": _usage(found)}
            self.store.keep(key, kept[key])
        return kept[key]["answers"], kept[key]["usage"]

    def draw(
        self,
        path: str,
        wanted: Sequence[Draws],
        read: Read,
        *,
        at_once: int = 1,
        seeded: bool = False,
        withheld: Withheld = lambda _: None,
        doing: str,
    ) -> list[list[Json]]:
        """What is kept of the answers to each request, in the order of their numbers.

        Requests are sent in the order of their texts, so that those that begin alike follow one another and a service
        that caches prefixes finds them. A request that is refused does not end the others, whose answers are kept.

        Args:
            path: Below the service's address.
            wanted: The requests.
            read: Reads a response.
            at_once: Answers to a request at most, as ``n``; where fewer come, the rest is asked for again.
            seeded: Send a ``seed`` with each request, which depends on that of the draws and on the answer's number.
            withheld: What is kept instead of the answers to a request that is refused.
            doing: What a progress bar says.

        Raises:
            UserError: A request is refused.
            NoAnswerError: The service is gone.
            PlannedError: Nothing is to be asked.
        """
        keys = [[each.key(self.endpoint, path, number) for number in each.numbers] for each in wanted]
        kept = self.store.find(key for some in keys for key in some)
        asked = sorted(range(len(wanted)), key=lambda place: json.dumps(wanted[place].body))
        total = len({key for some in keys for key in some})
        with tqdm(
            total=total, initial=len(kept), desc=doing, unit="answer", leave=None, disable=not self.progress
        ) as bar:
            while runs := [run for place in asked for run in _runs(wanted[place], keys[place], kept, at_once)]:
                runs = list({run.keys[0]: run for run in runs}.values())  # equal requests are one
                if self.plan is not None:
                    self._count(runs, total, len(kept))
                    raise PlannedError
                kept |= self._ask(path, runs, read, seeded=seeded, withheld=withheld, bar=bar)
        return [[kept[key]["answer"] for key in some] for some in keys]

    def _ask(
        self, path: str, runs: Sequence[_Run], read: Read, *, seeded: bool, withheld: Withheld, bar: tqdm
    ) -> dict[str, Json]:
        """Key -> what was kept, of the answers that came."""
        found: dict[str, Json] = {}

        def keep(run: _Run, answers: Sequence[Json], usage: dict[str, int]) -> None:
            for key, answer in zip(run.keys, answers, strict=False):  # a service may give fewer than asked for
                found[key] = {"answer": answer, "usage": usage}
                self.store.keep(key, found[key])
                usage = {}
                bar.update()

        def keep_response(index: int, response: Json) -> None:
            self._check_new(response)
            keep(runs[index], read(response), _usage(response))

        refused: list[RefusedError] = []
        requests = (run.request(seeded=seeded) for run in runs)
        with connected(self.endpoint) as client:
            for index, answer in client.ask_each(path, requests, keep=keep_response, check=read):
                if not isinstance(answer, RefusedError):
                    continue
                if (instead := withheld(answer)) is None:
                    refused.append(answer)
                else:
                    keep(runs[index], [instead] * len(runs[index].keys), {})
        if refused:
            others = f" (so are {len(refused) - 1} other requests)" if len(refused) > 1 else ""
            raise UserError(f"{refused[0]}{others}; the answers so far are kept")
        return found

    def _check_new(self, response: Json) -> None:
        """Refuse a response that was given before: answers from a cache are not drawn independently.

        Raises:
            UserError: It has the name of an earlier one.
        """
        name = response.get("id")
        if name and name in self._names:
            raise UserError(
                f"the endpoint at {self.endpoint.url} gave response {str(name)[:60]!r} twice, so its answers come from "
                "a cache: turn that off"
            )
        self._names.add(name)

    def _count(self, runs: Sequence[_Run], total: int, kept: int) -> None:
        plan = self.plan
        plan.requests += len(runs)
        plan.characters += sum(len(json.dumps(run.draws.body, ensure_ascii=False)) for run in runs)
        plan.tokens += sum(run.draws.tokens * len(run.keys) for run in runs)
        plan.answers += total
        plan.kept += kept


@dataclass(frozen=True)
class _Run:
    """Answers with numbers that follow one another, which one request asks for."""

    draws: Draws
    first: int
    keys: tuple[str, ...]

    def request(self, *, seeded: bool) -> Json:
        request = dict(self.draws.body)
        if seeded:
            key = (self.draws.stream, "service", json.dumps(self.draws.body), self.first)
            request["seed"] = int(generator(*key).integers(_SEEDS))
        return request | ({"n": len(self.keys)} if len(self.keys) > 1 else {})


def _runs(draws: Draws, keys: Sequence[str], kept: dict[str, Json], at_once: int) -> Iterator[_Run]:
    """The answers that are missing, as few requests."""
    run: list[str] = []
    first = 0
    for number, key in zip(draws.numbers, keys, strict=True):
        if run and (key in kept or len(run) == at_once):
            yield _Run(draws, first, tuple(run))
            run = []
        if key not in kept:
            first = first if run else number
            run.append(key)
    if run:
        yield _Run(draws, first, tuple(run))


def _usage(response: Json) -> dict[str, int]:
    """The tokens that a service says it has read and written."""
    usage = response.get("usage") or {}
    details = {
        "cached_tokens": (usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        "reasoning_tokens": (usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    }
    counted = {
        "requests": 1,
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
    }
    return {name: value for name, value in (counted | details).items() if isinstance(value, int)}
