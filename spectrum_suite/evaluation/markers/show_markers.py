"""Tables of what markers do, and the figure of what a length marker does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_COLOR, _DIAGONAL = "#0072b2", "#9a9a9a"


def markers_markdown(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables of all data sets."""
    return "\n\n".join(
        f"### {name}\n\n{_tables(section)}" + (f"\n\n![length](plots/markers-{name}.png)" if section["marked"] else "")
        for name, section in sections.items()
    )


def _tables(section: Mapping[str, Any]) -> str:
    violation = section["length_violation"]
    rows = [("length limit broken, said in words", violation["words"], True)]
    rows += [("length limit broken, set as a marker", violation["fixed"], True)]
    rows += [
        (f"every line in the language, {name}", found, True) for name, found in section["lines_in_language"].items()
    ]
    rows += [(f"nats per token, markers {name}", found, False) for name, found in section["nats_per_token"].items()]
    lines = ["| measure | value | 95% interval | n |", "|---|--:|---|--:|"]
    lines += [f"| {label} | {_row(found, percent=percent)} |" for label, found, percent in rows if found is not None]
    tables = ["\n".join(lines), _bucket_table(section)]
    if section["marked"]:
        tables = [tables[0], _accuracy_table(section), _length_table(section), _moved_table(section), tables[1]]
    return "\n\n".join(filter(None, tables))


def _accuracy_table(section: Mapping[str, Any]) -> str:
    lines = ["| marker | inferred right | 95% interval | n | most frequent value |", "|---|--:|---|--:|--:|"]
    lines += [
        f"| {category} | {_row(found | {'mean': found['inferred']}, percent=True)} | {found['majority']:.1%} |"
        for category, found in section["accuracy"].items()
    ]
    return "\n".join(lines)


def _length_table(section: Mapping[str, Any]) -> str:
    lines = ["| tokens wanted | median | mean | quartiles |", "|--:|--:|--:|---|"]
    for point in section["length_curve"]:
        low, high = point["quartiles"]
        lines.append(f"| {point['wanted']} | {point['median']:g} | {point['mean']:.1f} | {low:g} to {high:g} |")
    return "\n".join(lines)


def _moved_table(section: Mapping[str, Any]) -> str:
    lines = ["| set | responses that have it | without |", "|---|--:|--:|"]
    for category, values in section["moved"].items():
        lines += [
            f"| {category} {value} | {_percent(found['set'])} | {_percent(found['not_set'])} |"
            for value, found in values.items()
        ]
    return "\n".join(lines) if section["moved"] else ""


def _bucket_table(section: Mapping[str, Any]) -> str:
    lines = [
        "| rows whose | value is | n | nats per token, markers inferred | fixed | win rate |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for category, scores in section["by_frequency"].items():
        for bucket, inferred in scores["inferred"].items():
            fixed, wins = (scores.get(name, {}).get(bucket) for name in ("fixed", "win_rate"))
            cells = (category, bucket, inferred["n"], _number(inferred), _number(fixed), _percent(wins))
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _row(found: Mapping[str, Any], *, percent: bool) -> str:
    low, high = found["ci95"]
    shown = ".1%" if percent else ".3f"
    interval = "-" if low is None else f"{low:{shown}} to {high:{shown}}"
    return f"{found['mean']:{shown}} | {interval} | {found['n']}"


def _percent(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{found['mean']:.1%}"


def _number(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{found['mean']:.3f}"


def write_marker_plots(sections: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write ``markers-<data>.png`` for each data set that was measured on a model with markers; returns the files."""
    paths = []
    for name, section in sections.items():
        if section["marked"]:
            path = folder / f"markers-{name}.png"
            length_figure(name, section).savefig(path, dpi=130)
            paths.append(path)
    return paths


def length_figure(name: str, section: Mapping[str, Any]) -> Figure:
    """The tokens that came against those that were wanted: medians with quartiles, and the diagonal."""
    points = section["length_curve"]
    wanted, medians = [point["wanted"] for point in points], [point["median"] for point in points]
    below, above = zip(
        *((m - point["quartiles"][0], point["quartiles"][1] - m) for m, point in zip(medians, points, strict=True)),
        strict=True,
    )
    figure = Figure(figsize=(4.6, 4.0), layout="constrained")
    axis = figure.subplots()
    axis.plot(wanted, wanted, color=_DIAGONAL, linestyle="--", linewidth=1, label="as wanted")
    axis.errorbar(wanted, medians, yerr=[below, above], color=_COLOR, marker="o", capsize=3, label="median, quartiles")
    axis.set(xlabel="length_tokens that was set", ylabel="tokens of the response", title=name, xlim=0, ylim=0)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure
