"""What `evaluate` prints once a report is written: a line or two for each task and desideratum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectrum_suite.evaluation.report import Report


def summary_lines(report: Report) -> Iterator[str]:
    """One line per task and desideratum."""
    for task, section in report["steerability"].items():
        yield from _steerability_lines(task, section)
    for task, promptings in report["coverage"].items():
        for prompting, section in promptings.items():
            valid, found = (section["scores"][metric]["mean"] for metric in ("valid", "yield"))
            yield f"{task} ({prompting}): {valid:.1%} of {section['n']} valid, yield {found:.1f}"
    for task, section in report["instruction"].items():
        ranking, ends = section["ranking"]["capability"], section["format"]["ends"]["mean"]
        ranked = "no pair ranked" if ranking is None else f"{ranking:.1%} ranked right"
        failed = f", {section['ranking']['n_failed']} pairs without a number" * bool(section["ranking"].get("n_failed"))
        yield f"{task}: {ranked}, {ends:.1%} of {section['n']} responses end by themselves{failed}"
    for task, section in report["markers"].items():
        kept = {name: found["mean"] for name, found in section["length_violation"].items() if found}
        shown = ", ".join(f"{value:.1%} ({name})" for name, value in kept.items())
        failed = f", {section['n_failed']} likelihoods without a number" * bool(section.get("n_failed"))
        yield f"{task}: too long {shown} of {section['n']} responses{failed}"
    for task, section in report["alignment"].items():
        divergence, coverage = (section["model"][metric]["mean"] for metric in ("js_divergence", "coverage"))
        missing = "no number from the model" if coverage is None else "no mass on any answer"
        shown = f"none, {missing}" if divergence is None else f"{divergence:.4f}"
        uniform = section["uniform"]["js_divergence"]["mean"]
        failed = f", {section['n_failed']} of them without a number" * bool(section.get("n_failed"))
        refused = "".join(f", {count} of them {reason}" for reason, count in section.get("refused", {}).items())
        yield (
            f"{task}: JS divergence {shown} nats (uniform guess {uniform:.4f}), "
            f"coverage {'none' if coverage is None else f'{coverage:.3f}'}, {section['n']} items{failed}{refused}"
        )
        if found := section.get("bounds"):
            low, high = found["js_divergence"]
            exact = f"{found['exact']} of {found['n']} items exact"
            yield f"{task}: JS divergence of all items between {low:.4f} and {high:.4f} nats ({exact})"
        yield from _estimate_lines(task, section)
    if found := report.get("calibration"):
        yield f"all items: JS divergence {_change_text(found)} by calibration"


def _steerability_lines(task: str, section: Mapping[str, Any]) -> Iterator[str]:
    """What was measured on a task, and what was not and why."""
    found = {name: value for name, value in section["summary"].items() if name in ("loss", "accuracy", "ece")}
    shown = ", ".join(f"{name} {value:.4f}" for name, value in found.items() if value is not None)
    failed = f", {section['n_failed']} of {section['n_outputs']} outputs without a number" * bool(section["n_failed"])
    yield f"{task}: {shown or 'no score'}, {section['n']} sequences{failed}"
    for metric, reason in section.get("not_measured", {}).items():
        yield f"{task}: {metric} is not measured: {reason}"
    for reason, count in section.get("without_options", {}).items():
        yield f"{task}: no accuracy for {count} outputs, {reason}"


def _drawn_text(found: Mapping[str, Any]) -> str:
    """What the answers to the items of a task show."""
    corrected, perfect = found["corrected"]["js_divergence"], found["perfect"]["js_divergence"]
    if corrected["mean"] is None:
        return "no divergence without bias, which takes two answers that are options"
    low, high = corrected["ci95"]
    interval = "" if low is None else f" [{low:.4f}, {high:.4f}]"
    same = found["indistinguishable"]
    return (
        f"{corrected['mean']:.4f}{interval} nats without bias (a perfect sampler has {perfect:.4f} with it), "
        f"{same['n']} of {same['of']} items not distinguishable from the truth by {found['n']['mean']:.4g} answers"
    )


def _estimate_lines(task: str, section: Mapping[str, Any]) -> Iterator[str]:
    """What answers show of a task, and what calibration and other orders of the options change, where measured."""
    if "corrected" in (found := section.get("drawn", {})):
        yield f"{task}: {_drawn_text(found)}"
    if found := section.get("calibrated"):
        unknown = f", {found['unknown']} items of a kind that it does not know" * bool(found["unknown"])
        yield f"{task}: {_change_text(found['difference']['js_divergence'])} by calibration{unknown}"
    if found := section.get("orders"):
        unlisted = f"{found['unlisted']} items whose prompts list no options are left out"
        if not found["n"]:
            yield f"{task}: no other order of options, {unlisted}"
            return
        flips, change = found["flip_rate"]["mean"], _change_text(found["difference"]["js_divergence"])
        shown = "none" if flips is None else f"{flips:.1%}"
        asked = f"{found['n']} items, {unlisted}"
        yield f"{task}: {shown} of other orders have another mode, {change} by their mean, {asked}"


def _change_text(found: Mapping[str, Any]) -> str:
    """A difference with its interval, and that it is one for the worse."""
    if found["difference"] is None:
        return "no number"
    low, high = found["ci95"]
    interval = "" if low is None else f" [{low:+.4f}, {high:+.4f}]"
    return f"{found['difference']:+.4f}{interval}{' (WORSE)' * (low is not None and low > 0)}"
