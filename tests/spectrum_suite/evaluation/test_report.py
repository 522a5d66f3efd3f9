"""A report written, read, compared and drawn: numbers worked out by hand."""

import json
import math
from copy import deepcopy

import pytest
import torch

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.score_alignment import score_alignment
from spectrum_suite.evaluation.alignment.summarize_alignment import TaskAlignment, compare_alignment
from spectrum_suite.evaluation.compare_reports import comparison_section
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.evaluation.show_report import markdown, write_report
from spectrum_suite.json_files import finite

NOT_SERVED = {"endpoint": None, "judge": None}


def section(probabilities, *, target=(0.5, 0.5), options=("red", "blue")):
    """A task whose i-th item gets the i-th pair of probabilities."""
    count = len(probabilities)
    items = score_alignment(
        [f"colors/{i}" for i in range(count)],
        [options] * count,
        [target] * count,
        [torch.tensor(pair).log() for pair in probabilities],
        [[(1,), (2,)]] * count,
    )
    return finite(TaskAlignment("colors", 10, items, "abc", 1.5).as_dict())


def report(name="tuned", **sections):
    return {
        "schema_version": 2,
        "model": {"name": name, "revision": None, "fingerprint": "m", "base": None},
        "suite": {"name": "spectrum-suite", "fingerprint": "s"},
        "settings": {"format": "spectrum", "dtype": "float32", "device": "cpu", "seed": 42, "limit": 1000} | NOT_SERVED,
        "seconds": 1.5,
        "steerability": {},
        "coverage": {},
        "alignment": sections,
        "comparison": None,
    }


TUNED = report(colors=section([[0.4, 0.4], [0.5, 0.3], [0.45, 0.45]]))
BASE = report("base", colors=section([[0.1, 0.1], [0.1, 0.3], [0.2, 0.05]]))


def differences(report, other):
    return compare_alignment("colors", report["alignment"]["colors"], other["alignment"]["colors"])


def test_means_and_errors_of_a_task():
    found = TUNED["alignment"]["colors"]
    assert (found["n"], found["n_scored"], found["n_available"]) == (3, 3, 10)
    assert found["model"]["coverage"]["mean"] == pytest.approx((0.8 + 0.8 + 0.9) / 3)
    assert found["model"]["coverage"]["se"] == pytest.approx(0.1 / math.sqrt(3) / math.sqrt(3), rel=1e-6)
    assert found["model"]["total_variation"]["mean"] == pytest.approx(0.125 / 3, abs=1e-5)
    assert found["uniform"]["js_divergence"]["mean"] == pytest.approx(0, abs=1e-9)


def test_the_difference_is_paired_by_item():
    shuffled = deepcopy(BASE)
    shuffled["alignment"]["colors"]["items"].reverse()
    for other in (BASE, shuffled):
        coverage = differences(TUNED, other)["coverage"]
        assert coverage["difference"] == pytest.approx((0.6 + 0.4 + 0.65) / 3)
        assert coverage["n"] == 3
        low, high = coverage["ci95"]
        assert 0.4 - 1e-9 <= low < coverage["difference"] < high <= 0.65 + 1e-6
    variation = differences(TUNED, BASE)["total_variation"]
    assert variation["difference"] == pytest.approx((0 - 0 + 0.125 - 0.25 + 0 - 0.3) / 3, abs=1e-5)


def test_only_shared_items_count():
    fewer = report("base", colors=section([[0.1, 0.1]]), other=section([[0.1, 0.1]]))
    found = comparison_section(TUNED, fewer)["alignment"]
    assert list(found) == ["colors"]
    assert found["colors"]["coverage"]["n"] == 1
    assert found["colors"]["coverage"]["difference"] == pytest.approx(0.6)
    assert found["colors"]["coverage"]["ci95"] == [None, None]


def test_an_unscored_item_is_left_out_of_the_difference():
    silent = report("base", colors=section([[0.1, 0.1], [0.0, 0.0], [0.2, 0.05]]))
    found = differences(TUNED, silent)
    assert found["js_divergence"]["n"] == 2
    assert found["coverage"]["n"] == 3


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (report("base", colors=finite(section([[0.1, 0.1]]) | {"items": []})), "share no item"),
        (report("base", colors=section([[0.1, 0.1]], target=(0.4, 0.6))), "not the same in both reports"),
        (report("base", colors=section([[0.1, 0.1]], options=("blue", "red"))), "not the same in both reports"),
    ],
)
def test_reports_that_cannot_be_compared(other, message):
    with pytest.raises(UserError, match=message):
        differences(TUNED, other)


def test_what_is_written_is_read(tmp_path):
    silent = report(colors=section([[0.0, 0.0], [0.2, 0.2]]))
    write_report(silent, tmp_path / "out")
    assert read_report(tmp_path / "out") == silent
    assert read_report(tmp_path / "out" / "report.json") == silent
    found = json.loads((tmp_path / "out" / "report.json").read_text())["alignment"]["colors"]
    assert found["items"][0]["scores"]["js_divergence"] is None  # not scored is not a number
    assert found["items"][0]["scores"]["coverage"] == 0
    assert found["n_scored"] == 1
    assert "1 items have no score" in markdown(silent)


def test_tables_show_the_numbers_and_mark_what_is_significant():
    compared = TUNED | {"comparison": comparison_section(TUNED, BASE)}
    lines = markdown(compared).splitlines()
    (row,) = [line for line in lines if line.startswith("| colors | 3 of 10 |")]
    assert row.split("|")[5].strip() == "0.8333 ± 0.0333"
    (row,) = [line for line in lines if line.startswith("| colors | 3 | ")]
    assert row.split("|")[4].strip().startswith("+0.5500 [+0.4")
    assert row.split("|")[4].strip().endswith("*")
    assert "Against base" in markdown(compared)
    assert "Against" not in markdown(TUNED)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found: give a report.json"),
        ("{", "is not JSON"),
        ('{"schema_version": 99}', "is not of version 2"),
    ],
)
def test_a_file_that_is_no_report(content, message, tmp_path):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_report(tmp_path)
