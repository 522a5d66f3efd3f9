"""What a run has trained on so far, and its loss by group of tasks: sums that a checkpoint keeps."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator

from spectrum_suite.devices import widest_float

SEEN, RUN, TRAINED = range(3)
_SUMS = ("tokens", "nats", "total", "logged")


class RunCounts:
    """Sums over all batches: tokens seen, tokens run (padding too), tokens trained, and nats by group.

    The sums stay on the device of the loss, in the widest float that it has, so that counting waits
    for nothing; tokens are whole numbers.

    Args:
        groups: Names of the groups, in the order of their numbers in a batch.
        accelerator: Adds up what several processes have counted.
    """

    def __init__(self, groups: Sequence[str], accelerator: Accelerator) -> None:
        self.groups = list(groups)
        self.accelerator = accelerator
        self._exact = widest_float(accelerator.device)
        self.tokens = self._zeros(3, dtype=torch.int64)
        self.nats = self._zeros(
            2, len(self.groups), dtype=self._exact
        )  # since the last line of the log: nats, and the weight of the tokens they fell on
        self.total = self._zeros(2, dtype=self._exact)  # the same of all groups, before that line
        self.started = time.monotonic()
        self.logged = self._zeros(3, dtype=torch.int64)

    def add(
        self,
        nats: torch.Tensor,
        groups: torch.Tensor,
        *,
        seen: torch.Tensor,
        run: int,
        weights: torch.Tensor | None = None,
    ) -> None:
        """Count a batch.

        Args:
            nats: (targets,), the loss of each, times its weight.
            groups: (targets,), the number of its group.
            weights: (targets,), how many draws each counts as; None where each counts as one. Losses are means by
                weight, while a target is one trained token whatever its weight.
            seen: Tokens that are not padding.
            run: Tokens with padding.
        """
        self.tokens += torch.stack([seen, torch.tensor(run, device=seen.device), seen.new_tensor(len(nats))])
        ones = torch.ones_like(nats, dtype=self._exact) if weights is None else weights.to(self._exact)
        both = torch.stack([nats.detach().to(self._exact), ones])
        self.nats.index_add_(1, groups, both)

    def line(self) -> dict[str, float]:
        """What a line of the log says, over all processes; begins a new line.

        Returns:
            ``loss`` (mean over the trained tokens since the last line, in nats), ``loss/<group>`` for groups that were
            trained, ``trained_tokens`` and ``seen_tokens`` since the beginning, and of the steps since the last line
            ``padding_share`` and ``tokens_per_second`` (padding left out).
        """
        tokens, logged, nats = (self._summed(each) for each in (self.tokens, self.logged, self.nats))
        now = time.monotonic()
        since = [after - before for after, before in zip(tokens.tolist(), logged.tolist(), strict=True)]
        line = {"loss": (nats[0].sum() / nats[1].sum()).item()}
        if len(self.groups) > 1:
            means = {
                name: (total / count).item() for name, total, count in zip(self.groups, *nats, strict=True) if count
            }
            line |= {f"loss/{name}": mean for name, mean in means.items()}
        line |= {
            "trained_tokens": int(tokens[TRAINED]),
            "seen_tokens": int(tokens[SEEN]),
            "padding_share": round(1 - since[SEEN] / since[RUN], 4) if since[RUN] else 0.0,
            "tokens_per_second": round(since[SEEN] / (now - self.started), 1),
        }
        self.total += self.nats.sum(1)
        self.nats, self.logged, self.started = torch.zeros_like(self.nats), self.tokens.clone(), now
        return line

    @property
    def pending(self) -> bool:
        """Whether something was trained since the last line."""
        return bool(self._summed(self.nats)[1].sum())

    def totals(self) -> dict[str, float]:
        """Since the beginning, over all processes and all sessions of a run.

        Returns:
            ``trained_tokens``, ``seen_tokens`` and ``run_tokens``, and ``train_loss``, the mean over the trained ones
            in nats; NaN before the first.
        """
        seen, run, trained = (int(value) for value in self._summed(self.tokens))
        nats, count = self._summed(self.total + self.nats.sum(1)).tolist()
        loss = nats / count if count else math.nan
        return {"trained_tokens": trained, "seen_tokens": seen, "run_tokens": run, "train_loss": loss}

    def state(self) -> dict[str, Any]:
        """All sums of all processes, for a checkpoint."""
        return {name: self._summed(getattr(self, name)).tolist() for name in _SUMS}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; the first process takes the sums of all."""
        for name in _SUMS:
            saved = torch.tensor(state[name], dtype=getattr(self, name).dtype, device=self.accelerator.device)
            setattr(self, name, saved if self.accelerator.is_main_process else torch.zeros_like(saved))

    def _zeros(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=self.accelerator.device)

    def _summed(self, value: torch.Tensor) -> torch.Tensor:
        return self.accelerator.reduce(value.clone(), reduction="sum").cpu()
