"""The curve of a run: its checkpoints in the order of their steps, beside the base, the end and a uniform guess."""

import json

import pytest
import yaml

from benchmarks import curve
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison.recipe import Recipe

CELLS = {"base": 0.08, "tuned": 0.01, "uniform": 0.04}
TRAINING = {
    "base_model": "embedded:gemma-3-270m", "seen_tokens": 900, "trained_tokens": 950, "seconds": 12.5,
    "rows_per_task": {"described_shares": 7}, "log": [
        {"step": 5, "seen_tokens": 300, "loss": 2.123456}, {"step": 10, "seen_tokens": 600, "loss": 1.0},
    ],
}  # fmt: skip


RECIPE = {
    "title": "Tiny", "suite": "spectrum-suite", "measure": {"alignment": {"tasks": ["dist_urn"]}},
    "runs": [{"name": "base", "group": "base", "model": "b"}, {"name": "tuned", "group": "spectrum", "model": "t"}],
}  # fmt: skip


def report_of(divergence):
    cell = {"js_divergence": {"mean": divergence, "se": 0.001}, "coverage": {"mean": 1.0, "se": 0.0}}
    guess = cell | {"js_divergence": {"mean": CELLS["uniform"], "se": 0.001}}
    return {
        "schema_version": 2, "failed": [], "alignment": {"dist_urn": {"n": 9, "model": cell, "uniform": guess}},
        "comparison": {"alignment": {"dist_urn": {"js_divergence": {"ci95": [-0.1, -0.05]}}}},
    }  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run in the current folder, whose checkpoints have a divergence of 0.2 / step."""
    monkeypatch.chdir(tmp_path)
    for step in (10, 5, 7):  # no line of the log is of step 7
        (tmp_path / "run" / "adapter" / f"checkpoint-{step}").mkdir(parents=True)
    (tmp_path / "run" / "adapter" / "training_report.json").write_text(json.dumps(TRAINING))
    for side, report in (("base", report_of(CELLS["base"])), ("tuned", report_of(CELLS["tuned"]))):
        folder = tmp_path / "run" / side / "alignment"
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps(report))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    monkeypatch.setattr(curve, "RECIPE", tmp_path / "recipe.yaml")
    (tmp_path / "spectrum-suite").mkdir()
    built = {"tasks": {"described_shares": {"version": "1.2.0"}}}
    (tmp_path / "spectrum-suite" / "build_report.json").write_text(json.dumps(built))

    monkeypatch.setattr(curve, "evaluate", lambda asked, progress: report_of(0.2 / int(asked.model.rpartition("-")[2])))
    monkeypatch.setattr(Recipe, "without_missing_tasks", lambda recipe: recipe)  # the suite holds no rows
    return tmp_path / "run"


def test_the_curve_goes_from_the_base_to_the_end(run, tmp_path):
    numbers, image = tmp_path / "numbers.json", tmp_path / "picture.png"
    curve.main(run, numbers, image)
    found = json.loads(numbers.read_text())
    tokens, shares = zip(*curve.points(found, "dist_urn"), strict=True)
    assert tokens == (0, 300, 600, 900)
    assert shares == pytest.approx((2, 1, 0.5, 0.25))
    assert found["training_loss"][0]["loss"] == 2.1235
    assert found["described_shares"] == "1.2.0"
    image.unlink()
    curve.main(None, numbers, image)
    assert image.stat().st_size > 10_000


def test_what_is_missing_is_said(run, tmp_path):
    for path in (run / "adapter").glob("checkpoint-*"):
        path.rmdir()
    with pytest.raises(UserError, match="has no checkpoint"):
        curve.measure(run)
    (run / "adapter" / "training_report.json").unlink()
    with pytest.raises(UserError, match="finish the run with quickstart"):
        curve.measure(run)
    with pytest.raises(UserError, match="measure them with --run"):
        curve.main(None, tmp_path / "none.json", tmp_path / "picture.png")
