"""Rows to train the tiny models on."""

import pytest
from datasets import Dataset

from spectrum_suite.formats.render import get_format
from spectrum_suite.training.tokenize import tokenize_rows


@pytest.fixture(scope="session")
def tokenized_rows(chatml):
    """32 tokenized rows of 1 to 5 draws; every fourth has no description."""
    rows = []
    for number in range(32):
        messages = [{"role": "description", "content": f"A die with {number} sides, thrown by hand."}]
        messages = [] if number % 4 == 3 else messages
        messages += [
            {"role": "output", "content": str(7**draw * number)} for draw in range(1 + number % 5 + (number % 4 == 3))
        ]
        rows.append({"id": f"row{number}", "messages": messages})
    return tokenize_rows(Dataset.from_list(rows), chatml, get_format("spectrum", chatml), max_length=200)[0]
