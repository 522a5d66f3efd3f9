"""The adapters in checkpoints/: small enough, complete, and with the numbers that their reports and cards tell."""

import json
from pathlib import Path
from statistics import fmean
from tempfile import gettempdir

import pytest
import torch
from safetensors.torch import load_file

from benchmarks import checkpoints
from dataset_builder.build import BuildOptions, build
from spectrum_suite.embedded_model import tuned_checkpoints
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.score_alignment import score_items
from spectrum_suite.evaluation.comparison.marker_scores import marker_scores
from spectrum_suite.hub.model import kept_reports
from spectrum_suite.json_files import read_json
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.models import find_model
from spectrum_suite.suite import task_rows

NONE = pytest.param(None, marks=pytest.mark.skip(reason="no checkpoint is packed: see benchmarks/checkpoints.py"))
NAMES = sorted(tuned_checkpoints()) or [NONE]

ITEMS = 4
ROUNDING = 0.01
"""Nats by which a divergence in bfloat16 may differ between processors."""


@pytest.fixture
def folder(request):
    return tuned_checkpoints()[request.param]


@pytest.fixture
def reports(folder):
    return {path.stem: read_json(path, "") for path in kept_reports(folder)}


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_a_checkpoint_is_small_and_complete(folder):
    weights = folder / "adapter_model.safetensors"
    assert weights.stat().st_size <= checkpoints.LARGEST
    assert {tensor.dtype for tensor in load_file(weights).values()} == {torch.bfloat16}
    training = read_json(folder / "training_report.json", "")
    assert training["base_model"] == read_json(folder / "adapter_config.json", "")["base_model_name_or_path"]
    assert "Gemma Terms of Use" in (folder / "NOTICE").read_text(encoding="utf-8")
    assert kept_reports(folder) or "No evaluation was available" in (folder / "README.md").read_text(encoding="utf-8")
    texts = [path.read_text(encoding="utf-8") for path in (*folder.rglob("*.json"), folder / "README.md")]
    places = str(Path.home()), str(folder.parents[1]), gettempdir() + "/"
    assert not [place for place in places for text in texts if place in text]


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_the_means_of_a_report_are_those_of_its_items(reports):
    for section in reports.get("alignment", {}).get("alignment", {}).values():
        for metric in ("js_divergence", "coverage"):
            values = [item["scores"][metric] for item in section["items"]]
            assert section["model"][metric]["mean"] == pytest.approx(fmean(values), abs=1e-9)
    for section in reports.get("instruction", {}).get("instruction", {}).values():
        ends = [item["scores"]["ends"] for item in section["items"]]
        assert section["format"]["ends"]["mean"] == pytest.approx(fmean(ends))
    found = reports.get("markers", {}).get("markers", {})
    for name, kept in marker_scores({data: _with_texts(section) for data, section in found.items()}).items():
        for side, label in (("said", "words"), ("set", "fixed")):
            mean = found[name]["length_violation"][label]["mean"]
            assert fmean(kept["too_long"][side]) == pytest.approx(mean)


def _with_texts(section):
    """The instructions are not kept, and languages do not depend on them."""
    return section | {"items": [item | {"instruction": ""} for item in section["items"]]}


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_the_card_tells_what_the_reports_say(folder, reports):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for task, section in reports.get("alignment", {}).get("alignment", {}).items():
        assert f"{section['model']['js_divergence']['mean']:.4f}" in card, task
    for section in reports.get("markers", {}).get("markers", {}).values():
        assert f"{section['length_violation']['fixed']['mean']:.4f}" in card
    for section in reports.get("instruction", {}).get("instruction", {}).values():
        assert f"{section['ranking']['capability']:.4f}" in card


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_the_model_gives_the_divergences_of_its_report(folder, reports, tmp_path):
    if "dist_urn" not in reports.get("alignment", {}).get("alignment", {}):
        pytest.skip("it was not measured on a task that can be made without files")
    report = reports["alignment"]
    items = report["alignment"]["dist_urn"]["items"][:ITEMS]
    build(["dist_urn"], BuildOptions(tmp_path / "suite"))
    rows = task_rows(str(tmp_path / "suite"), "dist_urn")
    places = {row_id: place for place, row_id in enumerate(rows["id"][:])}
    lm = LocalLM(
        find_model(f"embedded:{folder.name}"),
        report["settings"]["format"],
        torch.device("cpu"),
        getattr(torch, report["settings"]["dtype"]),
    )
    lm.load()
    scored = score_items(lm, rows.select([places[item["id"]] for item in items]))
    for mine, theirs in zip(scored, items, strict=True):
        assert mine.scores["js_divergence"] == pytest.approx(theirs["scores"]["js_divergence"], abs=ROUNDING)


def test_reports_are_kept_without_what_may_not_be_redistributed():
    item = {"id": "1", "options": ["A"], "target": [1.0], "log_probs": [0.0], "probabilities": [1.0], "scores": {}}
    answer = {"id": "1", "instruction": "Say hello.", "reference": "Hello.", "response": "Hi.", "scores": {"ends": 1}}
    report = {
        "alignment": {task: {"n": 1, "items": [item]} for task in ("dist_urn", "dist_nytimes", "somebodys_own")},
        "instruction": {"data": {"n": 1, "items": [answer]}},
    }
    kept = checkpoints.without_texts(report)
    assert kept["alignment"]["dist_urn"]["items"] == [item]
    for task in ("dist_nytimes", "somebodys_own"):
        assert kept["alignment"][task] == {"n": 1, "items": [{"id": "1", "scores": {}}]}
    assert kept["instruction"]["data"]["items"] == [{"id": "1", "response": "Hi.", "scores": {"ends": 1}}]


def test_two_reports_about_one_desideratum_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"alignment": {"dist_urn": {}}}))
    with pytest.raises(UserError, match=r"b.json' is a second one about alignment"):
        checkpoints.describe(tmp_path / "x", [tmp_path / "a.json", tmp_path / "b.json"], None)
