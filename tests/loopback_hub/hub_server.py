"""A Hugging Face Hub on this machine, for tests: real clients talk to it over TCP and need not be changed.

    with Hub() as hub:
        subprocess.run(command, env=hub.environment(home))          # HF_ENDPOINT, HF_TOKEN and an empty HF_HOME
        hub.fail("503", path="/commit/", times=2)                   # the next two commits are refused
        hub.repository("dataset", "org/suite").files()              # what is in main now
        [request.path for request in hub.journal.requests]          # what was asked

By hand: ``python -m tests.loopback_hub.hub_server --port 8000`` prints what to export.

It keeps files by LFS and knows nothing of Xet. Whoever uploads with ``hf_xet`` installed, as ``huggingface_hub`` wants
it, sets ``HF_HUB_DISABLE_XET=1``, because the client alone chooses between the two. Reading needs no such setting: the
client uses Xet only where an answer names it.
"""

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.loopback_hub import hub_api, hub_transfer  # noqa: F401 - they register their routes
from tests.loopback_hub.hub_faults import Fault, FaultKind, Journal
from tests.loopback_hub.hub_http import KINDS, Call, Handler
from tests.loopback_hub.hub_storage import HubError, Repository

USER, ORGANIZATION, STRANGER = "ada", "org", "eve"


@dataclass(frozen=True)
class Access:
    """What a token stands for."""

    user: str
    role: str
    """``read`` or ``write``."""


class Server(ThreadingHTTPServer):
    """A thread for each connection, none of which keeps the process alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no mistake; anything else is shown by the standard library."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Hub:
    """Users, organisations and repositories behind an address on the loopback interface.

    Files kept by LFS have an address of their own, as on the real Hub: clients follow no redirect to the Hub itself
    with the headers of the first answer kept, and must not send their token elsewhere.

    There are, to start with, the user ``ada`` in the organisation ``org``, and ``eve``, who is in none.

    Args:
        port: Where to listen; 0 takes a free one.
        part_size: Bytes from which an upload by LFS comes in parts, and the size of a part.
    """

    def __init__(self, *, port: int = 0, part_size: int = 64 << 20):
        self.part_size = part_size
        self.folder = Path(tempfile.mkdtemp(prefix="loopback-hub-"))
        self.secret = secrets.token_bytes()
        self.journal = Journal()
        self.closing = threading.Event()
        self.failures: list[Exception] = []
        self.received: list[bytes] | None = None  # pieces of what is sent, for whoever puts a list there to search it
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.moved: dict[tuple[str, str], str] = {}
        self.organizations = {ORGANIZATION: {USER: "admin"}}
        self._tokens: dict[str, Access] = {}
        self.write_token, self.read_token = self.add_token(USER), self.add_token(USER, role="read")
        self.strangers_token = self.add_token(STRANGER)
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self._servers = [Server(("127.0.0.1", each), handler) for each in (port, 0)]
        self.url, self.storage_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def __enter__(self) -> "Hub":
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.failures and kind is None:
            raise self.failures[0]

    def add_token(self, user: str, *, role: str = "write") -> str:
        """A new token of a user, who need not have been there before."""
        token = f"hf_{secrets.token_hex(17)}"
        self._tokens[token] = Access(user, role)
        return token

    def access_of(self, token: str) -> Access:
        """What a token stands for.

        Raises:
            HubError: It stands for nothing.
        """
        if token not in self._tokens:
            raise HubError(401, "Invalid credentials in Authorization header")
        return self._tokens[token]

    def is_member(self, access: Access, namespace: str, role: str = "read") -> bool:
        """Whether a namespace is the user's own, or one where they may do what ``role`` says."""
        held = "admin" if namespace == access.user else self.organizations.get(namespace, {}).get(access.user)
        return held is not None and (role == "read" or held in ("write", "admin"))

    def create(
        self, kind: str, name: str, *, author: str = USER, private: bool = False, sdk: str | None = None
    ) -> Repository:
        """A new repository, empty but for ``.gitattributes``."""
        folder = self.folder / secrets.token_hex(12)
        repository = Repository(kind, name, folder, author, private=private, sdk=sdk)
        self.moved.pop((kind, name), None)
        self.repositories[kind, name] = repository
        return repository

    def repository(self, kind: str, name: str) -> Repository:
        """A ``model``, ``dataset`` or ``space``, to look into without asking over the wire."""
        return self.repositories[kind, name]

    def delete(self, repository: Repository) -> None:
        """Remove a repository."""
        del self.repositories[repository.kind, repository.name]
        shutil.rmtree(repository.folder)

    def move(self, repository: Repository, name: str) -> None:
        """Give a repository another name; the old one leads to it."""
        del self.repositories[repository.kind, repository.name]
        self.moved[repository.kind, repository.name] = name
        repository.name = name
        self.repositories[repository.kind, name] = repository

    def moved_path(self, call: Call, parts: dict[str, str]) -> str | None:
        """Where to ask instead, if a request names a repository by a name that it had before."""
        kind = KINDS.get(parts.get("kind") or parts.get("prefix", "").strip("/") or "models")
        now = self.moved.get((kind, parts.get("repo", "")))
        return call.path.replace(quote(parts["repo"]), quote(now), 1) if now else None

    def url_of(self, repository: Repository) -> str:
        """The page of a repository."""
        prefix = "" if repository.kind == "model" else f"{repository.kind}s/"
        return f"{self.url}/{prefix}{repository.name}"

    def fail(self, kind: FaultKind, **when: Any) -> Fault:
        """Let requests go wrong: which, is what :class:`Fault` takes (``at``, ``times``, ``method``, ``path``, ...)."""
        return self.journal.add(Fault(kind, **when))

    def environment(self, home: Path, *, token: str | None = None, uploads: bool = True) -> dict[str, str]:
        """The environment of a process that knows this Hub, and has none of our code on its path.

        Args:
            home: A folder, for ``HF_HOME``.
            token: Whose; by default that of ``ada`` to write. ``""`` is anybody.
            uploads: Whether it sends large files, which it must then do without Xet.
        """
        token = self.write_token if token is None else token
        given = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home), "HF_ENDPOINT": self.url}
        given |= {"HF_TOKEN": token} if token else {}
        return given | ({"HF_HUB_DISABLE_XET": "1"} if uploads else {})


def main() -> None:
    """Run until interrupted or told to end."""
    parser = argparse.ArgumentParser(prog="python -m tests.loopback_hub.hub_server", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with Hub(port=arguments.port) as hub:
        lines = [
            f"export HF_ENDPOINT={hub.url} HF_HUB_DISABLE_XET=1",
            f"export HF_TOKEN={hub.write_token}  # {USER}, who may write to {USER}/ and {ORGANIZATION}/",
            f"# to read only: {hub.read_token}; of {STRANGER}, who may write to {STRANGER}/: {hub.strangers_token}",
        ]
        sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
