"""Output Coverage: how much of what is valid do a model's generations reach? A metric for `evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import datasets
import evaluate

from .scoring import is_missing, listed_items, one_of_exact, plain, rarefaction, score_task, summarize

_DESCRIPTION = """
Scores many generations from one prompt that has many valid answers: the share that is valid, the share of these that
is unique, the number of different valid answers (yield), the share of a finite set that is reached, and the yield
against the number of generations.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: One list of generated strings per task. A None or NaN in it is a generation that failed, and is left
        out. Lists may be arrays of NumPy, pandas, torch or Arrow, here and in references.
    references: One mapping per task that says which strings are valid. Either `valid_items`, a list of all valid
        answers, with `validator`: 'one_of_exact' (default) or 'one_of', which ignores case. Or `valid`, a list with
        True or False for each generation, for validity that was checked elsewhere (None or NaN is a verdict that is
        missing: the generation does not count as valid, and `n_unjudged` counts it); then equal strings are one answer,
        and `set_size`, optional, is the number of all valid answers. Other keys are ignored, so rows of a dataset
        can be passed as they are. White space around strings never counts.
    per_task: Whether to return every task's values, with `yield_curve` (default False).
Returns:
    A dictionary with the mean over tasks of `valid`, `unique`, `yield`, `reached` (over tasks with a finite set) and
    `unique_texts`; the standard error of each under `<metric>_se`; `n`, the number of tasks; `n_scored`, the number of
    tasks with at least one generation; where a verdict is missing, `n_unjudged`, for how many generations. On request
    `per_task`, a dictionary of lists.
Examples:
    Five generations for "name a day of the week", one of them no day:

    >>> metric = evaluate.load("metrics/output_coverage")
    >>> days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    >>> generations = ["Friday", "Monday", "friday", "Friday", "Someday"]
    >>> week = {"valid_items": days, "validator": "one_of"}
    >>> result = metric.compute(predictions=[generations], references=[week])
    >>> {name: round(result[name], 4) for name in ("valid", "unique", "yield", "reached", "unique_texts")}
    {'valid': 0.8, 'unique': 0.5, 'yield': 2.0, 'reached': 0.2857, 'unique_texts': 0.8}

    Validity checked elsewhere, and the yield expected of the first 1, 2, 3 and 4 generations in any order:

    >>> primes = {"valid": [True, True, False, True]}
    >>> result = metric.compute(predictions=[["2", "97", "91", "2"]], references=[primes], per_task=True)
    >>> [round(number, 4) for number in result["per_task"]["yield_curve"][0]]
    [0.75, 1.3333, 1.75, 2.0]
"""

_CITATION = """@inproceedings{sorensen2026spectrum,
  title = {Spectrum Tuning: Post-Training for Distributional Coverage and In-Context Steerability},
  author = {Taylor Sorensen and Benjamin Newman and Jared Moore and Chan Park and Jillian Fisher and
            Niloofar Mireshghallah and Liwei Jiang and Yejin Choi},
  booktitle = {International Conference on Learning Representations},
  year = {2026},
  url = {https://arxiv.org/abs/2510.06084},
}"""

_CALL = "compute(predictions=[['red', 'blue', 'red']], references=[{'valid_items': ['red', 'blue', 'green']}])"

Prediction = Sequence[str | None] | None
Reference = dict[str, Any]


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class OutputCoverage(evaluate.Metric):
    """Coverage of the valid outputs by many generations."""

    def _info(self) -> evaluate.MetricInfo:
        reference = {
            "valid_items": datasets.Sequence(datasets.Value("string")),
            "validator": datasets.Value("string"),
            "valid": datasets.Sequence(datasets.Value("bool")),
            "unjudged": datasets.Value("int64"),
            "set_size": datasets.Value("int64"),
        }
        predictions = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": predictions, "references": reference}),
            reference_urls=["https://arxiv.org/abs/2510.06084"],
        )

    def add_batch(self, *, predictions: Iterable[Prediction], references: Iterable[Mapping[str, Any]]) -> None:
        """Add tasks to score; :meth:`compute` takes the same two."""
        predictions, references = _lists(predictions, references)
        pairs = zip(predictions, references, strict=True)
        held = [_checked(prediction, reference, i) for i, (prediction, reference) in enumerate(pairs)]
        super().add_batch(predictions=[texts for texts, _ in held], references=[reference for _, reference in held])

    def add(self, *, prediction: Prediction, reference: Mapping[str, Any]) -> None:
        """Add one task to score."""
        self.add_batch(predictions=[prediction], references=[reference])

    def _compute(
        self, *, predictions: list[list[str]], references: list[Reference], per_task: bool = False
    ) -> dict[str, Any]:
        texts = [[one_of_exact(text) for text in prediction] for prediction in predictions]
        found = [_items(*pair) for pair in zip(texts, references, strict=True)]
        scores = [score_task(came, *pair) for came, pair in zip(texts, found, strict=True)]
        result: dict[str, Any] = summarize(scores)
        if unjudged := sum(reference["unjudged"] for reference in references):
            result["n_unjudged"] = unjudged
        if per_task:
            result["per_task"] = {name: [task[name] for task in scores] for name in scores[0]}
            result["per_task"]["yield_curve"] = [_yield_curve(items) for items, _ in found]
        return result


def _lists(predictions: Any, references: Any) -> tuple[list[Any], list[Any]]:
    """Both with one entry per task, out of whatever holds them."""
    if predictions is None or references is None or isinstance(references, Mapping):
        raise ValueError(f"predictions and references are lists with one entry per task: {_CALL}")
    found, known = list(plain(predictions)), list(_records(references))
    if len(found) != len(known) or not found:
        raise ValueError(f"{len(found)} predictions and {len(known)} references: pass one of each per task, {_CALL}")
    return found, known


def _items(texts: list[str], reference: Reference) -> tuple[list[str | None], int | None]:
    """Which item each generation is, and the size of the set."""
    if reference["valid"] is None:
        return listed_items(texts, reference["valid_items"], reference["validator"])
    return [text if flag else None for text, flag in zip(texts, reference["valid"], strict=True)], reference["set_size"]


def _yield_curve(items: list[str | None]) -> list[float]:
    counts = Counter(item for item in items if item is not None)
    return rarefaction(list(counts.values()), len(items)).tolist()


def _checked(prediction: Prediction, reference: Mapping[str, Any], i: int) -> tuple[list[str], Reference]:
    """The strings of prediction ``i`` that came, and the fields of its reference that count."""
    texts = plain(prediction)
    texts = [] if is_missing(texts) else texts
    if not isinstance(texts, list) or not all(is_missing(text) or isinstance(text, str) for text in texts):
        raise ValueError(f"prediction {i} is {prediction!r}, not a list of strings: pass one list per task, {_CALL}")
    fields = reference if isinstance(reference, Mapping) else {}
    items, flags = (plain(fields.get(name)) for name in ("valid_items", "valid"))
    came = [text for text in texts if not is_missing(text)]
    if is_missing(flags):
        if is_missing(items) or not items:
            raise ValueError(f"reference {i} is {reference!r}, not a mapping with 'valid_items' or 'valid': {_CALL}")
        return came, _checked_list(items, reference, i)
    if not isinstance(flags, list) or not all(is_missing(flag) or flag in (0, 1) for flag in flags):
        raise ValueError(f"reference {i} has the flags {flags!r}: give True or False for each generation")
    if len(flags) != len(texts):
        raise ValueError(f"reference {i} has {len(flags)} flags for {len(texts)} generations: give one for each")
    flags = [flag for text, flag in zip(texts, flags, strict=True) if not is_missing(text)]
    return came, {
        "valid_items": None,
        "validator": "",
        "valid": [not is_missing(flag) and bool(flag) for flag in flags],
        "unjudged": sum(map(is_missing, flags)),
        "set_size": _whole(plain(reference.get("set_size")), i),
    }


def _records(references: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """One reference per task, of a table too: its rows."""
    if hasattr(references, "iloc"):  # pandas
        return references.to_dict("records")
    method = next((name for name in ("to_dicts", "to_pylist") if hasattr(references, name)), None)  # Polars, Arrow
    return getattr(references, method)() if method else references


def _whole(set_size: Any, i: int) -> int | None:
    """The size of the set as an integer; None where there is none."""
    if is_missing(set_size):
        return None
    if isinstance(set_size, str) or set_size != int(set_size) or set_size < 1:
        raise ValueError(f"reference {i} has set_size {set_size!r}: give the number of all valid answers, or None")
    return int(set_size)


def _checked_list(items: list[Any], reference: Mapping[str, Any], i: int) -> Reference:
    """The fields of a reference with a list of valid answers."""
    validator = plain(reference.get("validator"))
    validator = "one_of_exact" if is_missing(validator) else validator
    if not all(isinstance(item, str) for item in items):
        raise ValueError(f"reference {i} has the valid items {items!r}: give strings, such as {str(items[0])!r}")
    listed_items([], items, validator)
    return {"valid_items": items, "validator": validator, "valid": None, "unjudged": 0, "set_size": None}
