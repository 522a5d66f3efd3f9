"""The page of a comparison: what was run, the claims, the runs side by side, and how to reproduce it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from dataset_builder.registry import all_tasks
from spectrum_suite.evaluation.comparison.claims import Claim, check_claims, samples
from spectrum_suite.evaluation.comparison.figures import write_figures
from spectrum_suite.evaluation.comparison.marker_tables import marker_tables
from spectrum_suite.evaluation.comparison.measures import MEASURES, Measure, uniform_is_the_answer
from spectrum_suite.evaluation.comparison.pooling import Estimate, difference, estimate
from spectrum_suite.evaluation.comparison.run_results import RESULTS, Measured, Results, write_results
from spectrum_suite.markdown import markdown_table, markdown_templates

PAGE = "results.md"

_NAMED = 8
"""So many tasks of one version are named; of more, the number is given, and ``results.json`` has them all."""

_AGAINST_BASE = (
    "loss",
    "accuracy",
    "ece",
    "valid",
    "yield",
    "js_divergence",
    "coverage",
    "ranking",
    "ends",
    "too_long_said",
    "nats",
)


def write_page(results: Results, folder: Path) -> None:
    """Write ``results.json``, ``results.md`` and ``plots/`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder / RESULTS, results)
    images = write_figures(results, folder / "plots", "")
    (folder / PAGE).write_text(markdown(results, [f"plots/{path.name}" for path in images]), encoding="utf-8")


def markdown(results: Results, images: Sequence[str] = (), *, level: int = 1) -> str:
    """The page.

    Args:
        results: Of a recipe.
        images: Addresses of its figures, as the page is to name them.
        level: Of its title.
    """
    claims = check_claims(results)
    checked = [claim for claim in claims if claim.was_checked]
    template = _environment().get_template("results.md.jinja")
    return template.render(
        results=results,
        title="#" * level,
        heading="#" * (level + 1),
        claims=checked,
        unchecked=list(dict.fromkeys(claim.text.partition(":")[0] for claim in claims if not claim.was_checked)),
        tables={desideratum: _cross_table(results, desideratum) for desideratum in results.measure},
        one_table=results.one_table and _one_table(results),
        marker_tables=marker_tables(results),
        base=base_of(results),
        differences=_differences(results),
        similarities=_similarities(results),
        win_rates=_win_rates(results),
        of_tasks=_of_tasks(results),
        images=images,
        verdicts=Counter(claim.verdict for claim in checked),
        versions=versions_text(results),
    )


def versions_text(results: Results) -> str:
    """Which versions of the suite's tasks the numbers are on, and which of these have newer ones by now."""
    known = results.task_versions
    if results.suite is None:
        return ""
    if not known:
        return "The suite does not say which versions its tasks have."
    newest = {spec.name: spec.version for spec in all_tasks()}
    sentences, newer = [], []
    for what, tasks in (("measured on", results.measured_tasks), ("trained on", results.trained_tasks)):
        told = sorted(tasks & known.keys())
        if told:
            sentences.append(f"Runs were {what} {_at_versions({task: known[task] for task in told})}.")
        risen = [f"`{task}` {newest[task]}" for task in told if newest.get(task, known[task]) != known[task]]
        if risen:
            newer.append(f"of those {what}, {', '.join(risen)}")
    sentences.append(
        "There are newer versions now, with other rows; numbers on them must not be compared with these: "
        f"{'; '.join(newer)}."
        if newer
        else "These are the newest versions."
    )
    return f"Versions of the suite's tasks: {' '.join(sentences)[0].lower()}{' '.join(sentences)[1:]}"


def _at_versions(versions: Mapping[str, str]) -> str:
    """Versions and their tasks, by name where they are few."""
    by_version: dict[str, list[str]] = {}
    for task, version in versions.items():
        by_version.setdefault(version, []).append(f"`{task}`")
    return "; ".join(
        f"version {version} of {', '.join(names) if len(names) <= _NAMED else f'{len(names)} tasks'}"
        for version, names in sorted(by_version.items())
    )


def claims_at_a_glance(pages: Sequence[Results]) -> str:
    """A table of the paper's claims, with what came of each in several comparisons."""
    checked = [{claim.text: claim for claim in check_claims(results) if claim.was_checked} for results in pages]
    texts = dict.fromkeys(text for claims in checked for text in claims)
    rows = [[text, *(_at_a_glance(claims.get(text)) for claims in checked)] for text in texts]
    return _table(["claim", *(results.title for results in pages)], rows)


def _at_a_glance(claim: Claim | None) -> str:
    """``**holds**: -0.065 [-0.077, -0.053] *``."""
    if claim is None:
        return "-"
    figures = "; ".join(_interval(figure.estimate, figure.measure) for figure in claim.figures)
    return f"**{claim.verdict}**: {figures}"


def base_of(results: Results) -> Measured | None:
    """The run that the others are compared with: the base model, the instruction-tuned one, or the first of all."""
    return results.first("base") or results.first("instruction-tuned") or next(iter(results.runs), None)


def _cross_table(results: Results, desideratum: str) -> str:
    """Every run, and its numbers of one desideratum, with standard errors; without what no run has."""
    found = {measure: [_of_run(run, measure) for run in results.runs] for measure in _measures(desideratum)}
    measures = [measure for measure, estimates in found.items() if any(estimates)]
    rows = [
        [run.name, *(_estimate(found[measure][place], measure) for measure in measures)]
        for place, run in enumerate(results.runs)
        if any(found[measure][place] for measure in measures)
    ]
    return _table(["run", *(measure.label for measure in measures)], rows)


def _one_table(results: Results) -> str:
    """The measures that the recipe asks for, of every run, and how long it was tuned."""
    measures = [MEASURES[name] for name in results.one_table["measures"]]
    columns = [_on_shared_tasks(results, measure) for measure in measures]
    rows = [
        [run.name, *(column[place] for column in columns), _training(run)] for place, run in enumerate(results.runs)
    ]
    names = ["run", *(measure.label for measure in measures), "tuned on"]
    return markdown_table(names, rows, f"l{'r' * len(measures)}l")


def _on_shared_tasks(results: Results, measure: Measure) -> list[str]:
    """A cell for each run, on the tasks that all those have which were measured: others would be no comparison.

    A run that has fewer values there, of items that it gave no readable answer to, says on how many.
    """
    of_runs = [samples(run, measure) for run in results.runs]
    tasks = [set(sample) for some in of_runs for sample in some if sample]
    shared = set.intersection(*tasks) if tasks else set()
    found = [
        estimate([{task: units for task, units in sample.items() if task in shared} for sample in some], measure.pooled)
        for some in of_runs
    ]
    most = max((each.units for each in found if each), default=0)
    return [
        _estimate(each, measure) + (f" of {each.units} of {most}" if each and each.units < most else "")
        for each in found
    ]


def _differences(results: Results) -> str:
    """Every other run minus the base, with intervals."""
    base, measures = base_of(results), [MEASURES[name] for name in _AGAINST_BASE]
    measures = [measure for measure in measures if measure.desideratum in results.measure]
    rows = [
        [run.name, *(_interval(_against(run, base, measure), measure) for measure in measures)]
        for run in results.runs
        if base and run is not base
    ]
    return _table(["run", *(measure.label for measure in measures)], rows) if rows else ""


def _similarities(results: Results) -> str:
    """Of the models tuned on a narrow task: do responses look like its own where instructions do?"""
    rows = []
    for run in results.runs:
        for seed in run.seeds:
            for section in seed.scores.get("instruction", {}).values():
                if found := section.get("similarity"):
                    values = (found["correlation"], *found["ci95"])
                    value, low, high = ("-" if number is None else f"{number:+.2f}" for number in values)
                    rows.append([run.name, found["to"], str(found["n"]), f"{value} [{low}, {high}]"])
    return _table(["run", "narrow task", "instructions", "rank correlation"], rows) if rows else ""


def _win_rates(results: Results) -> str:
    """Of the runs that were compared with another, by a judge."""
    rows = []
    for run in results.runs:
        for seed in run.seeds:
            for data, section in seed.scores.get("instruction", {}).items():
                if found := section.get("over_other"):
                    rates = [_rate(found, name) for name in ("win_rate", "length_controlled")]
                    rows.append([run.name, found["other"], data, str(found["n"]), *rates, found["judge"]])
    columns = ["run", "over", "data", "instructions", "win rate", "at equal lengths", "judge"]
    return markdown_table(columns, rows, "lllrrrl") if rows else ""


def _rate(found: Mapping[str, Any], name: str) -> str:
    """``0.62 [0.55, 0.69]``."""
    low, high = found[f"{name}_ci95"]
    return f"{found[name]:.2f} [{low:.2f}, {high:.2f}]"


def _of_tasks(results: Results) -> dict[str, str]:
    """Desideratum -> a table of the runs' means on every task."""
    found = {}
    for desideratum, measure in (("steerability", "loss"), ("alignment", "js_divergence")):
        if desideratum in results.measure:
            tasks = list(
                dict.fromkeys(task for run in results.runs for task in run.seeds[0].scores.get(desideratum, ()))
            )
            rows = [[run.name, *(_on_task(run, desideratum, task, measure) for task in tasks)] for run in results.runs]
            if desideratum == "alignment":
                rows.append(["uniform guess", *(_uniform(results, task) for task in tasks)])
            found[desideratum] = _table(["run", *tasks], rows)
    return found


def _on_task(run: Measured, desideratum: str, task: str, name: str) -> str:
    """The mean of a measure on one task."""
    measure = MEASURES[name]
    if any(task not in seed.scores.get(desideratum, {}) for seed in run.seeds):
        return "-"
    alone = [{desideratum: {task: _individual(seed.scores[desideratum][task])}} for seed in run.seeds]
    return _estimate(estimate([measure.sample(scores) for scores in alone], measure.pooled), measure)


def _individual(section: dict[str, Any]) -> dict[str, Any]:
    """The section as that of a task on its own, outside its group."""
    return section | ({"capability": False} if "capability" in section else {})


def _uniform(results: Results, task: str) -> str:
    section = next(run.seeds[0].scores["alignment"][task] for run in results.runs if "alignment" in run.seeds[0].scores)
    if uniform_is_the_answer(section):
        return "the answer"
    return f"{math.fsum(section['uniform']) / len(section['uniform']):.4f}"


def _measures(desideratum: str) -> list[Measure]:
    return [measure for measure in MEASURES.values() if measure.desideratum == desideratum]


def _of_run(run: Measured, measure: Measure) -> Estimate | None:
    return estimate(samples(run, measure), measure.pooled)


def _against(run: Measured, base: Measured, measure: Measure) -> Estimate | None:
    return difference(samples(run, measure), samples(base, measure), measure.pooled)


def _estimate(found: Estimate | None, measure: Measure) -> str:
    """``0.027 ± 0.002``, and after it the spread over seeds."""
    if found is None:
        return "-"
    error = "" if math.isnan(found.se) else f" ± {found.se:.{measure.digits}f}"
    spread = "" if math.isnan(found.seed_sd) else f" ({found.seed_sd:.{measure.digits}f})"
    return f"{found.value:.{measure.digits}f}{error}{spread}"


def _interval(found: Estimate | None, measure: Measure) -> str:
    """``-0.065 [-0.077, -0.053] *``."""
    if found is None:
        return "-"
    value, low, high = (f"{number:+.{measure.digits}f}" for number in (found.value, *found.ci95))
    if math.isnan(found.se):
        return value
    return f"{value} [{low}, {high}]" + (" *" if found.sign else "")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return markdown_table(columns, rows, "l".ljust(len(columns), "r"))


def _formats(run: Measured) -> str:
    """The format of a run, or where it has several, that of each desideratum."""
    if len(set(run.formats.values())) == 1:
        return f"`{next(iter(run.formats.values()))}`"
    return ", ".join(f"`{text_format}` ({desideratum})" for desideratum, text_format in run.formats.items())


def _training(run: Measured) -> str:
    """How long a run was trained, on how much and on what."""
    told = [seed.training for seed in run.seeds if seed.training]
    if not told:
        return "-"
    runs = [run for report in told for run in (*report.get("before", []), report)]
    tokens, minutes = (sum(run[name] for run in runs) / len(told) for name in ("seen_tokens", "seconds"))
    devices = ", ".join(sorted({report["device"] for report in told}))
    return f"{tokens:,.0f} tokens in {minutes / 60:.0f} minutes on {devices}"


def _commands(run: Measured) -> Iterator[str]:
    """The commands that train a run, one per seed."""
    for seed in run.seeds:
        if run.train:
            yield run.train.replace("{seed}", str(seed.seed))


def _settings(part: dict[str, Any]) -> str:
    """``tasks: dist_urn, dist_states; limit: 100``."""
    shown = {
        name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value for name, value in part.items()
    }
    return "; ".join(f"{name}: {value}" for name, value in shown.items())


@cache
def _environment() -> Environment:
    environment = markdown_templates(Path(__file__).parents[1] / "templates")
    environment.filters |= {
        "formats": _formats, "training": _training, "commands": _commands, "interval": _interval,
        "settings": _settings,
    }  # fmt: skip
    return environment
