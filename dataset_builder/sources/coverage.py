"""Requests for one item of a well-known set, answered many times: weekdays, contacts, numbers, U.S. states.

Upstream: none. Licence: Apache-2.0, as the code. E-mail addresses and telephone numbers are in the domains and ranges
reserved for examples and drama, so that they reach nobody. A raw row:

    description "Name a day of the week.", example "Thursday"
"""

from __future__ import annotations

from dataset_builder.sources.shared.requests import coverage_task

_SAME = "The ways to write a day are the same item when the different ones are counted."


TASKS = [
    coverage_task(
        "cov_weekdays_full",
        "Name a day of the week.",
        ("Thursday", "Sunday", "Tuesday"),
        summary="The seven days of the week, in full.",
        validator="weekday_name",
        max_new_tokens=10,
        quirks=_SAME,
    ),
    coverage_task(
        "cov_weekdays_abbreviated",
        "Each output is a day of the week, abbreviated.",
        ("Wed", "Sat.", "MON"),
        summary="The seven days of the week, abbreviated to three letters.",
        validator="weekday_abbreviation",
        max_new_tokens=5,
        quirks=_SAME,
    ),
    coverage_task(
        "cov_weekdays_any_format",
        "Name a day of the week, in full or abbreviated.",
        ("Friday", "Tue", "Su"),
        summary="The seven days of the week, in full or abbreviated.",
        validator="weekday_any",
        max_new_tokens=10,
        quirks=_SAME,
    ),
    coverage_task(
        "cov_basic_emails",
        "Each output is an e-mail address.",
        ("r.lindqvist@physics.example.edu", "contact@example.com", "sunny_afternoon88@webmail.example.net"),
        summary="E-mail addresses.",
        validator="email",
        max_new_tokens=40,
        domain="Technology",
        quirks="email-validator must find the address possible, beside the release's own rule.",
    ),
    coverage_task(
        "cov_professional_emails",
        "Write a professional e-mail address.",
        ("t.marchetti@faculty.example.edu", "volunteers@riverfund.example.org", "maya.osei@example.com"),
        summary="Professional e-mail addresses: in .com, .org, .edu or .gov.",
        validator="professional_email",
        max_new_tokens=40,
        domain="Technology",
        quirks="email-validator must find the address possible, beside the release's own rule.",
    ),
    coverage_task(
        "cov_us_phone_numbers",
        "Each output is a phone number in the United States.",
        ("212-555-0147", "(415) 555-0123", "303 555 0189"),
        summary="U.S. telephone numbers in three usual forms.",
        validator="us_phone_number",
        max_new_tokens=20,
        domain="Technology",
        quirks="phonenumbers must find the number possible, beside the release's own rule; its form in international "
        "notation makes it the same item.",
    ),
    coverage_task(
        "cov_international_phone_numbers",
        "Each output is an international phone number with its country code.",
        ("+44 20 7946 0958", "+33 1 99 00 12 34", "+1 212-555-0198"),
        summary="Telephone numbers with country code, of any country.",
        validator="international_phone_number",
        max_new_tokens=25,
        domain="Technology",
        quirks="phonenumbers must know the country code and find the number's length possible there, beside the "
        "release's own rule.",
    ),
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
    coverage_task(
        "cov_us_states_full_names",
        "Name a state of the United States.",
        ("Vermont", "New Mexico", "Ohio"),
        summary="Names of the 50 U.S. states.",
        validator="us_state_name",
        max_new_tokens=15,
        domain="SocialSciences",
    ),
    coverage_task(
        "cov_us_states_abbreviations",
        "Each output is the two-letter abbreviation of a state of the United States.",
        ("MN", "UT", "GA"),
        summary="Two-letter codes of the 50 U.S. states.",
        validator="us_state_code",
        max_new_tokens=5,
        domain="SocialSciences",
    ),
    coverage_task(
        "cov_us_states_any_format",
        "Name a state of the United States, in full or by its two-letter abbreviation.",
        ("Oregon", "KS", "South Dakota"),
        summary="The 50 U.S. states, by name or two-letter code.",
        validator="us_state_any",
        max_new_tokens=15,
        domain="SocialSciences",
        quirks="Name and code of a state are the same item when the different ones are counted.",
    ),
]
