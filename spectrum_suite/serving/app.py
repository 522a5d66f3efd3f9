"""The web application: two routes that decide, one that names the model, and one that says that all is well.

Whatever is wrong with a request gets one line, as OpenAI writes errors: 400 for what is not a question, 401 without the
key, 404 for another model, 408 for a body that does not come, 413 for one that is too large, 415 for what is not JSON,
529 where too many requests wait, and 500 where the model gives no probabilities.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from spectrum_suite.decisions.decide import NoProbabilitiesError
from spectrum_suite.errors import UserError
from spectrum_suite.serving.bodies import (
    LARGEST_BODY,
    Request,
    read_decisions,
    read_json,
    read_system_one,
    write_decisions,
    write_system_one,
)
from spectrum_suite.serving.worker import BusyError, Outcome, Worker

logger = logging.getLogger(__name__)

BODY_SECONDS = 30
"""A body that has not come by then is not waited for."""

_LINE = 500  # characters of an error at most
_CLOSED_BY_CLIENT = 499


def application(worker: Worker, name: str, key: str | None = None) -> Starlette:
    """The application of a service.

    Args:
        worker: What answers.
        name: What the model is called.
        key: What a client has to give as ``Authorization: Bearer <key>``; None for nothing.
    """

    def route(read: Callable[[Mapping[str, Any]], Request], write: Callable[..., dict[str, Any]]) -> Any:
        async def endpoint(http: HttpRequest) -> Response:
            _check_key(http, key)
            request = read(read_json(await _body(http)))
            if request.model not in (None, name):
                raise HTTPException(404, f"model {request.model[:60]!r} is not served here: there is {name!r}")
            answered = await _answered(http, worker.submit(request.state, request.questions, request.instructions))
            return JSONResponse(write(answered, name, request))

        return _guarded(endpoint)

    async def models(http: HttpRequest) -> Response:
        _check_key(http, key)
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model", "owned_by": "local"}]})

    async def health(_: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [
        Route(
            "/v1/systemone",
            route(read_system_one, lambda found, name, _: write_system_one(found, name)),
            methods=["POST"],
        ),
        Route("/v1/decisions", route(read_decisions, write_decisions), methods=["POST"]),
        Route("/v1/models", _guarded(models)),
        Route("/health", health),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _of_http})


def _guarded(endpoint: Callable[[HttpRequest], Awaitable[Response]]) -> Callable[[HttpRequest], Awaitable[Response]]:
    """An endpoint whose errors become answers."""

    async def guarded(http: HttpRequest) -> Response:
        try:
            return await endpoint(http)
        except NoProbabilitiesError as error:  # the model's fault, and not that of the request
            return _error(500, str(error))
        except UserError as error:
            return _error(400, str(error))
        except BusyError:
            return _error(529, "too many requests are waiting: try again later", {"Retry-After": "1"})
        except ClientDisconnect:
            return _error(_CLOSED_BY_CLIENT, "the client has gone")
        except HTTPException:
            raise
        except Exception:
            logger.exception("a request failed")
            return _error(500, "the service failed on this request")

    return guarded


async def _body(http: HttpRequest) -> bytes:
    """The body of a request, as far as it may be that long."""
    if http.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "the body has to be JSON: send it as Content-Type: application/json")
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in http.stream():
                size += len(part)
                if size > LARGEST_BODY:
                    raise HTTPException(413, f"the body is larger than {LARGEST_BODY:,} bytes")
                parts.append(part)
    except TimeoutError as error:
        raise HTTPException(408, f"the body did not come within {BODY_SECONDS} seconds") from error
    return b"".join(parts)


async def _answered(http: HttpRequest, future: Future[list[Outcome]]) -> list[Outcome]:
    """The answers; those of a client that has gone are not computed."""
    answer = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(_disconnected(http))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise ClientDisconnect
    except asyncio.CancelledError as error:
        if answer.cancelled():  # the service is being closed
            raise HTTPException(503, "the service is being closed") from error
        raise
    finally:
        gone.cancel()
        future.cancel()


async def _disconnected(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _check_key(http: HttpRequest, key: str | None) -> None:
    if key is None:
        return
    scheme, _, given = http.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), key.encode()):
        raise HTTPException(401, "the key is missing or wrong: send Authorization: Bearer <key>")


async def _of_http(_: HttpRequest, error: Exception) -> Response:
    return _error(error.status_code, error.detail, error.headers)


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    line = " ".join(message.encode(errors="backslashreplace").decode().split())[:_LINE]
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004
    error = {"message": line, "type": kind, "param": None, "code": status}
    return JSONResponse({"error": error}, status, headers=headers)
