r"""Writes model_cards/<name>.md for a run, and keeps what the card is made from in benchmarks/results/cards/<name>.

    python -m benchmarks.model_cards outputs/spectrum-gemma-3-270m/1 --name gemma-3-270m-spectrum \
        --reports outputs/results/gemma-3-270m/spectrum/1

`--reports` is a folder with reports of `evaluate_model.py` below it. Without a run, every card is rendered again
from what is kept: the training report, the suite's records of the tasks that were trained on, and the reports without
their single items.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataset_builder.suite_folder import REPORT as BUILD_REPORT
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.report import REPORT
from spectrum_suite.hub.cards import render_model_card, trained_rows, with_names
from spectrum_suite.json_files import read_json, write_json
from spectrum_suite.training.training_report import REPORT as TRAINING_REPORT

ROOT = Path(__file__).parents[1]
SOURCES, CARDS = ROOT / "benchmarks" / "results" / "cards", ROOT / "model_cards"

_ITEMS = {"items", "sequences", "texts", "messages", "yield_curve", "by_k", "reliability"}


def keep(run: Path, reports: Path, suite: Path | None, folder: Path) -> None:
    """Keep in ``folder`` what the card of a run is made from.

    Args:
        run: What ``train_sft.py`` left.
        reports: A report, or a folder below which there are some.
        suite: The suite that was trained on; by default the one that the training report names.
        folder: Where it is kept.

    Raises:
        UserError: A file is missing.
    """
    training = read_json(run / TRAINING_REPORT, "give the folder that train_sft.py wrote")
    built = read_json((suite or Path(training["suite"])) / BUILD_REPORT, "name the suite with --suite")
    found = list(find_reports(reports))
    if not found:
        raise UserError(f"no {REPORT} below {str(reports)!r}: measure the run with evaluate_model.py")
    records = {
        task: {name: built["tasks"][task][name] for name in ("version", "status")} for task in trained_rows(training)
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / TRAINING_REPORT, with_names(training, suite=Path(training["suite"]).name))
    write_json(folder / BUILD_REPORT, {"seed": built["seed"], "tasks": records})
    for place, path in enumerate(found):
        write_json(folder / f"{place}-{path.name}", shown(read_json(path, "measure the run again")))


def find_reports(place: Path) -> Iterator[Path]:
    """The reports in a folder, or the one that is named."""
    if place.is_file():
        yield place
    yield from sorted(place.rglob(REPORT))


def shown(report: dict[str, Any]) -> dict[str, Any]:
    """What a card shows of a report: nothing about single items, nor where files were on the machine that measured."""
    return _without_items({name: value for name, value in report.items() if name not in ("model", "suite")})


def _without_items(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_items(value) for name, value in part.items() if name not in _ITEMS}
    return part


def card(folder: Path) -> str:
    """The card that is made from what is kept in a folder, which has the card's name."""
    return str(
        render_model_card(folder, sorted(folder.glob(f"[0-9]*-{REPORT}")), suite=folder, repo_id=f"ORG/{folder.name}")
    )


def main(run: Path | None, name: str | None, reports: Path | None, suite: Path | None) -> None:
    """Keep a run, if one is named; then render every card."""
    if run:
        if not name or not reports:
            raise UserError("a run's card needs --name and --reports")
        keep(run, reports, suite, SOURCES / name)
    for folder in sorted(path for path in SOURCES.glob("*") if path.is_dir()):
        (CARDS / f"{folder.name}.md").write_text(card(folder), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help="what train_sft.py left")
    parser.add_argument("--name", help="of the card")
    parser.add_argument("--reports", type=Path, help="a report, or a folder with some below it")
    parser.add_argument("--suite", type=Path, help="the suite that was trained on (default: as the run says)")
    arguments = parser.parse_args()
    with exit_on_user_error():
        main(arguments.run, arguments.name, arguments.reports, arguments.suite)
