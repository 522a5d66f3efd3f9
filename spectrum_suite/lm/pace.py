"""How many requests are under way at a time: as many as allowed, fewer while a service says that it is too many."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import anyio

_LONGEST_PAUSE_S = 30.0
"""Between two tries where the service does not say how long to wait."""


class Pace:
    """Turns to send a request. A 429 halves how many are taken at a time, each success adds a little again.

    A request that has to wait waits with all the others: nobody asks a service that has said when to come back.

    Args:
        most: Requests under way at a time, at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.allowed = float(most)
        self._under_way = 0
        self._open_at = 0.0
        self._strikes = self._successes = 0
        self._last_success = time.monotonic()
        self._left = anyio.Event()

    @property
    def silent_s(self) -> float:
        """Seconds since a request last succeeded, or since the start."""
        return time.monotonic() - self._last_success

    def succeeded_since(self, began: float) -> bool:
        """Whether a request has succeeded since a time of ``time.monotonic()``."""
        return self._successes > 0 and self._last_success > began

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until a request may be sent; it is under way within."""
        while (wait := self._open_at - time.monotonic()) > 0 or self._under_way >= math.floor(self.allowed):
            if wait > 0:
                await anyio.sleep(wait)
            else:
                await self._left.wait()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._left.set()
            self._left = anyio.Event()

    def succeeded(self) -> None:
        """A request was answered."""
        self._strikes = 0
        self._successes += 1
        self._last_success = time.monotonic()
        self.allowed = min(float(self.most), self.allowed + 1 / self.allowed)

    def too_many(self, wait_s: float | None) -> None:
        """The service asks for fewer requests.

        Args:
            wait_s: For how long it asks to be left alone; None where it does not say.
        """
        now = time.monotonic()
        if now >= self._open_at:  # those under way since before say the same once more
            self.allowed = max(1.0, self.allowed / 2)
            self._strikes += 1
        pause = min(0.5 * 2**self._strikes, _LONGEST_PAUSE_S) if wait_s is None else wait_s
        self._open_at = max(self._open_at, now + pause)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that ``Retry-After`` asks to wait, given as a number or a date; None where it cannot be read."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (TypeError, ValueError, OverflowError):
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None
