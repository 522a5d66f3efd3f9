"""How far a model's distribution over declared options is from the target: per item, averaged, and with intervals.

Works on NumPy arrays alone, so that it can be used without `evaluate`. A first example, in nats:

>>> scores = score_items(targets=[[0.5, 0.5]], predictions=[[0.2, 0.6]])
>>> round(float(scores["js_divergence"][0]), 6)
0.033822
>>> round(float(scores["coverage"][0]), 6)
0.8
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

PredictionType = Literal["probabilities", "log_probabilities"]
Unit = Literal["nats", "bits"]

TARGET_TOLERANCE = 0.05
"""A target's sum may differ from 1 by this much (shares rounded to whole percents); it is renormalised."""

MASS_TOLERANCE = 0.01
"""A model's mass on the options may exceed 1 by this much (half-precision rounding); coverage is cut at 1."""

_TIE = 1e-9  # options within this relative distance of the largest probability are all modes
_DRAWS_PER_BLOCK = 1_000_000  # bounds the memory of a bootstrap to tens of MiB
_FEWEST_WITH_SPREAD = 2
_UNWRAP = ("to_pylist", "as_py", "to_numpy", "tolist")  # of Arrow, pandas and Polars, NumPy and torch


def score_items(
    targets: Sequence[ArrayLike],
    predictions: Sequence[ArrayLike | None],
    *,
    prediction_type: PredictionType = "probabilities",
    smoothing: float = 1e-6,
    unit: Unit = "nats",
    ordered: bool = False,
    positions: Sequence[ArrayLike] | None = None,
) -> dict[str, np.ndarray]:
    """Compare each model distribution with its target.

    With ``p`` the target and ``q`` the model's probabilities divided by their sum over the options, ``smoothing`` is
    added to every entry of both and each is divided by its new sum (the paper's evaluation, arXiv 2510.06084). All
    distances are between these two; ``mode_match`` and ``coverage`` are taken before smoothing.

    An item whose prediction is None or holds a NaN was not scored: all its values are NaN. An item with no mass on any
    option has coverage 0, and NaN for the rest, since there is no distribution to compare.

    Args:
        targets: One array per item, (n_options,); the number of options may differ between items.
        predictions: One array per item, (n_options,), aligned with the target; they need not sum to 1.
        prediction_type: Whether predictions are probabilities or natural log-probabilities (``-inf`` is allowed).
        smoothing: Added to every probability of both sides. With 0, a KL divergence may be infinite.
        unit: Of the divergences and the cross-entropy.
        ordered: Also return ``wasserstein``, with the options at 0, 1, 2, ..., and ``rps``.
        positions: Where the options of each item are on a line, (n_options,) per item; implies ``ordered``.

    Returns:
        Arrays of shape (n_items,) under ``js_divergence``, ``kl_target_model``, ``kl_model_target``, ``cross_entropy``,
        ``total_variation``, ``brier``, ``hellinger``, ``wasserstein`` and ``rps`` (if asked for), ``mode_match`` and
        ``coverage``.

    Raises:
        ValueError: If lengths differ, or a target or a prediction is not a distribution over the options.
    """
    _check_options(prediction_type, smoothing, unit)
    target, is_option = _target_matrix(targets)
    share, coverage = _model_shares(predictions, is_option, prediction_type)
    p, q = (_smooth(x, is_option, smoothing) for x in (target, share))
    scores = _divergences(p, q, nats_per_unit=np.log(2) if unit == "bits" else 1.0)
    if positions is not None:
        scores |= _in_order(p, q, _position_matrix(positions, is_option), is_option)
    elif ordered:
        scores |= _in_order(p, q, np.broadcast_to(np.arange(float(p.shape[1])), p.shape), is_option)
    scores["mode_match"] = mode_match(target, share)
    scored = ~np.isnan(share).any(axis=1)
    return {name: np.where(scored, values, np.nan) for name, values in scores.items()} | {"coverage": coverage}


def sample_shares(samples: Sequence[str | None], options: Sequence[str]) -> np.ndarray:
    """The share of samples that is each option, white space around both removed; the sum is the coverage.

    A sample that is None or NaN (the generation failed) is not counted at all; with no sample left every share is NaN.

    Args:
        samples: Sampled strings.
        options: The declared options.

    Returns:
        Shares of shape (n_options,), which sum to at most 1.

    Raises:
        ValueError: If two options are the same text, or something is not text.

    >>> sample_shares(["red", " blue", "red", "I pick red"], ["red", "blue", "green"])
    array([0.5 , 0.25, 0.  ])
    """
    options, samples = plain(options), [sample for sample in plain(samples) if not is_missing(sample)]
    for what, texts in (("option", options), ("sample", samples)):
        if odd := [text for text in texts if not isinstance(text, str)]:
            raise ValueError(f"{what} {odd[0]!r} is not a string: pass texts, such as {str(odd[0])!r}")
    names = [option.strip() for option in options]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"option {repeated[0]!r} is listed twice: list each option once and add up its probabilities")
    counts = Counter(sample.strip() for sample in samples)
    total = counts.total()
    return np.array([counts[name] / total if total else np.nan for name in names])


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, or the NaN that pandas puts among texts and flags."""
    return value is None or (isinstance(value, float) and np.isnan(value))


def summarize(per_item: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Mean and standard error of each metric over the items that have it.

    The standard error is the sample standard deviation (n - 1) over the square root of the number of items; it is NaN
    for a single item and for a metric with an infinite value.

    Args:
        per_item: The result of :func:`score_items`.

    Returns:
        ``<metric>`` and ``<metric>_se`` for each metric, ``n`` items, and ``n_scored`` items with no NaN at all.
    """
    summary: dict[str, float] = {}
    for name, values in per_item.items():
        summary[name], summary[f"{name}_se"] = _mean_and_error(numbers(values))
    columns = np.array([numbers(values) for values in per_item.values()])
    summary["n"] = columns.shape[1]
    summary["n_scored"] = int((~np.isnan(columns)).all(axis=0).sum())
    return summary


def bootstrap_interval(
    values: ArrayLike, *, confidence_level: float = 0.95, n_resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over items.

    Args:
        values: (n_items,); NaN entries are left out.
        confidence_level: Between 0 and 1.
        n_resamples: How often the items are drawn again with replacement.
        seed: Of the generator; the same seed gives the same interval.

    Returns:
        The lower and the upper end; NaN for fewer than two values, which show no spread.

    Raises:
        ValueError: If ``confidence_level`` or ``n_resamples`` makes no interval.
    """
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level is {confidence_level}: give a share between 0 and 1, such as 0.95")
    if n_resamples < 1:
        raise ValueError(f"n_resamples is {n_resamples}: give a positive number, such as 10000")
    values = numbers(values)
    values = values[~np.isnan(values)]
    if len(values) < _FEWEST_WITH_SPREAD:
        return np.nan, np.nan
    generator = np.random.default_rng(seed)
    block = max(1, _DRAWS_PER_BLOCK // len(values))
    sizes = [min(block, n_resamples - start) for start in range(0, n_resamples, block)]
    draws = (generator.integers(len(values), size=(size, len(values))) for size in sizes)
    means = np.sort(np.concatenate([values[rows].mean(axis=1) for rows in draws]))
    tail = (1 - confidence_level) / 2
    return float(means[int(tail * n_resamples)]), float(means[int(np.ceil((1 - tail) * n_resamples)) - 1])


def paired_difference_interval(
    a: ArrayLike, b: ArrayLike, *, confidence_level: float = 0.95, n_resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``a - b``, the same items scored twice.

    Args:
        a: (n_items,), for example the tuned model's divergences.
        b: (n_items,), for example the base model's, in the same order. A pair with a NaN is left out.
        confidence_level: Between 0 and 1.
        n_resamples: How often the pairs are drawn again with replacement.
        seed: Of the generator.

    Returns:
        The lower and the upper end; NaN for fewer than two pairs.

    Raises:
        ValueError: If the two have different shapes.
    """
    a, b = numbers(a), numbers(b)
    if a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape} differ: pass the scores of the same items in the same order")
    return bootstrap_interval(a - b, confidence_level=confidence_level, n_resamples=n_resamples, seed=seed)


def numbers(values: Any) -> np.ndarray:
    """Numbers in whatever holds them as an array of floats, where None and a missing value are NaN, or a ValueError."""
    found = values if isinstance(values, np.ndarray) and values.dtype.kind == "f" else plain(values)
    try:
        return np.asarray(found, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{found!r} is not numbers: pass numbers, and None or NaN for one that is missing") from error


def _check_options(prediction_type: str, smoothing: float, unit: str) -> None:
    if prediction_type not in ("probabilities", "log_probabilities"):
        raise ValueError(
            f"prediction_type is {prediction_type!r}: use 'probabilities' or 'log_probabilities'; "
            "turn samples into probabilities with sample_shares(samples, options)"
        )
    if not 0 <= smoothing < np.inf:
        raise ValueError(f"smoothing is {smoothing}: give a small number that is not negative, such as 1e-6")
    if unit not in ("nats", "bits"):
        raise ValueError(f"unit is {unit!r}: use 'nats' or 'bits'")


def _target_matrix(targets: Sequence[ArrayLike]) -> tuple[np.ndarray, np.ndarray]:
    """Targets that sum to 1, zero beyond each item's options, and which entries are options: (n_items, max_options)."""
    if len(targets) == 0:
        raise ValueError("there are no items to score: pass at least one target and one prediction")
    rows = [numbers(target) for target in targets]
    for i, row in enumerate(rows):
        if row.ndim != 1 or row.size == 0:
            raise ValueError(f"target {i} has shape {row.shape}: pass one list of probabilities per item")
    lengths = np.array([len(row) for row in rows])
    is_option = np.arange(lengths.max()) < lengths[:, None]
    target = np.zeros(is_option.shape)
    target[is_option] = np.concatenate(rows)
    total = target.sum(axis=1)
    _raise_for_first(~(target >= 0).all(axis=1), rows, "target {i} is {row}: probabilities must be zero or more")
    _raise_for_first(
        ~(np.abs(total - 1) <= TARGET_TOLERANCE),
        rows,
        "target {i} is {row}, which does not sum to 1: divide counts or percentages by their total",
    )
    return target / total[:, None], is_option


def _aligned(rows: Sequence[ArrayLike | None], is_option: np.ndarray, what: str) -> np.ndarray:
    """One row per item laid out like the targets, NaN where the row is None and beyond the item's options."""
    if len(rows) != len(is_option):
        raise ValueError(f"{len(rows)} {what}s for {len(is_option)} targets: pass one of each per item")
    matrix = np.full(is_option.shape, np.nan)
    for i, (row, mask) in enumerate(zip(rows, is_option, strict=True)):
        if row is None:
            continue
        values = numbers(row)
        if values.shape != (mask.sum(),):
            raise ValueError(f"{what} {i} has shape {values.shape}: pass one number per option, {mask.sum()} in all")
        matrix[i, mask] = values
    return matrix


def _model_shares(
    predictions: Sequence[ArrayLike | None], is_option: np.ndarray, prediction_type: PredictionType
) -> tuple[np.ndarray, np.ndarray]:
    """The model's distribution over the options, (n_items, max_options), and its mass on them, (n_items,)."""
    values = _aligned(predictions, is_option, "prediction")
    too_much = (
        "prediction {i} is {row}, more than all the mass there is: give probabilities of answers that exclude one "
        f"another (divide weights by their total), in the form of prediction_type={prediction_type!r}"
    )
    if prediction_type == "probabilities":
        negative = "prediction {i} is {row}: for log-probabilities pass prediction_type='log_probabilities'"
        _raise_for_first((values < 0).any(axis=1), predictions, negative)
        scaled, largest = np.where(is_option, values, 0.0), np.ones(len(values))
    else:
        _raise_for_first((values > MASS_TOLERANCE).any(axis=1), predictions, too_much)
        log_largest = np.where(is_option, values, -np.inf).max(axis=1)
        largest = np.exp(log_largest)
        shift = np.where(log_largest == -np.inf, 0.0, log_largest)  # keeps options far too unlikely for a float apart
        scaled = np.where(is_option, np.exp(values - shift[:, None]), 0.0)
    total = scaled.sum(axis=1)
    mass = largest * total
    _raise_for_first(mass > 1 + MASS_TOLERANCE, predictions, too_much)
    share = np.divide(scaled, total[:, None], out=np.full(scaled.shape, np.nan), where=total[:, None] > 0)
    return share, np.minimum(mass, 1.0)


def _smooth(shares: np.ndarray, is_option: np.ndarray, smoothing: float) -> np.ndarray:
    smoothed = (shares + smoothing) / (1 + smoothing * is_option.sum(axis=1, keepdims=True))
    return np.where(is_option, smoothed, 0.0)


def _divergences(p: np.ndarray, q: np.ndarray, nats_per_unit: float) -> dict[str, np.ndarray]:
    """Distances between rows of ``p`` and ``q``, (n_items, max_options), that do not depend on the options' order."""
    middle = (p + q) / 2
    return {
        "js_divergence": (_kl(p, middle) + _kl(q, middle)) / 2 / nats_per_unit,
        "kl_target_model": _kl(p, q) / nats_per_unit,
        "kl_model_target": _kl(q, p) / nats_per_unit,
        "cross_entropy": -_expected_log(p, q) / nats_per_unit,
        "total_variation": np.abs(p - q).sum(axis=1) / 2,
        "brier": np.square(p - q).sum(axis=1),
        "hellinger": np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=1) / 2),
    }


def _kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence of each row of ``p`` from ``q`` in nats; rounding cannot make it negative."""
    return np.maximum(_expected_log(p, p) - _expected_log(p, q), 0.0)


def _expected_log(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The sum of ``p log q`` over each row, where ``0 log 0`` is 0."""
    log_q = np.log(q, out=np.full(q.shape, -np.inf), where=q > 0)
    return np.multiply(p, log_q, out=np.zeros(p.shape), where=p > 0).sum(axis=1)


def _position_matrix(positions: Sequence[ArrayLike], is_option: np.ndarray) -> np.ndarray:
    matrix = _aligned(positions, is_option, "position list")
    _raise_for_first(
        ~np.isfinite(np.where(is_option, matrix, 0.0)).all(axis=1),
        positions,
        "position list {i} is {row}: positions must be finite numbers",
    )
    return np.where(is_option, matrix, np.where(is_option, matrix, -np.inf).max(axis=1, keepdims=True))


def _in_order(p: np.ndarray, q: np.ndarray, positions: np.ndarray, is_option: np.ndarray) -> dict[str, np.ndarray]:
    """Distances between rows of ``p`` and ``q`` whose options are on a line.

    The earth mover's distance is the area between the two cumulative distributions, in units of position; the ranked
    probability score the mean square of their difference at all options but the last, wherever these are.
    """
    order = np.argsort(positions, axis=1, kind="stable")
    gaps = np.diff(np.take_along_axis(positions, order, axis=1), axis=1)
    excess = np.cumsum(np.take_along_axis(p - q, order, axis=1), axis=1)[:, :-1]
    inner = np.maximum(is_option.sum(axis=1) - 1, 1)  # beyond the options the difference is 0
    return {"wasserstein": (np.abs(excess) * gaps).sum(axis=1), "rps": np.square(excess).sum(axis=1) / inner}


def mode_match(target: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The chance that a mode of the model, drawn evenly among its tied ones, is one of the target's modes."""
    target_mode, model_mode = (x >= x.max(axis=1, keepdims=True) * (1 - _TIE) for x in (target, share))
    return (target_mode & model_mode).sum(axis=1) / np.maximum(model_mode.sum(axis=1), 1)


def plain(value: Any) -> Any:
    """``value`` with lists in place of arrays, tensors and columns, and None in place of pandas' missing value."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if method := next((name for name in _UNWRAP if hasattr(value, name)), None):
        return plain(getattr(value, method)())
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    return list(map(plain, value)) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else value


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan, np.nan
    if len(values) < _FEWEST_WITH_SPREAD or np.isinf(values).any():
        return float(values.mean()), np.nan
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _raise_for_first(wrong: np.ndarray, rows: Sequence[ArrayLike | None], message: str) -> None:
    """Raise ``message``, which names ``{i}`` and ``{row}``, for the first row marked wrong."""
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(message.format(i=i, row=np.array2string(numbers(rows[i]), threshold=8, separator=", ")))
