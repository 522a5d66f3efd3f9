"""A chat service on this machine whose distribution over answers is known, with the faults that such services have.

What it speaks is OpenAI's chat completions: `n`, `seed`, `usage`, and `logprobs` with `top_logprobs`, of tokens that
are pieces of at most four characters. It reasons before it answers where it is told to be a model that does.
"""

import json
import math
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.in_thread import answering

PIECE = 4
WRONG = {"json": b'{"choices": [', "html": b"<html></html>", "list": b"[]", "error": b'{"error": {"message": "busy"}}'}
REASONING = "The user wants one answer. Let me think about which one."


def pieces(text):
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def by_piece(distribution):
    """The distribution of the first token; an empty answer has the token that ends an answer."""
    found = Counter()
    for text, probability in distribution.items():
        found[(pieces(text) or ["<end>"])[0]] += probability
    return dict(found)


class ChatServer(ThreadingHTTPServer):
    """`distribution(messages)` gives text -> probability.

    What can be set:

        faults          request number (from 1) -> "429", "500", "stall", "cut", or one of WRONG
        at_once         more requests at a time than this get a 429 that asks to wait for `wait_s`
        latency_s       every answer takes so long
        unknown         names of fields that are refused with a 400
        names_unknown   whether it says which
        most            answers to a request at most, whatever `n` is
        takes_system    whether a system message is taken
        takes_logprobs  `top_logprobs` at most; 0 where log-probabilities are refused
        tells           likely tokens that are told at most, whatever `top_logprobs` is
        reasons         "field", "content" or None: where the reasoning stands
        switch          the field and its value that turn reasoning off
        filtered        a text within messages that a filter refuses with a 400
        key             the key that is asked for
        caches          whether equal requests get the same answer
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, distribution, **options):
        self.distribution = distribution
        self.faults, self.at_once, self.wait_s, self.latency_s, self.stall_s = {}, None, 0.2, 0.0, 20.0
        self.unknown, self.most, self.takes_system, self.takes_logprobs = set(), 128, True, 20
        self.names_unknown, self.tells = True, 20
        self.reasons, self.switch, self.filtered, self.key, self.caches = None, None, None, None, False
        for name, value in options.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        self.requests, self.served, self.statuses = [], [], Counter()
        self.cached = {}
        self.under_way = self.most_under_way = 0
        self.random = random.Random(0)
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def refusal(self, body):
        """What is wrong with a request, if anything."""
        if wrong := sorted(self.unknown & body.keys()):
            return (
                {"message": f"Unsupported parameter: {wrong[0]}"} if self.names_unknown else {"message": "bad request"}
            )
        if not self.takes_system and body["messages"][0]["role"] == "system":
            return {"message": "System role not supported"}
        roles = [message["role"] for message in body["messages"] if message["role"] != "system"]
        if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
            return {"message": f"roles must alternate: {roles}"}
        if body.get("logprobs") and body.get("top_logprobs", 0) > self.takes_logprobs:
            return {"message": f"top_logprobs: at most {self.takes_logprobs}"}
        if self.filtered and any(self.filtered in message["content"] for message in body["messages"]):
            return {"message": "The prompt was filtered", "code": "content_filter"}
        return None

    def reasons_on(self, body):
        if self.reasons is None:
            return False
        return self.switch is None or body.get(self.switch[0]) != self.switch[1]

    def complete(self, body):
        written = json.dumps(body, sort_keys=True)
        with self.lock:
            if self.caches and written in self.cached:
                return self.cached[written]
            draw = random.Random(written) if "seed" in body else random.Random(self.random.random())
        distribution = self.distribution(body["messages"])
        count = min(body.get("n", 1), self.most)
        texts = draw.choices(list(distribution), list(distribution.values()), k=count)
        found = {
            "id": f"chat-{self.random.getrandbits(64)}",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [self.choice(index, text, distribution, body) for index, text in enumerate(texts)],
            "usage": {
                "prompt_tokens": sum(len(pieces(message["content"])) for message in body["messages"]),
                "completion_tokens": sum(len(pieces(text)) for text in texts),
            },
        }
        self.cached[written] = found
        return found

    def choice(self, index, text, distribution, body):
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or math.inf
        message, finish = {"role": "assistant", "content": text}, "stop"
        if self.reasons_on(body):
            limit -= len(pieces(REASONING))
            if self.reasons == "content":
                message["content"] = f"<think>\n{REASONING}\n</think>\n\n{text}"
            else:
                message["reasoning_content"] = REASONING
        if len(pieces(text)) > limit:
            message["content"], finish = text[: max(0, limit) * PIECE], "length"
        found = {"index": index, "message": message, "finish_reason": finish}
        if body.get("logprobs"):
            found["logprobs"] = {
                "content": self.log_probs(text, by_piece(distribution), min(self.tells, body.get("top_logprobs", 0)))
            }
        return found

    @staticmethod
    def log_probs(text, first, most):
        """Of the first token the true ones; later ones are of no interest."""
        ranked = sorted(first.items(), key=lambda item: -item[1])[:most]
        top = [{"token": token, "logprob": math.log(p)} for token, p in ranked if p > 0]
        token = (pieces(text) or ["<end>"])[0]
        head = {"token": token, "logprob": math.log(first[token]), "top_logprobs": top}
        return [head, *({"token": each, "logprob": -0.1, "top_logprobs": []} for each in pieces(text)[1:])]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {"data": [{"id": "tiny"}]} if self.path == "/v1/models" else {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.requests.append(body)
            number = len(server.requests)
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
            busy = server.at_once is not None and server.under_way > server.at_once
        try:
            self.respond(body, server.faults.get(number), busy)
        finally:
            with server.lock:
                server.under_way -= 1

    def respond(self, body, fault, busy):
        server = self.server
        if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
            self.answer(401, {"error": {"message": f"not {self.headers.get('Authorization')}"}})
        elif busy or fault == "429":
            self.answer(429, {"error": {"message": "slow down"}}, {"Retry-After": str(server.wait_s)})
        elif self.path != "/v1/chat/completions":
            self.answer(404, {"error": {"message": f"no route {self.path}"}})
        elif fault in WRONG:
            self.answer(200, WRONG[fault])
        elif fault == "500":
            self.answer(500, {"error": {"message": "internal"}})
        elif fault == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            self.close_connection = True
        elif (wrong := server.refusal(body)) is not None:
            self.answer(400, {"error": wrong})
        else:
            time.sleep(server.stall_s if fault == "stall" else server.latency_s)
            self.answer(200, server.complete(body))
            with server.lock:
                server.served.append(body)

    def answer(self, status, content, headers=()):
        found = content if isinstance(content, bytes) else json.dumps(content).encode()
        with self.server.lock:
            self.server.statuses[status] += 1
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(found)))
        self._headers_buffer.append(b"\r\n" + found)  # one packet: two would wait for each other
        self.flush_headers()

    def log_message(self, *_):
        pass


def chatting(distribution, **options):
    return answering(ChatServer(distribution, **options))
