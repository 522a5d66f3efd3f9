"""What goes to a server: the key to nobody who could read it on the way, some requests at a time, and again if busy."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.lm import client as client_module
from spectrum_suite.lm.client import Endpoint, NoAnswerError, connected, served_model
from tests.completions_server import serving

KEY = "sk-right"


@contextmanager
def answering(answer):
    """A server: ``answer(path, headers, body, index)`` gives (status, content, headers); yields its URL."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append((self.path, self.headers, body))
            status, content, headers = answer(body, len(requests))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sent(monkeypatch):
    """What would go over the wire, by host; nothing does."""
    found = []

    async def handle(_, request):
        found.append(request)
        if request.url.path.endswith("/moved"):
            return httpx2.Response(307, headers={"Location": "http://elsewhere/v1/here"})
        return httpx2.Response(200, json={"choices": []})

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle)
    return found


def ask(url, path="completions"):
    with connected(Endpoint(url, "tiny")) as client:
        return client.ask("POST", path, {"prompt": [1]})


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://host/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://127.0.0.1/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://host/v1", False),
        ("http://localhost.host/v1", False),
    ],
)
def test_the_key_leaves_this_machine_encrypted_only(url, allowed, sent, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Token: sk-more")
    ask(url)
    (request,) = sent
    assert (request.headers.get("Authorization") == f"Bearer {KEY}") is allowed
    told = " ".join(request.headers.values())
    assert any(secret in told for secret in (KEY, "org-secret", "sk-more")) is allowed


@pytest.mark.parametrize("url", ["https://host/v1", "http://localhost/v1"])
def test_the_key_does_not_follow_to_another_place(url, sent, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Token: sk-more")
    ask(url, "moved")
    first, second = sent
    assert first.headers["Authorization"] == f"Bearer {KEY}"
    assert second.url.host == "elsewhere"
    assert not {"authorization", "x-token"} & set(second.headers)


def test_without_a_key_none_is_sent(sent, monkeypatch):
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    ask("https://host/v1")
    assert "Authorization" not in sent[0].headers
    assert "sk-admin" not in " ".join(sent[0].headers.values())


def test_the_key_is_never_told(monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    answers = [(401, {"error": f"not {KEY}"}, {}), (400, {"error": f"not {KEY}"}, {}), (200, {}, {})]
    with answering(lambda _, index: answers[index - 1]) as (url, _), caplog.at_level("DEBUG"):
        with pytest.raises(UserError, match="wants a key: set OPENAI_API_KEY") as refused:
            ask(url)
        with pytest.raises(UserError, match=r"refuses with 400 for model 'tiny': .*not \*\*\*") as failed:
            ask(url)
        ask(url)
    assert (
        KEY not in f"{refused.getrepr(style='long')} {failed.getrepr(style='long')} {caplog.text} {Endpoint(url, '')}"
    )


def test_no_proxy_is_told_of_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with answering(lambda *_: (200, {"choices": []}, {})) as (url, _):
        assert ask(url) == {"choices": []}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again_when_it_says(status):
    def answer(body, index):
        return (status, {}, {"Retry-After": "0.3"}) if index < 3 else (200, body, {})

    with answering(answer) as (url, requests):
        began = time.monotonic()
        assert ask(url) == {"prompt": [1]}
        assert 0.6 <= time.monotonic() - began < 5
    assert len(requests) == 3


def test_what_is_refused_is_not_asked_again():
    with (
        answering(lambda *_: (404, {"error": "no such model"}, {})) as (url, requests),
        pytest.raises(UserError, match=r"refuses with 404 for model 'tiny': .*no such model"),
    ):
        ask(url)
    assert len(requests) == 1


def test_requests_are_under_way_together_and_not_too_many():
    busy, most, lock, together = 0, 0, threading.Lock(), threading.Barrier(4)

    def answer(body, _):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        try:
            together.wait(30)
        except threading.BrokenBarrierError:
            return 400, {"error": "fewer than four requests are under way"}, {}
        with lock:
            busy -= 1
        return 200, {"number": body["number"]}, {}

    with answering(answer) as (url, requests), connected(Endpoint(url, "tiny", concurrency=4)) as client:
        found = dict(client.ask_each("completions", [{"number": number} for number in range(20)]))
    assert found == {number: {"number": number} for number in range(20)}
    assert most == 4
    assert {body["model"] for *_, body in requests} == {"tiny"}


def test_a_failure_gives_up_the_rest_and_keeps_what_was_answered():
    given_up = threading.Event()

    def answer(body, _):
        if body["number"] == 4:  # may be under way when the failure is known; the rest waits for it
            given_up.wait(30)
        return (400, {"error": "no"}, {}) if body["number"] == 3 else (200, body, {})

    found = []
    with answering(answer) as (url, requests), connected(Endpoint(url, "tiny", concurrency=1)) as client:
        try:
            with pytest.raises(UserError, match="refuses with 400"):
                found.extend(client.ask_each("completions", [{"number": number} for number in range(50)]))
            assert client.ask("POST", "completions", {"number": 9})["number"] == 9  # the connection still serves
        finally:
            given_up.set()
    asked = [body["number"] for *_, body in requests]
    assert asked[:4] == [0, 1, 2, 3]
    assert sorted(set(asked[4:]) - {4}) == [9]


def test_it_works_where_a_loop_is_running_already():
    async def notebook(url):
        return ask(url)

    with answering(lambda body, _: (200, body, {})) as (url, _):
        assert asyncio.run(notebook(url)) == {"prompt": [1]}


def test_the_only_model_is_found():
    with serving(None, None) as server:
        assert served_model(server.url) == "tiny"
        assert served_model(server.url.removesuffix("/v1")) == "tiny"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "", "http://host:port/v1", "http://[::1/v1"])
def test_an_address_that_is_none(url):
    with pytest.raises(UserError, match="is not an http address"):
        Endpoint(url, "tiny")


@pytest.mark.parametrize("url", [f"https://user:{KEY}@host/v1", f"https://host/v1?key={KEY}"])
def test_an_address_with_a_key_in_it_is_refused_without_telling_it(url):
    with pytest.raises(UserError, match="put the key into OPENAI_API_KEY") as raised:
        Endpoint(url, "tiny")
    assert KEY not in str(raised.value)


def test_no_server(monkeypatch):
    monkeypatch.setattr(client_module, "RETRIES", 0)
    with pytest.raises(NoAnswerError, match="does not answer"):
        served_model("http://127.0.0.1:9")


def test_the_package_is_imported_where_something_is_asked():
    code = "import sys, spectrum_suite.lm.client; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
