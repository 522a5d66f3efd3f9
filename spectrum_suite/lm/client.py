"""A connection to an OpenAI-compatible server: its address, its key, and some requests at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spectrum_suite.errors import UserError

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from httpx2 import Request
    from openai import AsyncOpenAI

KEY = "OPENAI_API_KEY"
"""The environment variable with the server's key, if it wants one."""

RETRIES = 6
"""How often a request is sent again while the server is busy or silent, at growing intervals or when it says."""

CONCURRENCY = 8
TIMEOUT_S = 600.0
_CONNECT_S = 10.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_OPEN_HEADERS = {
    "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding",
    "user-agent",
}  # fmt: skip
"""What is sent over plain http to other machines: nothing that could be a secret."""

Json = dict[str, Any]


class NoAnswerError(UserError):
    """The server is not there: nothing else can be asked of it either."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served.

    The key is taken from ``OPENAI_API_KEY`` when a connection is made, and goes only over https or to this machine.

    Attributes:
        url: The server's address as OpenAI's clients take it, e.g. ``http://localhost:8000/v1``; a bare host means
            its ``/v1``.
        model: The name under which the server has the model.
        as_text: Send text instead of token ids, for a server that takes no other. What would then be tokenized
            otherwise than token ids is refused.
        concurrency: Requests at a time, at most.
        timeout_s: Seconds to wait for an answer.
    """

    url: str
    model: str
    as_text: bool = False
    concurrency: int = CONCURRENCY
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is not a number, a bracket that is not closed
            valid = False
        if valid and (parts.username or parts.password or parts.query):
            raise UserError(f"the endpoint's address holds more than a host and a path: put the key into {KEY} instead")
        if not valid:
            raise UserError(f"endpoint {self.url!r} is not an http address: give one like http://localhost:8000/v1")

    @property
    def base_url(self) -> str:
        """What paths are appended to."""
        url = self.url.rstrip("/")
        return url if urlsplit(url).path else url + "/v1"


def served_model(url: str) -> str:
    """The name of the only model that a server has.

    Raises:
        UserError: It has several or none, or does not answer.
    """
    with connected(Endpoint(url, "")) as client:
        names = [entry["id"] for entry in client.ask("GET", "models")["data"]]
    if len(names) != 1:
        raise UserError(f"the endpoint at {url} serves {', '.join(names) or 'no model'}: name the one to use")
    return names[0]


@dataclass(frozen=True)
class Client:
    """An open connection; :func:`connected` opens one."""

    endpoint: Endpoint
    openai: AsyncOpenAI
    portal: BlockingPortal

    def ask(self, method: str, path: str, content: Json | None = None) -> Json:
        """The answer to one request.

        Raises:
            NoAnswerError: The server is not there.
            UserError: It refuses, or does not answer in JSON.
        """
        return self.portal.call(self._ask, method, path, content)

    def ask_each(self, path: str, contents: Sequence[Json]) -> Iterator[tuple[int, Json]]:
        """The index of each request with its answer, in the order of the answers; some are under way at a time.

        Raises:
            UserError: As :meth:`ask`; requests without an answer are given up.
        """
        at_a_time = asyncio.Semaphore(self.endpoint.concurrency)

        async def one(content: Json) -> Json:
            async with at_a_time:
                return await self._ask("POST", path, {"model": self.endpoint.model} | content)

        asked = {self.portal.start_task_soon(one, content): index for index, content in enumerate(contents)}
        try:
            for answered in as_completed(asked):
                yield asked[answered], answered.result()
        finally:
            for waiting in reversed(asked):  # those that have not begun first: none takes the place of one given up
                waiting.cancel()

    async def _ask(self, method: str, path: str, content: Json | None = None) -> Json:
        import httpx2  # noqa: PLC0415  as below: slow to import, and needed only where something is served
        import openai  # noqa: PLC0415

        url = self.endpoint.url
        options = {} if self.openai.api_key else {"headers": {"Authorization": openai.Omit()}}
        try:
            if method == "GET":
                response = await self.openai.get(path, cast_to=httpx2.Response, options=options)
            else:
                response = await self.openai.post(path, cast_to=httpx2.Response, body=content, options=options)
            return response.json()
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            raise UserError(
                f"the endpoint at {url} wants a key: set {KEY} to a valid one (it goes over https or to this machine)"
            ) from None  # what it says may repeat the key
        except openai.APIStatusError as error:
            said = " ".join(error.response.text.split())[:200]
            if key := os.environ.get(KEY):
                said = said.replace(key, "***")
            name = f" for model {self.endpoint.model!r}" if self.endpoint.model else ""
            raise UserError(f"the endpoint at {url} refuses with {error.status_code}{name}: {said}") from None
        except openai.APIConnectionError as error:
            reason = type(error.__cause__ or error).__name__
            raise NoAnswerError(f"the endpoint at {url} does not answer ({reason}): is the server running?") from error
        except ValueError as error:
            raise UserError(f"the endpoint at {url} does not answer in JSON: check the address") from error


@contextmanager
def connected(endpoint: Endpoint) -> Iterator[Client]:
    """A connection that is closed at the end; what was asked and not answered by then is given up.

    The key, and whatever else the environment tells OpenAI's client to send, goes over https or to this machine.
    """
    import openai  # noqa: PLC0415
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415

    here = urlsplit(endpoint.url).hostname in _LOOPBACK
    http = openai.DefaultAsyncHttpxClient(
        event_hooks={"request": [_withhold_secrets]},
        trust_env=not here,  # no proxy is told what goes to this machine
    )
    client = openai.AsyncOpenAI(
        api_key=os.environ.get(KEY, ""),
        admin_api_key="",
        base_url=endpoint.base_url,
        max_retries=RETRIES,
        timeout=openai.Timeout(endpoint.timeout_s, connect=_CONNECT_S),
        http_client=http,
    )
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client):
        yield Client(endpoint, client, portal)


async def _withhold_secrets(request: Request) -> None:
    """Keep a request over plain http to another machine free of what may be a secret, after a redirect too."""
    if request.url.scheme == "https" or request.url.host in _LOOPBACK:
        return
    for name in set(request.headers) - _OPEN_HEADERS:
        del request.headers[name]
