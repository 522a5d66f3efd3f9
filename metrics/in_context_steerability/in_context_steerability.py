"""In-Context Steerability: does a model learn from the examples in its context? A metric for `evaluate`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from .scoring import (
    as_outputs,
    at_largest_k,
    bootstrap_intervals,
    by_examples,
    is_missing,
    plain,
    reliability,
    score_options,
    summarize,
    with_examples,
)

_DESCRIPTION = """
Says how well a model predicts the outputs of a process from the examples in its context: loss, loss per token,
accuracy over declared options, and expected calibration error, for all outputs with an example before them, at the
largest number of examples, and for every number of examples.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: One per output. A number is its loss: minus its log-probability, in nats. A list holds the natural
        log-probabilities of the output's options, in the order of the options. A mapping holds `loss` or `log_probs` or
        both, and may hold `tokens`, the number of tokens that the loss is a sum over. None or NaN is an output that
        could not be scored. Lists may be arrays of NumPy, pandas, torch or Arrow, here and in references.
    references: One mapping per output: `sequence`, a name that the outputs of one context share, and `k`, the number of
        examples before the output; with log-probabilities also `options` (list of strings) and `output`, the true one
        of them. Other keys are ignored.
    n_bins: Bins of confidence for the calibration error (default 10): of equal width, half-open, the last one closed.
    confidence_level: For example 0.95, to return percentile bootstrap intervals over sequences (default None).
    n_resamples: Resamples of the bootstrap (default 10000).
    seed: Seed of the bootstrap (default 0).
Returns:
    A dictionary with `loss`, `loss_per_token`, `accuracy` and `ece` over the outputs with at least one example before
    them, NaN where nothing was scored; the standard error of each under `<metric>_se`, clustered by sequence; `n`
    outputs, `n_scored` of them with a loss, and `n_sequences`. The same of each sequence's last output under
    `at_largest_k`, and for each number of examples under `by_k`, a dictionary of columns that begins with `k`.
    `reliability` holds the columns of a reliability diagram. On request, `<metric>_ci`, a list [low, high].
Examples:
    Losses of two sequences with three outputs each:

    >>> metric = evaluate.load("metrics/in_context_steerability")
    >>> places = [{"sequence": name, "k": k} for name in ("ann", "bob") for k in range(3)]
    >>> result = metric.compute(predictions=[2.0, 1.5, 1.0, 3.0, 1.5, 0.5], references=places)
    >>> {name: result[name] for name in ("loss", "n", "n_sequences")}
    {'loss': 1.125, 'n': 4, 'n_sequences': 2}
    >>> result["by_k"]["k"], result["by_k"]["loss"]
    ([0, 1, 2], [2.5, 1.5, 0.75])
    >>> result["at_largest_k"]["loss"]
    0.75

    Log-probabilities of options, which give loss, accuracy and calibration:

    >>> import math
    >>> vote = {"sequence": "ann", "options": ["agree", "disagree"]}
    >>> votes = [vote | {"k": 1, "output": "agree"}, vote | {"k": 2, "output": "disagree"}]
    >>> sure = [math.log(0.8), math.log(0.1)]
    >>> result = metric.compute(predictions=[sure, sure], references=votes)
    >>> {name: round(result[name], 4) for name in ("loss", "accuracy", "ece")}
    {'loss': 1.2629, 'accuracy': 0.5, 'ece': 0.3889}
"""

_CITATION = """@inproceedings{sorensen2026spectrum,
  title = {Spectrum Tuning: Post-Training for Distributional Coverage and In-Context Steerability},
  author = {Taylor Sorensen and Benjamin Newman and Jared Moore and Chan Park and Jillian Fisher and
            Niloofar Mireshghallah and Liwei Jiang and Yejin Choi},
  booktitle = {International Conference on Learning Representations},
  year = {2026},
  url = {https://arxiv.org/abs/2510.06084},
}"""

_PREDICTION_KEYS = ("loss", "tokens", "log_probs")
_CALL = (
    "compute(predictions=[1.5], references=[{'sequence': 'a', 'k': 1}]), or predictions=[[-0.2, -2.3]] with 'options' "
    "and 'output' in each reference"
)

Prediction = float | Sequence[float] | Mapping[str, Any] | None


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class InContextSteerability(evaluate.Metric):
    """Loss, accuracy and calibration by the number of examples in the context."""

    def _info(self) -> evaluate.MetricInfo:
        number, text = datasets.Value("float64"), datasets.Value("string")
        features = {
            "predictions": {"loss": number, "tokens": number, "log_probs": datasets.Sequence(number)},
            "references": {
                "sequence": text,
                "k": datasets.Value("int64"),
                "options": datasets.Sequence(text),
                "output": text,
            },
        }
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(features),
            reference_urls=["https://arxiv.org/abs/2510.06084"],
        )

    def add_batch(self, *, predictions: Iterable[Prediction], references: Iterable[Mapping[str, Any]]) -> None:
        """Add outputs; :meth:`compute` takes the same two."""
        predictions, references = _lists(predictions, references)
        predictions = [_checked_prediction(prediction, i) for i, prediction in enumerate(predictions)]
        references = [_checked_reference(reference, i) for i, reference in enumerate(references)]
        for i, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
            _check_options(prediction["log_probs"], reference, i)
        super().add_batch(predictions=predictions, references=references)

    def add(self, *, prediction: Prediction, reference: Mapping[str, Any]) -> None:
        """Add one output."""
        self.add_batch(predictions=[prediction], references=[reference])

    def _compute(
        self,
        *,
        predictions: list[dict[str, Any]],
        references: list[dict[str, Any]],
        n_bins: int = 10,
        confidence_level: float | None = None,
        n_resamples: int = 10_000,
        seed: int = 0,
    ) -> dict[str, Any]:
        answers = [_answer(reference) for reference in references]
        correct, confidence = score_options([prediction["log_probs"] or None for prediction in predictions], answers)
        outputs = as_outputs(
            sequence=[reference["sequence"] for reference in references],
            k=[reference["k"] for reference in references],
            loss=[_loss(prediction, answer) for prediction, answer in zip(predictions, answers, strict=True)],
            tokens=[prediction["tokens"] for prediction in predictions],
            correct=correct,
            confidence=confidence,
        )
        counted = with_examples(outputs)
        result: dict[str, Any] = summarize(counted, n_bins=n_bins)
        if confidence_level is not None:
            how = {"confidence_level": confidence_level, "n_resamples": n_resamples, "seed": seed}
            intervals = bootstrap_intervals(counted, n_bins=n_bins, **how)
            result |= {f"{name}_ci": list(interval) for name, interval in intervals.items()}
        return result | {
            "at_largest_k": summarize(at_largest_k(outputs), n_bins=n_bins),
            "by_k": by_examples(outputs, n_bins=n_bins),
            "reliability": reliability(counted, n_bins=n_bins),
        }


def _checked_prediction(prediction: Prediction, i: int) -> dict[str, Any]:
    """Prediction ``i`` as a mapping with all keys."""
    if isinstance(prediction, str):
        raise TypeError(f"prediction {i} is {prediction!r}: pass a loss or log-probabilities, {_CALL}")
    if isinstance(prediction, Mapping):
        if unknown := set(prediction) - set(_PREDICTION_KEYS):
            raise ValueError(f"prediction {i} has the key {min(unknown)!r}: use {', '.join(_PREDICTION_KEYS)}")
        found = plain(prediction)
    else:
        values = plain(prediction)
        found = {"loss" if np.ndim(values) == 0 else "log_probs": values}
    log_probs = [] if is_missing(found.get("log_probs")) else found["log_probs"]
    given = [found.get("loss"), found.get("tokens"), *(log_probs if isinstance(log_probs, list) else [log_probs])]
    if any(not isinstance(number, bool | int | float | None) for number in given) or not isinstance(log_probs, list):
        raise TypeError(f"prediction {i} is {prediction!r}: pass a loss or log-probabilities, {_CALL}")
    return {"loss": found.get("loss"), "tokens": found.get("tokens"), "log_probs": log_probs}


def _checked_reference(reference: Mapping[str, Any], i: int) -> dict[str, Any]:
    """The fields of reference ``i`` that count; evaluate wants each of them in every reference."""
    if not isinstance(reference, Mapping) or not {"sequence", "k"} <= set(reference):
        raise ValueError(f"reference {i} is {reference!r}, not a mapping with 'sequence' and 'k': {_CALL}")
    sequence, k, options, output = (plain(reference.get(name)) for name in ("sequence", "k", "options", "output"))
    if is_missing(sequence):
        raise ValueError(f"reference {i} has no 'sequence': name the context that the output is in, {_CALL}")
    options = [] if is_missing(options) else options
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise ValueError(f"reference {i} has options {options!r}: give strings, such as ['yes', 'no']")
    if len(set(options)) < len(options):
        raise ValueError(f"reference {i} has an option twice: {options!r}")
    output = "" if is_missing(output) else output
    if not isinstance(output, str):
        raise TypeError(f"reference {i} has output {output!r}: give a string, such as {str(output)!r}")
    return {"sequence": str(sequence), "k": _whole(k, i), "options": options, "output": output}


def _records(references: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """One reference per output, of a table too: its rows."""
    if hasattr(references, "iloc"):  # pandas
        return references.to_dict("records")
    method = next((name for name in ("to_dicts", "to_pylist") if hasattr(references, name)), None)  # Polars, Arrow
    return getattr(references, method)() if method else references


def _whole(k: Any, i: int) -> int:
    """The number of examples as an integer, from whatever says it."""
    try:
        if float(k) == int(float(k)) >= 0:
            return int(float(k))
    except (TypeError, ValueError, OverflowError):  # no number, NaN or infinite
        pass
    raise ValueError(f"reference {i} has k = {k!r}: k counts the examples before an output, so pass 0, 1, 2, ...")


def _lists(predictions: Any, references: Any) -> tuple[list[Any], list[Any]]:
    """Both with one entry per output, out of whatever holds them."""
    if predictions is None or references is None or isinstance(references, Mapping):
        raise ValueError(f"predictions and references are lists with one entry per output: {_CALL}")
    found, known = list(plain(predictions)), list(_records(references))
    if len(found) != len(known) or not found:
        raise ValueError(f"{len(found)} predictions and {len(known)} references: pass one of each per output, {_CALL}")
    return found, known


def _check_options(log_probs: Sequence[float], reference: Mapping[str, Any], i: int) -> None:
    options, output = reference["options"], reference["output"]
    if len(log_probs) and output not in options:
        raise ValueError(f"reference {i} has output {output!r}, which is none of its options {options!r}: add it")
    if len(log_probs) not in (0, len(options)):
        raise ValueError(
            f"prediction {i} has {len(log_probs)} log-probabilities for {len(options)} options: pass one for each"
        )


def _answer(reference: Mapping[str, Any]) -> int | None:
    """The index of the true option."""
    options, output = reference["options"], reference["output"]
    return options.index(output) if output in options else None


def _loss(prediction: Mapping[str, Any], answer: int | None) -> float | None:
    """The loss that was given, or that of the true option; None if there is neither."""
    if prediction["loss"] is not None or not prediction["log_probs"]:
        return prediction["loss"]
    return -prediction["log_probs"][answer]
