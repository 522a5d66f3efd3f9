"""Alignment of models whose distribution is known, and the mass of options that continue one another."""

import itertools
import json
import math
from dataclasses import asdict

import pytest
import torch
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.score_alignment import AlignmentItem, items_fingerprint, score_items
from spectrum_suite.evaluation.alignment.summarize_alignment import TaskAlignment
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import exclusive_log_probs, option_logprobs, option_token_ids
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.suite import draw_rows
from tests.tiny_models import COLORS, DICE, memoryless_model, tiny_model


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model("gemma3", len(tokenizer))


def aligned(model, tokenizer, rows, name="spectrum", **options):
    lm = LocalLM.of(model, tokenizer, get_format(name, tokenizer))
    return score_items(lm, Dataset.from_list(rows), **options)


@pytest.mark.parametrize("order", itertools.permutations(range(4)))
def test_longer_options_are_taken_from_the_one_they_continue_once(order):
    tokens = [(1,), (1, 0), (1, 0, 0), (2,)]
    masses = [0.5, 0.3, 0.1, 0.25]  # "1" holds "10", which holds "100"
    expected = [0.2, 0.2, 0.1, 0.25]
    found = exclusive_log_probs(torch.tensor([masses[i] for i in order]).log(), [tokens[i] for i in order])
    assert found.exp().tolist() == pytest.approx([expected[i] for i in order], abs=1e-6)


def test_siblings_are_both_taken_away_and_nothing_may_be_left():
    log_probs = torch.tensor([0.8, 0.5, 0.3]).log()
    found = exclusive_log_probs(log_probs, [(1,), (1, 2), (1, 3)])
    assert found[0].exp().item() == pytest.approx(0, abs=1e-6)
    assert log_probs[0].exp().item() == pytest.approx(0.8)  # the argument is left alone


def test_tiny_masses_do_not_vanish():
    found = exclusive_log_probs(torch.tensor([-1000.0, -1000.0 + math.log(0.25)]), [(1,), (1, 2)])
    assert found[0].item() == pytest.approx(-1000 + math.log(0.75), abs=1e-4)


def test_options_of_the_same_tokens_are_refused():
    with pytest.raises(UserError, match="the same tokens"):
        exclusive_log_probs(torch.zeros(2), [(1,), (1,)])


def test_coverage_stays_below_one_where_options_are_prefixes(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    with torch.no_grad():
        model.lm_head.weight.zero_()
    options = [tokenizer.decode([token]) for token in range(40, 60)]
    nested = [*options, *(a + b for a in options for b in options)]
    token_ids = option_token_ids(tokenizer, nested)
    pairs = dict(zip(token_ids, nested, strict=True))  # a pair may be one token; keep each sequence once
    raw = option_logprobs(model, tokenizer, ["Any"], [list(pairs.values())])[0]
    exclusive = exclusive_log_probs(raw, option_token_ids(tokenizer, list(pairs.values())))
    first = {ids[0] for ids in pairs}
    assert raw.exp().sum() > exclusive.exp().sum()
    assert exclusive.exp().sum().item() <= len(first) / len(tokenizer) + 1e-6


def test_a_model_that_knows_nothing_scores_as_the_uniform_guess(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    with torch.no_grad():
        model.lm_head.weight.zero_()  # every token has probability 1 / vocabulary
    (die,) = aligned(model, tokenizer, DICE)
    assert die.log_probs == pytest.approx([-math.log(len(tokenizer))] * 6, abs=1e-5)
    assert die.probabilities == pytest.approx([1 / 6] * 6)
    assert die.scores["coverage"] == pytest.approx(6 / len(tokenizer))
    for metric in set(die.scores) - {"coverage"}:
        assert die.scores[metric] == pytest.approx(die.uniform[metric], abs=1e-6)
    assert die.uniform["js_divergence"] == pytest.approx(0, abs=1e-9)


LETTERS = [
    {
        "id": "letters/0",
        "messages": [{"role": "description", "content": "One letter."}],
        "options": ["A", "B", "C"],
        "probabilities": [0.5, 0.25, 0.25],
        "n_responses": 0,
        "source": "tests",
    }
]


def letters_of(tokenizer, probabilities):
    spectrum = get_format("spectrum", tokenizer)
    return aligned(memoryless_model(tokenizer, spectrum, probabilities), tokenizer, LETTERS)[0].scores


def test_a_perfect_model_has_no_divergence(tokenizer):
    scores = letters_of(tokenizer, {"A": 0.5, "B": 0.25, "C": 0.25})
    assert scores["cross_entropy"] == pytest.approx(1.5 * math.log(2), abs=1e-5)
    assert (scores["coverage"], scores["mode_match"]) == (pytest.approx(1, abs=1e-5), 1)
    for name in ("js_divergence", "kl_target_model", "kl_model_target", "total_variation", "hellinger"):
        assert scores[name] == pytest.approx(0, abs=1e-5)


def test_a_point_mass_is_half_the_mass_away(tokenizer):
    scores = letters_of(tokenizer, {"A": 1.0})
    middle = [0.75, 0.125, 0.125]
    by_hand = -1.5 * math.log(2) / 2 + sum(-m * math.log(m) for m in middle)  # entropies: of the point mass it is 0
    assert scores["js_divergence"] == pytest.approx(by_hand, abs=1e-4)
    assert scores["total_variation"] == pytest.approx(0.5, abs=1e-5)
    assert (scores["coverage"], scores["mode_match"]) == (pytest.approx(1, abs=1e-5), 1)


def test_scores_are_those_of_the_normalised_log_probs(model, tokenizer):
    result = TaskAlignment("colors", len(COLORS), aligned(model, tokenizer, COLORS), "fingerprint", 1.0)
    assert [item.id for item in result.items] == [row["id"] for row in COLORS]
    for item in result.items:
        masses = torch.tensor(item.log_probs, dtype=torch.float64).exp()
        assert item.probabilities == pytest.approx((masses / masses.sum()).tolist(), rel=1e-5)
        assert item.scores["coverage"] == pytest.approx(masses.sum().item(), rel=1e-5)
        variation = sum(abs(p - q) for p, q in zip(item.probabilities, item.target, strict=True)) / 2
        assert item.scores["total_variation"] == pytest.approx(variation, abs=1e-4)
        assert item.uniform["total_variation"] == pytest.approx((0.5 - 1 / 3), abs=1e-4)
    summary = result.summary()
    divergences = [item.scores["js_divergence"] for item in result.items]
    assert summary["js_divergence"] == pytest.approx(sum(divergences) / 5)
    assert summary["n"] == 5


def test_the_same_items_are_drawn_for_every_model():
    rows = Dataset.from_dict({"id": [str(n) for n in range(100)]})
    drawn = draw_rows(rows, "dist_urn", limit=10, seed=42)["id"][:]
    assert drawn == draw_rows(rows, "dist_urn", limit=10, seed=42)["id"][:]
    assert drawn == sorted(drawn, key=int)
    assert len(set(drawn)) == 10
    assert drawn != draw_rows(rows, "dist_urn", limit=10, seed=43)["id"][:]
    assert draw_rows(rows, "dist_urn", limit=100, seed=42) is rows


def test_task_labels_stand_where_output_stood(model, tokenizer):
    (item,) = aligned(model, tokenizer, COLORS[:1], "colon", task_labels=True)
    prompt = "Description: A draw.\n\nInput: Which color comes at place 0?\nAnswer:"
    options = [" red", " blue", " dark blue"]
    expected = option_logprobs(model, tokenizer, [prompt], [options])[0].tolist()
    assert item.log_probs == pytest.approx(expected, abs=1e-5)
    (plain,) = aligned(model, tokenizer, COLORS[:1], "colon")
    assert plain.log_probs != pytest.approx(expected, abs=1e-2)
    with pytest.raises(UserError, match="format 'spectrum' has no labels"):
        aligned(model, tokenizer, COLORS[:1], "spectrum", task_labels=True)


def test_the_fingerprint_of_rows_follows_the_target():
    changed = [COLORS[0] | {"probabilities": [0.4, 0.4, 0.2]}]
    assert items_fingerprint(Dataset.from_list(COLORS[:1])) == items_fingerprint(Dataset.from_list(COLORS[:1]))
    assert items_fingerprint(Dataset.from_list(COLORS[:1])) != items_fingerprint(Dataset.from_list(changed))


def test_an_item_survives_its_report(model, tokenizer):
    (item,) = aligned(model, tokenizer, DICE)
    assert AlignmentItem.from_dict(json.loads(json.dumps(asdict(item)))) == item
    nothing = asdict(item) | {"log_probs": [None], "scores": {"js_divergence": None}}
    restored = AlignmentItem.from_dict(nothing)
    assert restored.log_probs == (-math.inf,)
    assert math.isnan(restored.scores["js_divergence"])
