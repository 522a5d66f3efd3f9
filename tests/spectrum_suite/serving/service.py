"""A service in front of a tiny model, on this machine and in this process."""

import http.client
import json
import threading
from contextlib import contextmanager

import uvicorn

from spectrum_suite.commands.serve import listening_on
from spectrum_suite.serving.app import application
from spectrum_suite.serving.worker import Worker

NAME = "tiny"
HEADERS = {"Content-Type": "application/json"}

TEAM = {
    "type": "choice",
    "instructions": "Which team should handle this ticket?",
    "criteria": {"billing": "payments and refunds", "shipping": None, "security of accounts": "access"},
}
URGENT = {"type": "noul", "instructions": "Is a reply due within the hour?", "criteria": {"true": "money is moving"}}
TONE = {"type": "score", "instructions": "How upset is the customer?", "criteria": ["calm", "annoyed", "very annoyed"]}
ASKED = {
    "model": NAME,
    "state": {"ticket": "My card was charged twice."},
    "questions": {"team": TEAM, "urgent": URGENT, "tone": TONE},
}


@contextmanager
def serving(model, reader, *, key=None, longest=400, **options):
    """``(port, worker)`` of a service that runs within."""
    worker = Worker(model, reader, longest=longest, **options)
    listening = listening_on("127.0.0.1", 0)
    config = uvicorn.Config(application(worker, NAME, key), log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], worker
    finally:
        server.should_exit = True
        thread.join(20)
        worker.close()


class Client:
    """Sends requests over one connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def __call__(self, body, path="/v1/systemone", *, method="POST", headers=HEADERS):
        """(status, content) of the answer to a body, as bytes or to be written as JSON."""
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            return self._sent(sent, path, method, headers)
        except (ConnectionError, http.client.HTTPException):  # it was closed after an error
            self.connection.close()
            return self._sent(sent, path, method, headers)

    def _sent(self, sent, path, method, headers):
        self.connection.request(method, path, sent, dict(headers))
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())
