"""A service that fails in every way is asked nothing twice, and no interruption loses an answer."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.lm import client as client_module
from spectrum_suite.lm.answer_store import AnswerStore
from spectrum_suite.lm.client import Endpoint, NoAnswerError
from spectrum_suite.lm.service import USAGE, Draws, Plan, PlannedError, Service
from tests.chat_server import chatting

PATH = "chat/completions"
COLORS = {"red": 0.5, "green": 0.3, "blue": 0.2}
REPOSITORY = Path(__file__).parents[3]


def by_question(messages):
    """Another distribution for each question."""
    turn = int(messages[-1]["content"].split()[-1]) % 3
    names = list(COLORS)
    return dict(zip(names[turn:] + names[:turn], COLORS.values(), strict=True))


def read(response):
    return [{"text": choice["message"]["content"]} for choice in response["choices"]]


def questions(count, n, first=0):
    return [
        Draws({"messages": [{"role": "user", "content": f"Question {number}"}]}, range(first, first + n))
        for number in range(count)
    ]


def drawn(server, store, wanted, *, at_once=1, seeded=True, concurrency=8, **of_endpoint):
    service = Service(Endpoint(server.url, "tiny", concurrency=concurrency, **of_endpoint), store)
    return service.draw(PATH, wanted, read, at_once=at_once, seeded=seeded, doing="Asking")


def asked_twice(server):
    """Requests that were answered with an answer more than once."""
    return [body for body, count in Counter(json.dumps(body) for body in server.served).items() if count > 1]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses between tries, without what makes them long."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(client_module, "_SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(client_module, "_LONGEST_PAUSE_S", 0.05)


@pytest.mark.parametrize("at_once", [1, 4, 16])
def test_draws_are_those_of_the_distribution_however_they_are_asked_for(at_once):
    with chatting(by_question) as server:
        found = drawn(server, AnswerStore(), questions(3, 400), at_once=at_once)
    for number, answers in enumerate(found):
        assert len(answers) == 400
        counts = Counter(answer["text"] for answer in answers)
        truth = by_question([{"content": f"Question {number}"}])
        statistic = sum((counts[text] - 400 * share) ** 2 / (400 * share) for text, share in truth.items())
        assert statistic < 13.8  # the 99.9% point of chi-square with 2 degrees of freedom


def test_more_answers_are_the_earlier_ones_and_new_ones(tmp_path):
    with chatting(by_question) as server:
        ten = drawn(server, AnswerStore(tmp_path / "a"), questions(2, 10))
        thirty = drawn(server, AnswerStore(tmp_path / "a"), questions(2, 30))
        assert [answers[:10] for answers in thirty] == ten
        assert len(server.served) == 60
        later = drawn(server, AnswerStore(tmp_path / "a"), questions(2, 20, first=10))
        assert later == [answers[10:] for answers in thirty]
        assert len(server.served) == 60
        anew = drawn(server, AnswerStore(), questions(2, 30))
        assert anew == thirty  # seeds depend on the request and the number alone


def test_another_stream_and_another_model_are_other_answers():
    store = AnswerStore()
    with chatting(by_question) as server:
        drawn(server, store, questions(1, 5))
        drawn(server, store, [replace(draws, stream="1") for draws in questions(1, 5)])
        service = Service(Endpoint(server.url, "another"), store)
        service.draw(PATH, questions(1, 5), read, seeded=True, doing="Asking")
        assert len(server.served) == 15
        seeds = [body["seed"] for body in server.served]
        assert len(set(seeds)) == 10  # a seed does not depend on the model


def test_a_service_that_gives_fewer_answers_is_asked_for_the_rest():
    with chatting(by_question, most=3) as server:
        found = drawn(server, AnswerStore(), questions(2, 10), at_once=8)
    assert [len(answers) for answers in found] == [10, 10]
    assert not asked_twice(server)
    assert Counter(body.get("n", 1) for body in server.served) == {8: 2, 2: 4, 5: 2}


FAULTS = {
    2: "500", 3: "cut", 5: "json", 7: "html", 8: "list", 11: "429", 13: "error", 17: "500", 18: "500", 23: "stall",
    31: "cut",
}  # fmt: skip


def test_faults_move_no_number_and_nothing_is_asked_twice():
    with chatting(by_question) as server:
        right = drawn(server, AnswerStore(), questions(5, 10))
    with chatting(by_question, faults=FAULTS, at_once=4, wait_s=0.05, stall_s=1.5) as server:
        found = drawn(server, AnswerStore(), questions(5, 10), timeout_s=0.5)
        assert found == right
        stalled = server.requests[22]
        assert [json.loads(body) for body in asked_twice(server)] in ([], [stalled])  # answered when nobody waited
        assert server.statuses[429] >= 1
        assert server.statuses[500] == 3


def test_a_service_that_says_too_many_gets_fewer_at_a_time():
    with chatting(by_question, at_once=3, latency_s=0.02, wait_s=0.1) as server:
        found = drawn(server, AnswerStore(), questions(60, 1), concurrency=24)
        assert all(len(answers) == 1 for answers in found)
        assert not asked_twice(server)
        assert server.statuses[429] < 60  # hammering would be many times that


def test_a_request_that_is_refused_ends_no_other(tmp_path):
    with chatting(by_question, filtered="Question 3") as server:
        with pytest.raises(UserError, match=r"refuses with 400.*filtered.*the answers so far are kept"):
            drawn(server, AnswerStore(tmp_path / "a"), questions(8, 2))
        assert len(server.served) == 14
        server.filtered = None
        found = drawn(server, AnswerStore(tmp_path / "a"), questions(8, 2))
        assert [len(answers) for answers in found] == [2] * 8
        assert len(server.served) == 16


def test_a_filter_may_stand_for_answers():
    with chatting(by_question, filtered="Question 1") as server:
        service = Service(Endpoint(server.url, "tiny"), AnswerStore())

        def withheld(error):
            return {"text": None} if "content_filter" in error.said else None

        found = service.draw(PATH, questions(2, 2), read, at_once=2, withheld=withheld, doing="Asking")
        assert found[1] == [{"text": None}] * 2
        assert all(answer["text"] in COLORS for answer in found[0])
        asked = len(server.requests)
        assert service.draw(PATH, questions(2, 2), read, withheld=withheld, doing="Asking") == found
        assert len(server.requests) == asked


def test_a_service_that_is_out_of_order_is_left_alone(monkeypatch):
    monkeypatch.setattr(client_module, "RETRIES", 1)
    with chatting(by_question, faults=dict.fromkeys(range(1, 10_000), "500")) as server:
        with pytest.raises(UserError, match="refuses with 500"):
            drawn(server, AnswerStore(), questions(500, 1))
        assert len(server.requests) < 50


def test_a_service_that_never_lets_anything_through(monkeypatch):
    monkeypatch.setattr(client_module, "PATIENCE_S", 0.5)
    with (
        chatting(by_question, faults=dict.fromkeys(range(1, 10_000), "429"), wait_s=0.1) as server,
        pytest.raises(NoAnswerError, match="refuses with 429"),
    ):
        drawn(server, AnswerStore(), questions(20, 1))
    with (
        chatting(by_question, faults={1: "429"}, wait_s=3600) as server,
        pytest.raises(NoAnswerError, match="run the same command again after the 3600 seconds"),
    ):
        drawn(server, AnswerStore(), questions(1, 1))


def test_answers_from_a_cache_are_refused():
    with chatting(by_question, caches=True) as server:
        drawn(server, AnswerStore(), questions(1, 5), concurrency=1)  # seeds tell the requests apart
        with pytest.raises(UserError, match="come from a cache"):
            drawn(server, AnswerStore(), questions(1, 5), seeded=False, concurrency=1)


def test_requests_that_begin_alike_follow_one_another():
    contents = ["b 1", "a 1", "c 1", "a 2", "b 2"]
    wanted = [Draws({"messages": [{"role": "user", "content": text}]}, range(2)) for text in contents]
    with chatting(by_question) as server:
        drawn(server, AnswerStore(), wanted, concurrency=1)
        sent = [body["messages"][0]["content"] for body in server.served]
    assert sent == [text for text in sorted(contents) for _ in range(2)]


def test_a_plan_asks_nothing_and_counts_what_is_missing(tmp_path):
    with chatting(by_question) as server:
        drawn(server, AnswerStore(tmp_path / "a"), questions(2, 10))
        asked = len(server.requests)
        service = Service(Endpoint(server.url, "tiny"), AnswerStore(tmp_path / "a"), plan=Plan())
        wanted = [replace(draws, tokens=7) for draws in questions(3, 12)]
        with pytest.raises(PlannedError):
            service.draw(PATH, wanted, read, at_once=4, doing="Asking")
        assert len(server.requests) == asked
        plan = service.plan
        assert (plan.requests, plan.answers, plan.kept, plan.tokens) == (1 + 1 + 3, 36, 20, 7 * 16)
        body = json.dumps(wanted[0].body)
        assert plan.characters == 5 * len(body)


def test_what_answers_took_is_kept_with_them(tmp_path):
    store = AnswerStore(tmp_path / "a")
    with chatting(by_question) as server:
        drawn(server, store, questions(2, 6), at_once=3)
    usage = store.sums(USAGE)
    assert usage["requests"] == 4
    assert usage["input_tokens"] == 4 * 3  # "Question 0" is three pieces
    texts = [json.loads(row[0])["answer"]["text"] for row in store._file.execute("SELECT answer FROM answers")]
    assert usage["output_tokens"] == sum(1 if len(text) <= 4 else 2 for text in texts)
    assert usage["cached_tokens"] == 0


def interrupted_runs(server, path, wanted, interruptions, longest_s):
    """Ask again and again, interrupted at random moments, and then to the end."""
    moments = random.Random(7)
    before = signal.getsignal(signal.SIGALRM)

    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    done = 0
    try:
        for _ in range(interruptions):
            try:
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.002, longest_s))
                drawn(server, AnswerStore(path), wanted, at_once=2)
                done += 1
            except KeyboardInterrupt:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    return done, drawn(server, AnswerStore(path), wanted, at_once=2)


@pytest.mark.parametrize("interruptions", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_an_interruption_at_any_moment_loses_no_answer(interruptions, tmp_path):
    wanted = questions(10 * interruptions, 8)
    with chatting(by_question) as server:
        right = drawn(server, AnswerStore(), wanted, at_once=2)
    with chatting(by_question, latency_s=0.01) as server:
        done, found = interrupted_runs(server, tmp_path / "a", wanted, interruptions, 0.2)
        assert done < interruptions / 2
        assert found == right
        assert len(server.served) == 4 * len(wanted)
        assert not asked_twice(server)


SCRIPT = """
import sys
from pathlib import Path
from spectrum_suite.lm.answer_store import AnswerStore
from tests.spectrum_suite.lm.test_service import drawn, questions

class Server:
    url = sys.argv[1]

drawn(Server, AnswerStore(Path(sys.argv[2])), questions(int(sys.argv[3]), 4))
"""


@pytest.mark.slow
def test_a_killed_process_loses_only_what_was_under_way(tmp_path):
    path, kills, count = tmp_path / "a", 20, 400
    with chatting(by_question, latency_s=0.05) as server:
        command = [sys.executable, "-c", SCRIPT, server.url, str(path), str(count)]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        moments = random.Random(3)
        for _ in range(kills):
            process = subprocess.Popen(command, env=environment)
            time.sleep(moments.uniform(1.5, 4))
            process.kill()
            process.wait()
        wanted = questions(count, 4)
        found = drawn(server, AnswerStore(path), wanted)
        assert len(server.served) <= 4 * count + kills * 8  # as many as are under way at a time
        assert found == drawn(server, AnswerStore(), wanted)
