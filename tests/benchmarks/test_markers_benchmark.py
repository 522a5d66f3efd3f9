"""What the summary of the three runs takes from their reports."""

import json
import shutil

import pytest

from benchmarks import markers


def cell(mean):
    return {"mean": mean, "ci95": [mean, mean], "n": 4}


def section(words, fixed, *, accuracy=None):
    asked = [{"responses": {"inferred": {"problems": problems}}} for problems in ([], ["there is no list"])]
    common = {"length_curve": [{"wanted": 10, "median": 12}], "moved": {}, "own_length_error": 0.1}
    common |= {"lines_in_language": {}, "nats_per_token": {"inferred": cell(2.0)}, "by_frequency": {}}
    found = {"length_violation": {"words": cell(words), "fixed": fixed and cell(fixed)}, "n": 4, "seconds": 1.5}
    return common | found | {"accuracy": accuracy, "items": asked}


@pytest.fixture
def folder(tmp_path):
    accuracy = {"task": {"inferred": 0.81234, "ci95": [0, 1], "majority": 0.5, "n": 8}}
    sections = {
        "marked": section(0.4, 0.1, accuracy=accuracy),
        "unmarked": section(0.6, None),
        "no-dropout": section(0.5, 0.2, accuracy={"task": accuracy["task"] | {"inferred": 0.03}}),
    }
    training = dict.fromkeys((*markers.SETTINGS, *markers.COSTS), 7)
    for name, found in sections.items():
        (tmp_path / name / "evaluation").mkdir(parents=True)
        (tmp_path / name / "evaluation" / "report.json").write_text(json.dumps({"markers": {"data": found}}))
        (tmp_path / name / "training_report.json").write_text(json.dumps(training | {"marked": name != "unmarked"}))
    return tmp_path


def test_the_summary_sets_the_runs_beside_one_another(folder, monkeypatch, capsys):
    output = folder / "results.json"
    monkeypatch.setattr("sys.argv", ["markers", str(folder), "--output", str(output)])
    markers.main()
    found = json.loads(output.read_text())
    assert found["length_violation"] == {"baseline": 0.6, "inferred": 0.4, "fixed": 0.1}
    assert found["ablation"]["length_violation"] == {"baseline": 0.6, "inferred": 0.5, "fixed": 0.2}
    assert found["marker_accuracy"] == {"task": {"inferred": 0.8123, "majority": 0.5, "n": 8}}
    assert found["ablation"]["marker_accuracy"]["task"]["inferred"] == 0.03
    assert found["without_a_whole_list"] == 1
    assert found["runs"]["unmarked"] | {"rows": 0} == {
        **dict.fromkeys(markers.COSTS, 7), "marked": False, "rows": 0, "evaluation_seconds": 1.5,
    }  # fmt: skip
    assert set(json.loads(capsys.readouterr().out)) == {"length_violation", "marker_accuracy"}


def test_the_ablation_need_not_be_there(folder):
    shutil.rmtree(folder / "no-dropout")
    found = markers.summarize(folder)
    assert found["ablation"] is None
    assert set(found["runs"]) == {"marked", "unmarked"}
    assert found["length_violation"]["fixed"] == 0.1
