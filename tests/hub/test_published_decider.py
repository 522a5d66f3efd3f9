"""A decision model is tuned, measured and published, and decides the same when it is loaded from the Hub."""

import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub import HfApi, ModelCard, parse_eval_result_entries, snapshot_download

from spectrum_suite import decide
from spectrum_suite.commands import decide as decide_command
from spectrum_suite.commands import push as push_command
from spectrum_suite.decisions import scores
from spectrum_suite.decisions.eval_results import EVAL_RESULTS
from spectrum_suite.decisions.report import REPORT as DECISIONS
from spectrum_suite.errors import UserError
from spectrum_suite.hub.cards import DECISION_TAGS
from spectrum_suite.lm.calibration_file import CALIBRATION
from spectrum_suite.models import find_model, load_for_scoring
from spectrum_suite.training.training_report import REPORT
from tests.small_tokenizers import DECIDER
from tests.spectrum_suite.decisions.decision_rows import ROWS, write_lines
from tests.tiny_models import save_qwen3_decider
from tests.train_command import COMMON

pytestmark = pytest.mark.hub

BASE, NAME = "org/base", "org/decider"


@pytest.fixture
def tuned(here, train, tokenizer_of, tmp_path, monkeypatch):
    """(folder of a model tuned on decisions, folder of what `decide` says of it); its base is on the Hub."""
    base = save_qwen3_decider(tmp_path / "base", tokenizer_of(DECIDER))
    api = HfApi(token=here.write_token)
    api.create_repo(BASE)
    api.upload_folder(repo_id=BASE, folder_path=base)
    data = write_lines(tmp_path / "typed.jsonl")
    folder, decisions = tmp_path / "decider", tmp_path / "decisions"
    command = ["--model_name_or_path", base, "--output_dir", folder, *COMMON, "--objective", "distribution", "--data",
               data, "--data_split", "test", "--read", "labels", "--format", "model_chat", "--merge", "true",
               "--max_steps", "5", "--learning_rate", "1e-2", "--max_length", "400"]  # fmt: skip
    code, error = train(*command)
    assert code == 0, error
    kinds = {"letters": {"temperature": {"value": 1.25, "se": 0.125}, "position": None}}
    of_model = {"name": "decider", "fingerprint": find_model(str(folder)).fingerprint(), "format": "model_chat"}
    content = {"schema_version": 1, "model": of_model | {"conditions": {}}, "kinds": kinds}
    (folder / CALIBRATION).write_text(json.dumps(content))
    monkeypatch.setattr(scores, "differs_from_card", lambda uniform: [])  # these are not the benchmark's rows
    measure(folder / "merged", data, decisions, "train")
    return folder, decisions


def measure(model, data, output, trained_on):
    words = [model, "--data", data, "--read", "labels", "--output", output, "--trained_on", trained_on]
    decide_command.main([*map(str, words), "--device", "cpu"])


def numbers_of(answer):
    return [answer["noul"]] if answer["type"] == "noul" else list(answer["probabilities"].values())


def push(folder, *more):
    words = ["model", str(folder), "--repo_id", NAME, "--merge", "--without_report", "--base_model", BASE, *more]
    push_command.run(
        push_command.parser().parse_args([*map(str, words), "--license", "mit", "--license_link", "https://a.org"])
    )


def test_it_decides_from_the_hub_as_it_does_here(here, tuned, tmp_path, monkeypatch, caplog):
    folder, decisions = tuned
    monkeypatch.setenv("HF_ENDPOINT", here.url)
    monkeypatch.setattr(push_command, "get_token", lambda: here.write_token)
    monkeypatch.setattr(push_command, "set_time_limits", lambda: None)
    caplog.set_level("INFO", "spectrum_suite.commands.push")
    push(folder, "--decisions", decisions)
    assert "verified from a clean cache" in caplog.messages[-1]

    there = snapshot_download(NAME, cache_dir=tmp_path / "cache")
    card = ModelCard.load(f"{there}/README.md")
    assert {*DECISION_TAGS} <= {*card.data.tags}
    assert f"spectrum-suite serve {NAME} --read labels" in card.text
    assert f"vllm serve {NAME}" in card.text
    assert "| letters | 1.250 ± 0.125 |" in card.text

    entries = parse_eval_result_entries(yaml.safe_load((Path(there) / EVAL_RESULTS).read_text()))
    measured = json.loads((decisions / DECISIONS).read_text())["model"]
    assert {entry.task_id: entry.value for entry in entries} == {
        "accuracy": measured["accuracy"], "kl_from_gold": measured["kl_from_gold"], "brier": measured["brier"],
        "ece": measured[scores.BY_QUESTION],
    }  # fmt: skip
    assert {entry.dataset_id for entry in entries} == {"LocalLLaMA/typed-decisions"}
    assert all(entry.notes.startswith("fine-tuned on train") for entry in entries)

    state, questions = ROWS[0]["state"], ROWS[0]["questions"]
    found, expected = (
        decide(*load_for_scoring(str(place), device="cpu", dtype="float32"), state, questions, read="labels")
        for place in (there, folder / "merged")
    )
    for name in questions:
        assert numbers_of(found.answers[name]) == pytest.approx(numbers_of(expected.answers[name]), abs=1e-6)


def test_results_are_of_this_model_and_say_what_it_was_trained_on(here, tuned, tmp_path):
    folder, decisions = tuned
    data = tmp_path / "typed.jsonl"
    measure(tmp_path / "base", data, tmp_path / "other", "nothing")
    with pytest.raises(UserError, match="other' are of another model than"):
        push(folder, "--decisions", tmp_path / "other", "--dry_run")
    (decisions / EVAL_RESULTS).unlink()
    with pytest.raises(UserError, match=r"have no .*typed-decisions\.yaml: run decide with --trained_on"):
        push(folder, "--decisions", decisions, "--dry_run")
    report = json.loads((folder / REPORT).read_text())
    report["data"] = ["LocalLLaMA/typed-decisions"]
    report["rows_per_task"] = {"typed-decisions": 4}
    (folder / REPORT).write_text(json.dumps(report))
    measure(folder / "merged", data, tmp_path / "wrong", "nothing")
    with pytest.raises(UserError, match="was not trained on LocalLLaMA/typed-decisions, and its training report says"):
        push(folder, "--decisions", tmp_path / "wrong", "--dry_run")
