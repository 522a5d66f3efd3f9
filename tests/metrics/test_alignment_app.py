"""What the Space's page computes from text. gradio itself is not needed: the page is drawn by the Hub."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "metrics" / "spectrum_alignment"


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", ModuleType("gradio"))
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("alignment_app", FOLDER / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scoring"]


def test_every_example_scores(app):
    for example in app.EXAMPLES:
        *_, scores = app.compare(*example)
        assert scores["value"].notna().all()


def test_bars_and_scores_of_probabilities(app):
    target, model, scores = app.compare(
        "heads: 0.5\ntails: 0.5\n", "tails: 0.6\n\nheads: 0.2", "probabilities", 1e-6, False
    )
    assert target.to_dict("list") == {"option": ["heads", "tails"], "probability": [0.5, 0.5]}
    assert model.to_dict("list") == {"option": ["heads", "tails"], "probability": [0.2, 0.6]}
    values = dict(scores.itertuples(index=False))
    assert (values["js_divergence"], values["coverage"]) == (0.0338, 0.8)
    assert "wasserstein" not in values


def test_samples_logs_and_absent_options(app):
    target = "2:1: 0.5\n1:2: 0.5"
    _, model, scores = app.compare(target, "2:1\n2:1\ndraw\n1:2\n", "samples", 0, True)
    assert model["probability"].tolist() == [0.5, 0.25]
    assert dict(scores.itertuples(index=False))["wasserstein"] == pytest.approx(1 / 6, abs=1e-4)
    _, model, _ = app.compare(target, "1:2: -0.6931471805599453", "log_probabilities", 1e-6, False)
    assert model["probability"].tolist() == pytest.approx([0, 0.5])


@pytest.mark.parametrize(
    ("target", "model", "message"),
    [
        ("red 0.5", "red: 1", "line 'red 0.5': write 'option: number'"),
        ("red: 1", "blue: 1", "'blue' is not in the target"),
        ("red: 0.5\nred: 0.5", "red: 1", "'red' is written twice"),
        ("red: 50\nblue: 50", "red: 1", "does not sum to 1"),
    ],
)
def test_mistakes_are_explained(app, target, model, message):
    with pytest.raises(ValueError, match=message):
        app.compare(target, model, "probabilities", 1e-6, False)


def test_bars_are_in_the_order_that_was_written_and_show_what_is_elsewhere(app):
    target, model, _ = app.compare("never: 0.1\nalways: 0.9", "always\n<b>\nalways\nnever", "samples", 0, True)
    drawn = app.draw_bars(target, model)
    rows = [part for part in drawn.split("\n") if "width: " in part]
    assert ["never" in rows[0], "always" in rows[1], "none of these" in rows[2]] == [True] * 3
    assert ["width: 10.00%" in rows[0], "width: 50.00%" in rows[1], "width: 25.00%" in rows[2]] == [True] * 3


def test_an_option_is_text_and_no_markup(app):
    target, model, _ = app.compare("<img>: 0.5\nb: 0.5", "b: 1", "probabilities", 0, False)
    assert "&lt;img&gt;" in app.draw_bars(target, model)
    assert "<img>" not in app.draw_bars(target, model)
