"""How well a model predicts outputs from examples in its context: loss, accuracy and calibration by number of examples.

Works on NumPy arrays alone, so that it can be used without `evaluate`. Two sequences of two outputs each, in nats:

>>> outputs = as_outputs(sequence=["a", "a", "b", "b"], k=[0, 1, 0, 1], loss=[2.0, 1.0, 3.0, 0.5])
>>> by_examples(outputs)["loss"]
[2.5, 0.75]
>>> round(summarize(with_examples(outputs))["loss"], 4)
0.75
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

N_BINS = 10
METRICS = ("loss", "loss_per_token", "accuracy", "ece")

_TIE = 1e-9  # options within this relative distance of the largest probability are tied
_DRAWS_PER_BLOCK = 1_000_000  # bounds the memory of a bootstrap to tens of MiB
_FEWEST_WITH_SPREAD = 2
_UNWRAP = ("to_pylist", "as_py", "to_numpy", "tolist")  # of Arrow, pandas and Polars, NumPy and torch
_RATIOS = 3  # the first three metrics are quotients of two sums
_TOLERANCE = 1e-3  # a loss may be below zero, and a mass above one, by so much (half-precision rounding)


@dataclass(frozen=True)
class Outputs:
    """Scored outputs; each array has the shape (n_outputs,). Make one with :func:`as_outputs`.

    Attributes:
        sequence: Which sequence an output is in, as text.
        k: Examples before it in its sequence.
        loss: Minus its log-probability, in nats; NaN if it was not scored.
        tokens: Its tokens; NaN where they are not known.
        correct: The chance that the model's most likely option is the true one; NaN where there are no options.
        confidence: The probability of that option among the options; NaN where there are none.
    """

    sequence: np.ndarray
    k: np.ndarray
    loss: np.ndarray
    tokens: np.ndarray
    correct: np.ndarray
    confidence: np.ndarray

    def __len__(self) -> int:
        return len(self.k)

    def where(self, chosen: np.ndarray) -> Outputs:
        """The outputs that a boolean array or an array of indices chooses."""
        return Outputs(**{name: column[chosen] for name, column in vars(self).items()})


def as_outputs(
    *,
    sequence: Sequence[str | int],
    k: ArrayLike,
    loss: ArrayLike,
    tokens: ArrayLike | None = None,
    correct: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
) -> Outputs:
    """Lists with one entry per output as :class:`Outputs`; None, as a list or as an entry, is not known.

    Raises:
        ValueError: If lengths differ, a value is out of its range, or an output is there twice.
    """
    sequence = plain(sequence)
    n = len(sequence)
    if any(map(is_missing, sequence)):
        raise ValueError("a sequence has no name: give outputs of one context the same name, and others another")
    given = {"k": k, "loss": loss, "tokens": tokens, "correct": correct, "confidence": confidence}
    columns = {name: np.full(n, np.nan) if values is None else numbers(values) for name, values in given.items()}
    for name, column in columns.items():
        if column.shape != (n,):
            raise ValueError(f"{name} has shape {column.shape} for {n} outputs: pass one number per output")
    if n == 0:
        raise ValueError("there are no outputs to score: pass at least one")
    _check_ranges(columns)
    outputs = Outputs(np.array([str(name) for name in sequence]), columns.pop("k").astype(int), **columns)
    _check_unique(outputs)
    return outputs


def plain(value: Any) -> Any:
    """``value`` with lists in place of arrays, tensors and columns, and None in place of pandas' missing value."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if method := next((name for name in _UNWRAP if hasattr(value, name)), None):
        return plain(getattr(value, method)())
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    return list(map(plain, value)) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else value


def score_options(
    log_probs: Sequence[ArrayLike | None], answers: Sequence[int | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the most likely option is the true one, and how sure the model is of it.

    Probabilities are divided by their sum over the options: others are left out. Where several options tie for the
    most likely, the output counts the share of them that is right, so a uniform guess over four is right by 0.25.

    Args:
        log_probs: Per output one natural log-probability per option, (n_options,); the number may differ between
            outputs. None, or an array with a NaN, was not scored.
        answers: Per output the index of the true option; None where it is not known.

    Returns:
        ``correct`` and ``confidence``, each (n_outputs,); NaN for an output that was not scored, or where no option
        has any mass.

    Raises:
        ValueError: If lengths differ, an index is out of range, or options have more mass than there is.

    >>> correct, confidence = score_options([np.log([0.2, 0.6]), np.log([0.1, 0.1])], [1, 1])
    >>> correct.tolist(), confidence.round(4).tolist()
    ([1.0, 0.5], [0.75, 0.5])
    """
    if len(log_probs) != len(answers):
        raise ValueError(f"{len(log_probs)} lists of log-probabilities and {len(answers)} answers: pass one of each")
    scored = [_score_one(i, *pair) for i, pair in enumerate(zip(log_probs, plain(answers), strict=True))]
    correct, confidence = np.array(scored, dtype=float).reshape(-1, 2).T
    return correct, confidence


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, or the NaN that pandas puts among texts and flags."""
    return value is None or (isinstance(value, float) and np.isnan(value))


def with_examples(outputs: Outputs, at_least: int = 1) -> Outputs:
    """The outputs with so many examples before them."""
    return outputs.where(outputs.k >= at_least)


def at_largest_k(outputs: Outputs) -> Outputs:
    """Of each sequence the scored output with the most examples before it, if it has any."""
    scored = outputs.where((outputs.k > 0) & ~np.isnan(outputs.loss))
    order = np.lexsort((-scored.k, scored.sequence))
    _, first = np.unique(scored.sequence[order], return_index=True)
    return scored.where(np.sort(order[first]))


def summarize(outputs: Outputs, *, n_bins: int = N_BINS) -> dict[str, float]:
    """Each metric over all ``outputs``, with its standard error.

    ``loss`` and ``accuracy`` are means over outputs, ``loss_per_token`` is the sum of losses over the sum of tokens,
    and ``ece`` the expected calibration error (:func:`expected_calibration_error`). Outputs of one sequence are not
    independent: standard errors are the delete-one-sequence jackknife's, which for a mean over sequences of equal
    length is the standard deviation of the sequences' means over the root of their number.

    Returns:
        ``<metric>`` and ``<metric>_se`` of each, NaN where nothing was scored (and an error NaN for a single sequence);
        ``n`` outputs, ``n_scored`` of them with a loss, and ``n_sequences``.
    """
    sums = sums_per_sequence(outputs, n_bins)
    values, errors = metrics_of_sums(sums.sum(axis=0)), _jackknife_errors(sums)
    summary: dict[str, float] = {}
    for name, value, error in zip(METRICS, values, errors, strict=True):
        summary |= {name: float(value), f"{name}_se": float(error)}
    scored = ~np.isnan(outputs.loss)
    return summary | {"n": len(outputs), "n_scored": int(scored.sum()), "n_sequences": len(sums)}


def by_examples(outputs: Outputs, *, n_bins: int = N_BINS) -> dict[str, list[float]]:
    """:func:`summarize` for each number of examples: columns of a table, the first of which is ``k``."""
    ks = np.unique(outputs.k)
    rows = [{"k": int(k)} | summarize(outputs.where(outputs.k == k), n_bins=n_bins) for k in ks]
    return {name: [row[name] for row in rows] for name in ("k", *summarize(outputs, n_bins=n_bins))}


def bin_edges(n_bins: int = N_BINS) -> np.ndarray:
    """The ends of the bins of confidence, (n_bins + 1,): bin i holds [i / n, (i + 1) / n), the last one also 1."""
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}: give a positive number, such as {N_BINS}")
    return np.arange(n_bins + 1) / n_bins


def reliability(outputs: Outputs, *, n_bins: int = N_BINS) -> dict[str, list[float]]:
    """Accuracy and confidence in bins of confidence: the columns of a reliability diagram.

    Returns:
        ``low`` and ``high`` ends of the bins, ``n`` outputs in each, and their mean ``confidence`` and ``accuracy``
        (NaN for an empty bin).
    """
    edges = bin_edges(n_bins)
    known = ~np.isnan(outputs.correct) & ~np.isnan(outputs.confidence)
    correct, confidence = outputs.correct[known], outputs.confidence[known]
    bins = _bin_of(confidence, n_bins)
    n, sums, hits = (np.bincount(bins, weights, n_bins) for weights in (None, confidence, correct))
    with np.errstate(invalid="ignore"):
        means, accuracy = sums / n, hits / n
    columns = {"low": edges[:-1], "high": edges[1:], "n": n, "confidence": means, "accuracy": accuracy}
    return {name: column.tolist() for name, column in columns.items()}


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, *, n_bins: int = N_BINS) -> float:
    """The mean distance of accuracy from confidence over bins of equal width, weighted by their outputs.

    Bins are half-open, [i / n, (i + 1) / n), and the last one holds 1 too (Naeini et al. 2015; Guo et al. 2017,
    equation 3, whose bins are closed at the other end). Entries with a NaN are left out.

    >>> round(expected_calibration_error([0.55, 0.55, 0.95], [1, 0, 1]), 4)
    0.05
    """
    confidence, correct = numbers(confidence), numbers(correct)
    outputs = as_outputs(
        sequence=range(len(confidence)),
        k=np.zeros(len(confidence)),
        loss=np.full(len(confidence), np.nan),
        correct=correct,
        confidence=confidence,
    )
    return summarize(outputs, n_bins=n_bins)["ece"]


def bootstrap_intervals(
    outputs: Outputs,
    *,
    n_bins: int = N_BINS,
    confidence_level: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of each metric, drawing whole sequences with replacement.

    Args:
        outputs: Scored outputs.
        n_bins: Bins of the calibration error.
        confidence_level: Between 0 and 1.
        n_resamples: How often the sequences are drawn again.
        seed: Of the generator; the same seed gives the same intervals.

    Returns:
        Metric -> (lower end, upper end); NaN for fewer than two sequences, and where a resample may lack a value.

    Raises:
        ValueError: If ``confidence_level`` or ``n_resamples`` makes no interval.
    """
    sums = sums_per_sequence(outputs, n_bins)
    return _percentiles(len(sums), lambda counts: metrics_of_sums(counts @ sums), confidence_level, n_resamples, seed)


def paired_differences(
    a: Outputs,
    b: Outputs,
    *,
    n_bins: int = N_BINS,
    confidence_level: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, tuple[float, tuple[float, float]]]:
    """Each metric of ``a`` minus that of ``b`` on the outputs that both scored, with its bootstrap interval.

    Outputs are paired by sequence and number of examples, and both sides of a resample hold the same sequences.

    Returns:
        Metric -> (difference, (lower end, upper end)).

    Raises:
        ValueError: If they share no output.
    """
    a, b = _shared(a, b)
    sums = np.stack([sums_per_sequence(side, n_bins) for side in (a, b)])  # (2, n_sequences, columns)

    def difference(counts: np.ndarray) -> np.ndarray:
        mine, theirs = metrics_of_sums(counts @ sums)
        return mine - theirs

    n_sequences = sums.shape[1]
    values = difference(np.ones((1, n_sequences)))[0]
    intervals = _percentiles(n_sequences, difference, confidence_level, n_resamples, seed)
    return {name: (float(value), intervals[name]) for name, value in zip(METRICS, values, strict=True)}


def numbers(values: Any) -> np.ndarray:
    """Numbers in whatever holds them as an array of floats, where None and a missing value are NaN, or a ValueError."""
    found = values if isinstance(values, np.ndarray) and values.dtype.kind == "f" else plain(values)
    try:
        return np.asarray(found, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{found!r} is not numbers: pass numbers, and None or NaN for one that is missing") from error


def sums_per_sequence(outputs: Outputs, n_bins: int = N_BINS) -> np.ndarray:
    """What every metric is made of, added up per sequence, in the order of their names: (n_sequences, 6 + n_bins).

    The columns are numerator and denominator of the three quotients, then per bin of confidence the sum of confidence
    minus the sum of right answers.
    """
    _, sequence = np.unique(outputs.sequence, return_inverse=True)
    scored = ~np.isnan(outputs.loss)
    counted = scored & ~np.isnan(outputs.tokens)
    known = ~np.isnan(outputs.correct) & ~np.isnan(outputs.confidence)
    columns = [
        np.where(scored, outputs.loss, 0),
        scored,
        np.where(counted, outputs.loss, 0),
        np.where(counted, outputs.tokens, 0),
        np.where(known, outputs.correct, 0),
        known,
    ]
    n_sequences = int(sequence.max(initial=-1)) + 1
    sums = [np.bincount(sequence, column, n_sequences) for column in columns]
    cells = sequence[known] * n_bins + _bin_of(outputs.confidence[known], n_bins)
    gaps = np.bincount(cells, (outputs.confidence - outputs.correct)[known], n_sequences * n_bins)
    return np.column_stack([*sums, gaps.reshape(n_sequences, n_bins)])


def metrics_of_sums(sums: np.ndarray) -> np.ndarray:
    """Sums of shape (..., 6 + n_bins) -> metrics of shape (..., 4), in the order of ``METRICS``; NaN for no output."""
    ratios, gaps = sums[..., : 2 * _RATIOS], sums[..., 2 * _RATIOS :]
    numerators = np.concatenate([ratios[..., ::2], np.abs(gaps).sum(axis=-1, keepdims=True)], axis=-1)
    denominators = np.concatenate([ratios[..., 1::2], ratios[..., -1:]], axis=-1)
    return np.divide(numerators, denominators, out=np.full(numerators.shape, np.nan), where=denominators > 0)


def _check_ranges(columns: Mapping[str, np.ndarray]) -> None:
    k = columns["k"]
    if not (np.isfinite(k) & (k >= 0) & (k == np.floor(k))).all():
        raise ValueError("k counts the examples before an output: pass whole numbers of at least 0")
    if (columns["loss"] < -_TOLERANCE).any():
        raise ValueError(
            f"a loss is {np.nanmin(columns['loss'])}: pass minus the log-probability of an output, at least 0"
        )
    if (columns["tokens"] <= 0).any():
        raise ValueError("an output has no tokens: count its terminator too, or pass None")
    for name in ("correct", "confidence"):
        if ((columns[name] < 0) | (columns[name] > 1)).any():
            raise ValueError(f"{name} holds a number outside 0 to 1: pass shares, not percentages")
    if (np.isnan(columns["correct"]) != np.isnan(columns["confidence"])).any():
        raise ValueError("correct and confidence are not known for the same outputs: pass both, or None for both")


def _check_unique(outputs: Outputs) -> None:
    order = np.lexsort((outputs.k, outputs.sequence))
    sequence, k = outputs.sequence[order], outputs.k[order]
    twice = np.flatnonzero((sequence[1:] == sequence[:-1]) & (k[1:] == k[:-1]))
    if len(twice):
        raise ValueError(
            f"sequence {str(sequence[twice[0]])!r} has two outputs with k = {k[twice[0]]}: give each sequence a name "
            "of its own, and each output the number of examples before it"
        )


def _score_one(i: int, log_probs: ArrayLike | None, answer: int | None) -> tuple[float, float]:
    if log_probs is None or is_missing(answer):
        return np.nan, np.nan
    row = numbers(log_probs)
    if row.ndim != 1 or answer not in range(len(row)):
        raise ValueError(f"output {i} has answer {answer} of {row.size} options: pass the index of the true option")
    if np.isnan(row).any() or row.max() == -np.inf:
        return np.nan, np.nan
    mass = np.exp(row)
    if mass.sum() > 1 + 10 * _TOLERANCE:
        raise ValueError(f"output {i} gives its options a mass of {mass.sum():.4g}: pass natural log-probabilities")
    share = np.exp(row - row.max())
    tied = share >= 1 - _TIE
    return float(tied[int(answer)] / tied.sum()), float(1 / share.sum())


def _bin_of(confidence: np.ndarray, n_bins: int) -> np.ndarray:
    return np.minimum(np.searchsorted(bin_edges(n_bins), confidence, side="right") - 1, n_bins - 1)


def _jackknife_errors(sums: np.ndarray) -> np.ndarray:
    """Standard errors of the metrics, (4,), from leaving each sequence out in turn."""
    n = len(sums)
    if n < _FEWEST_WITH_SPREAD:
        return np.full(len(METRICS), np.nan)
    with np.errstate(invalid="ignore"):  # infinite losses
        left = metrics_of_sums(sums.sum(axis=0) - sums)
        return np.sqrt((n - 1) / n * np.square(left - left.mean(axis=0)).sum(axis=0))


def _percentiles(
    n_sequences: int,
    statistic: Callable[[np.ndarray], np.ndarray],
    confidence_level: float,
    n_resamples: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Percentiles of ``statistic``, which takes how often each sequence was drawn, (resamples, n_sequences)."""
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level is {confidence_level}: give a share between 0 and 1, such as 0.95")
    if n_resamples < 1:
        raise ValueError(f"n_resamples is {n_resamples}: give a positive number, such as 10000")
    if n_sequences < _FEWEST_WITH_SPREAD:
        return dict.fromkeys(METRICS, (np.nan, np.nan))
    generator = np.random.default_rng(seed)
    block = max(1, _DRAWS_PER_BLOCK // n_sequences)
    sizes = [min(block, n_resamples - start) for start in range(0, n_resamples, block)]
    even = np.full(n_sequences, 1 / n_sequences)
    with np.errstate(invalid="ignore"):  # infinite losses
        draws = np.concatenate(
            [statistic(generator.multinomial(n_sequences, even, size=size).astype(float)) for size in sizes]
        )
    tail = (1 - confidence_level) / 2
    low, high = int(tail * n_resamples), int(np.ceil((1 - tail) * n_resamples)) - 1
    ordered = np.sort(draws, axis=0)
    ordered[:, np.isnan(draws).any(axis=0)] = np.nan
    return {name: (float(ordered[low, i]), float(ordered[high, i])) for i, name in enumerate(METRICS)}


def _shared(a: Outputs, b: Outputs) -> tuple[Outputs, Outputs]:
    """The outputs that both have a loss for, in the same order; where one side has none at all, a right answer."""
    by_loss = not any(np.isnan(side.loss).all() for side in (a, b))
    places = [
        {
            key: index
            for index, key in enumerate(zip(side.sequence.tolist(), side.k.tolist(), strict=True))
            if not np.isnan((side.loss if by_loss else side.correct)[index])
        }
        for side in (a, b)
    ]
    keys = [key for key in places[0] if key in places[1]]
    if not keys:
        raise ValueError("the two share no output: pass scores of the same sequences under the same names")
    return a.where(np.array([places[0][key] for key in keys])), b.where(np.array([places[1][key] for key in keys]))
