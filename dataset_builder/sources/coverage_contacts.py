"""Requests for e-mail addresses and telephone numbers.

Upstream: none. Licence: Apache-2.0, as the code. Examples are in the domains and number ranges kept for examples and
drama, so that they reach nobody. A raw row:

    description "Each output is an e-mail address.", example "front-desk@example.com"
"""

from __future__ import annotations

from dataset_builder.sources.coverage import coverage_task

TASKS = [
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
]
