"""Tables and figures of coverage show the numbers of the report."""

import numpy as np
import pytest

from spectrum_suite.evaluation.coverage.show_coverage import (
    coverage_figures,
    coverage_markdown,
    even_yield,
    valid_unique_figure,
    yield_figure,
)
from spectrum_suite.evaluation.coverage.summarize_coverage import TaskCoverage


def section(items, *, size=4, prompting="both", unfinished=0):
    texts = tuple(map(str, items))
    return TaskCoverage("t", prompting, (), texts, tuple(items), size, unfinished, "rule", "f", 0.5).as_dict()


SECTIONS = {
    "cov_colors": {"description": section(["a", "a", "b", None]), "both": section(["a", "b", "c", "d"])},
    "cov_silent": {"both": section([None] * 4, size=None, unfinished=3)},
}


def test_a_line_per_task_and_a_mean():
    tables = coverage_markdown(SECTIONS).split("\n\n")
    assert tables[0].splitlines()[0] == "| description | generations | valid | unique | yield | reached | unfinished |"
    colors = "| cov_colors | 4 | 0.750 ± 0.250 | 0.667 ± 0.222 | 2.0 ± 0.8 | 0.500 ± 0.188 | 0 |"
    assert tables[0].splitlines()[2] == colors
    assert tables[1].splitlines()[3] == "| cov_silent | 4 | 0.000 ± 0.000 | - | 0.0 ± 0.0 | - | 3 |"
    mean = "| **mean** |  | 0.500 ± 0.000 | 1.000 ± 0.000 | 2.0 ± 0.0 | 1.000 ± 0.000 | 3 |"
    assert tables[1].splitlines()[4] == mean


def test_points_lie_at_valid_and_unique():
    description, both = valid_unique_figure(SECTIONS).axes
    (point,) = description.containers
    assert point.lines[0].get_xydata().tolist() == [[0.75, pytest.approx(2 / 3)]]
    assert [line.lines[0].get_xydata().tolist()[0] for line in both.containers] == [[1, 1], [0, 0]]
    assert [name.get_text() for name in both.texts[4:]] == ["colors", "silent"]
    assert both.get_title() == "both: mean yield 2.0 over 2 tasks"
    grey = [line for line in description.lines if len(line.get_xdata()) > 1]
    for line, share in zip(grey, (0.1, 0.25, 0.5, 0.75), strict=True):
        np.testing.assert_allclose(np.prod(line.get_xydata(), axis=1), share)


def test_tasks_at_one_point_are_named_above_each_other():
    silent = section([None] * 4)
    (axis,) = valid_unique_figure({"cov_a": {"both": silent}, "cov_b": {"both": silent}}).axes
    assert [name.get_text() for name in axis.texts[4:]] == ["a\nb"]


def test_curves_are_those_of_the_report():
    colors, silent, *_ = yield_figure(SECTIONS).axes
    lines = {line.get_label(): line.get_ydata() for line in colors.lines}
    assert list(lines["both"]) == [1, 2, 3, 4]
    assert list(lines["description"]) == pytest.approx([0.75, 1.3333, 1.75, 2])
    np.testing.assert_allclose(lines["even sampler"], 4 * (1 - 0.75 ** np.arange(1, 5)))
    assert [line.get_label() for line in silent.lines] == ["both"]


def test_an_even_sampler():
    np.testing.assert_allclose(even_yield(2, 3), [1, 1.5, 1.75])
    np.testing.assert_allclose(even_yield(1, 3), [1, 1, 1])
    np.testing.assert_allclose(even_yield(2**60, 3), [1, 2, 3])


def test_figures():
    assert list(coverage_figures(SECTIONS)) == ["coverage", "coverage-yield"]
