"""The coverage tasks whose valid answers are a rule: contacts, numbers, states, days."""

import numpy as np
import pytest

from dataset_builder.sources import coverage
from dataset_builder.sources.states import STATES
from spectrum_suite.evaluation.coverage.valid_answers import STATE_NAMES
from spectrum_suite.evaluation.coverage.validators import VALIDATORS, n_valid, validate

TASK = {task.name: task for task in coverage.TASKS}


def request_of(name):
    return TASK[name].generate(np.random.default_rng(0), 0)


@pytest.mark.parametrize(
    ("name", "words", "validator", "max_new_tokens", "n_items"),
    [
        ("cov_basic_emails", "e-mail", "email", 40, None),
        ("cov_professional_emails", "professional e-mail", "professional_email", 40, None),
        ("cov_us_phone_numbers", "United States", "us_phone_number", 20, None),
        ("cov_international_phone_numbers", "country code", "international_phone_number", 25, None),
        ("cov_prime_numbers", "prime", "prime", 10, None),
        ("cov_small_prime_numbers", "prime number below 100", "prime_below_100", 5, 25),
        ("cov_random_seed", "seed", "seed", 12, 2**32),
        ("cov_rng_1_10", "from 1 to 10.", "number_1_to_10", 4, 10),
        ("cov_rng_1_100", "from 1 to 100.", "number_1_to_100", 4, 100),
        ("cov_us_states_full_names", "state", "us_state_name", 15, 50),
        ("cov_us_states_abbreviations", "abbreviation", "us_state_code", 5, 50),
        ("cov_us_states_any_format", "in full or", "us_state_any", 15, 50),
        ("cov_weekdays_full", "day of the week", "weekday_name", 10, 7),
        ("cov_weekdays_abbreviated", "abbreviated", "weekday_abbreviation", 5, 7),
        ("cov_weekdays_any_format", "in full or abbreviated", "weekday_any", 10, 7),
    ],
)
def test_tasks(name, words, validator, max_new_tokens, n_items):
    task = TASK[name]
    request = request_of(name)
    [description] = request.descriptions
    assert words in description
    assert (task.validator, task.max_new_tokens) == (validator, max_new_tokens)
    assert n_valid(validator) == n_items
    assert (task.kind, task.split, request.process, request.valid) == ("coverage", "test", name, ())


def test_all_fifteen_are_here():
    assert len(TASK) == 15
    assert {task.validator for task in TASK.values()} < VALIDATORS.keys()


@pytest.mark.parametrize("name", sorted(TASK))
def test_three_different_examples_are_valid(name):
    examples = [draw.output for draw in request_of(name).draws]
    assert len(set(examples)) == 3
    assert all(validate(TASK[name].validator, example) for example in examples)


def outputs(name):
    return [draw.output for draw in request_of(name).draws]


def test_examples_are_as_varied_as_the_task():
    assert sorted(map(len, outputs("cov_random_seed"))) == [2, 3, 7]
    assert {number[3] for number in outputs("cov_us_phone_numbers")} == {"-", "5", " "}  # 3-3-4, (3) 3-4, 3 3 4
    assert {number.split()[0] for number in outputs("cov_international_phone_numbers")} == {"+44", "+33", "+1"}
    assert {len(code) > 2 for code in outputs("cov_us_states_any_format")} == {True, False}
    assert [day[-1] in ".N" for day in outputs("cov_weekdays_abbreviated")] == [False, True, True]


def test_no_example_can_reach_a_person():
    for name in ("cov_basic_emails", "cov_professional_emails"):
        domains = [".".join(address.rpartition("@")[2].split(".")[-2:]) for address in outputs(name)]
        assert all(domain.startswith("example.") for domain in domains)
    assert all("555" in number for number in outputs("cov_us_phone_numbers"))


def test_the_states_of_the_rule_are_those_of_the_distribution_task():
    assert tuple(STATE_NAMES) == STATES
