"""How the loopback Hub takes requests from the wire and answers: routes, bodies, byte ranges, and faults on demand."""

import contextlib
import errno
import hashlib
import hmac
import json
import re
import secrets
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.loopback_hub.hub_faults import Fault, Recorded
from tests.loopback_hub.hub_storage import PIECE, HubError, Repository, pieces_of

if TYPE_CHECKING:
    from tests.loopback_hub.hub_server import Access, Hub

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
PLACEHOLDERS = {
    "kind": "models|datasets|spaces",
    "prefix": "(?:datasets/|spaces/)?",
    "repo": r"[\w.-]+(?:/[\w.-]+)?",
    "revision": r"refs/(?:pr|convert|heads|tags)/[^/]+|[^/]+",
    "number": r"\d+",
    "sha256": "[0-9a-f]{64}",
    "path": ".+",
    "name": "[^/]+",
}
INJECTED = {
    500: "Internal Error - We're working hard to fix this as soon as possible!",
    503: "Service Unavailable",
    507: "Insufficient Storage",
    429: "You have been rate limited, please try again later.",
    401: "Invalid credentials in Authorization header",
    403: "Forbidden: you must have the right to do this",
    404: "Sorry, we can't find the page you are looking for.",
    501: "Not Implemented",
}

Need = Literal["read", "propose", "write"]


@dataclass
class Reply:
    """An answer: some bytes, or a file of which a range may have been asked for."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    start: int = 0
    """Where in the file to begin."""
    length: int | None = None
    """Bytes of the file to send; None is all."""

    @property
    def size(self) -> int:
        """Bytes that are sent."""
        whole = self.file.stat().st_size if self.file else len(self.body)
        return whole if self.length is None else self.length

    def pieces(self, length: int) -> Iterable[bytes]:
        """The first ``length`` bytes that are sent, some at a time."""
        return pieces_of(self.file, self.start, length) if self.file else [self.body[:length]]

    def limit_to(self, asked: str | None) -> None:
        """Give only the range of a file that a header asks for."""
        if self.file is None:
            return
        self.headers["Accept-Ranges"] = "bytes"
        if asked and self.status == HTTPStatus.OK:
            whole = self.size
            self.start, self.length = byte_range(asked, whole)
            self.status = HTTPStatus.PARTIAL_CONTENT if self.length else HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            where = f"{self.start}-{self.start + self.length - 1}" if self.length else "*"
            self.headers["Content-Range"] = f"bytes {where}/{whole}"


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """An answer in JSON; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=utf-8", **named})


def error_reply(error: HubError) -> Reply:
    """What a client is told about a refusal."""
    reply = json_reply({"error": error.message, **error.body}, error.status)
    reply.headers["X-Error-Message"] = error.message
    if error.code:
        reply.headers["X-Error-Code"] = error.code
    return reply


Answer = Callable[..., Reply]
ROUTES: list[tuple[str, re.Pattern[str], Answer]] = []


def route(method: str, template: str) -> Callable[[Answer], Answer]:
    """Answer requests of a method (``GET`` means HEAD too) whose path fits a template like ``/api/{kind}/{repo}``."""
    escaped = template.replace(".", r"\.")
    pattern = re.sub(r"\{(\w+)\}", lambda match: f"(?P<{match[1]}>{PLACEHOLDERS[match[1]]})", escaped)

    def register(answer: Answer) -> Answer:
        ROUTES.append((method, re.compile(pattern), answer))
        return answer

    return register


class Call:
    """One request."""

    def __init__(self, hub: "Hub", handler: BaseHTTPRequestHandler, fault: Fault | None):
        self.hub, self.method, self.headers = hub, handler.command, handler.headers
        split = urlsplit(handler.path)
        self.path, self.query = split.path, parse_qs(split.query, keep_blank_values=True)
        self._source, self._disk_full = handler.rfile, bool(fault and fault.kind == "disk-full")
        self._length = int(self.headers.get("Content-Length", 0))
        self._body = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else self._counted()
        self.received = 0

    @cached_property
    def access(self) -> "Access | None":
        """Who asks; None is anybody."""
        header = self.headers.get("Authorization")
        return self.hub.access_of(header.removeprefix("Bearer ")) if header else None

    def require_access(self, role: str = "read") -> "Access":
        """Who asks, refusing anybody and, where ``role`` is ``"write"``, tokens for reading."""
        if self.access is None:
            raise HubError(401, "Invalid username or password.")
        if role == "write" and self.access.role != "write":
            raise HubError(403, "Forbidden: you must use a write token to upload to a repository.")
        return self.access

    def repository(self, kind: str, name: str, need: Need = "read") -> Repository:
        """A repository, if whoever asks may do with it what is needed.

        Raises:
            HubError: There is none that they may see (401 for anybody, 404 for a user), or they may see it only.
        """
        repository = self.hub.repositories.get((KINDS[kind], name))
        if repository is None or not self.may_see(repository):
            message = "Repository not found" if self.access else "Invalid username or password."
            raise HubError(404 if self.access else 401, message, "RepoNotFound")
        if need != "read":
            self.require_access("write")
            if need == "write" and not self._is_member(repository, "write"):
                raise HubError(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")
        return repository

    def may_see(self, repository: Repository) -> bool:
        """Whether a repository is there for whoever asks."""
        return not repository.private or self._is_member(repository)

    def check_gate(self, repository: Repository) -> None:
        """Refuse the files of a gated repository to those who are not its members."""
        if repository.gated and not self._is_member(repository):
            message = f"Access to {repository.kind} {repository.name} is restricted. You must have access to it."
            raise HubError(403 if self.access else 401, message, "GatedRepo")

    def _is_member(self, repository: Repository, role: str = "read") -> bool:
        return self.access is not None and self.hub.is_member(self.access, repository.name.split("/")[0], role)

    def flag(self, name: str) -> bool:
        """Whether a parameter in the address says yes."""
        return self.query.get(name, [""])[0].lower() in ("1", "true")

    def json(self) -> dict[str, Any]:
        """The body, read as JSON."""
        return parsed(b"".join(self.pieces()) or b"{}")

    def form(self) -> dict[str, list[str]]:
        """The body, read as a form."""
        return parse_qs(b"".join(self.pieces()).decode())

    def pieces(self) -> Iterator[bytes]:
        """The body, some at a time. A full disk is noticed when half of it has come."""
        for piece in self._body:
            self.received += len(piece)
            if self.hub.received is not None:
                self.hub.received.append(piece)
            if self._disk_full:
                yield piece[: len(piece) // 2]
                break
            yield piece
        if self._disk_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def drain(self) -> None:
        """Read what is left of the body, so that the answer is not lost with it."""
        for piece in self._body:
            self.received += len(piece)

    def _counted(self) -> Iterator[bytes]:
        left = self._length
        while left and (piece := self._source.read(min(left, PIECE))):
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._source.readline().partition(b";")[0], 16):
            yield self._source.read(size)
            self._source.readline()
        self._source.readline()


def parsed(text: bytes) -> dict[str, Any]:
    """An object in JSON.

    Raises:
        HubError: It is none.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise HubError(400, f"The body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise HubError(400, "The body is no object")
    return value


def signed(hub: "Hub", path: str) -> str:
    """An address in the storage that works without a token, because only the Hub can have given it out."""
    return f"{hub.storage_url}{path}?{urlencode({'signature': _signature(hub, path)})}"


def check_signature(call: Call) -> None:
    """Refuse an address that was not given out, and a token, which the storage must not see."""
    if not hmac.compare_digest(call.query.get("signature", [""])[0], _signature(call.hub, call.path)):
        raise HubError(403, "The signature of this address is wrong")
    if "Authorization" in call.headers:
        raise HubError(400, "Only one way to authorize is allowed: the signature, not a token")


def _signature(hub: "Hub", path: str) -> str:
    return hmac.new(hub.secret, path.encode(), hashlib.sha256).hexdigest()


def answer(call: Call) -> Reply:
    """The answer of the route that fits."""
    method = "GET" if call.method == "HEAD" else call.method
    for wanted, pattern, handler in ROUTES:
        if wanted == method and (match := pattern.fullmatch(call.path)):
            parts = {name: unquote(text) for name, text in match.groupdict(default="").items()}
            if moved := call.hub.moved_path(call, parts):
                return Reply(307, headers={"Location": moved})
            return handler(call, **parts)
    raise HubError(404, "Sorry, we can't find the page you are looking for.")


class Handler(BaseHTTPRequestHandler):
    """Reads requests from a connection and writes the answers."""

    protocol_version = "HTTP/1.1"
    server_version = "LoopbackHub"
    disable_nagle_algorithm = True
    wbufsize = -1  # the head and the body leave together
    hub: "Hub"

    def handle_request(self) -> None:
        """Answer one request, or do what a fault says."""
        path = urlsplit(self.path).path
        fault = self.hub.journal.fault_for(self.command, path)
        kind = fault.kind if fault else None
        call = Call(self.hub, self, fault)
        if kind == "stall":
            self.hub.closing.wait(fault.seconds)
        reply = None if kind in ("stall", "reset") else self._answer(call, fault)
        if kind == "lost-reply":
            reply = None
        with contextlib.suppress(ConnectionError):
            if reply:
                call.drain()
                reply.limit_to(self.headers.get("Range"))
            status = int(reply.status) if reply else None
            self.hub.journal.record(Recorded(self.command, path, status, call.received))
            if reply:
                self._send(reply, cut=kind == "cut")
            else:
                self._reset()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request  # noqa: N815 - named by http.server

    def _answer(self, call: Call, fault: Fault | None) -> Reply:
        if fault and fault.kind.isdigit():
            reply = error_reply(HubError(int(fault.kind), INJECTED[int(fault.kind)]))
            if fault.kind == "429":
                reply.headers["Retry-After"] = str(int(fault.seconds))
            return reply
        try:
            return answer(call)
        except HubError as error:
            return error_reply(error)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return error_reply(HubError(507, "Insufficient Storage: no space left on device"))
            return self._failed(error)
        except Exception as error:  # a mistake of this server, to be shown by whoever started it
            return self._failed(error)

    def _failed(self, error: Exception) -> Reply:
        self.hub.failures.append(error)
        return error_reply(HubError(500, f"{type(error).__name__}: {error}"))

    def _send(self, reply: Reply, *, cut: bool) -> None:
        self.send_response(reply.status)
        for name, text in {**reply.headers, "X-Request-Id": f"Root=1-{secrets.token_hex(12)}"}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(reply.size))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in reply.pieces(reply.size // 2 if cut else reply.size):
            self.wfile.write(piece)
        self.close_connection = self.close_connection or cut

    def _reset(self) -> None:
        """End the connection so that the other side sees a reset, after it has got what was sent."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing: the journal has it."""


def byte_range(header: str, size: int) -> tuple[int, int]:
    """(start, length) of ``bytes=a-b``, ``bytes=a-`` or ``bytes=-n``; a length of 0 where there is nothing."""
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return start, max(end - start, 0)


def disposition(path: str) -> str:
    """The header that names a file."""
    name = path.rpartition("/")[2]
    return f"inline; filename*=UTF-8''{quote(name)}"
