"""A Hub that falls silent is given up, whatever it was asked."""

import time

import pytest
from huggingface_hub import HfApi, set_client_factory
from huggingface_hub.utils._http import default_client_factory

from spectrum_suite.hub.connection import set_time_limits

pytestmark = pytest.mark.hub


@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.repo_info("org/thing"),
        lambda api: list(api.list_repo_tree("org/thing")),
        lambda api: api.list_repo_refs("org/thing"),
    ],
    ids=["repo_info", "tree", "refs"],
)
def test_no_request_waits_for_ever(here, monkeypatch, ask):
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    here.create("model", "org/thing")
    here.fail("stall", path="org/thing", times=9, seconds=60)
    set_time_limits()
    started = time.monotonic()
    with pytest.raises(Exception, match="timed out"):
        ask(HfApi())
    set_client_factory(default_client_factory)
    assert time.monotonic() - started < 20
