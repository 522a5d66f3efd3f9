"""What the metric computes, as a module of `evaluate`; how it is packaged is tested in ``test_packaging.py``."""

import numpy as np
import pytest
from datasets import Dataset
from spectrum_suite.metrics.output_coverage.output_coverage import OutputCoverage
from spectrum_suite.metrics.output_coverage.scoring import METRICS, score_task, summarize

from tests.documents import first_cells, read

COLORS = {"valid_items": ["red", "blue", "green"]}


@pytest.fixture
def metric(tmp_path):
    return OutputCoverage(cache_dir=str(tmp_path))


def test_card_lists_the_keys_that_there_are(metric):
    result = metric.compute(predictions=[["red"]], references=[COLORS])
    keys = [name for name in result if not name.endswith("_se") and name not in ("n", "n_scored")]
    _, shown = first_cells(read("metrics/output_coverage/README.md"))
    assert shown == keys == list(METRICS)


def test_numbers_are_those_of_the_core(metric):
    texts = [["red", "Blue", "red ", "mauve"], ["2", "4", "3"]]
    references = [COLORS | {"validator": "one_of"}, {"valid": [True, False, True], "set_size": 25}]
    result = metric.compute(predictions=texts, references=references, per_task=True)
    scores = [
        score_task(["red", "Blue", "red", "mauve"], ["red", "blue", "red", None], set_size=3),
        score_task(["2", "4", "3"], ["2", None, "3"], set_size=25),
    ]
    assert {name: result[name] for name in summarize(scores)} == summarize(scores)
    curves = result["per_task"].pop("yield_curve")
    assert result["per_task"] == {name: [task[name] for task in scores] for name in scores[0]}
    assert curves == [pytest.approx([3 / 4, 8 / 6, 7 / 4, 2]), pytest.approx([2 / 3, 4 / 3, 2])]
    assert "per_task" not in metric.compute(predictions=texts, references=references)


def test_what_failed_is_left_out_with_its_flag(metric):
    reference = {"valid": [False, True, True]}
    result = metric.compute(predictions=[[None, "a", "b"], None], references=[reference, COLORS], per_task=True)
    assert (result["valid"], result["yield"], result["n"], result["n_scored"]) == (1, 2, 2, 1)
    assert result["per_task"]["n"] == [2, 0]
    assert metric.compute(predictions=[[None]], references=[COLORS])["n_scored"] == 0
    assert np.isnan(result["reached"])  # one set is endless, and the other task was not scored


def test_rows_of_a_dataset_are_references(metric):
    row = {"id": "a", "description": "d", "validator": "one_of", "valid_items": ["Red", "Blue"], "max_new_tokens": 3}
    result = metric.compute(predictions=[["red", "RED"]], references=Dataset.from_list([row]))
    assert (result["yield"], result["reached"]) == (1, 0.5)


def test_batches_add_up(metric):
    metric.add(prediction=["red"], reference=COLORS)
    metric.add_batch(predictions=[["2", "4"]], references=[{"valid": [True, False]}])
    in_parts = metric.compute()
    assert in_parts["valid"] == 0.75
    assert in_parts["n"] == 2


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["red"], [COLORS], "prediction 0 is 'red', not a list of strings: .*predictions=\\[\\['red'"),
        ([[1, 2]], [COLORS], r"prediction 0 is \[1, 2\], not a list of strings"),
        ([["red"]], COLORS, "one entry per task: compute"),
        ([["red"]], None, "one entry per task: compute"),
        ([], [], "0 predictions and 0 references"),
        ([["red"]], [COLORS, COLORS], "1 predictions and 2 references"),
        ([["red"]], [{"validator": "prime", "valid_items": []}], "reference 0 .* with 'valid_items' or 'valid'"),
        ([["red"]], [{"valid_items": ["a"], "validator": "prime"}], "validator is 'prime'"),
        ([["red"]], [{"valid_items": [1, 2]}], "give strings, such as '1'"),
        ([["red"]], [{"valid": [True, True]}], "reference 0 has 2 flags for 1 generations"),
    ],
)
def test_mistakes_show_what_to_do(metric, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(predictions=predictions, references=references)
    assert metric.compute(predictions=[["red"]], references=[COLORS])["n"] == 1
