"""Failures of a Hub, sorted and told in a line."""

import errno
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils._http import _parse_retry_after

from spectrum_suite.errors import UserError
from spectrum_suite.hub.connection import LONGEST_WAIT_S, Repository, _tell_of_trouble, failure_of, set_time_limits

pytestmark = pytest.mark.hub

SUITE = Repository("org/suite", "dataset")


def response(status, headers=None):
    return httpx2.Response(
        status, headers=headers, request=httpx2.Request("POST", "https://hub.test/api/x?signature=s")
    )


def answer(status, said=None):
    return HfHubHTTPError(f"{status}", response=response(status), server_message=said)


@pytest.mark.parametrize(
    ("status", "kind", "line"),
    [
        (412, "conflict", "somebody else is writing to dataset 'org/suite' (moved on): run the command again"),
        (409, "conflict", "somebody else is writing"),
        (503, "passing", "the Hub at {} answers 503 (moved on)"),
        (507, "passing", "the Hub at {} answers 507"),
        (429, "passing", "the Hub at {} answers 429"),
        (401, "final", "the Hub does not accept the token (moved on): log in with 'hf auth login', or set HF_TOKEN"),
        (403, "final", "this token may not write to dataset 'org/suite' (moved on): use a token with write access"),
        (404, "final", "the Hub has no dataset 'org/suite', or hides it from this token"),
        (501, "final", "the Hub refuses what dataset 'org/suite' was sent (501, moved on)"),
        (413, "final", "the Hub refuses what dataset 'org/suite' was sent (413, moved on)"),
    ],
)  # fmt: skip
def test_an_answer_is_sorted_by_its_status(status, kind, line):
    failure = failure_of(answer(status, "moved on"), SUITE)
    assert failure.kind == kind
    assert failure.line.startswith(line.format(constants.ENDPOINT))


def test_the_cause_behind_an_upload_counts():
    error = RuntimeError("Error while uploading 'a' to the Hub.")
    error.__cause__ = answer(403)
    assert failure_of(error, SUITE).kind == "final"
    assert failure_of(RuntimeError("xet stopped"), SUITE).kind == "passing"


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ReadTimeout("slow"),
        httpx2.ConnectError("gone"),
        ConnectionResetError(),
        json.JSONDecodeError("?", "<html>", 0),
    ],
)
def test_trouble_with_the_connection_passes(error):
    assert failure_of(error, SUITE).kind == "passing"


def test_what_is_not_the_hubs_is_not_sorted():
    assert failure_of(OSError(errno.ENOSPC, "no space"), SUITE) is None
    assert failure_of(KeyError("a fault of ours"), SUITE) is None


def test_offline_is_final():
    assert "HF_HUB_OFFLINE" in failure_of(OfflineModeIsEnabled("x"), SUITE).line


def test_a_lost_connection_in_a_download_is_found():
    error = LocalEntryNotFoundError("check your connection")
    error.__cause__ = httpx2.ConnectTimeout("slow")
    assert failure_of(error, SUITE).kind == "passing"


def test_a_refused_card_tells_what_is_wrong_with_it():
    failure = failure_of(ValueError('Invalid metadata in README.md.\n- "license" must be one of'), SUITE)
    assert failure.line == (
        "the Hub does not accept the card of dataset 'org/suite' (\"license\" must be one of): correct its metadata"
    )


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("LFS batch API returned errors:\nfile 12: `quota`", "final"),
        ("Malformed response from server", "passing"),
        ("preupload_info is improperly formatted", "passing"),
    ],
)
def test_complaints_of_the_client_are_known(said, kind):
    failure = failure_of(ValueError(said), SUITE)
    assert failure.kind == kind
    assert "\n" not in failure.line


@pytest.mark.parametrize(
    "headers", [{"Retry-After": str(LONGEST_WAIT_S + 1)}, {"ratelimit": '"api";r=0;t=3600', "Retry-After": "1"}]
)
def test_a_long_wait_is_refused(headers):
    with pytest.raises(UserError, match="asks to wait"):
        _tell_of_trouble(response(429, headers))


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "2"}), (503, {}), (200, {"Retry-After": "9999"})]
)
def test_a_short_wait_is_not(status, headers, caplog):
    caplog.set_level("INFO", "spectrum_suite")
    _tell_of_trouble(response(status, headers))
    assert "signature" not in caplog.text
    assert ("/api/x" in caplog.text) == (status != 200)


def dated(seconds):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        ("2", {2}), ("²", {0}), ("٣", {0}), ("-3", {0}), ("1.5", {0}), ("soon", {0}), ("", {0}), (" 4 ", {0, 4}),
        (30, {28, 29, 30}), (-30, {0}), ("Wed, 21 Oct 2015 07:28:00", {0}), ("Wed, 99 Foo 2015", {0}),
    ],
)  # fmt: skip
def test_every_way_to_ask_for_a_pause_is_read(after, seconds):
    after = after if isinstance(after, str) else dated(after)
    answered = response(429, [(b"Retry-After", after.encode("utf-8"))])
    _tell_of_trouble(answered)
    assert int(answered.headers["retry-after"]) in seconds
    assert _parse_retry_after(answered.headers) in seconds


def test_a_date_that_is_far_away_is_not_waited_for():
    with pytest.raises(UserError, match="asks to wait"):
        _tell_of_trouble(response(503, {"Retry-After": dated(5000)}))


def test_what_a_server_does_not_know_is_not_asked_again(caplog):
    caplog.set_level("INFO", "spectrum_suite")
    _tell_of_trouble(response(501, {"Retry-After": "9999"}))
    assert not caplog.messages


@pytest.mark.parametrize("proxy", ["ftp://proxy:1", "socks9://ada:a-password@proxy:1", "http://[::1"])
def test_a_proxy_that_cannot_be_used_ends_in_a_line(monkeypatch, proxy):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises(UserError, match=r"^a proxy of the environment cannot be used \(") as caught:
        set_time_limits()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [httpx2.UnsupportedProtocol("x"), httpx2.InvalidURL("x")])
def test_an_address_that_is_none_is_not_asked_again(error):
    assert failure_of(error, SUITE).kind == "final"
