import numpy as np
import pytest

from spectrum_suite.evaluation.markers.score_markers import (
    by_bucket,
    frequency_buckets,
    length_correlation,
    lines_in,
    marker_accuracy,
    mean_of,
    shows,
    violates,
)

FRENCH = "La ville est belle au printemps, surtout le soir.\nLes jardins sont pleins de fleurs et de visiteurs."


def test_accuracy_is_over_the_examples_that_have_a_value():
    truth = [{"task": "Reasoning", "length_tokens": 9}] * 3 + [{"task": "Rewrite", "domain": "Code"}, {}]
    found = [{"task": "Reasoning"}, {"task": "Rewrite"}, {}, {"task": "Rewrite", "domain": "Math"}, {"task": "Rewrite"}]
    accuracy = marker_accuracy(truth, found)
    assert list(accuracy) == ["task", "domain"]
    assert (accuracy["task"]["inferred"], accuracy["task"]["majority"], accuracy["task"]["n"]) == (0.5, 0.75, 4)
    assert (accuracy["domain"]["inferred"], accuracy["domain"]["majority"], accuracy["domain"]["n"]) == (0, 1, 1)
    low, high = accuracy["task"]["ci95"]
    assert 0 <= low < 0.5 < high <= 1


@pytest.mark.parametrize(
    ("text", "ended", "broken"),
    [("one two three", True, False), ("one two\nthree, four", True, True), ("one", False, True), ("", True, False)],
)
def test_a_limit_is_in_words_and_a_response_without_an_end_breaks_it(text, ended, broken):
    assert violates(text, 3, ended=ended) == broken


def test_one_line_in_another_language_fails_a_response():
    assert lines_in(FRENCH, "French") is True
    assert lines_in(FRENCH + "\nThe gardens are full of flowers and visitors.", "French") is False
    assert lines_in(FRENCH, "English") is False
    assert lines_in("Oui.\n42", "French") is None
    assert lines_in("为什么这里的河水很浅？", "Chinese") is True, "eleven letters are a whole sentence"
    assert lines_in("for n in range(3):\n    print(n)", "English") is None


def test_what_a_response_has_can_be_seen():
    assert shows("format", "JSON", "", '{"a": 1}')
    assert not shows("format", "JSON", "", "plain words")
    assert shows("code_type", "python", "", "def f(x):\n    return x + 1")
    assert shows("lang", "French", "", FRENCH)


def test_values_are_common_or_of_the_tail():
    rows = [{"domain": "Code"}] * 60 + [{"domain": "Math"}] * 37 + [{"domain": "Legal"}] * 3 + [{}] * 50
    buckets = frequency_buckets(rows, "domain")
    assert buckets == {"Code": "common", "Math": "common", "Legal": "tail"}
    scores = by_bucket(rows, np.arange(150.0).tolist(), buckets, "domain")
    assert {name: (found["mean"], found["n"]) for name, found in scores.items()} == {
        "common": (48.0, 97), "tail": (98.0, 3),
    }  # fmt: skip
    assert frequency_buckets(rows[50:70], "domain") == {"Code": "common", "Math": "common"}


def test_what_cannot_be_said_does_not_count():
    assert mean_of([True, None, False]) | {"ci95": None} == {"mean": 0.5, "ci95": None, "n": 2}
    assert mean_of([None]) is None


def test_tokens_wanted_and_got_are_ranked_over_all_rows():
    """Ranks 1.5, 1.5, 3.5, 3.5 of what was wanted, and 1, 3, 2, 4 of what came: 1 + 1 of 5 are explained twice."""
    found = length_correlation({10: [8, 30], 20: [25, 40]})
    assert (found["spearman"], found["n"]) == (pytest.approx(2 / np.sqrt(4 * 5)), 2)
    assert np.isnan(length_correlation({10: [8, 8], 20: [8, 8]})["spearman"])
