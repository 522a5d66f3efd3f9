"""What the metric computes, as a module of `evaluate`; how it is packaged is tested in ``test_packaging.py``."""

import numpy as np
import pytest
from datasets import Dataset
from spectrum_suite.metrics.spectrum_alignment.scoring import sample_shares, score_items
from spectrum_suite.metrics.spectrum_alignment.spectrum_alignment import SpectrumAlignment

from tests.documents import first_cells, read

COIN = {"options": ["heads", "tails"], "probabilities": [0.5, 0.5]}
DIGIT = {"options": ["0", "1"], "probabilities": [0.25, 0.75]}
URN = {"options": ["red", "blue", "green"], "probabilities": [0.5, 0.25, 0.25]}


@pytest.fixture
def metric(tmp_path):
    return SpectrumAlignment(cache_dir=str(tmp_path))


def test_card_lists_the_keys_and_arguments_that_there_are(metric):
    result = metric.compute(predictions=[[0.5, 0.2]], references=[COIN], ordered=True)
    keys = [name for name in result if not name.endswith("_se") and name not in ("n", "n_scored")]
    _, shown = first_cells(read("metrics/spectrum_alignment/README.md"))
    assert shown == keys


def test_numbers_are_those_of_the_core(metric):
    predictions = [[0.2, 0.6], [0.1, 0.1], [0.3, 0.3, 0.1]]
    references = [COIN, DIGIT, URN]
    result = metric.compute(
        predictions=predictions, references=references, smoothing=0.01, unit="bits", ordered=True, per_item=True
    )
    targets = [reference["probabilities"] for reference in references]
    scores = score_items(targets, predictions, smoothing=0.01, unit="bits", ordered=True)
    assert set(result["per_item"]) == set(scores)
    for name, values in scores.items():
        assert result["per_item"][name] == values.tolist()
        assert result[name] == pytest.approx(values.mean())
        assert result[f"{name}_se"] == pytest.approx(values.std(ddof=1) / 3**0.5)
    assert (result["n"], result["n_scored"]) == (3, 3)
    assert all(type(result[name]) in (float, int) for name in result if name != "per_item")


def test_log_probabilities_are_told_by_their_sign(metric):
    probabilities = [[0.2, 0.6], [1.0, 0.0]]
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities)
    from_probabilities = metric.compute(predictions=probabilities, references=[COIN, DIGIT])
    assert metric.compute(predictions=logs, references=[COIN, DIGIT]) == pytest.approx(from_probabilities)
    explicit = metric.compute(predictions=logs, references=[COIN, DIGIT], prediction_type="log_probabilities")
    assert explicit == pytest.approx(from_probabilities)


def test_a_certain_model_needs_its_type_said(metric):
    sure = {"options": ["yes"], "probabilities": [1.0]}
    with pytest.raises(ValueError, match=r"prediction_type='probabilities'\) or prediction_type='log_probabilities'"):
        metric.compute(predictions=[[0.0]], references=[sure])
    as_log = metric.compute(predictions=[[0.0]], references=[sure], prediction_type="log_probabilities")
    as_probability = metric.compute(predictions=[[0.0]], references=[sure], prediction_type="probabilities")
    assert (as_log["coverage"], as_probability["coverage"]) == (1, 0)
    assert np.isnan(as_probability["js_divergence"])


def test_samples_score_as_their_shares(metric):
    samples = [["heads", "tails ", "\nheads", "edge"], ["1", "1", "0", "1"]]
    shares = [sample_shares(each, reference["options"]) for each, reference in zip(samples, (COIN, DIGIT), strict=True)]
    np.testing.assert_allclose(shares, [[0.5, 0.25], [0.25, 0.75]])
    result = metric.compute(predictions=samples, references=[COIN, DIGIT])
    assert result == metric.compute(predictions=shares, references=[COIN, DIGIT])
    assert result["coverage"] == 0.875


def test_digits_as_text_are_samples_even_after_an_item_without_any(metric):
    for first in (None, [], [None]):
        result = metric.compute(predictions=[first, ["0", "1", "1", "1"]], references=[DIGIT, DIGIT], per_item=True)
        assert result["per_item"]["total_variation"] == [pytest.approx(np.nan, nan_ok=True), pytest.approx(0)]
        assert (result["coverage"], result["n"], result["n_scored"]) == (1, 2, 1)
    result = metric.compute(predictions=[None, [0.1, 0.3]], references=[DIGIT, DIGIT])
    assert (result["coverage"], result["n_scored"]) == (pytest.approx(0.4), 1)
    assert metric.compute(predictions=[None, []], references=[DIGIT, DIGIT])["n_scored"] == 0
    assert metric.compute(predictions=[[np.nan, np.nan]], references=[DIGIT])["n_scored"] == 0


def test_rows_of_a_dataset_are_references(metric):
    rows = Dataset.from_list([{"id": "a", "n_responses": None, **COIN}, {"id": "b", "n_responses": 9, **URN}])
    result = metric.compute(predictions=[[0.5, 0.5], [0.5, 0.25, 0.25]], references=rows)
    assert result["js_divergence"] == pytest.approx(0, abs=1e-12)


def test_batches_add_up(metric):
    metric.add(prediction=[0.2, 0.6], reference=COIN)
    metric.add_batch(predictions=[[0.1, 0.1], [0.3, 0.3, 0.1]], references=[DIGIT, URN])
    with pytest.raises(ValueError, match="mix numbers and strings"):
        metric.add_batch(predictions=[["0", "1"]], references=[DIGIT])
    in_parts = metric.compute()
    assert in_parts["n"] == 3
    assert in_parts == metric.compute(
        predictions=[[0.2, 0.6], [0.1, 0.1], [0.3, 0.3, 0.1]], references=[COIN, DIGIT, URN]
    )


def test_positions_for_all_items_or_for_each(metric):
    call = {"predictions": [[1.0, 0.0], [0.5, 0.5]], "references": [COIN, COIN], "smoothing": 0, "per_item": True}
    assert metric.compute(**call, positions=[2, 6])["per_item"]["wasserstein"] == [2, 0]
    assert metric.compute(**call, positions=[[2, 6], [0, 1]])["wasserstein"] == 1
    assert metric.compute(**call, positions=[[0, 1], [2, 6]])["wasserstein"] == 0.25
    assert "wasserstein" not in metric.compute(**call)


def test_intervals_hold_the_mean_and_widen(metric):
    rng = np.random.default_rng(0)
    call = {"predictions": rng.dirichlet(np.ones(3), size=40), "references": [URN] * 40, "n_resamples": 500}
    result = metric.compute(**call, confidence_level=0.8)
    wider = metric.compute(**call, confidence_level=0.99)
    for name in ("js_divergence", "hellinger"):
        assert wider[f"{name}_ci"][0] < result[f"{name}_ci"][0] < result[name] < result[f"{name}_ci"][1]
        half_width = (result[f"{name}_ci"][1] - result[f"{name}_ci"][0]) / 2
        assert half_width == pytest.approx(1.2816 * result[f"{name}_se"], rel=0.15)  # the normal's 80%
    assert result["js_divergence_ci"] == metric.compute(**call, confidence_level=0.8)["js_divergence_ci"]
    assert result["js_divergence_ci"] != metric.compute(**call, confidence_level=0.8, seed=1)["js_divergence_ci"]


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([0.2, 0.6], [COIN], "prediction 0 is 0.2, not a list: .*predictions=\\[\\[0.2, 0.6\\]\\]"),
        (["heads"], [COIN], "prediction 0 is 'heads', not a list"),
        ([[0.2, 0.6]], COIN, "one entry per item: compute"),
        ([[0.2, 0.6]], None, "one entry per item: compute"),
        ([], [], "0 predictions and 0 references"),
        ([[0.2, 0.6]], [COIN, COIN], "1 predictions and 2 references"),
        ([["heads"], [0.2, 0.6]], [COIN, COIN], "mix numbers and strings"),
        ([["heads", 0.6]], [COIN], "prediction 0 .* both numbers and strings"),
        ([[0.2, 0.6]], [{"options": ["a", "b"]}], "reference 0 .* not a mapping with 'options' and 'probabilities'"),
        ([[0.2, 0.6]], [{**COIN, "probabilities": [1]}], "2 options and 1 probabilities"),
        ([[0.2, 0.6]], [{**COIN, "options": [1, 2]}], r"give strings, such as \['1', '2'\]"),
        ([[0.2, 0.6, 0.1]], [COIN], "pass one number per option, 2 in all"),
        ([[0.2, 0.6]], [{**COIN, "probabilities": [5, 5]}], "divide counts or percentages"),
        ([[0.2, -0.6]], [COIN], "may be probabilities or log-probabilities"),
        ([[-0.1, -0.2]], [COIN], "more than all the mass"),
    ],
)
def test_mistakes_show_what_to_do(metric, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(predictions=predictions, references=references)
    assert metric.compute(predictions=[[0.2, 0.6]], references=[COIN])["n"] == 1


@pytest.mark.parametrize(
    ("predictions", "options", "message"),
    [
        ([["heads"]], {"prediction_type": "probabilities"}, "predictions are strings: pass prediction_type='samples'"),
        ([[0.2, 0.6]], {"prediction_type": "samples"}, "predictions are numbers: pass prediction_type='probabilities'"),
        ([[0.2, 0.6]], {"prediction_type": "logprobs"}, "use one of 'probabilities', 'log_probabilities', 'samples'"),
        ([[0.2, 0.6]], {"unit": "dits"}, "use 'nats' or 'bits'"),
        ([[0.2, 0.6]], {"confidence_level": 95}, "such as 0\\.95"),
    ],
)
def test_wrong_options_show_what_to_do(metric, predictions, options, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(predictions=predictions, references=[COIN], **options)
