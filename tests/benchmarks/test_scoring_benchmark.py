"""What the scoring benchmark counts and compares, on a tiny model."""

import pytest

from benchmarks import option_scoring
from benchmarks.option_scoring import (
    Item,
    Work,
    compare,
    counted,
    fewest,
    measure,
    parser,
    score_ours,
    score_plain,
    token_pairs,
)
from tests.tiny_models import COLORS, DICE, save_model, save_suite, tiny_model

ITEMS = [
    Item("Pick a colour:", [" red", " blue", " dark blue", " dark red"]),
    Item("Another, much longer prompt:", [" one", " eleven"]),
]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


def test_the_fewest_tokens_by_hand():
    pairs = [((0, 1), (5, 6)), ((0, 1), (5, 7)), ((0, 2), (5,))]
    # run: 0, 0 1, 0 1 5 and 0 2; scored after: 0 1, 0 1 5 and 0 2
    assert fewest(pairs) == Work(tokens=4, lm_head_positions=3)


def test_both_ways_agree_and_are_counted(tokenizer):
    model = tiny_model("gemma3", len(tokenizer))
    pairs = token_pairs(tokenizer, ITEMS)
    score_ours(model, tokenizer, ITEMS)  # what is shared between texts is proven once on a model, at a cost of its own
    with counted(model) as ours:
        found = score_ours(model, tokenizer, ITEMS)
    with counted(model) as plain:
        expected = score_plain(model, tokenizer, ITEMS)
    for row, other in zip(found, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-4)
    longest = max(len(prompt) + len(option) - 1 for prompt, option in pairs)
    assert plain.tokens == plain.lm_head_positions == longest * len(pairs)  # one batch, padded
    assert ours.lm_head_positions == fewest(pairs).lm_head_positions
    assert fewest(pairs).tokens <= ours.tokens < plain.tokens


def run(log_prob, seconds):
    return {
        "log_probs": [[log_prob] * 4, [log_prob] * 2], "seconds": 2 * seconds, "cpu_seconds": seconds,
        "peak_gib": 1.0, "above_model_gib": 0.1, "tokens": 9, "lm_head_positions": 3,
    }  # fmt: skip


def test_ratios_by_hand(tokenizer):
    rounds = [{"ours": run(-1, 0.5), "plain": run(-1.0005, 3)}, {"ours": run(-1, 0.5), "plain": run(-1.0005, 5)}]
    found = compare(rounds, ITEMS, tokenizer)
    assert (found["vs_plain"], found["vs_plain_wall"], found["vs_lm_eval"]) == (8, 8, None)
    assert found["vs_plain_of_rounds"] == found["vs_plain_wall_of_rounds"] == [6, 10]
    assert found["options_per_second"] == {"ours": 6, "plain": 0.75}
    assert found["options_per_cpu_second"] == {"ours": 12, "plain": 1.5}
    assert found["max_difference_nats"] == {"plain": pytest.approx(0.0005)}


def test_ways_that_disagree_are_no_result(tokenizer):
    with pytest.raises(RuntimeError, match="do not agree"):
        compare([{"ours": run(-1, 1), "plain": run(-1.01, 1)}], ITEMS, tokenizer)


def test_the_whole_of_it(tokenizer, tmp_path, monkeypatch, capsys):
    """Two processes take turns."""
    monkeypatch.setattr(option_scoring, "_has_lm_eval", lambda python: False)
    model = save_model(tmp_path / "model", tokenizer)
    suite = save_suite(tmp_path / "suite", dist_states=DICE, dist_urn=COLORS, dist_nytimes=COLORS)
    results = measure(
        parser().parse_args(["--model", str(model), "--suite", str(suite), "--urns", "2", "--rounds", "1"])
    )
    assert list(results) == ["dist_states", "dist_urn", "dist_nytimes", "single_token", "conditions"]
    assert [results[task]["items"] for task in list(results)[:4]] == [1, 2, 5, 2]
    assert results["dist_urn"]["vs_lm_eval"] is None
    single = results["single_token"]
    assert single["lm_head_positions"]["ours"] == single["lm_head_positions"]["fewest"] == 2
    assert "lm-evaluation-harness is not installed" in capsys.readouterr().err
