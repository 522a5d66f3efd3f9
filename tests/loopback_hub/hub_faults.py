"""What the loopback Hub does wrong when it is told to, and the list of all that it was asked."""

import re
import threading
from dataclasses import dataclass
from typing import Literal

FaultKind = Literal[
    "500", "501", "503", "429", "401", "403", "404", "507", "disk-full", "reset", "lost-reply", "cut", "stall"
]
"""``401`` .. ``507``: answered at once, with nothing done (429 with Retry-After). ``disk-full``: half of what came is
written, then 507. ``reset``: the connection ends before anything is done; ``lost-reply``: after all was done.
``cut``: it ends in the middle of the answer. ``stall``: no answer for as long as is said, then the connection ends."""


@dataclass
class Fault:
    """From the ``at``-th request (counted from 1) of those that fit ``method`` and ``path``, ``times`` go wrong.

    ``path`` is searched for as a regular expression in the path as it was sent; ``seconds`` is how long a stall takes,
    or what Retry-After says.
    """

    kind: FaultKind
    at: int = 1
    times: int = 1
    method: str | None = None
    path: str = ""
    seconds: float = 0
    seen: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Count a request, and say whether it goes wrong."""
        if (self.method or method) != method or not re.search(self.path, path):
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times


@dataclass(frozen=True)
class Recorded:
    """One request as it was answered. A token is never part of it."""

    method: str
    path: str
    status: int | None
    """None where the connection ended without an answer."""
    sent: int
    """Bytes in the request's body."""


class Journal:
    """All requests in the order of their answers, and the faults to come."""

    def __init__(self):
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._requests: list[Recorded] = []

    @property
    def requests(self) -> list[Recorded]:
        """What was asked so far."""
        with self._lock:
            return list(self._requests)

    def record(self, request: Recorded) -> None:
        """Note an answered request."""
        with self._lock:
            self._requests.append(request)

    def add(self, fault: Fault) -> Fault:
        """Let something go wrong from now on."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget requests and faults."""
        with self._lock:
            self._requests.clear()
            self._faults.clear()

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The first fault that strikes this request; all of them count it."""
        with self._lock:
            striking = [fault for fault in self._faults if fault.strikes(method, path)]
        return striking[0] if striking else None
