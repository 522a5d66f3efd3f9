"""The card of a run, from the files that the run left, and again from what is kept of them."""

import json

import pytest

from benchmarks import model_cards as command
from spectrum_suite.errors import UserError

TRAINING = {
    "base_model": "embedded:gemma-3-270m", "suite": "outputs/some/suite", "format": "spectrum", "family": "gemma",
    "description_dropout": 0.2, "branching": 0.0, "turn_tokens": "train", "hyperparameters": {"seed": 1},
    "lora": {"lora_r": 16}, "dtype": "float32", "steps": 7, "rows": 12, "rows_per_task": {"coinflip": 12},
    "draws_too_long": 0, "trained_tokens": 345, "seen_tokens": 678, "log": [], "seconds": 90.5, "peak_rss_gib": 2.5,
    "device": "cpu", "versions": {"torch": "1.0"},
}  # fmt: skip


def cell(value):
    return {"mean": value, "se": 0.01}


REPORT = {
    "schema_version": 2,
    "model": {"name": "run", "base": {"name": "a folder of this machine"}},
    "settings": {"format": "spectrum", "dtype": "float32", "device": "cpu", "seed": 42, "limit": 30},
    "comparison": None,
    "alignment": {
        "dist_urn": {
            "n": 30,
            "model": {"js_divergence": cell(0.0271), "coverage": cell(0.92)},
            "uniform": {"js_divergence": cell(0.0385), "coverage": cell(1.0)},
            "items": [{"id": "dist_urn/0001", "options": ["red", "blue"]}],
        }
    },
    "steerability": {},
    "coverage": {},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "SOURCES", tmp_path / "kept")
    monkeypatch.setattr(command, "CARDS", tmp_path / "cards")
    built = {"seed": 42, "tasks": {"coinflip": {"version": "1.0.0", "status": "built", "rows": 9}}}
    written = {
        "run/training_report.json": TRAINING,
        "run/evaluation/report.json": REPORT,
        "suite/build_report.json": built,
    }
    for name, content in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "cards").mkdir()
    return tmp_path / "run"


def test_a_card_is_written_and_rendered_again_from_what_is_kept(run, tmp_path):
    command.main(run, "tiny-spectrum", run / "evaluation", tmp_path / "suite")
    card = tmp_path / "cards" / "tiny-spectrum.md"
    text = card.read_text()
    assert "| `dist_urn` | this model | 0.0271 ± 0.0100 | 0.920 | 30 |" in text
    assert "7 steps, 678 tokens seen" in text
    kept = "".join(path.read_text() for path in (tmp_path / "kept" / "tiny-spectrum").iterdir())
    assert "dist_urn/0001" not in kept  # no single items
    assert "this machine" not in kept
    card.unlink()
    command.main(None, None, None, None)
    assert card.read_text() == text


def test_what_a_card_lacks_is_named(run, tmp_path):
    with pytest.raises(UserError, match="--name and --reports"):
        command.main(run, "tiny", None, None)
    with pytest.raises(UserError, match=r"no report\.json below"):
        command.main(run, "tiny", tmp_path / "suite", tmp_path / "suite")
    with pytest.raises(UserError, match="--suite"):
        command.main(run, "tiny", run / "evaluation", None)
    assert not (tmp_path / "kept").exists()
