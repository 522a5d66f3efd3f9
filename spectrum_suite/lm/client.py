"""A connection to an OpenAI-compatible server: its address, its key, and some requests at a time."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import count
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from spectrum_suite.errors import UserError
from spectrum_suite.lm.pace import Pace, retry_after_s

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from httpx2 import Request
    from openai import APIStatusError, AsyncOpenAI

logger = logging.getLogger(__name__)

KEY = "OPENAI_API_KEY"
"""The environment variable with the server's key, if it wants one."""

RETRIES = 6
"""How often a request is sent again while the server fails or is silent, at growing intervals or when it says."""

PATIENCE_S = 600.0
"""How long a server may let no request through that says there are too many."""

CONCURRENCY = 16
TIMEOUT_S = 600.0
_CONNECT_S = 10.0
_FINISH_S = 60.0  # for answers under way at an interruption
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0  # between two tries
_FAILURES = 5  # requests given up in a row, after which the server is taken to be out of order
_OF_REQUEST = (400, 413, 422, 451)  # statuses: another request may be answered
_TOO_MANY = (429, 529)
_AGAIN = (408, 409)
_NEVER = (501, 505)
_QUOTA = "insufficient_quota"  # OpenAI's code for a 429 that waiting does not end
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_OPEN_HEADERS = {
    "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding",
    "user-agent",
}  # fmt: skip
"""What is sent over plain http to other machines: nothing that could be a secret."""

Json = dict[str, Any]
Check = Callable[[Json], Any]
Keep = Callable[[int, Json], None]


class NoAnswerError(UserError):
    """The server is not there, or lets nothing through: nothing else can be asked of it either."""


class RefusedError(UserError):
    """One request is not answered; another one may be.

    Attributes:
        status: Of the answer, if there was one.
        said: What the server said.
        temporary: Whether the same request might have been answered at another time.
    """

    def __init__(self, message: str, *, status: int | None = None, said: str = "", temporary: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.said = said
        self.temporary = temporary


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
class Unanswered:
    """Why one try was not answered.

    Attributes:
        error: What is said if no other try is.
        again: Whether another one may be.
        too_many: Whether the server asks for fewer requests.
        wait_s: How long it asks to wait, if it says so.
    """

    error: UserError
    again: bool = True
    too_many: bool = False
    wait_s: float | None = None


class Client:
    """An open connection; :func:`connected` opens one.

    Args:
        endpoint: Where to.
        openai: Sends one request, once.
        portal: Runs what is asynchronous.
    """

    def __init__(self, endpoint: Endpoint, openai: AsyncOpenAI, portal: BlockingPortal) -> None:
        self.endpoint = endpoint
        self.openai = openai
        self.portal = portal
        self.pace = Pace(endpoint.concurrency)
        self.ending = Event()
        self._kept: list[Future[None]] = []

    def ask(self, method: str, path: str, content: Json | None = None, *, check: Check | None = None) -> Json:
        """The answer to one request.

        Args:
            method: GET or POST.
            path: Below the server's address.
            content: What is sent.
            check: Raises ValueError where an answer is not what was asked for, which is then asked for again.

        Raises:
            NoAnswerError: The server is not there.
            RefusedError: It refuses, or does not answer with such JSON.
            UserError: It refuses everything.
        """
        return self.portal.call(self.answer, method, path, content, check)

    def ask_each(
        self, path: str, contents: Iterable[Json], *, keep: Keep | None = None, check: Check | None = None
    ) -> Iterator[tuple[int, Json | RefusedError]]:
        """The index of each request with its answer, in the order of the answers; some are under way at a time.

        Args:
            path: Below the server's address.
            contents: The requests, which are sent in this order.
            keep: Called with each answer as soon as it is there, in another thread. Where it is given, one refused
                request does not end the others: its error takes the place of its answer. Answers that are under way
                at an interruption are waited for and kept.
            check: As in :meth:`ask`.

        Raises:
            UserError: As :meth:`ask`; requests without an answer are given up.
        """
        sent = _Sending(self, path, contents, keep, check)
        sending = self.portal.start_task_soon(sent.all)
        if keep is not None:
            self._kept.append(sending)
        try:
            while (found := sent.answered.get()) is not None:
                yield found
            sending.result()
        finally:
            if keep is None:
                sending.cancel()

    def finish(self) -> None:
        """Wait for answers under way that are to be kept; nothing else is sent."""
        self.ending.set()
        under_way = [sending for sending in self._kept if not sending.done()]
        if under_way:
            logger.info("waiting for the answers that are under way (interrupt again to give them up)")
            wait(under_way, timeout=_FINISH_S)

    async def answer(self, method: str, path: str, content: Json | None = None, check: Check | None = None) -> Json:
        """See :meth:`ask`; within the portal."""
        began = time.monotonic()
        for tries in count():
            async with self.pace.turn():
                found = await self._try(method, path, content, check)
                if not isinstance(found, Unanswered):
                    self.pace.succeeded()
                    return found
                if found.too_many:
                    self.pace.too_many(found.wait_s)
            lost = isinstance(found.error, NoAnswerError)
            if lost and self.pace.succeeded_since(began):  # it is there, and fails on this request
                found = replace(found, error=RefusedError(str(found.error), temporary=True))
            over = self.pace.silent_s > PATIENCE_S if found.too_many else tries >= RETRIES
            if over or not found.again or self.ending.is_set():
                raise found.error
            if not found.too_many:
                pause = min(_SHORTEST_PAUSE_S * 2**tries, _LONGEST_PAUSE_S) * random.uniform(0.75, 1)
                await anyio.sleep(pause if found.wait_s is None else found.wait_s)
        raise AssertionError

    async def _try(self, method: str, path: str, content: Json | None, check: Check | None) -> Json | Unanswered:
        """Send a request once."""
        import httpx2  # noqa: PLC0415  as below: slow to import, and needed only where something is served
        import openai  # noqa: PLC0415

        url = self.endpoint.url
        options = {} if self.openai.api_key else {"headers": {"Authorization": openai.Omit()}}
        try:
            with anyio.fail_after(self.endpoint.timeout_s):
                if method == "GET":
                    response = await self.openai.get(path, cast_to=httpx2.Response, options=options)
                else:
                    response = await self.openai.post(path, cast_to=httpx2.Response, body=content, options=options)
            text = _without_key(response.text)
            return _checked(text, check)
        except openai.APIStatusError as error:
            return self._refused(error)
        except (openai.APIConnectionError, TimeoutError) as error:
            reason = type(error.__cause__ or error).__name__
            return Unanswered(
                NoAnswerError(f"the endpoint at {url} does not answer ({reason}): is the server running?")
            )
        except json.JSONDecodeError:
            return self._wrong("does not answer in JSON")
        except (ValueError, LookupError, TypeError, AttributeError):
            return self._wrong(f"does not answer what is asked at /{path}, but {' '.join(text.split())[:200]!r}")

    def _wrong(self, what: str) -> Unanswered:
        return Unanswered(
            RefusedError(f"the endpoint at {self.endpoint.url} {what}: check the address", temporary=True)
        )

    def _refused(self, error: APIStatusError) -> Unanswered:
        """What a status other than that of success says."""
        status, url = error.status_code, self.endpoint.url
        said = " ".join(_without_key(error.response.text).split())
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):  # what it says may repeat the key
            wants = f"set {KEY} to a valid one (it goes over https or to this machine)"
            return Unanswered(NoAnswerError(f"the endpoint at {url} wants a key: {wants}"), again=False)
        name = f" for model {self.endpoint.model!r}" if self.endpoint.model else ""
        text = f"the endpoint at {url} refuses with {status}{name}: {said[:200]}"
        wait_s = retry_after_s(error.response.headers)
        if status == HTTPStatus.PAYMENT_REQUIRED or _QUOTA in said:
            return Unanswered(NoAnswerError(text), again=False)
        if wait_s is not None and wait_s > PATIENCE_S:
            later = f"run the same command again after the {wait_s:.0f} seconds that it asks to wait"
            return Unanswered(NoAnswerError(f"{text}: {later}"), again=False)
        if status in _TOO_MANY or (status == HTTPStatus.SERVICE_UNAVAILABLE and wait_s is not None):
            return Unanswered(NoAnswerError(text), too_many=True, wait_s=wait_s)
        if status in _OF_REQUEST:
            return Unanswered(RefusedError(text, status=status, said=said), again=False)
        again = status in _AGAIN or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _NEVER)
        refused = RefusedError(text, status=status, temporary=True) if again else UserError(text)
        return Unanswered(refused, again=again, wait_s=wait_s)


class _Sending:
    """Requests that are sent by as many tasks as may be under way at a time; see :meth:`Client.ask_each`.

    Attributes:
        answered: What :meth:`Client.ask_each` yields, and None at the end.
    """

    def __init__(
        self, client: Client, path: str, contents: Iterable[Json], keep: Keep | None, check: Check | None
    ) -> None:
        self.answered: SimpleQueue[tuple[int, Json | RefusedError] | None] = SimpleQueue()
        self._client, self._path, self._keep, self._check = client, path, keep, check
        self._waiting = iter(enumerate(contents))
        self._failures = 0

    async def all(self) -> None:
        """Send all of them."""
        try:
            async with anyio.create_task_group() as group:
                for _ in range(self._client.endpoint.concurrency):
                    group.start_soon(self._some)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            self.answered.put(None)

    async def _some(self) -> None:
        """Send one after the other while there are any."""
        for index, content in self._waiting:
            if self._client.ending.is_set():
                return
            self.answered.put((index, await self._one(index, {"model": self._client.endpoint.model} | content)))

    async def _one(self, index: int, content: Json) -> Json | RefusedError:
        try:
            found = await self._client.answer("POST", self._path, content, self._check)
        except RefusedError as error:
            self._failures += error.temporary
            if self._keep is None or self._failures >= _FAILURES:
                raise
            return error
        self._failures = 0
        if self._keep is not None:
            self._keep(index, found)
        return found


@contextmanager
def connected(endpoint: Endpoint) -> Iterator[Client]:
    """A connection that is closed at the end; what was asked and not answered by then is given up, unless it is kept.

    The key, and whatever else the environment tells OpenAI's client to send, goes over https or to this machine.
    """
    import openai  # noqa: PLC0415
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415

    here = urlsplit(endpoint.url).hostname in _LOOPBACK
    http = openai.DefaultAsyncHttpxClient(
        event_hooks={"request": [_withhold_secrets]},
        trust_env=not here,  # no proxy sees what goes to this machine
    )
    client = openai.AsyncOpenAI(
        api_key=os.environ.get(KEY, ""),
        admin_api_key="",
        base_url=endpoint.base_url,
        max_retries=0,  # the client sends again by itself, and lets other requests wait as well
        timeout=openai.Timeout(endpoint.timeout_s, connect=_CONNECT_S),
        http_client=http,
    )
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client):
        found = Client(endpoint, client, portal)
        try:
            yield found
        finally:
            found.finish()


def _checked(text: str, check: Check | None) -> Json:
    """The JSON object that a text is, and that is what was asked for.

    Raises:
        ValueError: It is something else, as ``check`` does or with other errors.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as for what is no JSON
    if check is not None:
        check(found)
    return found


def _without_key(text: str) -> str:
    """What a server says, should it repeat the key."""
    key = os.environ.get(KEY)
    return text.replace(key, "***") if key else text


def _first(errors: BaseExceptionGroup) -> BaseException:
    """One of the errors of a task group."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


async def _withhold_secrets(request: Request) -> None:
    """Keep a request over plain http to another machine free of what may be a secret, after a redirect too."""
    if request.url.scheme == "https" or request.url.host in _LOOPBACK:
        return
    for name in set(request.headers) - _OPEN_HEADERS:
        del request.headers[name]
