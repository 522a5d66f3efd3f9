"""Requests take turns on the model: a large one lets others through, and a broken one fails alone."""

import threading
from concurrent.futures import CancelledError

import pytest

from spectrum_suite.decisions.decide import Reader
from spectrum_suite.errors import UserError
from spectrum_suite.serving import worker as worker_module
from spectrum_suite.serving.worker import BusyError, Worker
from spectrum_suite.systemone import read_questions
from tests.spectrum_suite.serving.service import ASKED, TEAM, TONE

QUESTIONS = read_questions(ASKED["questions"])
MANY = read_questions({f"q{number}": TONE | {"instructions": f"How is part {number}?"} for number in range(40)})


class HeldReader(Reader):
    """Waits at a question about "held" until it is let go, so that others come meanwhile."""

    def ask(self, state, question, instructions=None):
        if state == "held":
            self.go.wait(30)
        if state == "broken":
            raise RuntimeError("no tokens")
        self.seen.append((state, question.id))
        return super().ask(state, question, instructions)


@pytest.fixture
def reader(served):
    found = HeldReader(Reader.of(served[1]).prompts)
    object.__setattr__(found, "go", threading.Event())
    object.__setattr__(found, "seen", [])
    return found


@pytest.fixture
def worker(served, reader, monkeypatch):
    monkeypatch.setattr(worker_module, "TURN_TOKENS", 200)
    found = Worker(served[0], reader, longest=400, most_waiting=4)
    yield found
    reader.go.set()
    found.close()


def test_a_small_request_does_not_wait_for_a_large_one(worker, reader):
    held = worker.submit("held", QUESTIONS[:1])
    large, small = worker.submit("large", MANY), worker.submit("small", QUESTIONS)
    reader.go.set()
    assert [each.question.id for each in small.result(60)] == ["team", "urgent", "tone"]
    assert [each.question.id for each in large.result(60)] == [f"q{number}" for number in range(40)]
    assert held.done()
    last_small = max(place for place, (state, _) in enumerate(reader.seen) if state == "small")
    assert sum(state == "large" for state, _ in reader.seen[:last_small]) < 20


def test_a_request_that_fails_fails_alone(worker, reader):
    held = worker.submit("held", QUESTIONS[:1])
    broken, long, good = (worker.submit(state, QUESTIONS) for state in ("broken", "word " * 600, "good"))
    reader.go.set()
    with pytest.raises(RuntimeError, match="no tokens"):
        broken.result(60)
    with pytest.raises(UserError, match=r"question 'team' with its state has .* tokens: this service takes 400"):
        long.result(60)
    assert len(good.result(60)) == 3
    assert len(held.result(60)) == 1


def test_scores_that_fail_together_are_computed_apart(worker, reader, monkeypatch):
    plain = worker_module.score_options

    def fails_together(model, items, **options):
        if len({item.prompt for item in items}) > 1:
            raise MemoryError
        return plain(model, items, **options)

    monkeypatch.setattr(worker_module, "score_options", fails_together)
    held = worker.submit("held", QUESTIONS[:1])
    one, two = worker.submit("one", QUESTIONS[:1]), worker.submit("two", QUESTIONS[1:2])
    reader.go.set()
    assert [len(each.result(60)) for each in (held, one, two)] == [1, 1, 1]


def test_what_was_given_up_is_not_computed(worker, reader):
    held = worker.submit("held", QUESTIONS[:1])
    given_up, last = worker.submit("given up", QUESTIONS), worker.submit("last", QUESTIONS)
    assert given_up.cancel()
    reader.go.set()
    assert len(last.result(60)) == 3
    assert held.done()
    assert "given up" not in {state for state, _ in reader.seen}


def test_too_many_are_turned_away(worker, reader):
    worker.submit("held", QUESTIONS[:1])
    waiting = []
    with pytest.raises(BusyError):
        waiting += [worker.submit(f"{number}", QUESTIONS[:1]) for number in range(6)]
    reader.go.set()


def test_a_closed_worker_answers_nothing(served):
    found = Worker(served[0], Reader.of(served[1]), longest=400)
    found.close()
    with pytest.raises(BusyError):
        found.submit("x", read_questions({"q": TEAM}))


def test_what_waits_when_it_is_closed_is_cancelled(served, reader, monkeypatch):
    monkeypatch.setattr(worker_module, "TURN_TOKENS", 200)
    found = Worker(served[0], reader, longest=400)
    found.submit("held", QUESTIONS[:1])
    waiting = found.submit("waiting", MANY)
    closing = threading.Thread(target=found.close)
    closing.start()
    while not found._closed:
        pass
    reader.go.set()
    closing.join(60)
    with pytest.raises(CancelledError):
        waiting.result(1)
