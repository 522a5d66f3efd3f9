"""A completions server on this machine, in front of a model of `transformers`; as a judge it is easily pleased."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch

from tests.in_thread import answering


class Server(ThreadingHTTPServer):
    """The completions API as vLLM documents it, in front of a model of `transformers`."""

    request_queue_size = 128  # clients at once

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.requests, self.failures, self.key = [], [], None
        self.echoes, self.takes_ids, self.draws_many, self.tells_prompts = True, True, True, False
        self.takes_nodes = False  # vLLM's `logprob_token_ids`, which other servers of this API lack
        self.lists, self.lists_ids = 0, False  # likeliest tokens that it tells, at most; their ids, as llama.cpp does
        self.one_text = False  # takes one text at a time, leaves BOS out of what it echoes (llama-cpp-python)
        self.off_by_one = False  # and tells the log-probabilities of other tokens than it says
        self.lock = threading.Lock()  # one request draws at a time: the seed is the process's
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def tokens(self, prompt):
        return self.tokenizer(prompt).input_ids if isinstance(prompt, str) else prompt

    @torch.inference_mode()
    def scores(self, ids):
        log_probs = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        return [None, *log_probs[range(len(ids) - 1), ids[1:]].tolist()]

    def echo(self, ids, more):
        ids = [*ids, *[5] * more]
        tokens, scores = list(map(self.tokenizer.decode, ids)), self.scores(ids)
        if self.one_text and ids[0] == self.tokenizer.bos_token_id:
            tokens, scores = tokens[1:], [None, *scores[2:]]
        if self.off_by_one:
            scores = [None, scores[-1], *scores[1:-1]]
        log_probs = {"token_logprobs": scores, "tokens": tokens} if self.echoes else None
        return {"text": self.tokenizer.decode(ids), "logprobs": log_probs, "finish_reason": "length"}

    @torch.inference_mode()
    def follow(self, ids, body):
        log_probs = self.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        told = {f"token_id:{token}": log_probs[token].item() for token in body["logprob_token_ids"]}
        return {"text": "x", "logprobs": {"top_logprobs": [told]}, "finish_reason": "length"}

    @torch.inference_mode()
    def likeliest(self, ids, most):
        """In both forms that servers have; of two tokens that are written alike, the less likely one is told."""
        log_probs, tokens = self.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1).sort(descending=True)
        told = list(zip(tokens.tolist(), log_probs.tolist(), strict=True))[: min(most, self.lists)]
        if self.lists_ids:
            entries = [{"id": token, "token": "?", "logprob": log_prob} for token, log_prob in told]
            log_probs = {"content": [{"id": told[0][0], "top_logprobs": entries}]}
        else:
            log_probs = {"top_logprobs": [{self.tokenizer.decode([token]): log_prob for token, log_prob in told}]}
        return {"text": "x", "logprobs": log_probs, "finish_reason": "length"}

    def prompt_log_probs(self, ids):
        """As vLLM tells them: for each token after the first an object that holds it."""
        told = zip(ids, self.scores(ids), strict=True)
        return [None if score is None else {str(token): {"logprob": score, "rank": 1}} for token, score in told]

    def draw(self, ids, body):
        torch.manual_seed(body.get("seed", 0))
        rows = self.model.generate(
            torch.tensor([ids]), do_sample=True, top_k=0, num_return_sequences=body.get("n", 1),
            max_new_tokens=body["max_tokens"], eos_token_id=body.get("stop_token_ids"), pad_token_id=0,
        )[:, len(ids) :]  # fmt: skip
        for row in rows.tolist():
            end = min((row.index(token) for token in body.get("stop_token_ids", []) if token in row), default=None)
            text = self.tokenizer.decode(row[:end], skip_special_tokens=True)
            yield {"text": text, "finish_reason": "length" if end is None else "stop"}

    def refusal(self, body):
        if not (self.takes_ids or isinstance(body["prompt"], str)):
            return 400, {"error": "prompt: expected a string"}
        if self.one_text and not isinstance(body["prompt"], str):
            return 500, {"error": "one text at a time"}
        if "logprob_token_ids" in body and not self.takes_nodes:
            return 400, {"error": "no such field: logprob_token_ids"}
        return None

    def complete(self, body):
        prompts = body["prompt"]
        many = isinstance(prompts, list) and not isinstance(prompts[0], int)
        choices = []
        for prompt in prompts if many else [prompts]:
            ids = self.tokens(prompt)
            if "logprob_token_ids" in body:
                choices.append(self.follow(ids, body))
                continue
            if body.get("echo"):
                found = [self.echo(ids, body.get("max_tokens", 16))]
            elif body.get("logprobs") and self.lists:
                found = [self.likeliest(ids, body["logprobs"])]
            else:
                found = list(self.draw(ids, body))
            if self.tells_prompts and body.get("prompt_logprobs"):
                found[0]["prompt_logprobs"] = self.prompt_log_probs(ids)
            choices += found
        choices = [choice | {"index": index} for index, choice in enumerate(choices)][::-1]
        drawn, given = body.get("max_tokens", 16), sum(map(len, map(self.tokens, prompts if many else [prompts])))
        usage = {"prompt_tokens": given, "completion_tokens": drawn, "total_tokens": given + drawn}
        about = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": "tiny"}
        return about | {"choices": choices, "usage": usage}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, {"data": [{"id": "tiny"}]} if self.path == "/v1/models" else {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        if self.server.failures:
            return self.answer(*self.server.failures.pop(0))
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            return self.answer(401, {"error": f"not {self.headers.get('Authorization')}"})
        if self.path == "/v1/chat/completions":
            candidate = json.loads(body["messages"][-1]["content"])["candidate"]
            verdict = {"content": "yes" if len(candidate) == 1 else "no"}
            return self.answer(200, {"choices": [{"message": verdict}]})
        if refused := self.server.refusal(body):
            return self.answer(*refused)
        if not self.server.draws_many:
            body |= {"n": 1}
        with self.server.lock:
            found = self.server.complete(body)
        return self.answer(200, found)

    def answer(self, status, content, headers=()):
        found = json.dumps(content).encode() if isinstance(content, dict) else content
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *_):
        pass


def serving(model, tokenizer):
    return answering(Server(model, tokenizer))
