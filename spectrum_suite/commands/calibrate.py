"""`spectrum-suite calibrate`: a temperature and a position bias, fitted on training tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.choices import BATCH_SIZE, SEED
from spectrum_suite.formats.tags import ALL_FORMATS
from spectrum_suite.held_folder import check_output
from spectrum_suite.parser import Parser, as_called

logger = logging.getLogger(__name__)

_LIMIT = 200

_ABOUT = """\
Fit a calibration of a model's distributions over options: one temperature for each kind of option set (numbers,
letters, polar, ordered, texts) and a position bias, by maximum likelihood on training tasks of a suite. What does not
help on tasks left out of the fit is dropped. Held-out tasks are refused.

It is written as calibration.json in the model's folder, whose weights are not changed; evaluate and demo apply it with
--calibration.
"""
_EXAMPLES = """\
examples:
  spectrum-suite calibrate outputs/quickstart --suite spectrum-suite
  spectrum-suite calibrate embedded:gemma-3-270m --suite spectrum-suite --format colon --output outputs/calibration
  spectrum-suite calibrate outputs/quickstart --suite spectrum-suite --tasks dist_train_shares --orders 4

then:
  python evaluate_model.py --model outputs/quickstart --suite spectrum-suite --desiderata alignment \\
      --calibration outputs/quickstart --output outputs/evaluation/calibrated
"""


def main(words: Sequence[str], program: str = "spectrum-suite calibrate") -> None:
    """Calibrate what the words of a command line name; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        options = _parser(program).parse_args(words)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        folder = _folder(options.model, options.output)
        for name in ("limit", "orders", "batch_size"):
            if getattr(options, name) < 1:
                raise UserError(f"--{name} is {getattr(options, name)}: give a number of at least 1")

        from spectrum_suite.evaluation.alignment.calibrate import (  # noqa: PLC0415 - with `torch`, which takes seconds
            calibrate,
            tasks_to_fit,
        )
        from spectrum_suite.json_files import write_json  # noqa: PLC0415
        from spectrum_suite.lm.calibration_file import CALIBRATION  # noqa: PLC0415
        from spectrum_suite.lm.local import LocalLM  # noqa: PLC0415
        from spectrum_suite.models import find_model, scoring_device, torch_dtype  # noqa: PLC0415

        tasks_to_fit(options.suite, options.tasks)  # before the model is looked for
        files = find_model(options.model, base=options.base, revision=options.revision)
        device = scoring_device(options.device)
        lm = LocalLM(
            files, options.format, device, torch_dtype(options.dtype, device),
            batch_size=options.batch_size, progress=True,
        )  # fmt: skip
        found = calibrate(
            lm, options.suite, options.tasks, limit=options.limit, seed=options.seed, orders=options.orders
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CALIBRATION, found)
        for line in summary_lines(found):
            logger.info("%s", line)
        logger.info("the calibration is in %s", folder / CALIBRATION)


def summary_lines(calibration: Mapping[str, Any]) -> Iterator[str]:
    """One line per kind of option set: what was fitted, and the cross-entropy of items that it was not fitted on."""
    for kind, section in calibration["kinds"].items():
        temperature, position, change = (section[name] for name in ("temperature", "position", "cross_entropy"))
        error = "" if temperature["se"] is None else f" ± {temperature['se']:.3f}"
        bias = ", no position bias"
        if position:
            pairs = zip(position["places"], position["bias"], position["se"], strict=True)
            bias = ", bias " + ", ".join(f"{value:+.3f} ± {se:.3f} at {place:.2f}" for place, value, se in pairs)
        low, high = change["ci95"]
        interval = "" if low is None else f" [{low:+.4f}, {high:+.4f}]"
        yield (
            f"{kind}: temperature {temperature['value']:.3f}{error}{bias}; cross-entropy {change['before']:.4f} -> "
            f"{change['after']:.4f}, {change['difference']:+.4f}{interval}, {section['items']} items"
        )


def _folder(model: str, output: Path | None) -> Path:
    """Where the file goes: beside a model on this machine, unless another folder was given."""
    folder = output or Path(model).expanduser()
    if output is None and not folder.is_dir():
        raise UserError(f"model {model!r} is not a folder that can be written to: give one with --output")
    check_output(folder, option="--output")
    return folder


def _parser(program: str) -> Parser:
    command = Parser(prog=program, description=as_called(_ABOUT, program), epilog=as_called(_EXAMPLES, program))
    add = command.add_argument
    command.add_config()
    add("model", help="a folder, a Hub id, or embedded:gemma-3-270m; a checkpoint or an adapter")
    add("--suite", required=True, help="a built suite's folder, or a dataset on the Hub")
    add("--tasks", nargs="+", default=["all"], help="its training distribution tasks (default: all)")
    add("--output", type=Path, metavar="DIR", help="folder of calibration.json (default: the model's)")
    add("--format", default="auto", choices=("auto", *ALL_FORMATS), help="how the model is asked (default: auto)")
    add("--limit", type=int, default=_LIMIT, help=f"items per task at most (default: {_LIMIT})")
    add("--orders", type=int, default=1, help="orders of the options, in prompts that list them (default: 1)")
    add("--seed", type=int, default=SEED, help=f"seed for drawing items and orders (default: {SEED})")
    add("--batch_size", type=int, default=BATCH_SIZE, help=f"prompts per forward pass (default: {BATCH_SIZE})")
    add("--device", help="cpu, cuda, cuda:1, mps, xpu (default: the accelerator if there is one)")
    add("--dtype", help="float32, bfloat16 or float16 (default: bfloat16 on an accelerator, float32 elsewhere)")
    add("--base", help="base model of an adapter (default: the one that it names)")
    add("--revision", help="branch, tag or commit of a model on the Hub")
    return command
