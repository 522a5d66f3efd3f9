"""The metric as users get it: loaded by `evaluate`, offline, from the checkout or from a folder of its own."""

import doctest
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from evaluate.loading import get_imports

from metrics.in_context_steerability import in_context_steerability
from metrics.in_context_steerability.in_context_steerability import InContextSteerability
from metrics.in_context_steerability.scoring import METRICS, as_outputs, bootstrap_intervals, score_options, summarize

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "metrics" / "in_context_steerability"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
VOTE = {"sequence": "ann", "options": ["agree", "disagree"], "output": "agree"}

RUN_EXAMPLES = """
import doctest, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[2:]:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refuse())
import evaluate
text = open(sys.argv[1], encoding="utf-8").read().replace("```", "")
examples = doctest.DocTestParser().get_doctest(text, {"evaluate": evaluate}, "card", None, 0)
result = doctest.DocTestRunner().run(examples)
print(result.attempted, "examples,", result.failed, "failed")
"""


@pytest.fixture
def metric(tmp_path):
    return InContextSteerability(cache_dir=str(tmp_path))


def place(k, sequence="ann"):
    return {"sequence": sequence, "k": k}


def test_the_two_files_travel_alone_and_run_the_card(tmp_path):
    published = tmp_path / "elsewhere" / "metrics" / "in_context_steerability"
    published.mkdir(parents=True)
    for name in ("in_context_steerability.py", "scoring.py"):
        shutil.copy(FOLDER / name, published)
    offline = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    refused = "scipy", "sklearn", "transformers", "gradio", "metrics", "spectrum", "dataset_builder"
    command = [sys.executable, "-c", RUN_EXAMPLES, str(FOLDER / "README.md"), *refused]
    ran = subprocess.run(
        command, cwd=published.parents[1], env=kept | offline, capture_output=True, text=True, check=False
    )
    assert ran.stdout == "12 examples, 0 failed\n"


def test_evaluate_finds_the_imports():
    imports = {(kind, name) for kind, name, *_ in get_imports(str(FOLDER / "in_context_steerability.py"))}
    third_party = {name for kind, name in imports if kind == "library"} - set(sys.stdlib_module_names)
    assert third_party == {"datasets", "evaluate", "numpy"}
    assert {name for kind, name in imports if kind != "library"} == {"scoring"}
    requirements = re.findall(r"^\w+", (FOLDER / "requirements.txt").read_text(), flags=re.MULTILINE)
    assert set(requirements) == third_party


def test_card_and_docstring_show_the_same_examples_and_citation():
    parse = doctest.DocTestParser().get_examples
    shown = [(example.source, example.want) for example in parse(README.replace("```", ""))]
    assert shown == [(example.source, example.want) for example in parse(InContextSteerability.__doc__)]
    assert in_context_steerability._CITATION.strip() in README


def test_card_header_is_that_of_a_metric_space():
    header = yaml.safe_load(README.split("---\n")[1])
    assert header["sdk"] == "gradio"
    assert (FOLDER / header["app_file"]).is_file()
    assert {"evaluate", "metric"} <= set(header["tags"])
    assert len(header["short_description"]) <= 60  # the Hub's limit


def test_card_lists_the_metrics():
    table = README.split("### Output")[1].split("`<metric>_se`")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == METRICS


def test_numbers_are_those_of_the_core(metric):
    log_probs = [np.log([0.6, 0.3]), np.log([0.1, 0.8]), np.log([0.5, 0.2])]
    references = [VOTE | {"k": 1}, VOTE | {"k": 2, "output": "disagree"}, VOTE | {"k": 1, "sequence": "bob"}]
    predictions = [{"log_probs": row, "tokens": 2} for row in log_probs]
    result = metric.compute(
        predictions=predictions, references=references, n_bins=5, confidence_level=0.8, n_resamples=50, seed=3
    )
    correct, confidence = score_options(log_probs, [0, 1, 0])
    outputs = as_outputs(
        sequence=["ann", "ann", "bob"],
        k=[1, 2, 1],
        loss=-np.log([0.6, 0.8, 0.5]),
        tokens=[2, 2, 2],
        correct=correct,
        confidence=confidence,
    )
    expected = summarize(outputs, n_bins=5)
    assert {name: result[name] for name in expected} == pytest.approx(expected)
    intervals = bootstrap_intervals(outputs, n_bins=5, confidence_level=0.8, n_resamples=50, seed=3)
    assert result["loss_ci"] == pytest.approx(list(intervals["loss"]))
    assert len(result["reliability"]["low"]) == 5
    assert result["at_largest_k"]["loss"] == pytest.approx(-math.log(0.8 * 0.5) / 2)
    assert all(type(result[name]) in (float, int) for name in expected)


def test_a_loss_beside_log_probabilities_wins(metric):
    prediction = {"loss": 7.0, "log_probs": [-0.5, -1.5]}
    result = metric.compute(predictions=[prediction], references=[VOTE | {"k": 1}])
    assert (result["loss"], result["accuracy"]) == (7, 1)


def test_kinds_may_mix_and_what_was_not_scored_is_no_zero(metric):
    predictions = [None, 2.0, [-0.5, -1.5], math.nan, {"loss": 4.0}]
    references = [place(1), place(2), VOTE | {"k": 3}, place(4), place(5)]
    result = metric.compute(predictions=predictions, references=references)
    assert result["loss"] == pytest.approx((2 + 0.5 + 4) / 3)
    assert (result["n"], result["n_scored"], result["accuracy"]) == (5, 3, 1)
    assert math.isnan(result["loss_per_token"])


def test_batches_add_up(metric):
    metric.add(prediction=1.0, reference=place(1))
    metric.add_batch(predictions=[2.0, 3.0], references=[place(2), place(1, "bob")])
    assert metric.compute()["loss"] == 2


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([1.0], place(1), "one entry per output: compute"),
        ([1.0], None, "one entry per output: compute"),
        ([], [], "0 predictions and 0 references"),
        ([1.0], [place(1), place(2)], "1 predictions and 2 references"),
        ([1.0], [{"k": 1}], "reference 0 .* not a mapping with 'sequence' and 'k'"),
        ([{"losses": 1.0}], [place(1)], "prediction 0 has the key 'losses': use loss, tokens, log_probs"),
        ([[-1.0]], [place(1)], r"reference 0 has output .*none of its options \[\]"),
        ([[-1.0, -1.0]], [VOTE | {"k": 1, "output": "pass"}], "output 'pass', which is none of its options"),
        ([[-1.0]], [VOTE | {"k": 1}], "1 log-probabilities for 2 options"),
        ([[0.5, 0.5]], [VOTE | {"k": 1}], "pass natural log-probabilities"),
        ([1.0, 2.0], [place(1), place(1)], "two outputs with k = 1"),
    ],
)
def test_mistakes_show_what_to_do(metric, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(predictions=predictions, references=references)
    assert metric.compute(predictions=[1.0], references=[place(1)])["n"] == 1


def test_text_is_refused(metric):
    with pytest.raises(TypeError, match="prediction 0 is 'agree': pass a loss or log-probabilities"):
        metric.compute(predictions=["agree"], references=[place(1)])
