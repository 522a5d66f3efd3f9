"""How good probabilities of answers are: accuracy, divergence from gold, Brier score and calibration.

Each is a mean over decisions, that is over questions of rows:

    accuracy            the likeliest option is gold's label; of several likeliest options each counts its share
    accuracy_any_tied   the same where every option that gold finds as likely as its likeliest one is right
    kl_from_gold        KL(gold || prediction) in nats, where a prediction is at least ``KL_FLOOR``
    brier               the sum over options of the squared difference to gold: 0 to 2

and two, calibration errors of the probability of the likeliest option, are not means of single decisions. Their
variant is in their names, since they cannot be compared with one another:

    ece_top_label_10_bins_pooled              over all decisions, in 10 bins of equal width
    ece_top_label_10_bins_mean_of_questions   the mean over questions (of a workflow) of the same
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spectrum_suite.decisions.rows import DecisionRow, Gold
from spectrum_suite.errors import UserError
from spectrum_suite.metrics.in_context_steerability.scoring import expected_calibration_error, score_options
from spectrum_suite.systemone import Question

KL_FLOOR = 1e-12
"""A predicted probability counts as at least this much in the divergence, so that it is finite."""

POOLED, BY_QUESTION = "ece_top_label_10_bins_pooled", "ece_top_label_10_bins_mean_of_questions"
METRICS = ("accuracy", "accuracy_any_tied", "kl_from_gold", "brier", POOLED, BY_QUESTION)

CARD_UNIFORM = {"accuracy": 0.308, "kl_from_gold": 0.444, "brier": 0.238}
"""What the card of ``LocalLLaMA/typed-decisions`` says of the uniform guess on its 2,000 test decisions."""

_CARD_DECISIONS = 2000
_CARD_ROUNDING = 0.0015  # its numbers have three decimals
_SAME = 1e-9  # probabilities of gold that differ by less are tied


@dataclass(frozen=True)
class Decision:
    """A question of a row with what was predicted.

    Attributes:
        workflow: Of the row.
        question: The question.
        gold: The true answer.
        prediction: Probabilities of the options.
    """

    workflow: str
    question: Question
    gold: Gold
    prediction: tuple[float, ...]

    @property
    def name(self) -> str:
        """The question with its workflow, since workflows may ask the same."""
        return f"{self.workflow}/{self.question.id}" if self.workflow else self.question.id


def decisions_of(rows: Sequence[DecisionRow], predictions: Sequence[Sequence[Sequence[float]]]) -> list[Decision]:
    """The decisions of rows, from the predictions of each row's questions.

    Raises:
        UserError: A prediction is not a distribution over the options of its question.
    """
    found = []
    for row, of_row in zip(rows, predictions, strict=True):
        for question, gold, shares in zip(row.questions, row.gold, of_row, strict=True):
            _check(row, question, shares)
            found.append(Decision(row.workflow, question, gold, tuple(shares)))
    return found


def uniform_predictions(rows: Sequence[DecisionRow]) -> list[list[list[float]]]:
    """What knows nothing: every option is as likely as the others."""
    return [[[1 / len(question.options)] * len(question.options) for question in row.questions] for row in rows]


def summarize(decisions: Sequence[Decision]) -> dict[str, float]:
    """``n`` decisions and each of :data:`METRICS`."""
    correct, sure = _top_labels(decisions)
    names = [decision.name for decision in decisions]
    by_question = [
        expected_calibration_error(sure[places], correct[places])
        for places in (np.array([name == other for other in names]) for name in dict.fromkeys(names))
    ]
    means = {
        "accuracy": correct,
        "accuracy_any_tied": [_any_tied(decision) for decision in decisions],
        "kl_from_gold": [kl_from_gold(decision.gold.probabilities, decision.prediction) for decision in decisions],
        "brier": [brier(decision.gold.probabilities, decision.prediction) for decision in decisions],
    }
    return {
        "n": len(decisions),
        **{name: float(np.mean(values)) for name, values in means.items()},
        POOLED: expected_calibration_error(sure, correct),
        BY_QUESTION: float(np.mean(by_question)),
    }


def tables(decisions: Sequence[Decision]) -> dict[str, dict[str, dict[str, float]]]:
    """``question``, ``type`` and ``workflow`` -> each of them -> :func:`summarize`."""
    return {kind: _grouped(decisions, key) for kind, key in _GROUPS.items()}


def kl_from_gold(gold: Sequence[float], prediction: Sequence[float]) -> float:
    """KL(gold || prediction) in nats; options without mass in gold add nothing.

    >>> round(kl_from_gold([0.5, 0.5], [0.9, 0.1]), 4)
    0.5108
    """
    return math.fsum(p * math.log(p / max(q, KL_FLOOR)) for p, q in zip(gold, prediction, strict=True) if p > 0)


def brier(gold: Sequence[float], prediction: Sequence[float]) -> float:
    """The sum over options of squared differences.

    >>> round(brier([0.5, 0.5], [0.9, 0.1]), 4)
    0.32
    """
    return math.fsum((p - q) ** 2 for p, q in zip(gold, prediction, strict=True))


def differs_from_card(uniform: Mapping[str, float]) -> list[str]:
    """How the uniform guess on the test rows of ``LocalLLaMA/typed-decisions`` differs from what its card says.

    Where it does, the rows or the metrics are others, and no number can be compared with the card's. Nothing is said of
    other numbers of decisions.
    """
    if uniform["n"] != _CARD_DECISIONS:
        return [f"{uniform['n']} decisions, not {_CARD_DECISIONS:,}"]
    apart = ((name, uniform[name], told) for name, told in CARD_UNIFORM.items())
    return [f"{name} {found:.4f}, not {told}" for name, found, told in apart if abs(found - told) > _CARD_ROUNDING]


def _top_labels(decisions: Sequence[Decision]) -> tuple[np.ndarray, np.ndarray]:
    """Whether the likeliest option is the label, and its probability."""
    with np.errstate(divide="ignore"):
        log_probs = [np.log(decision.prediction) for decision in decisions]
    return score_options(log_probs, [decision.gold.label for decision in decisions])


def _any_tied(decision: Decision) -> float:
    gold, prediction = np.array(decision.gold.probabilities), np.array(decision.prediction)
    right = gold >= gold.max() - _SAME
    right[decision.gold.label] = True
    return float(right[prediction == prediction.max()].mean())


def _grouped(decisions: Sequence[Decision], key: Callable[[Decision], str]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[Decision]] = {}
    for decision in decisions:
        groups.setdefault(key(decision), []).append(decision)
    return {name: summarize(group) for name, group in sorted(groups.items())}


def _check(row: DecisionRow, question: Question, shares: Sequence[float]) -> None:
    total = math.fsum(shares)
    if len(shares) != len(question.options) or not abs(total - 1) < 1e-3 or min(shares) < 0:  # noqa: PLR2004
        raise UserError(
            f"row {row.id!r}, question {question.id!r}: the prediction {list(shares)} is not a distribution over its "
            f"{len(question.options)} options"
        )


_GROUPS: Mapping[str, Callable[[Decision], str]] = {
    "question": lambda decision: decision.name,
    "type": lambda decision: decision.question.type,
    "workflow": lambda decision: decision.workflow,
}
