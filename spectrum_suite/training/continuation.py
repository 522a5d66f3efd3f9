"""Training an adapter further that earlier runs have trained; the new report includes them, too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import PeftConfig

from spectrum_suite.errors import UserError
from spectrum_suite.training.training_report import REPORT

_LOGS = ("log", "alignment_log")


def earlier_runs(adapter: Path) -> list[dict[str, Any]]:
    """The reports of the runs that made an adapter, the first one first, without their logs.

    Raises:
        UserError: The adapter has none, so nobody could say what it was trained on.
    """
    try:
        report = json.loads((adapter / REPORT).read_text(encoding="utf-8"))
        before = report.pop("before", [])
    except (OSError, ValueError) as error:
        raise UserError(
            f"adapter {str(adapter)!r} has no readable {REPORT}, so what it was trained on is not known: give "
            "--adapter_name_or_path one that train_sft.py wrote"
        ) from error
    return [*before, {name: value for name, value in report.items() if name not in _LOGS}]


def check_turn_tokens(adapter: Path, token_ids: Sequence[int]) -> None:
    """Refuse an adapter that has rows for other tokens than those that would train.

    Args:
        adapter: Its folder.
        token_ids: The tokens whose rows are to train.

    Raises:
        UserError: It has.
    """
    rows = PeftConfig.from_pretrained(adapter).trainable_token_indices or []
    theirs = set().union(*rows.values()) if isinstance(rows, dict) else set(rows)
    if theirs != set(token_ids):
        raise UserError(
            f"adapter {str(adapter)!r} has rows for other turn tokens than this run trains: give "
            "the --format that it was trained with, and --turn_tokens train, or keep where it has none"
        )
