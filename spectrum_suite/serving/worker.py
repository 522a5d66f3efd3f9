"""The one thread that runs the model: requests take turns, and what they ask in a turn is computed together.

A turn has room for so many tokens. Every waiting request gets a share of it, and at least one question: a large request
is answered over many turns, and a small one that comes after it waits for the turn that is being computed, and not for
the large one. The questions of a request share the tokens of its state.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from spectrum_suite.decisions.decide import Answered, Asked, NoProbabilitiesError, Reader
from spectrum_suite.errors import UserError
from spectrum_suite.generation.logprobs import TokenIds, score_options
from spectrum_suite.systemone import Question

logger = logging.getLogger(__name__)

TURN_TOKENS = 4096
"""Tokens that are computed in a turn, about."""

PROMPTS_AT_ONCE = 64
"""Prompts of a forward pass, at most."""

Outcome = Answered | NoProbabilitiesError
"""The answer to a question, or why there is none; other questions of its request have theirs."""


class BusyError(Exception):
    """So many requests are waiting that no other is taken."""


@dataclass
class _Job:
    """A request that is being answered."""

    state: str
    instructions: str | None
    open: deque[Question]
    answered: list[Outcome] = field(default_factory=list)
    future: Future[list[Outcome]] = field(default_factory=Future)


class Worker:
    """Answers requests on a thread of its own.

    Args:
        model: A causal language model in eval mode.
        reader: How it is asked.
        longest: Most tokens of a prompt with its longest option.
        most_waiting: Requests that may wait at a time.
    """

    def __init__(self, model: PreTrainedModel, reader: Reader, *, longest: int, most_waiting: int = 256) -> None:
        self.model, self.reader = model, reader
        self.longest, self.most_waiting = longest, most_waiting
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="decisions", daemon=True)
        self._thread.start()

    def submit(
        self, state: str, questions: Sequence[Question], instructions: str | None = None
    ) -> Future[list[Outcome]]:
        """Ask questions about a state. The result is what became of each, or a UserError; cancelled, it is not run.

        Raises:
            BusyError: Too many requests are waiting.
        """
        job = _Job(state, instructions, deque(questions))
        with self._changed:
            if self._closed or len(self._waiting) >= self.most_waiting:
                raise BusyError
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Finish the turn, and answer nothing else."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for job in self._waiting:
            job.future.cancel()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
            self._turn()

    def _turn(self) -> None:
        """Ask some questions of each request whose turn it is, and compute them together."""
        taken: list[tuple[_Job, list[Asked]]] = []
        room, share = TURN_TOKENS, TURN_TOKENS // len(self._waiting)
        for _ in range(len(self._waiting)):  # others may come at the end while this goes on
            if room <= 0:
                break
            job = self._waiting.popleft()
            try:
                asked, tokens = self._take(job, min(share, room))
            except Exception as error:
                _fail(job, error)
                continue
            if asked:
                room -= tokens
                taken.append((job, asked))
        for job, answered in self._answers(taken):
            job.answered += answered
            if job.open:
                self._waiting.append(job)
            elif not job.future.cancelled():
                _settle(job, job.answered)

    def _take(self, job: _Job, share: int) -> tuple[list[Asked], int]:
        """The next questions of a request, at least one, and the tokens that they take."""
        asked: list[Asked] = []
        tokens, before = 0, ()
        while job.open and (not asked or tokens < share) and not job.future.cancelled():
            each = self.reader.ask(job.state, job.open[0], job.instructions)
            longest = max(item.longest for item in each.items)
            if longest > self.longest:
                raise UserError(
                    f"question {each.question.id[:60]!r} with its state has {longest:,} tokens: this service takes "
                    f"{self.longest:,}"
                )
            for item in each.items:
                tokens += len(item.prompt) - _shared(item.prompt, before) + sum(map(len, item.options))
                before = item.prompt
            job.open.popleft()
            asked.append(each)
        return ([] if job.future.cancelled() else asked), tokens

    def _answers(self, taken: Sequence[tuple[_Job, list[Asked]]]) -> list[tuple[_Job, list[Outcome]]]:
        """The answers of a turn; where computing them together fails, each request is tried by itself."""
        if not taken:
            return []
        try:
            items = [item for _, asked in taken for each in asked for item in each.scored]
            scores = iter(score_options(self.model, items, batch_size=PROMPTS_AT_ONCE))
            return [
                (job, [self._outcome(each, [next(scores) for _ in each.items]) for each in asked])
                for job, asked in taken
            ]
        except Exception as error:
            if len(taken) == 1:
                _fail(taken[0][0], error)
                return []
            return [found for one in taken for found in self._answers([one])]

    def _outcome(self, asked: Asked, log_probs: Sequence[torch.Tensor]) -> Outcome:
        try:
            return self.reader.answer(asked, log_probs)
        except NoProbabilitiesError as error:
            return error


def _shared(prompt: TokenIds, before: TokenIds) -> int:
    """How many tokens two prompts begin with alike."""
    return next(
        (place for place, (one, other) in enumerate(zip(prompt, before, strict=False)) if one != other),
        min(len(prompt), len(before)),
    )


def _settle(job: _Job, answered: list[Outcome]) -> None:
    try:
        job.future.set_result(answered)
    except InvalidStateError:  # cancelled in between
        logger.debug("a request was given up")


def _fail(job: _Job, error: Exception) -> None:
    job.open.clear()
    try:
        job.future.set_exception(error)
    except InvalidStateError:
        logger.debug("a request was given up")
