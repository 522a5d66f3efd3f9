"""A connection to a completions server: its address, its key, and one request at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter, Retry
from requests.auth import AuthBase

from spectrum_suite.errors import UserError
from spectrum_suite.generation.logprobs import TokenIds

KEY = "OPENAI_API_KEY"
"""The environment variable with the server's key, if it wants one."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TIMEOUT_S = (10, 600)  # to connect, and to answer
_RETRIES = Retry(total=5, backoff_factor=1, status_forcelist=(408, 429, 500, 502, 503, 504), allowed_methods=None)
_TEMPERATURE_1 = {"temperature": 1, "top_p": 1}

Json = dict[str, Any]


class NoAnswerError(UserError):
    """The server is not there: nothing else can be asked of it either."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served.

    The key is taken from ``OPENAI_API_KEY`` when a request is made, and goes only over https or to this machine.

    Attributes:
        url: The server's address as OpenAI's clients take it, e.g. ``http://localhost:8000/v1``; a bare host means
            its ``/v1``.
        model: The name under which the server has the model.
        as_text: Send text instead of token ids, for a server that takes no other. What would then be tokenized
            otherwise than token ids is refused.
    """

    url: str
    model: str
    as_text: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.username or parts.password or parts.query:
            raise UserError(f"the endpoint's address holds more than a host and a path: put the key into {KEY} instead")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"endpoint {self.url!r} is no http address: give one like http://localhost:8000/v1")


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
    session: requests.Session

    def prompt(self, ids: TokenIds, text: str) -> list[int] | str:
        """What goes over the wire for a prompt."""
        return text if self.endpoint.as_text else list(ids)

    def complete(self, request: Json, n_choices: int) -> list[Json]:
        """The choices of a completion, in order."""
        answer = self.ask("POST", "completions", {"model": self.endpoint.model} | _TEMPERATURE_1 | request)
        choices = sorted(answer.get("choices", []), key=lambda choice: choice["index"])
        if len(choices) != n_choices:
            raise UserError(
                f"the endpoint at {self.endpoint.url} gave {len(choices)} completions, not the {n_choices} asked for: "
                "it does not support lists of prompts or 'n', use one that does, e.g. vLLM"
            )
        return choices

    def ask(self, method: str, path: str, content: Json | None = None) -> Json:
        """One request, tried again while the server is busy."""
        url = self.endpoint.url.rstrip("/")
        base = url if urlsplit(url).path else url + "/v1"
        try:
            response = self.session.request(method, f"{base}/{path}", json=content, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise NoAnswerError(
                f"the endpoint at {self.endpoint.url} does not answer ({type(error).__name__}): is the server running?"
            ) from error
        if response.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise UserError(
                f"the endpoint at {self.endpoint.url} wants a key: set {KEY} (it goes over https or to this machine)"
            )
        if not response.ok:
            said = " ".join(response.text.split())[:200]
            raise UserError(f"the endpoint at {self.endpoint.url} refuses with {response.status_code}: {said}")
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise UserError(
                f"the endpoint at {self.endpoint.url} does not answer in JSON: check the address"
            ) from error


class _Key(AuthBase):
    """Adds the key to a request."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        parts = urlsplit(request.url)
        if KEY in os.environ and (parts.scheme == "https" or parts.hostname in _LOOPBACK):
            request.headers["Authorization"] = f"Bearer {os.environ[KEY]}"
        return request


@contextmanager
def connected(endpoint: Endpoint) -> Iterator[Client]:
    """A connection that is closed at the end. A busy server is asked up to six times."""
    with requests.Session() as session:
        session.auth = _Key()
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
        yield Client(endpoint, session)
