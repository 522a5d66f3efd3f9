"""Requests for whole numbers: primes, seeds, numbers from a range.

Upstream: none. Licence: Apache-2.0, as the code. A raw row:

    description "Give a prime number.", example "613"
"""

from __future__ import annotations

from dataset_builder.sources.coverage import coverage_task

TASKS = [
    coverage_task(
        "cov_prime_numbers",
        "Give a prime number.",
        ("613", "29", "157"),
        summary="Prime numbers of any size.",
        validator="prime",
        max_new_tokens=10,
        domain="Math",
    ),
    coverage_task(
        "cov_small_prime_numbers",
        "Give a prime number below 100.",
        ("43", "5", "71"),
        summary="The 25 prime numbers below 100.",
        validator="prime_below_100",
        max_new_tokens=5,
        domain="Math",
    ),
    coverage_task(
        "cov_random_seed",
        "Choose a number to seed a random number generator with.",
        ("58", "907", "3140627"),
        summary="Seeds of a random number generator: integers from 0 to 2^32 - 1.",
        validator="seed",
        max_new_tokens=12,
        domain="Math",
        quirks="12 new tokens instead of 4, which cut the longer of the valid numbers in tokenizers that take digits "
        "one by one.",
    ),
    coverage_task(
        "cov_rng_1_10",
        "Give a number from 1 to 10.",
        ("8", "3", "10"),
        summary="Whole numbers from 1 to 10.",
        validator="number_1_to_10",
        max_new_tokens=4,
        domain="Math",
    ),
    coverage_task(
        "cov_rng_1_100",
        "Give a number from 1 to 100.",
        ("64", "9", "87"),
        summary="Whole numbers from 1 to 100.",
        validator="number_1_to_100",
        max_new_tokens=4,
        domain="Math",
    ),
]
