"""The numbers of the README, the docs and the cards are those of the committed reports: every table is made again."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import gallery_picture, model_cards, results_page
from dataset_builder.registry import all_tasks
from spectrum_suite.evaluation.comparison.claims import samples
from spectrum_suite.evaluation.comparison.measures import MEASURES
from spectrum_suite.evaluation.comparison.page import markdown
from spectrum_suite.evaluation.comparison.pooling import estimate
from spectrum_suite.evaluation.comparison.run_results import read_results

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


def tables(text):
    """The tables of a Markdown text that have a number in them, each as its lines; code and `16-bit` do not count."""
    blocks = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)]
    return [block for block in blocks if re.search(r"\b\d+\b(?!-)", re.sub(r"`.*?`", "", " ".join(block[2:])))]


def divergence(cell):
    error = "" if cell["se"] is None else f" ({cell['se']:.3f})"
    return f"{cell['js_divergence']:.3f}{error}"


def summary_of(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def quickstart_rows():
    """The lines of the table that the run of the quickstart and the longer one give."""
    longer = summary_of("first-light")["tasks"]
    for task, cells in summary_of("quickstart")["tasks"].items():
        assert {side: longer[task][side] for side in ("base", "uniform")} == {
            side: cells[side] for side in ("base", "uniform")
        }
        runs = cells["base"], cells["tuned"], longer[task]["tuned"]
        divergences = [divergence(cell) for cell in (*runs, cells["uniform"])]
        coverages = ", ".join(f"{cell['coverage']:.2f}" for cell in runs)
        yield f"| {' | '.join([NAMES[task], str(cells['tuned']['n']), *divergences, coverages])} |"


def kind_rows():
    """How many tasks of the paper there are of each kind."""
    found = Counter((spec.kind, spec.split) for spec in all_tasks() if spec.origin == "paper")
    told = {"icl": "many draws from one process", "distribution": "a prompt with the true probability of every answer",
            "coverage": "a kind of thing to generate, and the rule by which an answer is valid"}  # fmt: skip
    trained = f"{found['icl', 'train']} to train on (split `train`), {found['icl', 'test']} held out (`test`)"
    counts = {kind: trained if kind == "icl" else f"{found[kind, 'test']} (`test`)" for kind in told}
    return [f"| `{kind}` | {counts[kind]} | {told[kind]} |" for kind in told]


README_TABLES = {"what is drawn": quickstart_rows, "kind": kind_rows}
"""First cell of a table -> what makes its rows again."""


def is_remade(table):
    return table[2:] == list(README_TABLES[table[0].split("|")[1].strip()]())


def test_every_table_of_the_readme_is_made_from_committed_reports():
    found = tables(README)
    assert len(found) == len(README_TABLES)
    assert all(map(is_remade, found))


def test_a_wrong_digit_in_a_table_would_be_found():
    for table in tables(README):
        wrong = re.sub(r"\d", lambda found: str(9 - int(found[0])), table[2], count=1)
        assert not is_remade([*table[:2], wrong, *table[3:]])


def test_no_other_document_has_a_table_of_numbers():
    """All others are made as a whole, by the commands below."""
    made = {results_page.PAGE, *(model_cards.CARDS / f"{path.name}.md" for path in model_cards.SOURCES.glob("*"))}
    others = {*(ROOT / "docs").rglob("*.md"), *(ROOT / "model_cards").glob("*.md")} - made
    assert not [path for path in others if tables(path.read_text(encoding="utf-8"))]


def test_every_card_has_its_sources_and_every_source_its_card():
    written = {path.stem for path in (ROOT / "model_cards").glob("*.md")} - {"README"}
    assert written == {path.name for path in model_cards.SOURCES.glob("*") if path.is_dir()}
    for name in written:
        assert (ROOT / "model_cards" / f"{name}.md").read_text(encoding="utf-8") == model_cards.card(
            model_cards.SOURCES / name
        )


def test_the_page_of_results_is_the_one_that_its_command_writes():
    assert results_page.PAGE.is_file() == bool(results_page.result_files(results_page.RUNS))
    if results_page.PAGE.is_file():
        assert results_page.PAGE.read_text(encoding="utf-8") == results_page.page(results_page.RUNS)


def test_the_gallery_shows_what_was_measured():
    found = json.loads((ROOT / gallery_picture.NUMBERS).read_text(encoding="utf-8"))["worlds"]
    asked = [json.loads(json.dumps(vars(world))) for world in gallery_picture.worlds()]
    assert [{name: world[name] for name in vars(gallery_picture.worlds()[0])} for world in found] == asked
    assert (ROOT / gallery_picture.PICTURE).stat().st_size < 200_000


def test_what_is_said_of_the_method_is_what_the_runs_gave():
    """The section `Does it work?` names the numbers of the page of results."""
    found = read_results(results_page.RUNS / "gemma-3-270m.json")
    page = markdown(found)
    said = README[README.index("## Does it work?") : README.index("## What the quickstart shows")]
    divergence, mass, generations = {}, {}, {}
    for run in found.runs:
        for measure, kept in (("js_divergence", divergence), ("coverage", mass), ("yield", generations)):
            kept[run.name] = estimate(samples(run, MEASURES[measure]), MEASURES[measure].pooled).value
    for name in ("spectrum", "base", "base in plain text", "instruction"):
        assert f"{divergence[name]:.4f}" in said
    assert f"{mass['spectrum']:.0%} of its probability" in said
    assert f"the base {mass['base']:.0%}" in said
    drawn = found.measure["coverage"]["generations"]
    assert f"({generations['spectrum']:.1f} of {drawn} for {generations['instruction']:.1f})" in said
    assert f"seeds {', '.join(str(seed.seed) for seed in found.named('spectrum').seeds)}" in said
    [(guess, low, high)] = re.findall(r"by (0\.\d+), 95% interval (0\.\d+) to (0\.\d+)", said)
    assert f"| -{guess} [-{high}, -{low}] * | **holds** |" in page
    [minutes] = re.findall(r"after (\d+) minutes of tuning on two cores", README)
    assert round(found.named("spectrum").seeds[0].training["seconds"] / 60) == int(minutes)
    assert f"A seed takes {minutes} minutes of two cores" in said


def test_what_is_said_of_single_seeds_is_what_they_gave():
    """In the words beside the results: how many seeds are better than a uniform guess, task by task."""
    better = Counter()
    for seed in read_results(results_page.RUNS / "gemma-3-270m.json").named("spectrum").seeds:
        for task, scores in seed.scores["alignment"].items():
            better[task] += sum(scores["js_divergence"]) < sum(scores["uniform"])
    assert better == {"dist_urn": 3, "dist_nytimes": 3, "dist_global_oqa": 2, "dist_states": 0}
    words = (results_page.RUNS / "gemma-3-270m.md").read_text(encoding="utf-8")
    assert "on which every seed is better than the guess" in words
    assert "two of them are better than the guess and one is worse" in words


def test_what_is_said_of_the_quickstart_is_what_it_gave():
    summary = summary_of("quickstart")
    urn = {side: summary["tasks"]["dist_urn"][side]["js_divergence"] for side in ("base", "tuned", "uniform")}
    assert "divergence is less than a third of the base model's and below that of a uniform guess" in README
    assert urn["tuned"] < min(urn["base"] / 3, urn["uniform"])
    assert round(summary["seconds"] / 60) == 10
    assert f"of tuning and {summary['peak_rss_gib']} GiB" in README


def test_what_is_said_of_the_longer_run_is_what_it_gave():
    summary, before = summary_of("first-light"), summary_of("quickstart")["tasks"]
    assert f"after the {summary['seconds'] / 60:.0f} minutes of" in README
    of_uniform = {
        task: cells["tuned"]["js_divergence"] / cells["uniform"]["js_divergence"]
        for task, cells in summary["tasks"].items()
        if cells["uniform"]["js_divergence"]
    }
    assert of_uniform["dist_urn"] == pytest.approx(0.25, abs=0.02)
    assert max(of_uniform[f"dist_{name}"] for name in ("coinflip", "binomial", "hypergeometric")) < 1 / 5
    for task in ("dist_nytimes", "dist_states"):
        assert summary["tasks"][task]["tuned"]["js_divergence"] >= before[task]["tuned"]["js_divergence"]


def test_words_beside_results_have_the_numbers_of_their_tables():
    """What is concluded from results by hand names no number that they do not hold."""
    for path in results_page.RUNS.glob("*.md"):
        page = markdown(read_results(path.with_suffix(".json")))
        assert not [
            number for number in re.findall(r"\d+\.\d+", path.read_text(encoding="utf-8")) if number not in page
        ]
