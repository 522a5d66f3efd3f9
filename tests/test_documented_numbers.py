"""The numbers of the README are those of the committed reports."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = {
    "dist_urn": "balls from a described urn (held out)",
    "dist_states": "a U.S. state at random (held out)",
    "dist_nytimes": "readers of a book (held out)",
    "dist_coinflip": "fresh coins",
    "dist_categorical": "fresh categories",
    "dist_binomial": "fresh binomials",
    "dist_hypergeometric": "fresh hypergeometrics",
}


def divergence(cell):
    error = "" if cell["se"] is None else f" ({cell['se']:.3f})"
    return f"{cell['js_divergence']:.3f}{error}"


def rows(summary):
    """The lines of the table that a run of the quickstart gives."""
    for task, cells in summary["tasks"].items():
        divergences = [divergence(cells[side]) for side in ("base", "tuned", "uniform")]
        coverages = [f"{cells[side]['coverage']:.2f}" for side in ("base", "tuned")]
        yield f"| {' | '.join([NAMES[task], str(cells['tuned']['n']), *divergences, *coverages])} |"


def summary_of(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))["summary"]


def test_the_table_of_the_quickstart_is_that_of_its_run():
    table = re.search(r"<!-- quickstart-table -->\n.*?\n.*?\n(.*?)\n\n", README, flags=re.DOTALL)[1]
    summary = summary_of("quickstart")
    assert table.splitlines() == list(rows(summary))
    assert f"took {summary['seconds'] / 60:.0f} minutes on two cores and {summary['peak_rss_gib']} GiB" in README


def test_what_is_said_of_the_longer_run_is_what_it_gave():
    families = {
        "categories": "dist_categorical",
        "binomials": "dist_binomial",
        "hypergeometrics": "dist_hypergeometric",
    }
    tasks = summary_of("first-light")["tasks"]
    for name, task in families.items():
        assert f"{name} to {tasks[task]['tuned']['js_divergence']:.3f}" in README
