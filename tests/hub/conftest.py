"""A Hub for pushes that are made in this process, with the pauses of its client left out."""

from contextlib import contextmanager

import httpx2
import huggingface_hub
import pytest
import yaml
from huggingface_hub import constants
from huggingface_hub.utils._http import default_client_factory


@contextmanager
def talking_to(hub):
    """`huggingface_hub` of this process talks to that Hub, without Xet and without a pause between attempts."""
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
    wait_for_answers(30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "ENDPOINT", hub.url)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr("time.sleep", lambda seconds: None)
        patch.setattr("yaml.SafeLoader", yaml.CSafeLoader)  # cards are read at every step: in C it is ten times faster
        yield
    huggingface_hub.set_client_factory(default_client_factory)


@pytest.fixture
def here(hub):
    """The Hub that this process talks to."""
    with talking_to(hub):
        yield hub


def wait_for_answers(seconds):
    """Have the client of this process take a Hub for silent after so long, where it would wait for ever as well."""

    def limit(request):
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), seconds)

    huggingface_hub.set_client_factory(
        lambda: httpx2.Client(follow_redirects=True, event_hooks={"request": [limit]}),
    )
