"""`spectrum-suite decide` on a tiny model: the report, the page and the file for the Hub."""

import json

import pytest
import yaml

from spectrum_suite.commands.decide import main
from spectrum_suite.decisions import scores
from tests.spectrum_suite.decisions.decision_rows import write_lines


@pytest.fixture
def decide(model_folder, tmp_path):
    data = write_lines(tmp_path / "rows.jsonl")

    def run(*more):
        main([str(model_folder("chatml")), "--data", str(data), "--output", str(tmp_path / "out"), *more])
        return tmp_path / "out"

    return run


def test_the_report_says_how_good_the_answers_are(decide):
    folder = decide("--orders", "2")
    report = json.loads((folder / "decisions.json").read_text())
    assert report["model"]["n"] == report["uniform"]["n"] == 4
    assert 0 < report["model"]["kl_from_gold"] < 30
    assert set(report["by"]) == {"question", "type", "workflow"}
    assert list(report["rows"][0]["answers"]["human"]) == ["true", "false"]
    assert 0 <= report["flip_rate"] <= 1
    page = (folder / "decisions.md").read_text()
    assert "## By workflow" in page
    assert "uniform guess differs: 4 decisions, not 2,000" in page
    assert not (folder / ".eval_results").exists()


def test_results_for_the_hub_say_what_was_trained_on(decide, monkeypatch):
    monkeypatch.setattr("spectrum_suite.decisions.scores.differs_from_card", lambda uniform: [])
    folder = decide("--trained_on", "train", "--source_url", "https://a.org/run", "--data_revision", "abc123")
    entries = yaml.safe_load((folder / ".eval_results" / "typed-decisions.yaml").read_text())
    report = json.loads((folder / "decisions.json").read_text())["model"]
    assert [entry["dataset"] for entry in entries] == [
        {"id": "LocalLLaMA/typed-decisions", "task_id": task, "revision": "abc123"}
        for task in ("accuracy", "kl_from_gold", "brier", "ece")
    ]
    assert [entry["value"] for entry in entries] == [
        report[name] for name in ("accuracy", "kl_from_gold", "brier", scores.BY_QUESTION)
    ]
    assert entries[0]["notes"] == "fine-tuned on train"
    assert entries[3]["notes"] == f"fine-tuned on train; {scores.BY_QUESTION}"
    assert entries[0]["source"] == {"url": "https://a.org/run", "name": "run"}
    assert entries[0]["date"].count("-") == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--trained_on", "nothing"], "uniform guess differs (4 decisions, not 2,000)"),
        (["--orders", "0"], "--orders is 0"),
        (["--read", "labels"], "read='labels' needs a chat template"),
        (["--split", "dev"], "has no rows of split 'dev'"),
    ],
)
def test_mistakes_end_in_one_line(decide, capsys, more, message):
    with pytest.raises(SystemExit, match="2"):
        decide(*more)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
