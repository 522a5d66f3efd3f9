"""Fills the numbers and tables of the documents in, from the reports in benchmarks/results/.

    python -m benchmarks.document_numbers

What stands between `<!-- = NAME -->` and `<!-- / -->` in README.md and docs/ is written by the function of that name
below; nothing else in them is touched. A test holds that another run of this changes nothing.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from dataset_builder.registry import all_tasks
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.comparison.claims import samples
from spectrum_suite.evaluation.comparison.measures import MEASURES
from spectrum_suite.evaluation.comparison.pooling import Estimate, estimate
from spectrum_suite.evaluation.comparison.run_results import Measured, SeedResult, read_results

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "benchmarks" / "results"
MAIN = REPORTS / "runs" / "gemma-3-270m.json"
QUICKSTART = REPORTS / "runs" / "quickstart.json"

PLACE = re.compile(r"<!-- = (?P<name>[\w-]+) -->(?P<text>.*?)<!-- / -->", flags=re.DOTALL)

RUNS = {
    "base": "the base model",
    "base in plain text": "the same, asked in plain text",
    "instruction": "tuned on instructions",
    "spectrum": "**Spectrum-tuned**",
}
"""Run of the main comparison -> what the README calls it, in the order of its table."""

TASKS = {
    "dist_urn": "balls from a described urn (held out)",
    "dist_states": "a U.S. state at random (held out)",
    "dist_nytimes": "readers of a book (held out)",
    "dist_coinflip": "fresh coins",
    "dist_categorical": "fresh categories",
    "dist_binomial": "fresh binomials",
    "dist_hypergeometric": "fresh hypergeometrics",
}


def documents() -> list[Path]:
    """The documents that have numbers to be filled in."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def filled(text: str) -> str:
    """A document with every place filled in.

    Raises:
        UserError: It names something that is not known here.
    """

    def value(place: re.Match[str]) -> str:
        name = place["name"]
        if name not in VALUES:
            raise UserError(f"no number {name!r}: there are {', '.join(sorted(VALUES))}")
        return f"<!-- = {name} -->{VALUES[name]()}<!-- / -->"

    return PLACE.sub(value, text)


def table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A Markdown table on lines of its own, all columns but the first to the right."""
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)], *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


@cache
def _report(name: str) -> dict[str, Any]:
    return json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))


@cache
def _run(name: str) -> Measured:
    found = read_results(MAIN).named(name)
    if found is None:
        raise UserError(f"no run {name!r} in {MAIN.name}")
    return found


@cache
def _estimate(run: str, measure: str) -> Estimate:
    found = estimate(samples(_run(run), MEASURES[measure]), MEASURES[measure].pooled)
    if found is None:
        raise UserError(f"run {run!r} of {MAIN.name} has no {measure}")
    return found


def runs_table() -> str:
    """How far from held-out distributions, how much mass on the answers, how many different valid generations."""
    generations = read_results(MAIN).measure["coverage"]["generations"]

    def rows() -> Iterator[Sequence[str]]:
        for name, shown in RUNS.items():
            found = {measure: _estimate(name, measure) for measure in ("js_divergence", "coverage", "yield", "loss")}
            yield (
                shown,
                f"{found['js_divergence'].value:.4f} ± {found['js_divergence'].se:.4f}",
                f"{found['coverage'].value:.0%}",
                f"{found['yield'].value:.1f}",
                f"{found['loss'].value:.2f}",
            )

    return table(
        (
            "Gemma 3 270M", "divergence from the truth (nats)", "mass on the answers",
            f"different valid generations of {generations}", "loss of held-out outputs (nats)",
        ),
        rows(),
    )  # fmt: skip


def gain_over_uniform() -> str:
    """``0.0104, 95% interval 0.0042 to 0.0163``: by how much the tuned model is closer than a uniform guess."""
    found = _estimate("spectrum", "over_uniform")
    low, high = found.ci95
    return f"{-found.value:.4f} nats (95% interval {-high:.4f} to {-low:.4f})"


def seeds() -> str:
    """``1, 2 and 3``."""
    *first, last = (str(seed.seed) for seed in _run("spectrum").seeds)
    return f"{', '.join(first)} and {last}"


def minutes_of_a_seed() -> str:
    """Minutes of training for one seed of the tuned model."""
    return f"{_run('spectrum').seeds[0].training['seconds'] / 60:.0f}"


def kinds_table() -> str:
    """How many tasks of the paper there are of each kind."""
    found = Counter((spec.kind, spec.split) for spec in all_tasks() if spec.origin == "paper")
    trained = f"{found['icl', 'train']} to train on (split `train`), {found['icl', 'test']} held out (`test`)"
    held_out = {kind: f"{found[kind, 'test']} (`test`)" for kind in ("distribution", "coverage")}
    rows = (
        ("`icl`", "many draws from one process", trained),
        ("`distribution`", "a prompt with the true probability of every answer", held_out["distribution"]),
        ("`coverage`", "a kind of thing to generate, and the rule by which an answer is valid", held_out["coverage"]),
    )  # fmt: skip
    return table(("kind", "a row is", "tasks of the paper"), iter(rows))


def tasks() -> str:
    """How many tasks of the paper there are."""
    return str(sum(spec.origin == "paper" for spec in all_tasks()))


def _mean(values: Sequence[float]) -> str:
    error = f" ({stdev(values) / math.sqrt(len(values)):.3f})" if len(values) > 1 else ""
    return f"{fmean(values):.3f}{error}"


def _quickstart() -> tuple[SeedResult, SeedResult]:
    base, tuned = (run.seeds[0] for run in read_results(QUICKSTART).runs)
    return base, tuned


def quickstart_table() -> str:
    """Before and after the quickstart, task by task."""
    base, tuned = (side.scores["alignment"] for side in _quickstart())

    def rows() -> Iterator[Sequence[str]]:
        for task, cells in tuned.items():
            divergences = base[task]["js_divergence"], cells["js_divergence"], cells["uniform"]
            coverages = ", ".join(f"{fmean(side[task]['coverage']):.2f}" for side in (base, tuned))
            yield TASKS[task], str(len(cells["ids"])), *map(_mean, divergences), coverages

    return table(("what is drawn", "n", "base", "quickstart", "uniform guess", "coverage of the two"), rows())


def quickstart_run() -> str:
    """The steps and tokens of the quickstart."""
    training = _quickstart()[1].training
    return f"{training['steps']:,} steps and {training['seen_tokens']:,} tokens"


def urns() -> str:
    """The urns of the quickstart: tuned, base and uniform guess."""
    base, tuned = (side.scores["alignment"]["dist_urn"] for side in _quickstart())
    found = (fmean(values) for values in (tuned["js_divergence"], base["js_divergence"], tuned["uniform"]))
    return "{:.3f} nats, where the base model is at {:.3f} and a uniform guess at {:.3f}".format(*found)


def first_light_run() -> str:
    """The same of the longer run."""
    found = _report("first-light")
    return f"{found['seconds'] / 60:.0f} minutes, {found['seen_tokens']:,} tokens and {found['peak_rss_gib']} GiB"


def _of_uniform(task: str) -> float:
    cells = _report("first-light")["tasks"][task]
    return cells["tuned"]["js_divergence"] / cells["uniform"]["js_divergence"]


def first_light_urns() -> str:
    """The divergence of urns after the longer run, as a share of a uniform guess's."""
    return f"{_of_uniform('dist_urn'):.0%}"


def first_light_others() -> str:
    """The highest of the same shares of the three kinds of numbers."""
    return f"{max(_of_uniform(f'dist_{name}') for name in ('coinflip', 'binomial', 'hypergeometric')):.0%}"


def decisions_table() -> str:
    """KL of models from gold by task, and in brackets what share of the base's distance above the noise is gone."""
    report = _report("decisions")
    models = {name: found["tasks"] for name, found in report["models"].items()}

    def cell(name: str, task: str) -> str:
        kl, base, noise = models[name][task]["kl"], models["base"][task]["kl"], report["noise"][task]
        if name in ("uniform", "base") or noise is None:
            return f"{kl:.3f}"
        return f"{kl:.3f} ({(base - kl) / (base - noise):.0%})"

    def rows() -> Iterator[Sequence[str]]:
        for task, n in report["n"].items():
            noise = report["noise"][task]
            shown = "not known" if noise is None else f"{noise:.3f}"
            yield (f"`{task}`", str(n), shown, *(cell(name, task) for name in models))

    return table(("KL from gold (nats)", "decisions", "noise of the people", *models), rows())


def served_decisions() -> str:
    """How many times the decisions a second of vLLM's server, and of one request at a time, ours gives."""
    found = _report("served-decisions")
    many = f"{found['clients']} requests of {found['decisions_per_request']} questions"
    wall, cpu = _times(found["vs_vllm"]), _times(found["vs_vllm_cpu"])
    return (
        f"With {many} under way it gave {wall} times as "
        f"many decisions a second as vLLM's own server ({cpu} times by the seconds of the processor), and "
        f"{_times(found['vs_single'])} times as many as with one request at a time; one at a time, "
        f"{_times(found['vs_vllm_single'])} times as many as vLLM's. Probabilities differed "
        f"by {found['max_difference']:.7f} at most"
    )


def served_options() -> str:
    """How many times the options a second of lm-evaluation-harness's backend ours scores."""
    found = _report("served-options")
    return (
        f"{_times(found['ratio'])} times as many options a second as lm-evaluation-harness's `local-completions` "
        f"({_times(found['cpu_ratio'])} times by the seconds of the server's processor), with {found['concurrency']} "
        "requests under way"
    )


def served_options_llama_cpp() -> str:
    """The same in front of llama-cpp-python's server."""
    found = _report("served-options-llama-cpp")
    counts = found["options"]
    return (
        f"{_times(found['ratio'])} times as many options a second as the harness's `gguf` "
        f"({_times(found['cpu_ratio'])} times by the seconds of the server's processor; {sum(counts)} options "
        f"in {len(counts)} rounds)"
    )


def sampled_intervals() -> str:
    """How many intervals of 1,000 answers hold the exact divergence."""
    found = _report("sampled-intervals")
    held = found["summary"]["js_divergence"]
    tasks = " and ".join((", ".join(f"`{task}`" for task in found["tasks"][:-1]), f"`{found['tasks'][-1]}`"))
    return (
        f"of {held['of']} items of {tasks}, {held['held']} intervals from {found['n']:,} answers hold the exact "
        f"divergence ({held['held'] / held['of']:.1%})"
    )


def memory_estimates() -> str:
    """How near the announced memory is to that which was taken."""
    ratios = [cell["ratio"] for cell in _report("memory")["cells"].values()]
    near = sum(abs(ratio - 1) <= 0.15 for ratio in ratios)
    return (
        f"within 15% of the peak in {near} of {len(ratios)} runs, at least {min(ratios):.0%} of it and at most "
        f"{max(ratios):.0%}"
    )


def _times(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.1f} [{ratio['lowest']:.1f}, {ratio['highest']:.1f}]"


VALUES: dict[str, Callable[[], str]] = {
    "runs-table": runs_table,
    "gain-over-uniform": gain_over_uniform,
    "seeds": seeds,
    "minutes-of-a-seed": minutes_of_a_seed,
    "kinds-table": kinds_table,
    "tasks": tasks,
    "quickstart-table": quickstart_table,
    "quickstart-run": quickstart_run,
    "first-light-run": first_light_run,
    "first-light-urns": first_light_urns,
    "first-light-others": first_light_others,
    "urns": urns,
    "decisions-table": decisions_table,
    "served-decisions": served_decisions,
    "served-options": served_options,
    "served-options-llama-cpp": served_options_llama_cpp,
    "sampled-intervals": sampled_intervals,
    "memory-estimates": memory_estimates,
}
"""Name of a place -> what writes it."""


def main() -> None:
    """Fill in all documents; say which have changed."""
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    with exit_on_user_error():
        main()
