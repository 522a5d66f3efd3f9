"""One service for the tests of this folder, and the model behind it."""

import pytest

from spectrum_suite.decisions.decide import Reader
from tests.spectrum_suite.serving.service import Client, serving
from tests.tiny_models import tiny_model


@pytest.fixture(scope="session")
def served(tokenizer_of):
    """``(model, tokenizer)`` of the service."""
    tokenizer = tokenizer_of("llama3")
    return tiny_model("llama", len(tokenizer)), tokenizer


@pytest.fixture(scope="session")
def port(served):
    model, tokenizer = served
    with serving(model, Reader.of(tokenizer)) as (found, _):
        yield found


@pytest.fixture
def ask(port):
    return Client(port)
