"""The processes that an evaluation is spread over: one, unless `accelerate launch` or `torchrun` started more."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import datasets
import torch
import transformers
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from spectrum_suite.errors import UserError

PATIENCE = timedelta(days=2)
"""How long a process waits for the others, at most: as long as a part of the work may take."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """All processes, as one of them sees them.

    Attributes:
        index: Which one this is; 0 is the main process, which alone reads and writes results and speaks.
        count: How many there are.
        device: The device that is this one's own; None for a single process, which may choose.
    """

    index: int = 0
    count: int = 1
    device: torch.device | None = None

    @property
    def is_main(self) -> bool:
        """Whether this is the main process."""
        return self.index == 0

    def from_main(self, make: Callable[[], Result]) -> Result:
        """What ``make`` gives in the main process, for all of them.

        Raises:
            SystemExit: In the other processes, when it raises something: what it is, the main process reports.
        """
        if self.count == 1:
            return make()
        if not self.is_main:
            return self._unless_failed(*broadcast_object_list([None, None]))
        try:
            made = make()
        except Exception:
            broadcast_object_list([None, True])
            raise
        broadcast_object_list([made, None])
        return made

    def rounds(self, items: Sequence[Item]) -> Iterator[tuple[Sequence[Item], Item | None]]:
        """The items in rounds of one for each process, each with the one that is this process's, if there is one."""
        for start in range(0, len(items), self.count):
            at_once = items[start : start + self.count]
            yield at_once, at_once[self.index] if self.index < len(at_once) else None

    def gather(self, mine: Result | UserError | None) -> Iterator[Result]:
        """What each process made of its item in a round, in order and in every process.

        Raises:
            UserError: One of them has this in place of a result.
            SystemExit: The same in other processes than the main one.
        """
        for found in [mine] if self.count == 1 else gather_object([mine]):
            yield self._unless_failed(found, found if isinstance(found, UserError) else None)

    def _unless_failed(self, result: Result, error: UserError | bool | None) -> Result:
        if error is None:
            return result
        if self.is_main:
            raise error
        raise SystemExit(0)  # a code of its own would make the launcher end the main process before it has spoken


@contextmanager
def processes(device: str | None = None) -> Iterator[Processes]:
    """The processes that this one was started with; all but the main one show no progress.

    Args:
        device: The device that was asked for; ``cpu`` keeps every process off the GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    state = PartialState(cpu=device == "cpu", timeout=PATIENCE)
    if not state.is_main_process:
        datasets.disable_progress_bars()
        transformers.utils.logging.disable_progress_bar()
    try:
        yield Processes(state.process_index, state.num_processes, state.device)
    finally:
        state.destroy_process_group()
