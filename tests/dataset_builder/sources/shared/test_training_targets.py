"""Distributions to train on: exact, and never those of a held-out task."""

import math
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from dataset_builder.mixtures import mixtures
from dataset_builder.registry import all_tasks, get_task
from dataset_builder.sources.described import described_shares, known_shares
from dataset_builder.sources.dice import dice_ways
from dataset_builder.sources.shared.synthetic import HELD_OUT
from dataset_builder.suite_builder import read_examples
from spectrum_suite.evaluation.measured_tasks import tasks_of
from tests.tiny_models import COLORS, save_suite

NAMES = [spec.name for spec in all_tasks() if spec.name.startswith("dist_train_") and spec.generate is not None]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [42, 7])
def test_no_setting_is_one_of_a_held_out_task(name, seed):
    spec = get_task(name)
    held_out = [example for task in HELD_OUT for example in read_examples(get_task(task), {}, seed)]
    texts = {text for example in held_out for text in example.descriptions}
    targets = {(example.target.options, example.target.probabilities) for example in held_out}
    examples = list(read_examples(replace(spec, n_processes=min(spec.n_processes, 400)), {}, seed))
    assert not texts & {text for example in examples for text in example.descriptions}
    assert not targets & {(example.target.options, example.target.probabilities) for example in examples}
    assert all(example.target.n_responses is None for example in examples)
    assert all(sum(example.target.probabilities) == pytest.approx(1) for example in examples)


def test_without_that_rule_some_would_be():
    """The rule does something: the settings of a hypergeometric distribution are few."""
    spec = get_task("dist_train_hypergeometric")
    held_out = {example.target.probabilities for example in read_examples(get_task("dist_hypergeometric"), {}, 42)}
    free = {example.target.probabilities for example in read_examples(replace(spec, apart_from=()), {}, 42)}
    kept = list(read_examples(spec, {}, 42))
    assert held_out & free
    assert kept == list(read_examples(spec, {}, 42))
    assert (
        sum(one == two for one, two in zip(kept, read_examples(replace(spec, apart_from=()), {}, 42), strict=True))
        > 500
    )


def test_a_task_without_anything_apart_says_so():
    coins = get_task("dist_coinflip")
    alike = replace(coins, name="alike", split="train", apart_from=("dist_coinflip",), n_processes=3)
    (heads,) = (each for each in list(read_examples(coins, {}, 42))[:1])
    stuck = replace(alike, generate=lambda rng, index: heads)
    with pytest.raises(ValueError, match="task 'alike' has only processes of dist_coinflip"):
        list(read_examples(stuck, {}, 42))


def test_only_generated_targets_may_be_apart_and_coverage_is_for_evaluation():
    with pytest.raises(ValueError, match="'apart_from' is for generated tasks"):
        replace(get_task("coinflip"), apart_from=("dist_coinflip",))
    with pytest.raises(ValueError, match="coverage tasks are for evaluation"):
        replace(get_task("cov_prime_numbers"), split="train")


def test_described_shares_are_those_of_the_draws():
    """The same generator makes the same description, request and options; the draws follow the target."""
    for seed in range(30):
        target = known_shares(np.random.default_rng(seed), 0)
        drawn = described_shares(np.random.default_rng(seed), 0)
        assert target.descriptions == drawn.descriptions
        assert target.target.options == drawn.options[0]
        assert target.target.input == drawn.draws[0].input
        counts = Counter(draw.output for draw in drawn.draws)
        for option, share in zip(target.target.options, target.target.probabilities, strict=True):
            assert abs(counts[option] / 32 - share) < 5 * math.sqrt(share * (1 - share) / 32) + 1e-9


@pytest.mark.parametrize(("n", "sides"), [(1, 6), (2, 4), (3, 3), (4, 2)])
def test_sums_of_dice_are_counted(n, sides):
    assert dice_ways(n, sides) == Counter(map(sum, product(range(1, sides + 1), repeat=n)))


def test_they_are_a_mixture_of_their_own_and_in_no_other():
    mixed = mixtures(all_tasks())
    found = {spec.name for spec in mixed["dist_train"]["train"]}
    assert set(NAMES) <= found
    assert {spec.kind for spec in mixed["dist_train"]["train"]} == {"distribution"}
    assert list(mixed["dist_train"]) == ["train"]
    others = {
        spec.name
        for name, splits in mixed.items()
        if name != "dist_train"
        for specs in splits.values()
        for spec in specs
    }
    assert not found & others


def test_an_evaluation_of_everything_leaves_them_out(tmp_path):
    suite = save_suite(tmp_path, colors=COLORS, dist_train_made_up=COLORS)
    (tmp_path / "dist_train_made_up" / "test.parquet").rename(tmp_path / "dist_train_made_up" / "train.parquet")
    card = suite / "README.md"
    card.write_text(
        card.read_text().replace("test\n    path: dist_train_made_up/test", "train\n    path: dist_train_made_up/train")
    )
    assert tasks_of(str(suite), ["all"], ["alignment"]) == {"alignment": ["colors"]}
    named = tasks_of(str(suite), ["dist_train_made_up"], ["alignment"])
    assert named == {"alignment": ["dist_train_made_up"]}
