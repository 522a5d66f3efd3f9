"""Spectrum Alignment: does a model draw its answers from the distribution it should? A metric for `evaluate`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import datasets
import evaluate
import numpy as np

from .scoring import bootstrap_interval, is_missing, plain, sample_shares, score_items, summarize

_DESCRIPTION = """
Compares a model's distribution over declared options with the target distribution, item by item: Jensen-Shannon
divergence, Kullback-Leibler divergence both ways, cross-entropy, total variation, Hellinger and Wasserstein distance,
whether the most likely option is right, and the probability mass that the model puts on the options at all (coverage).
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: One list per item: the model's probabilities or log-probabilities of the options, in the order of the
        options, which need not sum to 1 (their sum is the coverage); or strings sampled from the model. None, or an
        empty list of samples, is an item that could not be scored; a None or NaN among samples is left out. Lists may
        be arrays of NumPy, pandas, torch or Arrow, here and in references.
    references: One mapping per item: `options` (list of strings) and `probabilities` (list of floats). Other keys are
        ignored, so rows of a dataset can be passed as they are.
    prediction_type: 'probabilities', 'log_probabilities' (natural logarithms) or 'samples'. By default inferred from
        the values: strings are samples, negative numbers log-probabilities, positive numbers probabilities.
    smoothing: Added to every probability of both distributions, which are then renormalised (default 1e-6).
    unit: 'nats' (default) or 'bits', for the divergences and the cross-entropy.
    ordered: Whether to return the Wasserstein distance, with the options at 0, 1, 2, ..., and the ranked probability
        score (default False).
    positions: Where the options are on a line: one list for all items, or one per item. Implies `ordered`.
    per_item: Whether to return every item's values (default False).
    confidence_level: For example 0.95, to return percentile bootstrap intervals of the means (default None).
    n_resamples: Resamples of the bootstrap (default 10000).
    seed: Seed of the bootstrap (default 0).
Returns:
    A dictionary with the mean over the scored items of `js_divergence`, `kl_target_model`, `kl_model_target`,
    `cross_entropy`, `total_variation`, `brier`, `hellinger`, `mode_match` and `coverage`, and if asked for of
    `wasserstein` and `rps`; the standard error of each under `<metric>_se`; `n`, the number of items; `n_scored`, the
    number of items with every value (an item with no mass on any option counts in `coverage` only). On request,
    `<metric>_ci`, a list [low, high], and `per_item`, a dictionary of lists.
Examples:
    A model that gives heads 0.2 and tails 0.6, where a fair coin was described:

    >>> metric = evaluate.load("metrics/spectrum_alignment")
    >>> coin = {"options": ["heads", "tails"], "probabilities": [0.5, 0.5]}
    >>> result = metric.compute(predictions=[[0.2, 0.6]], references=[coin])
    >>> {name: round(result[name], 4) for name in ("js_divergence", "total_variation", "coverage")}
    {'js_divergence': 0.0338, 'total_variation': 0.25, 'coverage': 0.8}

    Sampled answers for two items, with intervals:

    >>> urn = {"options": ["red", "blue", "green"], "probabilities": [0.5, 0.25, 0.25]}
    >>> samples = [["heads", "tails", "tails", "heads"], ["red", "red", "red", "I pick blue"]]
    >>> result = metric.compute(predictions=samples, references=[coin, urn], confidence_level=0.95)
    >>> {name: round(result[name], 4) for name in ("js_divergence", "js_divergence_se", "coverage", "n")}
    {'js_divergence': 0.1079, 'js_divergence_se': 0.1079, 'coverage': 0.875, 'n': 2}
    >>> [round(end, 4) for end in result["coverage_ci"]]
    [0.75, 1.0]
"""

_CITATION = """@inproceedings{sorensen2026spectrum,
  title = {Spectrum Tuning: Post-Training for Distributional Coverage and In-Context Steerability},
  author = {Taylor Sorensen and Benjamin Newman and Jared Moore and Chan Park and Jillian Fisher and
            Niloofar Mireshghallah and Liwei Jiang and Yejin Choi},
  booktitle = {International Conference on Learning Representations},
  year = {2026},
  url = {https://arxiv.org/abs/2510.06084},
}"""

Kind = Literal["numbers", "strings"]
Prediction = Sequence[float] | Sequence[str | None] | None

_CALL = (
    "compute(predictions=[[0.2, 0.6]], references=[{'options': ['heads', 'tails'], 'probabilities': [0.5, 0.5]}]), "
    "or predictions=[['heads', 'tails', 'tails']]"
)
_PREDICTION_TYPES = ("probabilities", "log_probabilities", "samples")


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class SpectrumAlignment(evaluate.Metric):
    """Distributional alignment over declared options."""

    _held_kind: Kind | None = None  # of what was added since the last result

    def _info(self) -> evaluate.MetricInfo:
        reference = {
            "options": datasets.Sequence(datasets.Value("string")),
            "probabilities": datasets.Sequence(datasets.Value("float64")),
        }
        # both kinds in one layout, so that processes of which one holds nothing but failed items can be put together
        predictions = {
            "strings": datasets.Sequence(datasets.Value("string")),
            "numbers": datasets.Sequence(datasets.Value("float64")),
        }
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": predictions, "references": reference}),
            reference_urls=["https://arxiv.org/abs/2510.06084"],
        )

    def add_batch(self, *, predictions: Iterable[Prediction], references: Iterable[Mapping[str, Any]]) -> None:
        """Add items to score; :meth:`compute` takes the same two."""
        if predictions is None or references is None or isinstance(references, Mapping):
            raise ValueError(f"predictions and references are lists with one entry per item: {_CALL}")
        predictions = [_checked_prediction(prediction, i) for i, prediction in enumerate(plain(predictions))]
        references = [_checked_reference(reference, i) for i, reference in enumerate(_records(references))]
        if (n := len(predictions)) != len(references) or n == 0:
            raise ValueError(f"{n} predictions and {len(references)} references: pass one of each per item, {_CALL}")
        self._held_kind = _only_kind([*predictions, {self._held_kind: True}] if self._held_kind else predictions)
        super().add_batch(predictions=predictions, references=references)

    def add(self, *, prediction: Prediction, reference: Mapping[str, Any]) -> None:
        """Add one item to score."""
        self.add_batch(predictions=[prediction], references=[reference])

    def compute(self, **inputs: Any) -> dict[str, Any] | None:
        """Score what was added, and ``predictions`` and ``references``; None in a process that is not the main one."""
        try:
            return super().compute(**inputs)
        finally:
            self._held_kind = None

    def _compute(
        self,
        *,
        predictions: list[dict[str, list | None]],
        references: list[dict[str, list]],
        prediction_type: str | None = None,
        smoothing: float = 1e-6,
        unit: str = "nats",
        ordered: bool = False,
        positions: Sequence[float] | Sequence[Sequence[float]] | None = None,
        per_item: bool = False,
        confidence_level: float | None = None,
        n_resamples: int = 10_000,
        seed: int = 0,
    ) -> dict[str, Any]:
        kind = _only_kind(predictions)
        predictions = [prediction[kind] or None for prediction in predictions] if kind else [None] * len(predictions)
        prediction_type = _checked_prediction_type(predictions, prediction_type)
        if prediction_type == "samples":
            pairs = zip(predictions, references, strict=True)
            predictions = [sample_shares(samples or [], reference["options"]) for samples, reference in pairs]
            prediction_type = "probabilities"
        positions = plain(positions)
        if positions is not None and np.ndim(positions[0]) == 0:
            positions = [positions] * len(references)
        scores = score_items(
            [reference["probabilities"] for reference in references],
            predictions,
            prediction_type=prediction_type,
            smoothing=smoothing,
            unit=unit,
            ordered=ordered,
            positions=positions,
        )
        result: dict[str, Any] = summarize(scores)
        if confidence_level is not None:
            how = {"confidence_level": confidence_level, "n_resamples": n_resamples, "seed": seed}
            result |= {f"{name}_ci": list(bootstrap_interval(values, **how)) for name, values in scores.items()}
        if per_item:
            result["per_item"] = {name: values.tolist() for name, values in scores.items()}
        return result


def _checked_reference(reference: Mapping[str, Any], i: int) -> dict[str, Any]:
    """The two fields of reference ``i``."""
    if not isinstance(reference, Mapping) or not {"options", "probabilities"} <= set(reference):
        raise ValueError(f"reference {i} is {reference!r}, not a mapping with 'options' and 'probabilities': {_CALL}")
    options, probabilities = (plain(reference[name]) for name in ("options", "probabilities"))
    if not (isinstance(options, list) and isinstance(probabilities, list)):
        raise ValueError(f"reference {i} is {reference!r}: its options and probabilities are lists, {_CALL}")  # noqa: TRY004
    if len(options) != len(probabilities):
        raise ValueError(
            f"reference {i} has {len(options)} options and {len(probabilities)} probabilities: give one for each option"
        )
    if not all(isinstance(option, str) for option in options):
        raise ValueError(f"reference {i} has options {options!r}: give strings, such as {[str(o) for o in options]!r}")
    if any(is_missing(share) or isinstance(share, str) for share in probabilities):
        raise ValueError(f"reference {i} has probabilities {probabilities!r}: give a number for each option")
    return {"options": options, "probabilities": probabilities}


def _checked_prediction(prediction: Prediction, i: int) -> dict[Kind, list | None]:
    """Prediction ``i`` under what it holds, numbers or strings; both None if it holds nothing."""
    held: dict[Kind, list | None] = {"strings": None, "numbers": None}
    values = plain(prediction)
    if is_missing(values):
        return held
    if not isinstance(values, list):
        raise ValueError(f"prediction {i} is {values!r}, not a list: pass one list per item, {_CALL}")  # noqa: TRY004
    texts = [value for value in values if isinstance(value, str)]
    if odd := [value for value in values if value is not None and not isinstance(value, str | bool | int | float)]:
        raise ValueError(f"prediction {i} holds {odd[0]!r}: pass numbers or strings, {_CALL}")
    if texts:
        if len(texts) < sum(not is_missing(value) for value in values):
            raise ValueError(f"prediction {i} is {values!r}, both numbers and strings: {_CALL}")
        return held | {"strings": texts}
    return held | {"numbers": values} if any(value is not None for value in values) else held


def _records(references: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """One reference per item, of a table too: its rows."""
    if hasattr(references, "iloc"):  # pandas
        return references.to_dict("records")
    method = next((name for name in ("to_dicts", "to_pylist") if hasattr(references, name)), None)  # Polars, Arrow
    return getattr(references, method)() if method else references


def _only_kind(predictions: Iterable[Mapping[Kind, Any]]) -> Kind | None:
    """What the predictions hold, numbers or strings; None if they hold nothing."""
    kinds = {kind for prediction in predictions for kind, values in prediction.items() if values}
    if len(kinds) > 1:
        raise ValueError(f"predictions mix numbers and strings: {_CALL}")
    return next(iter(kinds), None)


def _checked_prediction_type(predictions: list[Prediction], prediction_type: str | None) -> str:
    """The type that was given, if it fits, or the only one that the values allow."""
    if prediction_type not in (None, *_PREDICTION_TYPES):
        raise ValueError(
            f"prediction_type is {prediction_type!r}: use one of {', '.join(map(repr, _PREDICTION_TYPES))}"
        )
    values = [value for prediction in predictions for value in prediction or () if value is not None]
    if not values:
        return "samples"
    is_text = isinstance(values[0], str)
    if prediction_type is not None:
        if is_text != (prediction_type == "samples"):
            held = (
                "strings: pass prediction_type='samples'"
                if is_text
                else "numbers: pass prediction_type='probabilities'"
            )
            raise ValueError(f"prediction_type is {prediction_type!r}, but predictions are {held} or leave it out")
        return prediction_type
    if is_text:
        return "samples"
    if np.isnan(values).all():
        return "probabilities"
    low, high = np.nanmin(values), np.nanmax(values)
    if low < 0 and high <= 0:
        return "log_probabilities"
    if low >= 0 and high > 0:
        return "probabilities"
    raise ValueError(
        f"predictions between {low} and {high} may be probabilities or log-probabilities: "
        "pass compute(..., prediction_type='probabilities') or prediction_type='log_probabilities'"
    )
