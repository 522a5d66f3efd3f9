"""The tables of what markers do, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
