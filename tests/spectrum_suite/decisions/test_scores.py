"""The metrics of decisions, against numbers worked out by hand on invented rows."""

import math

import pytest

from spectrum_suite.decisions.rows import load_decisions
from spectrum_suite.decisions.scores import (
    BY_QUESTION,
    CARD_UNIFORM,
    POOLED,
    decisions_of,
    differs_from_card,
    summarize,
    tables,
    uniform_predictions,
)
from spectrum_suite.errors import UserError
from tests.spectrum_suite.decisions.decision_rows import write_lines

PREDICTIONS = [[[0.8, 0.2], [0.5, 0.5], [0, 1, 0]], [[0, 1]]]
"""Of (team, human, mood) of the first row and of the team of the second."""

KL = [
    0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2),
    0.7 * math.log(1.4) + 0.3 * math.log(0.6),
    0,
    math.log(1e12),
]
BRIER = [0.18, 0.08, 0, 2]


@pytest.fixture
def rows(tmp_path):
    return load_decisions(str(write_lines(tmp_path / "rows.jsonl")))


@pytest.fixture
def decisions(rows):
    return decisions_of(rows, PREDICTIONS)


def test_every_metric_by_hand(decisions):
    """Support is the label of a tie, sales is predicted; a tie of yes and no is half right."""
    found = summarize(decisions)
    assert found["n"] == 4
    assert found["accuracy"] == pytest.approx((0 + 0.5 + 1 + 0) / 4)
    assert found["accuracy_any_tied"] == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert found["kl_from_gold"] == pytest.approx(sum(KL) / 4)
    assert found["brier"] == pytest.approx(sum(BRIER) / 4)


def test_both_calibration_errors_by_hand(decisions):
    """Confidences .8, .5, 1, 1 are right by 0, .5, 1, 0; the two in the last bin are right by half."""
    found = summarize(decisions)
    assert found[POOLED] == pytest.approx((0.8 + 0 + 2 * 0.5) / 4)
    assert found[BY_QUESTION] == pytest.approx(((0.8 + 1) / 2 + 0 + 0) / 3)


def test_tables_are_those_of_their_decisions(decisions):
    found = tables(decisions)
    assert {kind: {name: table["n"] for name, table in groups.items()} for kind, groups in found.items()} == {
        "question": {"desk/human": 1, "desk/mood": 1, "desk/team": 2},
        "type": {"choice": 2, "noul": 1, "score": 1},
        "workflow": {"desk": 4},
    }
    assert found["question"]["desk/team"]["brier"] == pytest.approx(1.09)
    assert found["type"]["noul"]["kl_from_gold"] == pytest.approx(KL[1])


def test_the_uniform_guess_gives_what_it_must(rows):
    """Accuracy 1/n, divergence log n - H(gold), and a Brier score of the sum of squares less 1/n."""
    found = summarize(decisions_of(rows, uniform_predictions(rows)))
    shares = [gold.probabilities for row in rows for gold in row.gold]
    entropies = [-sum(p * math.log(p) for p in gold if p) for gold in shares]
    assert found["accuracy"] == pytest.approx((1 / 2 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    expected = [math.log(len(gold)) - entropy for gold, entropy in zip(shares, entropies, strict=True)]
    assert found["kl_from_gold"] == pytest.approx(sum(expected) / 4)
    assert found["brier"] == pytest.approx(sum(sum(p * p for p in gold) - 1 / len(gold) for gold in shares) / 4)


def test_the_card_is_compared_with_where_the_rows_may_be_its_own():
    told = CARD_UNIFORM | {"n": 2000}
    assert differs_from_card(told) == []
    assert differs_from_card(told | {"brier": 0.25}) == ["brier 0.2500, not 0.238"]
    assert differs_from_card(told | {"n": 4}) == ["4 decisions, not 2,000"]


@pytest.mark.parametrize("shares", [[0.5, 0.4], [1.5, -0.5], [1.0]])
def test_what_is_no_distribution_is_refused(rows, shares):
    with pytest.raises(UserError, match="row 'desk_2', question 'team': the prediction"):
        decisions_of(rows, [PREDICTIONS[0], [shares]])
