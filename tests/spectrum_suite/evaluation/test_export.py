"""The numbers of a report, one by one, as CSV, Parquet and LaTeX."""

import csv
import json
import shutil

import pyarrow.parquet as pq
import pytest

from spectrum_suite.commands.export import main
from spectrum_suite.evaluation.report_numbers import report_numbers


def cell(mean, low=None, high=None, n=2):
    return {"mean": mean, "ci95": [low, high], "n": n}


def item(divergence):
    return {"id": "x", "scores": {"js_divergence": divergence, "coverage": 1.0}, "uniform": {"js_divergence": 0.5}}


REPORT = {
    "schema_version": 2,
    "model": {"name": "org/tuned_50%", "adapter_scale": 0.5},
    "steerability": {
        "urns": {
            "n": 3,
            "summary": {"loss": 1.5, "loss_se": 0.1, "accuracy": None, "accuracy_se": None},
            "ci95": {"loss": [1.25, 1.75], "accuracy": [None, None]},
            "at_largest_k": {"loss": 1.0},
            "sequences": [],
        }
    },
    "coverage": {"letters": {"both": {"n": 10, "scores": {"valid": {"mean": 0.5, "se": 0.1}}, "items": [None]}}},
    "alignment": {
        "food": {
            "n": 2,
            "model": {"js_divergence": {"mean": 0.2, "se": 0.1}},
            "uniform": {"js_divergence": {"mean": 0.5, "se": 0.0}},
            "items": [item(0.1), item(0.3)],
            "by": {"age": {"18-29": {"n": 1, "js_divergence": cell(0.1, n=1)}}},
            "questions": [{"question": "Do you like tea & [milk]?", "n": 2, "js_divergence": cell(0.2, 0.1, 0.3)}],
            "calibrated": {
                "difference": {"js_divergence": {"difference": -0.05, "ci95": [-0.1, 0.0], "n": 2}},
                "js_divergence": [0.1, 0.2],
            },
        }
    },
    "instruction": {
        "dolly": {
            "n": 4,
            "ranking": {"capability": 0.75, "ci95": [0.5, 1.0], "n": 4},
            "win_rate": {"win_rate": 0.6, "win_rate_ci95": [0.4, 0.8], "n": 4, "judge": "x"},
        }
    },
    "comparison": {
        "other": {"model": "base", "format": "colon"},
        "alignment": {"food": {"js_divergence": {"difference": -0.1, "ci95": [-0.2, 0.0], "n": 2}}},
        "coverage": {"both": {"tasks": {"letters": {"valid": {"difference": 0.1, "ci95": [0.0, 0.2]}}}, "mean": {}}},
        "refused": [],
    },
}


@pytest.fixture
def export(tmp_path, capsys):
    """``export(name, *words)``: the code and stderr of the command, which writes the file of that name."""
    (tmp_path / "report.json").write_text(json.dumps(REPORT))

    def run(name, *words, reports=(tmp_path,)):
        try:
            main([*map(str, reports), "--to", str(tmp_path / name), *words])
        except SystemExit as stopped:
            return stopped.code, capsys.readouterr().err
        return 0, capsys.readouterr().err

    return run


def test_every_number_has_its_interval_and_n():
    found = {
        (number.desideratum, number.task, number.measure, number.by, number.group): (
            number.value, number.low, number.high, number.n,
        )
        for number in report_numbers(REPORT)
    }  # fmt: skip
    question = "Do you like tea & [milk]?"
    expected = {
        ("steerability", "urns", "loss", "all", ""): (1.5, 1.25, 1.75, 3),
        ("steerability", "urns", "accuracy", "all", ""): (None, None, None, 3),
        ("coverage", "letters", "both.valid", "all", ""): (0.5, pytest.approx(0.304), pytest.approx(0.696), 10),
        ("coverage", "letters", "minus_other.both.valid", "all", ""): (0.1, 0.0, 0.2, None),
        ("alignment", "food", "js_divergence", "all", ""): (pytest.approx(0.2), 0.1, 0.3, 2),
        ("alignment", "food", "coverage", "all", ""): (1.0, 1.0, 1.0, 2),
        ("alignment", "food", "uniform.js_divergence", "all", ""): (0.5, 0.5, 0.5, 2),
        ("alignment", "food", "js_divergence", "age", "18-29"): (0.1, None, None, 1),
        ("alignment", "food", "js_divergence", "question", question): (0.2, 0.1, 0.3, 2),
        ("alignment", "food", "calibrated.difference.js_divergence", "all", ""): (-0.05, -0.1, 0.0, 2),
        ("alignment", "food", "minus_other.js_divergence", "all", ""): (-0.1, -0.2, 0.0, 2),
        ("instruction", "dolly", "ranking.capability", "all", ""): (0.75, 0.5, 1.0, 4),
        ("instruction", "dolly", "win_rate.win_rate", "all", ""): (0.6, 0.4, 0.8, 4),
    }
    assert found == expected
    assert {number.model for number in report_numbers(REPORT)} == {"org/tuned_50% at adapter scale 0.5"}


def test_csv_and_parquet_hold_the_same(export, tmp_path):
    assert export("numbers.csv")[0] == export("deeper/numbers.parquet")[0] == 0
    with (tmp_path / "numbers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "deeper" / "numbers.parquet").to_pylist()
    assert len(rows) == len(table) == 13
    assert list(table[0]) == [
        "model", "desideratum", "task", "measure", "by", "group", "value", "low", "high", "n",
    ]  # fmt: skip
    for row, other in zip(rows, table, strict=True):
        for name, value in other.items():
            assert row[name] == "" if value is None else type(value)(row[name]) == value


def test_a_table_for_a_paper(export, tmp_path):
    assert export("table.tex", "--tasks", "food", "--by", "all", "question", "--measures", "js_divergence")[0] == 0
    assert (tmp_path / "table.tex").read_text().splitlines() == [
        r"% needs \usepackage{booktabs,longtable}",
        r"\begin{longtable}{lllrcr}",
        r"\toprule",
        r"by & group & measure & value & 95\% interval & $n$ \\",
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        r"all &  & js\_divergence & $0.200$ & $[0.100, 0.300]$ & 2 \\",
        r"question & Do you like tea \& {[}milk{]}? & js\_divergence & $0.200$ & $[0.100, 0.300]$ & 2 \\",
        r"\end{longtable}",
    ]


def test_several_reports_are_told_apart(export, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "report.json").write_text(json.dumps(REPORT | {"model": {"name": "base"}}))
    assert export("both.tex", "--measures", "loss", reports=(tmp_path, tmp_path / "base"))[0] == 0
    text = (tmp_path / "both.tex").read_text()
    assert "model & measure & value" in text
    assert r"org/tuned\_50\% at adapter scale 0.5 & loss & $1.500$" in text
    assert r"base & loss & $1.500$" in text


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("table.xlsx", [], "ends in none of .csv, .parquet, .tex: give a name that does"),
        ("t.csv", ["--measures", "js_divergense"], "no number of that, did you mean 'js_divergence'?: there are loss,"),
        ("t.csv", ["--by", "sex"], "--by 'sex': no number of that: there are all, age, question"),
        ("t.csv", ["--tasks", "food", "--measures", "loss"], "--measures 'loss': no number of that"),
    ],
)
def test_mistakes_are_one_line(export, tmp_path, name, words, message):
    code, error = export(name, *words)
    assert code == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / name).exists()


def test_a_report_that_is_not_there(export, tmp_path):
    assert "nowhere/report.json' not found" in export("t.csv", reports=(tmp_path, tmp_path / "nowhere/report.json"))[1]
    assert not (tmp_path / "t.csv").exists()


def test_a_damaged_report(export, tmp_path):
    shutil.copy(tmp_path / "report.json", tmp_path / "whole.json")
    (tmp_path / "damaged.json").write_text(json.dumps(REPORT | {"alignment": {"food": {"n": 2}}}))
    code, error = export("t.csv", reports=(tmp_path / "damaged.json",))
    assert (code, "is damaged (KeyError: 'items')" in error) == (2, True)
    assert export("t.csv", reports=(tmp_path / "whole.json",))[0] == 0
