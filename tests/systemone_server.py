"""A decision service on this machine, with the limits and errors of those that there are."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.in_thread import answering


class SystemOneServer(ThreadingHTTPServer):
    """`shares(state, names)` gives the probability of each option or level; names are those of the request.

    `most` options are taken at most, `mass` is the label mass that is told (None: it is not), `statuses` are what the
    next requests get instead of an answer, and `decimals` round probabilities.
    """

    daemon_threads = True

    def __init__(self, shares, *, most=255, mass=None, statuses=(), decimals=None):
        self.shares, self.most, self.mass, self.statuses, self.decimals = shares, most, mass, list(statuses), decimals
        self.requests, self.lock = [], threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def decide(self, body):
        ((name, question),) = body["questions"].items()
        criteria = question["criteria"]
        levels = isinstance(criteria, list)
        found = self.shares(body["state"], list(criteria))
        if self.decimals is not None:
            found = [round(share, self.decimals) for share in found]
        keys = [str(level) for level in range(len(criteria))] if levels else list(criteria)
        answer = {"type": question["type"], "probabilities": dict(zip(keys, found, strict=True)), "confidence": 0.5}
        told = {} if self.mass is None else {"diagnostics": {name: {"label_mass": self.mass, "argmax_is_label": True}}}
        return {"model": "m", "answers": {name: answer}, "usage": {"input_tokens": 9, "output_tokens": 0}} | told


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, {"data": [{"id": "decider"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(body)
            status = self.server.statuses.pop(0) if self.server.statuses else 200
        if self.path != "/v1/systemone":
            return self.answer(404, {"error": {"message": f"no route {self.path}"}})
        if status != 200:
            return self.answer(status, {"error": {"message": f"status {status}"}})
        (question,) = body["questions"].values()
        if len(question["criteria"]) > self.server.most:
            return self.answer(400, {"error": {"message": f"at most {self.server.most} options"}})
        return self.answer(200, self.server.decide(body))

    def answer(self, status, content):
        found = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Retry-After", "0.05")
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *_):
        pass


def deciding(shares, **options):
    return answering(SystemOneServer(shares, **options))
