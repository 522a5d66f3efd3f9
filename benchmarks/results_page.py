"""Writes docs/results.md, with its figures, from the results in benchmarks/results/runs.

    python -m benchmarks.results_page                                                # from what is there
    python -m benchmarks.results_page outputs/results/gemma-3-270m/results.json      # takes these in before, under the
                                                                                # name of their folder

A text `benchmarks/results/runs/<name>.md` beside the results of that name says what can be concluded from them, and
comes before their tables; `summary.md` there is what the page begins with.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.comparison.figures import FIGURES as OF_A_PAGE
from spectrum_suite.evaluation.comparison.figures import write_figures
from spectrum_suite.evaluation.comparison.page import claims_at_a_glance, markdown
from spectrum_suite.evaluation.comparison.run_results import read_results

ROOT = Path(__file__).parents[1]
RUNS, PAGE, FIGURES = (ROOT / name for name in ("benchmarks/results/runs", "docs/results.md", "docs/results"))

SUMMARY = "summary.md"
"""Beside the results: what holds, what does not, and at what cost, in a few lines at the top."""

INTRODUCTION = """# Results

```
python -m benchmarks.results_page    # makes this page from the reports in benchmarks/results/runs/
```

The results of the runs that the recipes in `recipes/results/` list: models before and after tuning, on tasks that were
never trained on.
{summary}
## The claims at a glance

The claims of arXiv 2510.06084, and what was found here: the difference of two runs with its 95% interval. A claim
*holds* or *does not hold* where the interval excludes zero on one side or the other; otherwise we *cannot tell here*.
Each column is a section below, which says what was run and measured.

{claims}
"""


def page(runs: Path) -> str:
    """The whole page, from a folder of results."""
    found = {path: read_results(path) for path in result_files(runs)}
    summary = runs / SUMMARY
    told = f"\n{summary.read_text(encoding='utf-8').strip()}\n" if summary.is_file() else ""
    parts = [INTRODUCTION.format(summary=told, claims=claims_at_a_glance(list(found.values())))]
    for path, results in found.items():
        told = path.with_suffix(".md")
        names = [f"{path.stem}-{figure}.png" for figure in OF_A_PAGE]
        section = markdown(results, [f"results/{name}" for name in names if (FIGURES / name).is_file()], level=2)
        if told.is_file():
            title, _, rest = section.partition("\n")
            section = f"{title}\n\n{told.read_text(encoding='utf-8').strip()}\n{rest}"
        parts.append(section)
    return "\n".join(parts)


def result_files(runs: Path) -> list[Path]:
    """The results in a folder, by name."""
    return sorted(runs.glob("*.json"), key=lambda path: path.stem)


def main(taken: Sequence[Path]) -> None:
    """Take new results in, then write the page and its figures."""
    for path in taken:
        read_results(path)
    RUNS.mkdir(parents=True, exist_ok=True)
    for path in taken:
        shutil.copyfile(path, RUNS / f"{path.resolve().parent.name}.json")
    if not result_files(RUNS):
        raise UserError(f"no results in {RUNS.relative_to(ROOT)}: name some that evaluate_model.py --runs has written")
    PAGE.parent.mkdir(exist_ok=True)
    for path in result_files(RUNS):
        write_figures(read_results(path), FIGURES, f"{path.stem}-")
    PAGE.write_text(page(RUNS), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="*", type=Path, help="results.json of evaluate_model.py --runs")
    with exit_on_user_error():
        main(parser.parse_args().results)
