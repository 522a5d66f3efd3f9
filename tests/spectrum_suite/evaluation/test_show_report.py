"""The figures show the numbers of the report."""

import pytest
from matplotlib.text import Text

from spectrum_suite.evaluation.alignment.show_alignment import MAX_OPTIONS, spread, summary_figure, task_figure
from spectrum_suite.evaluation.show_report import plot_names, write_plots

NAMES = ("alignment", "alignment-colors", "alignment-silent")


def item(name, divergence, *, target=(0.75, 0.25), model=(0.5, 0.5), options=("red", "blue")):
    return {
        "id": f"colors/{name}",
        "options": list(options),
        "target": list(target),
        "probabilities": list(model),
        "scores": {"js_divergence": divergence, "coverage": 0.5},
    }


def section(items, mean=0.1, se=0.02):
    cells = {"js_divergence": {"mean": mean, "se": se}, "coverage": {"mean": 0.5, "se": se}}
    return {"n": len(items), "items": items, "model": cells, "uniform": cells}


def test_items_are_spread_from_the_best_to_the_worst():
    items = [item(n, n / 10) for n in (3, 0, 7, 1, 9, 2, 8, 5, 4, 6, 10)]
    assert [found["id"] for found in spread(items, 3)] == ["colors/0", "colors/5", "colors/10"]
    assert len(spread(items, 20)) == 11
    assert [found["id"] for found in spread([item("a", None), item("b", 0.1)], 3)] == ["colors/b"]
    assert [found["id"] for found in spread([item("a", None)], 3)] == ["colors/a"]


def test_bars_are_as_high_as_the_probabilities():
    (axis,) = task_figure("colors", section([item(0, 0.1)])).axes
    assert [bar.get_height() for bar in axis.patches] == pytest.approx([0.75, 0.25, 0.5, 0.5])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["red", "blue"]
    assert "JS 0.100, coverage 0.50" in axis.get_title(loc="left")


def test_long_options_lie_and_a_dollar_is_no_formula():
    options = ("a rather long answer", "$5 or $6")
    (axis,) = task_figure("colors", section([item(0, 0.1, options=options)])).axes
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([0.75, 0.25, 0.5, 0.5])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a rather long answer", r"\$5 or \$6"]


def test_the_title_is_within_the_figure_and_the_legend_hides_no_text():
    options = ("Very unlikely", "Somewhat likely")
    items = [item(name, 0.1, options=options) for name in range(12)]
    figure = task_figure("dist_books_about_travel_new_questions", section(items) | {"n": 40})
    figure.canvas.draw()
    (legend,) = figure.legends
    texts = [text for text in figure.findobj(Text) if text.get_text() and text not in legend.get_texts()]
    assert any(text.get_text() == "probability" for text in texts)
    for text in texts:
        assert not text.get_window_extent().overlaps(legend.get_window_extent())
        assert figure.bbox.x0 <= text.get_window_extent().x0 < text.get_window_extent().x1 <= figure.bbox.x1


def test_of_many_options_the_likeliest_are_shown():
    count = MAX_OPTIONS + 10
    target = [0.0] * 10 + [1 / MAX_OPTIONS] * MAX_OPTIONS
    many = item(0, 0.1, target=target, model=[0.0] * count, options=[f"option {n}" for n in range(count)])
    (axis,) = task_figure("colors", section([many])).axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == [f"option {n}" for n in range(10, count)]
    assert "10 less likely options not shown" in axis.get_title(loc="left")


def test_files_of_a_report(whole_figures, tmp_path, caplog):
    caplog.set_level("INFO")
    nothing = section([item(0, None, model=(float("nan"), None))], mean=None, se=None)
    report = {
        "model": {"name": "tuned"},
        "settings": {"format": "spectrum"},
        "steerability": {},
        "coverage": {},
        "alignment": {"colors": section([item(0, 0.1), item(1, 0.2)]), "silent": nothing},
    }
    paths = write_plots(report, tmp_path / "plots")
    names = [f"{name}.{kind}" for name in NAMES for kind in ("png", "pdf", "svg")]
    assert [path.name for path in paths] == names == plot_names(report)
    begins = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
    before = {path: path.read_bytes() for path in paths}
    assert all(content.startswith(begins[path.suffix]) for path, content in before.items())
    assert b"mean JS divergence" in before[tmp_path / "plots" / "alignment-colors.svg"]  # as text
    write_plots(report, tmp_path / "plots")
    assert not caplog.records  # of fonts, say
    assert {path: path.read_bytes() for path in paths} == before
    left, right = summary_figure(report).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["colors", "silent"]
    assert left.lines[0].get_xdata()[0] == pytest.approx(0.1)
    assert right.lines[0].get_xdata()[0] == pytest.approx(0.5)
