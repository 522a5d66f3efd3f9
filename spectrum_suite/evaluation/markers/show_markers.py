"""Tables of what markers do, and the figure of what a length marker does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from spectrum_suite.markdown import markdown_table

_COLOR, _DIAGONAL = "#0072b2", "#9a9a9a"


def markers_markdown(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables of all datasets."""
    return "\n\n".join(
        f"### {name}\n\n{_tables(section)}" + (f"\n\n![length](plots/markers-{name}.png)" if section["marked"] else "")
        for name, section in sections.items()
    )


def _tables(section: Mapping[str, Any]) -> str:
    violation = section["length_violation"]
    shares = {
        "length limit broken, said in words": violation["words"],
        "length limit broken, set as a marker": violation["fixed"],
        **{f"every line in the language, {name}": found for name, found in section["lines_in_language"].items()},
    }
    rows = [[label, *_cells(found, ".1%")] for label, found in shares.items() if found is not None]
    rows += [
        [f"nats per token, markers {name}", *_cells(found, ".3f")]
        for name, found in section["nats_per_token"].items()
        if found is not None
    ]
    measures = markdown_table(["measure", "value", "95% interval", "n"], rows, "lrlr")
    tables = [measures, _bucket_table(section)]
    if section["marked"]:
        tables = [tables[0], _accuracy_table(section), _length_table(section), _moved_table(section), tables[1]]
    return "\n\n".join(filter(None, tables))


def _accuracy_table(section: Mapping[str, Any]) -> str:
    rows = [
        [category, *_cells(found | {"mean": found["inferred"]}, ".1%"), f"{found['majority']:.1%}"]
        for category, found in section["accuracy"].items()
    ]
    return markdown_table(["marker", "inferred right", "95% interval", "n", "most frequent value"], rows, "lrlrr")


def _length_table(section: Mapping[str, Any]) -> str:
    rows = [
        [point["wanted"], f"{point['median']:g}", f"{point['mean']:.1f}", "{:g} to {:g}".format(*point["quartiles"])]
        for point in section["length_curve"]
    ]
    table = markdown_table(["tokens wanted", "median", "mean", "quartiles"], rows, "rrrl")
    found = section["length_correlation"]
    if found["spearman"] is None:
        return table
    low, high = found["ci95"]
    return f"{table}\n\nRank correlation of wanted and got: {found['spearman']:.2f} [{low:.2f}, {high:.2f}]."


def _moved_table(section: Mapping[str, Any]) -> str:
    rows = [
        [f"{category} {value}", _percent(found["set"]), _percent(found["not_set"])]
        for category, values in section["moved"].items()
        for value, found in values.items()
    ]
    return markdown_table(["set", "responses that have it", "without"], rows, "lrr") if rows else ""


def _bucket_table(section: Mapping[str, Any]) -> str:
    columns = ["rows whose", "value is", "n", "nats per token, markers inferred", "fixed", "win rate"]
    rows = []
    for category, scores in section["by_frequency"].items():
        for bucket, inferred in scores["inferred"].items():
            fixed, wins = (scores.get(name, {}).get(bucket) for name in ("fixed", "win_rate"))
            rows.append([category, bucket, inferred["n"], _number(inferred), _number(fixed), _percent(wins)])
    return markdown_table(columns, rows, "llrrrr")


def _cells(found: Mapping[str, Any], shown: str) -> list[object]:
    """A mean, its interval and the number of values."""
    low, high = found["ci95"]
    return [f"{found['mean']:{shown}}", "-" if low is None else f"{low:{shown}} to {high:{shown}}", found["n"]]


def _percent(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{found['mean']:.1%}"


def _number(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{found['mean']:.3f}"


def marker_figures(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    """Name -> figure, for each dataset that was measured on a model with markers."""
    return {f"markers-{name}": length_figure(name, section) for name, section in sections.items() if section["marked"]}


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
