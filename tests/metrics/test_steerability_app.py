"""What the Space's page computes from text. gradio itself is not needed: the page is drawn by the Hub."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "metrics" / "in_context_steerability"


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", ModuleType("gradio"))
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("steerability_app", FOLDER / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scoring"]


def test_curve_and_scores_of_losses(app):
    curve, bars, scores = app.score(app.EXAMPLES[0][0], 10)
    assert curve.to_dict("list") == {"k": [0, 1, 2], "loss": [2.5, 1.5, 0.75]}
    assert bars.empty
    values = dict(zip(scores["metric"], scores["with examples"], strict=True))
    assert (values["loss"], values["accuracy"]) == (1.125, None)


def test_accuracy_by_confidence(app):
    _, bars, scores = app.score(app.EXAMPLES[1][0], 10)
    assert bars["confidence"].tolist() == pytest.approx([0.6, 0.7, 0.8, 0.9])
    assert bars["accuracy"].tolist() == [0.5, 1, 0.5, 1]
    assert scores["with examples"].tolist()[2] == pytest.approx(4 / 6, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sequence,k\na,1", "no column 'loss'"),
        ("sequence,k,loss,prob\na,1,2,3", "column 'prob' is not known"),
        ("sequence,k,loss\na,1,2\na,1,3", "two outputs with k = 1"),
    ],
)
def test_mistakes_are_explained(app, text, message):
    with pytest.raises(ValueError, match=message):
        app.score(text, 10)
