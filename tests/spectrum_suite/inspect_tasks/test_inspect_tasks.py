"""inspect-ai runs our tasks and gives our numbers, where it is installed (``make inspect``)."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import torch
from spectrum_suite.metrics.output_coverage.scoring import score_task
from spectrum_suite.metrics.spectrum_alignment.scoring import score_items

from dataset_builder.build import BuildOptions, build
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.generation.sample import sample
from spectrum_suite.models import load_for_scoring
from spectrum_suite.suite import draw_rows, task_rows
from tests.completions_server import serving

pytest.importorskip("inspect_ai", reason="install inspect-ai to run it (make inspect)")

from inspect_ai import eval as run
from inspect_ai.log import read_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from spectrum_suite.evaluation.coverage.score_coverage import prompt_messages, sampling_seed, valid_items_of
from spectrum_suite.inspect_tasks import alignment, coverage

TASKS = ["dist_urn", "dist_binomial"]  # of the second some options begin others
COVERED = "cov_weekdays_any_format"


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    found = tmp_path_factory.mktemp("suites") / "suite"
    build([*TASKS, COVERED, "coinflip"], BuildOptions(found, max_rows=3))
    return str(found)


@pytest.fixture
def evaluated(tmp_path):
    """``evaluated(task, model)``: the log of a run that has come to its end."""

    def evaluate(task, model, **options):
        (log,) = run(task, model=model, display="none", log_dir=str(tmp_path), max_retries=3, **options)
        assert log.status == "success", log.error
        return log

    return evaluate


@pytest.fixture(scope="module")
def folder(model_folder):
    return str(model_folder("chatml"))


@pytest.fixture(scope="module")
def mine(folder, suite):
    """Task -> the log-probabilities of its options in the format ``colon``."""
    model, tokenizer = load_for_scoring(folder, device="cpu")
    plain = get_format("colon", tokenizer)
    found = {}
    for task in TASKS:
        rows = task_rows(suite, task)
        found[task] = option_logprobs(model, tokenizer, rows["messages"], rows["options"], text_format=plain)
    return found


def local(folder):
    return get_model("hf/tiny", model_path=folder, device="cpu", memoize=False)


def saying(texts):
    """A model that says these, one after another; with a usage, which would be counted by a file from the network."""
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return get_model("mockllm/model", custom_outputs=outputs, memoize=False)


def of_task(log, task):
    return [each for each in log.samples if each.metadata["task"] == task]


def assert_ours(log, mine, suite):
    means = {result.name: result.metrics["mean"].value for result in log.results.scores if "mean" in result.metrics}
    everything = []
    for task in TASKS:
        items = of_task(log, task)
        assert [item.metadata["row"]["id"] for item in items] == task_rows(suite, task)["id"][:]
        for item, expected in zip(items, mine[task], strict=True):
            told = item.scores["alignment_scores"]
            torch.testing.assert_close(torch.tensor(told.metadata["log_probs"]), expected, rtol=0, atol=1e-4)
            everything.append(told.value["js_divergence"])
    assert means["js_divergence"] == pytest.approx(np.mean(everything), abs=1e-9)


def test_a_model_in_this_process_gives_our_numbers(folder, suite, mine, evaluated):
    log = evaluated(alignment(suite, tasks=",".join(TASKS), format="colon", estimate="logprobs"), local(folder))
    assert_ours(log, mine, suite)
    assert log.eval.config.epochs == 1
    rows = task_rows(suite, "dist_urn")
    expected = score_items(rows["probabilities"], mine["dist_urn"], prediction_type="log_probabilities", smoothing=1e-6)
    for index, item in enumerate(of_task(log, "dist_urn")):
        for metric in ("js_divergence", "total_variation", "brier", "coverage"):
            assert item.scores["alignment_scores"].value[metric] == pytest.approx(expected[metric][index], abs=1e-6)


@pytest.mark.parametrize("tells_prompts", [True, False], ids=["prompt_logprobs", "echo"])
def test_a_completions_service_gives_our_numbers(folder, suite, mine, evaluated, monkeypatch, tells_prompts):
    model, tokenizer = load_for_scoring(folder, device="cpu")
    with serving(model, tokenizer) as server:
        server.tells_prompts = tells_prompts
        monkeypatch.setenv("LOOPBACK_BASE_URL", server.url)
        monkeypatch.setenv("LOOPBACK_API_KEY", "unused")
        asked = alignment(suite, tasks=",".join(TASKS), format="colon", tokenizer=folder)
        log = evaluated(asked, f"openai-api-completions/loopback/{server.server_port}")  # inspect keeps clients by name
    assert_ours(log, mine, suite)


def test_a_service_that_tells_no_log_probabilities_is_refused_in_one_line(folder, suite, tmp_path, monkeypatch):
    model, tokenizer = load_for_scoring(folder, device="cpu")
    with serving(model, tokenizer) as server:
        server.echoes = False
        monkeypatch.setenv("LOOPBACK_BASE_URL", server.url)
        monkeypatch.setenv("LOOPBACK_API_KEY", "unused")
        asked = alignment(suite, tasks="dist_urn", tokenizer=folder)
        (log,) = run(asked, model="openai-api-completions/loopback/tiny", display="none", log_dir=str(tmp_path))
    assert log.status == "error"
    assert "tells no log-probabilities of a prompt's tokens: leave -T tokenizer out" in log.error.message


def test_epochs_are_answers_whose_shares_are_scored(suite, evaluated):
    (row,) = draw_rows(task_rows(suite, "dist_urn"), "dist_urn", limit=1, seed=42)
    first, second = row["options"][:2]
    answers = [first, second, first, "no idea", f"{first}."]
    model = saying(answers)
    asked = alignment(suite, tasks="dist_urn", estimate="samples", answers=5, items=1)
    log = evaluated(asked, model, max_samples=1)
    (reduced,) = log.reductions[0].samples
    counts = reduced.metadata["drawn"]["counts"]
    assert counts[:2] == [3, 1]
    shares = np.array(counts) / 5
    expected = score_items([row["probabilities"]], [shares], smoothing=1e-6)
    assert reduced.value["js_divergence"] == pytest.approx(expected["js_divergence"][0], abs=1e-6)
    assert reduced.value["coverage"] == pytest.approx(0.8)
    assert reduced.metadata["drawn"]["others"] == {"something else": 1}
    assert len(log.samples) == 5


def test_samples_of_a_model_in_this_process_are_ours(folder, suite, evaluated):
    asked = coverage(suite, tasks=COVERED, promptings="description,both", generations=6, format="colon")
    log = evaluated(asked, local(folder))
    model, tokenizer = load_for_scoring(folder, device="cpu")
    row = task_rows(suite, COVERED)[0]
    found = {each.sample_id: each for each in log.reductions[0].samples}
    for prompting in ("description", "both"):
        (drawn,) = sample(
            model, tokenizer, [prompt_messages(COVERED, row, prompting)], 6, text_format=get_format("colon", tokenizer),
            max_new_tokens=row["max_new_tokens"], seed=sampling_seed(COVERED, prompting, 42),
        )  # fmt: skip
        of_log = sorted(
            (each for each in log.samples if each.id == f"{COVERED}/{prompting}"), key=lambda each: each.epoch
        )
        assert tuple(each.output.completion for each in of_log) == drawn.texts
        texts = found[f"{COVERED}/{prompting}"].metadata["texts"]
        expected = score_task(texts, valid_items_of(texts, row), set_size=7)
        assert found[f"{COVERED}/{prompting}"].value["yield"] == pytest.approx(expected["yield"])


def test_valid_outputs_are_counted(suite, evaluated):
    texts = ["Monday", "monday", "Tuesday", "no day"]
    model = saying(texts)
    log = evaluated(coverage(suite, tasks=COVERED, generations=4), model, max_samples=1)
    means = {result.name: result.metrics["mean"].value for result in log.results.scores}
    assert means["valid"] == pytest.approx(3 / 4)
    assert means["yield"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": "coinflip"}, "task 'coinflip' is of the kind 'icl'"),
        ({"tasks": "nothing"}, "nothing"),
        ({"estimate": "guess"}, "no estimate 'guess'"),
    ],
)
def test_mistakes_are_named(suite, options, message):
    with pytest.raises(UserError, match=message):
        alignment(suite, **{"estimate": "samples", **options})


def test_the_command_finds_the_task(folder, suite, tmp_path):
    assert "spectrum_suite.inspect_tasks" in {each.value for each in entry_points(group="inspect_ai")}
    command = [str(Path(sys.executable).with_name("inspect")), "eval", "spectrum_suite/alignment", "--model", "hf/tiny",
               "-M", f"model_path={folder}", "-M", "device=cpu", "-T", f"suite={suite}", "-T", "tasks=dist_urn",
               "-T", "format=colon", "--display", "none", "--log-dir", str(tmp_path / "logs")]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (path,) = (tmp_path / "logs").glob("*.eval")
    log = read_eval_log(str(path))
    assert log.eval.task == "spectrum_suite/alignment"
    assert log.eval.metadata["estimate"] == "logprobs"  # found out from the model
    assert len(log.samples) == 3
