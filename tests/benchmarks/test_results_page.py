"""docs/results.md: from results files to a page with figures, the same each time."""

from dataclasses import replace

import pytest

from benchmarks import results_page as command
from dataset_builder.registry import get_task
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison.page import markdown
from spectrum_suite.evaluation.comparison.run_results import Measured, Results, SeedResult, read_results, write_results


def alignment(values):
    ids = [f"urn/{place}" for place in range(len(values))]
    ones, guess = [1.0] * len(ids), [0.05] * len(ids)
    return {"dist_urn": {"rows": "r", "ids": ids, "js_divergence": values, "coverage": ones, "uniform": guess}}


def run(name, group, values, seeds=(None,)):
    trained = {"seen_tokens": 1000, "seconds": 120.0, "device": "cpu"}
    scores = {"alignment": alignment(values)}
    found = [SeedResult(seed, f"outputs/{name}", "f", trained, scores, 30.0, "cpu") for seed in seeds]
    command_line = f"python train_sft.py --output_dir outputs/{name}"
    return Measured(name, group, command_line, None, None, {"alignment": "colon"}, {}, tuple(found))


@pytest.fixture
def results_file(tmp_path):
    runs = (run("base", "base", [0.1, 0.2, 0.15]), run("spectrum", "spectrum", [0.01, 0.03, 0.02], seeds=(1, 2)))
    measure = {"alignment": {"tasks": ["dist_urn"], "limit": 3}}
    results = Results("Tiny model", "python evaluate_model.py --runs r", "2026-01-02", "s", measure, {}, {}, runs)
    path = tmp_path / "outputs" / "tiny" / "results.json"
    path.parent.mkdir(parents=True)
    write_results(path, results)
    assert read_results(path) == results
    return path


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name, place in (("RUNS", "runs"), ("PAGE", "docs/results.md"), ("FIGURES", "docs/results")):
        monkeypatch.setattr(command, name, tmp_path / place)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    return tmp_path


def test_results_are_taken_in_and_told(results_file, repository):
    command.main([results_file])
    page = (repository / "docs" / "results.md").read_text()
    assert page == command.page(repository / "runs")
    assert "## Tiny model\n" in page
    assert "| spectrum | 0.0200 ± " in page
    claim = "| Closer to held-out distributions than the base | JS divergence (nats), spectrum minus base |"
    assert f"{claim} -0.1300 [" in page
    assert "![tiny-runs.png](results/tiny-runs.png)" in page
    assert (repository / "docs" / "results" / "tiny-runs.png").is_file()


def test_a_summary_comes_before_the_claims(results_file, repository):
    command.main([results_file])
    assert "never trained on.\n\n## The claims at a glance" in (repository / "docs" / "results.md").read_text()
    (repository / "runs" / "summary.md").write_text("It holds.\n")
    assert "never trained on.\n\nIt holds.\n\n## The claims at a glance" in command.page(repository / "runs")


def test_the_page_says_which_versions_its_numbers_are_on_and_what_is_newer(results_file, repository, monkeypatch):
    results = read_results(results_file)
    assert "The suite does not say which versions its tasks have." in markdown(results)
    results = replace(results, task_versions={"dist_urn": get_task("dist_urn").version})
    (line,) = [line for line in markdown(results).splitlines() if line.startswith("Versions of the suite's tasks")]
    assert line.endswith("runs were measured on version 1.0.0 of `dist_urn`. These are the newest versions.")
    write_results(results_file, replace(results, task_versions={"dist_urn": "0.9.0"}))
    command.main([results_file])
    page = (repository / "docs" / "results.md").read_text()
    assert "runs were measured on version 0.9.0 of `dist_urn`. There are newer versions now" in page
    assert "must not be compared with these: of those measured on, `dist_urn` 1.0.0." in page


def test_claims_of_all_results_stand_side_by_side(results_file, repository):
    command.main([results_file])
    runs = repository / "runs"
    (runs / "other.json").write_text((runs / "tiny.json").read_text().replace("Tiny", "Other"))
    page = command.page(runs)
    glance = page[: page.index("\n## Other model\n")].splitlines()
    assert "| claim | Other model | Tiny model |" in glance
    text = "Closer to held-out distributions than the base"
    (line,) = [line for line in glance if line.startswith(f"| {text} |")]
    _, claim, other, tiny, _ = map(str.strip, line.split("|"))
    assert (claim, other) == (text, tiny)
    assert tiny.startswith("**holds**: -0.1300 [")


def test_words_stand_before_the_tables_of_their_results(results_file, repository):
    command.main([results_file])
    (repository / "runs" / "tiny.md").write_text("It is too small to tell.\n")
    assert "## Tiny model\n\nIt is too small to tell.\n\n### What was run" in command.page(repository / "runs")


def test_without_results_there_is_no_page(repository):
    with pytest.raises(UserError, match="no results in runs"):
        command.main([])
