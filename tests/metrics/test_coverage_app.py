"""What the page of the coverage metric computes from text. gradio itself is not needed: the Hub draws the page."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "metrics" / "output_coverage"


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", ModuleType("gradio"))
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("coverage_app", FOLDER / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scoring"]


def test_every_example_scores(app):
    for example in app.EXAMPLES:
        curve, scores = app.score(*example)
        assert scores["value"].notna().all()
        assert curve["different valid answers"].is_monotonic_increasing


def test_scores_and_curve(app):
    curve, scores = app.score("red\n\n Red \nblue\nmauve", "Red\nBlue\nGreen\n", True)
    values = dict(zip(scores["metric"], scores["value"], strict=True))
    assert values == {"valid": 0.75, "unique": 0.6667, "yield": 2, "reached": 0.6667, "unique_texts": 1}
    assert curve["different valid answers"].tolist() == pytest.approx([0.75, 4 / 3, 1.75, 2])
    assert curve["generations"].tolist() == [1, 2, 3, 4]
    _, exact = app.score("red\n\n Red \nblue\nmauve", "Red\nBlue\nGreen\n", False)
    assert exact["value"].tolist() == [0.25, 1, 1, 0.3333, 1]


def test_nothing_to_score_is_explained(app):
    with pytest.raises(ValueError, match="at least one generation and one valid answer"):
        app.score("\n", "red", True)
