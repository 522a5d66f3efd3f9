"""What a command line says of a service that has the model, and what asking it would take."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import APIS

if TYPE_CHECKING:
    from spectrum_suite.commands.evaluate import EvaluationArguments
    from spectrum_suite.evaluation.settings import EvaluationSettings

logger = logging.getLogger(__name__)

_CHARACTERS_PER_TOKEN = 4
"""About; where only a service is known, its tokenizer is not."""

_OF_TOKENIZER = ("base", "revision", "task_labels", "calibration")
_OF_CHAT = ("system_prompt", "thinking")
_OF_SERVICE = ("dry_run", "price")


def check_service(arguments: EvaluationArguments) -> None:
    """Refuse what does not go with what a service speaks.

    Raises:
        UserError: Something does not.
    """
    if arguments.api not in APIS:
        raise UserError(f"no API {arguments.api!r}: there are {', '.join(APIS)}")
    if not arguments.timeout > 0:
        raise UserError(f"--timeout is {arguments.timeout:g}: give a number of seconds")
    for name in _OF_CHAT if arguments.api != "chat" else ():
        if getattr(arguments, name):
            raise UserError(f"--{name} is for --api chat: leave it out")
    if arguments.api == "completions":
        _check_completions(arguments)
        return
    _check_no_tokenizer(arguments)
    if arguments.price and not arguments.dry_run:
        raise UserError("--price is for --dry_run: give that too")
    if arguments.price and (len(arguments.price) != len(("read", "written")) or min(arguments.price) < 0):
        raise UserError("--price takes two numbers: of a million tokens read, and of a million written")


def _check_no_tokenizer(arguments: EvaluationArguments) -> None:
    """Refuse what needs a tokenizer here."""
    if not arguments.endpoint:
        raise UserError(f"--api {arguments.api} needs the address of a service: give it with --endpoint")
    given = [name for name in _OF_TOKENIZER if getattr(arguments, name)]
    for name in [*given, *(["format"] if arguments.format != "auto" else [])]:
        raise UserError(f"--{name} is for a model whose tokenizer is here: leave it out with --api {arguments.api}")
    if arguments.as_text:
        raise UserError("--as_text is for --api completions: leave it out")


def _check_completions(arguments: EvaluationArguments) -> None:
    for name in _OF_SERVICE:
        if getattr(arguments, name):
            raise UserError(f"--{name} is for --api chat or systemone: leave it out")
    if arguments.as_text and not arguments.endpoint:
        raise UserError("--as_text needs the address of a server: give it with --endpoint")


def say_plan(settings: EvaluationSettings, price: Sequence[float]) -> None:
    """Log what a service would be asked, and at which cost; nothing is asked.

    Args:
        settings: Of the evaluation.
        price: Of a million tokens read, and of a million written; none where it is not known.

    Raises:
        UserError: Something in ``settings`` does not exist or does not fit.
    """
    from spectrum_suite.evaluation.run import planned  # noqa: PLC0415 - with `torch`, which takes seconds

    plan, failed = planned(settings)
    read, written = plan.characters / _CHARACTERS_PER_TOKEN, plan.tokens
    logger.info(
        "%s requests at most for %s answers (%s more are kept); about %s tokens to read and at most %s to write, "
        "more if the model reasons first",
        f"{plan.requests:,}",
        f"{plan.answers - plan.kept:,}",
        f"{plan.kept:,}",
        f"{read:,.0f}",
        f"{written:,}",
    )
    if price:
        logger.info("about %s at most at these prices", f"{(read * price[0] + written * price[1]) / 1e6:,.2f}")
    for (desideratum, task, _), reason in failed.items():
        logger.info("not measured: %s of %s: %s", desideratum, task, reason)
