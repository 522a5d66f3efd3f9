"""A Hub for pushes that are made in this process, with the pauses of its client left out."""

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.utils._http import default_client_factory


@pytest.fixture
def here(hub, monkeypatch):
    """The Hub that `huggingface_hub` of this process talks to, without Xet and without a pause between attempts."""
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    wait_for_answers(30)
    yield hub
    huggingface_hub.set_client_factory(default_client_factory)


def wait_for_answers(seconds):
    """Have the client of this process take a Hub for silent after so long."""
    huggingface_hub.set_client_factory(lambda: httpx2.Client(timeout=seconds, follow_redirects=True))
