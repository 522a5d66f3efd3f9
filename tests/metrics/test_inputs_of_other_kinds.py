"""Arrays, tensors, tables and missing values go into all three metrics as lists do, and processes add up."""

import threading

import datasets
import evaluate
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from spectrum_suite.metrics.in_context_steerability import scoring as steerability_scoring
from spectrum_suite.metrics.output_coverage import scoring as coverage_scoring
from spectrum_suite.metrics.spectrum_alignment import scoring as alignment_scoring

COIN = {"options": ["heads", "tails"], "probabilities": [0.5, 0.5]}
SHARES = [[0.2, 0.6], [0.3, 0.3]]
PLACES = [{"sequence": "a", "k": 1, "options": ["x", "y"], "output": "x"},
          {"sequence": "a", "k": 2, "options": ["x", "y"], "output": "y"}]  # fmt: skip
LOG_PROBS = [[-0.2, -2.0], [-0.3, -1.5]]
COLORS = [["red", "blue", "red"]]
FLAGS = {"valid": [True, False, True]}

NUMBERS = {
    "numpy": np.array,
    "float16": lambda rows: np.array(rows, dtype=np.float16),
    "torch": torch.tensor,
    "with gradients": lambda rows: torch.tensor(rows, requires_grad=True),
    "bfloat16": lambda rows: torch.tensor(rows, dtype=torch.bfloat16),
    "tensors": lambda rows: [torch.tensor(row, requires_grad=True) for row in rows],
    "scalars": lambda rows: [[np.float32(x) for x in row] for row in rows],
    "series": lambda rows: pd.Series([np.array(row) for row in rows]),
    "frame": pd.DataFrame,
    "arrow": pa.array,
    "polars": pl.Series,
    "tuples": lambda rows: tuple(map(tuple, rows)),
    "generator": lambda rows: (row for row in rows),
}
TABLES = {
    "records": list,
    "frame": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.Table.from_pylist,
    "dataset": datasets.Dataset.from_list,
    "numpy format": lambda rows: datasets.Dataset.from_list(rows).with_format("numpy"),
    "torch format": lambda rows: datasets.Dataset.from_list(rows).with_format("torch"),
    "pandas records": lambda rows: pl.DataFrame(rows).to_pandas().to_dict("records"),
    "generator": lambda rows: (row for row in rows),
}


@pytest.fixture(scope="module")
def metrics():
    names = ("spectrum_alignment", "in_context_steerability", "output_coverage")
    return [evaluate.load(f"metrics/{name}") for name in names]


def same(found, expected, *, tolerance=1e-2):
    flat = [
        {name: value for name, value in each.items() if isinstance(value, int | float)} for each in (found, expected)
    ]
    assert flat[0].keys() == flat[1].keys()
    assert flat[0] == pytest.approx(flat[1], abs=tolerance, nan_ok=True)


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_may_be_held_by_anything(metrics, kind):
    alignment, steerability, _ = metrics
    references = [COIN, COIN]
    expected = alignment.compute(predictions=SHARES, references=references)
    same(alignment.compute(predictions=NUMBERS[kind](SHARES), references=references), expected)
    expected = steerability.compute(predictions=LOG_PROBS, references=PLACES)
    same(steerability.compute(predictions=NUMBERS[kind](LOG_PROBS), references=PLACES), expected)


@pytest.mark.parametrize("kind", TABLES)
def test_references_may_be_any_table(metrics, kind):
    alignment, steerability, coverage = metrics
    calls = [
        (alignment, SHARES, [COIN, COIN]),
        (steerability, LOG_PROBS, PLACES),
        (coverage, COLORS, [{"valid_items": ["red", "green"], "validator": "one_of"}]),
        (coverage, COLORS, [{"valid": [True, False, True]}]),
    ]
    for metric, predictions, references in calls:
        expected = metric.compute(predictions=predictions, references=references)
        same(metric.compute(predictions=predictions, references=TABLES[kind](references)), expected, tolerance=1e-6)


@pytest.mark.parametrize("kind", ["numpy", "series", "arrow", "polars", "tuples"])
def test_texts_may_be_held_by_anything(metrics, kind):
    alignment, _, coverage = metrics
    samples = NUMBERS[kind]([["heads", "tails"], ["heads", "x"]])
    assert alignment.compute(predictions=samples, references=[COIN, COIN])["coverage"] == 0.75
    found = coverage.compute(predictions=NUMBERS[kind](COLORS), references=[{"valid_items": ["red", "green"]}])
    assert (found["valid"], found["reached"]) == (pytest.approx(2 / 3), 0.5)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, np.float32("nan"), torch.tensor(float("nan"))])
def test_what_is_missing_is_missing_whatever_stands_for_it(metrics, nothing):
    alignment, steerability, coverage = metrics
    found = alignment.compute(predictions=[["heads", nothing], nothing], references=[COIN, COIN])
    assert (found["coverage"], found["n"], found["n_scored"]) == (1, 2, 1)
    found = steerability.compute(predictions=[1.0, nothing], references=PLACES)
    assert (found["loss"], found["n"], found["n_scored"]) == (1, 2, 1)
    found = coverage.compute(
        predictions=[["red", nothing, "red"]], references=[{"valid_items": ["red"], "validator": nothing}]
    )
    assert (found["valid"], found["unique"], "n_unjudged" in found) == (1, 0.5, False)
    found = coverage.compute(predictions=COLORS, references=[{"valid": [1.0, nothing, True], "set_size": nothing}])
    assert (found["valid"], found["yield"], found["n_unjudged"]) == (pytest.approx(2 / 3), 1, 1)


@pytest.mark.parametrize(
    ("metric", "predictions", "reference", "message"),
    [
        (1, [1.0], {"sequence": None, "k": 1}, "reference 0 has no 'sequence'"),
        (1, [1.0], {"sequence": "a", "k": np.nan}, "reference 0 has k = nan"),
        (1, [1.0], {"sequence": "a", "k": -1}, "reference 0 has k = -1"),
        (1, [1.0], {"sequence": "a", "k": 1.5}, "reference 0 has k = 1.5"),
        (1, [[-1, -1]], {"sequence": "a", "k": 1, "options": ["x", "x"], "output": "x"}, "an option twice"),
        (2, [["red"]], {"valid": ["yes"]}, "reference 0 has the flags"),
        (2, [["red"]], {"valid": [2]}, "reference 0 has the flags"),
        (2, [["red"]], {"valid": True}, "reference 0 has the flags"),
        (2, [["red"]], {"valid": [True], "set_size": 1.5}, "reference 0 has set_size 1.5"),
        (2, [["red"]], {"valid_items": ["red", np.nan]}, "reference 0 has the valid items"),
        (2, [[1]], {"valid": [True]}, "prediction 0 .* not a list of strings"),
        (0, [[{}]], COIN, "prediction 0 holds {}"),
        (0, [[0.5, 0.5]], COIN | {"probabilities": [0.5, np.nan]}, "reference 0 has probabilities"),
        (0, [[0.5, 0.5]], COIN | {"probabilities": ["0.5", "0.5"]}, "reference 0 has probabilities"),
        (0, [[0.5, 0.5]], COIN | {"probabilities": 1}, "its options and probabilities are lists"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing_behind(metrics, metric, predictions, reference, message):
    with pytest.raises(ValueError, match=message) as caught:
        metrics[metric].compute(predictions=predictions, references=[reference])
    assert "\n" not in str(caught.value)
    good = [(SHARES[:1], COIN), (LOG_PROBS[:1], PLACES[0]), (COLORS, FLAGS)][metric]
    assert metrics[metric].compute(predictions=good[0], references=[good[1]])["n"] == 1


def in_processes(name, parts, tmp_path):
    """What process 0 computes of the parts that so many processes add."""
    path, settings = f"metrics/{name}", {"num_process": len(parts), "experiment_id": "x", "cache_dir": str(tmp_path)}
    loaded = [evaluate.load(path, process_id=i, **settings) for i in range(len(parts))]
    found = {}

    def run(i):
        predictions, references = parts[i]
        loaded[i].add_batch(predictions=predictions, references=references)
        found[i] = loaded[i].compute()

    threads = [threading.Thread(target=run, args=(i,)) for i in reversed(range(len(parts)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found[0]


@pytest.mark.parametrize(
    ("name", "good", "failed", "reference"),
    [
        ("spectrum_alignment", ["heads"], None, COIN),
        ("spectrum_alignment", ["heads"], [], COIN),
        ("spectrum_alignment", [0.2, 0.6], None, COIN),
        ("in_context_steerability", 1.5, None, PLACES[0]),
        ("in_context_steerability", [-0.2, -2.0], None, PLACES[0]),
        ("output_coverage", ["red"], None, {"valid_items": ["red"]}),
        ("output_coverage", ["red"], [None], {"valid": [True]}),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_process_may_hold_only_failed_items(name, good, failed, reference, order, tmp_path):
    other = reference | ({"sequence": "b"} if "sequence" in reference else {})
    parts = [([good], [reference]), ([failed], [other])][::order]
    found = in_processes(name, parts, tmp_path)
    assert (found["n"], found["n_scored"]) == (2, 1)


def test_the_functions_behind_take_arrays_too():
    rows = torch.tensor(SHARES, dtype=torch.bfloat16, requires_grad=True)
    scores = alignment_scoring.score_items(np.full((2, 2), 0.5), rows)
    assert scores["coverage"] == pytest.approx([0.8, 0.6], abs=5e-3)
    assert alignment_scoring.sample_shares(
        np.array(["a", None, "b"], dtype=object), pd.Series(["a", "b"])
    ).tolist() == [0.5, 0.5]
    correct, confidence = steerability_scoring.score_options(torch.tensor(LOG_PROBS), np.array([0.0, np.nan]))
    assert correct == pytest.approx([1, np.nan], nan_ok=True)
    assert np.isnan(confidence[1])
    outputs = steerability_scoring.as_outputs(
        sequence=pd.Series(["a", "b"]), k=torch.tensor([1, 1]), loss=pd.array([1.0, None])
    )
    assert steerability_scoring.summarize(outputs)["n_scored"] == 1
    found = coverage_scoring.score_task(np.array(["a", "b"]), pd.Series(["a", np.nan]))
    assert (found["valid"], found["n"]) == (0.5, 2)
    for wrong in (
        lambda: alignment_scoring.score_items([["x", "y"]], [[0.5, 0.5]]),
        lambda: alignment_scoring.sample_shares([1], ["1"]),
        lambda: steerability_scoring.as_outputs(sequence=["a", None], k=[1, 1], loss=[1, 1]),
        lambda: steerability_scoring.score_options([[-1, -1]], [0.5]),
        lambda: coverage_scoring.score_task([1], ["a"]),
    ):
        with pytest.raises(
            ValueError, match=r"not numbers|not a string|has no name|index of the true option"
        ) as caught:
            wrong()
        assert "\n" not in str(caught.value)
