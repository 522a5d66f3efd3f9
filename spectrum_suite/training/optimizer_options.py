"""Settings that the chosen optimizer or schedule does not read, found by asking it with and without them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from typing import Any

import torch
from transformers import Trainer, get_scheduler

from spectrum_suite.errors import UserError, first_line
from spectrum_suite.training.arguments import TuningConfig

_OF_OPTIMIZER = ("optim_args", "optim_target_modules", "adam_beta1", "adam_beta2", "adam_epsilon")
_OF_SCHEDULE = ("lr_scheduler_kwargs", "warmup_steps")
_STEPS, _WARMUP = 100, 10  # enough for a schedule to show what it reads


def check_optimizer(config: TuningConfig, model: torch.nn.Module) -> None:
    """Refuse settings that change nothing, and an optimizer or schedule that cannot be made.

    Args:
        config: Of the run.
        model: To be trained; some optimizers look at its layers.

    Raises:
        UserError: There is one.
    """
    defaults = {each.name: each.default for each in fields(config)}
    now = _optimizer(config, model)
    for name in _OF_OPTIMIZER:
        if getattr(config, name) != defaults[name]:
            other = copy(config)
            setattr(other, name, defaults[name])
            if _same(now, _optimizer(other, model, or_none=True)):
                raise UserError(f"--{name} is not read by --optim {config.optim.value}: leave it out")
    given = {name: getattr(config, name) != defaults[name] for name in _OF_SCHEDULE}
    kwargs = config.lr_scheduler_kwargs if given["lr_scheduler_kwargs"] else None
    rates = _rates(config, _WARMUP, kwargs)
    for name, others in (("lr_scheduler_kwargs", (_WARMUP, None)), ("warmup_steps", (0, kwargs))):
        if given[name] and rates == _rates(config, *others):
            raise UserError(
                f"--{name} is not read by --lr_scheduler_type {config.lr_scheduler_type.value}: leave it out"
            )


def _optimizer(config: TuningConfig, model: torch.nn.Module, *, or_none: bool = False) -> tuple[Any, Any] | None:
    """The class of the optimizer and its arguments; with ``or_none``, None where it cannot be made."""
    try:
        return Trainer.get_optimizer_cls_and_kwargs(config, model)
    except (ValueError, TypeError, KeyError, ImportError) as error:
        if or_none:
            return None
        raise UserError(f"--optim {config.optim.value} cannot be used: {first_line(error)}") from error


def _same(one: tuple[Any, Any], other: tuple[Any, Any] | None) -> bool:
    if other is None or one[0] is not other[0]:
        return False
    plain = [{name: value for name, value in kwargs.items() if name != "params"} for _, kwargs in (one, other)]
    groups = [[_group(group) for group in kwargs.get("params", ())] for _, kwargs in (one, other)]
    return plain[0] == plain[1] and groups[0] == groups[1]


def _group(group: dict[str, Any]) -> tuple[list[int], dict[str, Any]]:
    """Which parameters a group has, and their settings, in a form that can be compared."""
    return [id(each) for each in group["params"]], {name: value for name, value in group.items() if name != "params"}


def _rates(config: TuningConfig, warmup: int, kwargs: dict[str, Any] | None) -> Sequence[float]:
    """The learning rates of a short run.

    Raises:
        UserError: The schedule cannot be made with these arguments.
    """
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    try:
        schedule = get_scheduler(config.lr_scheduler_type, optimizer, warmup, _STEPS, kwargs)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"--lr_scheduler_type {config.lr_scheduler_type.value} cannot be used with {kwargs}: {first_line(error)}"
        ) from error
    found = []
    for _ in range(_STEPS):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found
