from types import SimpleNamespace

import pytest

from dataset_builder import registry
from dataset_builder.task_spec import Example, Source, Target, TaskSpec
from spectrum_suite.errors import UserError

SOURCE = Source("s", "S", "https://example.org", "mit", "yes", "nobody")


def task(name):
    return TaskSpec(
        name, "distribution", "test", SOURCE, "random_draws", "A coin.", "a coin", ("side",),
        generate=lambda rng, i: Example(str(i), target=Target("?", ("a", "b"), (0.5, 0.5))), n_processes=1,
    )  # fmt: skip


def module(name, *tasks):
    return SimpleNamespace(__name__=name, TASKS=tasks)


def test_tasks_of_all_modules_are_sorted_by_name():
    found = registry.collect([module("m", task("b"), task("c")), module("n", task("a"))])
    assert [spec.name for spec in found] == ["a", "b", "c"]


def test_a_name_defined_twice_names_both_modules():
    with pytest.raises(UserError, match=r"'coin'.*first_module.*second_module"):
        registry.collect([module("first_module", task("coin")), module("second_module", task("coin"))])


def test_a_source_without_tasks_is_told_where_shared_code_belongs():
    with pytest.raises(UserError, match=r"'helper' has no TASKS.*sources/shared"):
        registry.collect([module("m", task("a")), module("helper")])


def test_modules_of_the_package_are_found(toy_tasks):
    assert [spec.name for spec in registry.all_tasks()] == ["toy_numbers", "toy_people", "toy_urn"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["all"], ["toy_numbers", "toy_people", "toy_urn"]),
        (["synthetic"], ["toy_numbers", "toy_urn"]),
        (["paper"], ["toy_numbers", "toy_people"]),
        (["ours"], ["toy_urn"]),
        (["toy_urn", "ours", "toy_numbers", "toy_urn"], ["toy_numbers", "toy_urn"]),
    ],
)
def test_words_stand_for_tasks(toy_tasks, words, expected):
    assert [spec.name for spec in registry.select_tasks(words)] == expected


def test_an_unknown_name_gets_the_closest_one_and_the_way_to_list(toy_tasks):
    with pytest.raises(UserError, match=r"'toy_number' not found, did you mean 'toy_numbers'\?.*dataset_builder list"):
        registry.select_tasks(["toy_number"])
    with pytest.raises(UserError, match="did you mean 'synthetic'"):
        registry.select_tasks(["sinthetic"])


def test_get_task_takes_no_words(toy_tasks):
    assert registry.get_task("toy_urn").output_label == "Colour"
    with pytest.raises(UserError, match="'all' not found"):
        registry.get_task("all")


def test_the_suite_has_the_synthetic_tasks_of_the_first_slice():
    names = {spec.name for spec in registry.select_tasks(["synthetic"])}
    assert names >= {
        "coinflip", "normal", "cards", "multinomial", "geometric", "poisson", "binomial", "negative_binomial",
        "categorical", "geometric_beta", "hypergeometric", "zipfian", "flight", "dist_urn", "dist_states",
    }  # fmt: skip
