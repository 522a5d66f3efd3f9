"""Tiny random models over the small ChatML vocabulary."""

import pytest

from tests import tiny_models


@pytest.fixture(scope="session")
def chatml(tokenizer_of):
    return tokenizer_of("chatml")


@pytest.fixture
def tiny_model(chatml):
    """``tiny_model(architecture)``: the same random weights each time, float32."""
    return lambda architecture: tiny_models.tiny_model(architecture, len(chatml))
