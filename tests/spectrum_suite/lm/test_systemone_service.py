"""A model behind a decision service: one question for each item, and what the service does not take is said."""

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.lm import client as client_module
from spectrum_suite.lm.answer_store import AnswerStore
from spectrum_suite.lm.client import Endpoint, NoAnswerError
from spectrum_suite.lm.service import Service
from spectrum_suite.lm.systemone_service import SystemOneLM, read_answer
from spectrum_suite.systemone import read_questions
from tests.systemone_server import deciding

PROMPT = [
    {"role": "description", "content": "Votes."},
    {"role": "input", "content": "A bridge?"},
    {"role": "output", "content": "yes"},
    {"role": "input", "content": "A road?"},
]
OPTIONS = ["yes", "no", "abstain"]


def rising(_, names):
    total = len(names) * (len(names) + 1) / 2
    return [(place + 1) / total for place in range(len(names))]


def lm_of(server, store=None):
    return SystemOneLM(Service(Endpoint(server.url, "decider"), store or AnswerStore()))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(client_module, "RETRIES", 2)
    monkeypatch.setattr(client_module, "_SHORTEST_PAUSE_S", 0.01)


def test_an_item_is_one_question():
    with deciding(rising, mass=0.9) as server:
        choice, score = lm_of(server).decide_options([PROMPT] * 2, [OPTIONS] * 2, [False, True])
    assert choice.probabilities == score.probabilities == pytest.approx((1 / 6, 2 / 6, 3 / 6))
    assert choice.label_mass == 0.9
    questions = {next(iter(body["questions"].values()))["type"]: body for body in server.requests}
    assert questions.keys() == {"choice", "score"}
    for body in server.requests:
        (question,) = read_questions(body["questions"])  # as a service reads it
        assert question.names == tuple(OPTIONS)
        assert body["model"] == "decider"
        assert body["state"] == {
            "description": "Votes.",
            "earlier_answers": [{"input": "A bridge?", "answer": "yes"}],
            "input": "A road?",
        }


def test_the_order_of_options_is_part_of_a_question():
    with deciding(rising) as server:
        lm = lm_of(server)
        (one,) = lm.decide_options([PROMPT], [["a", "b"]], [False])
        (other,) = lm.decide_options([PROMPT], [["b", "a"]], [False])
        assert one.probabilities == other.probabilities == pytest.approx((1 / 3, 2 / 3))
        assert len(server.requests) == 2
        lm.decide_options([PROMPT], [["b", "a"]], [False])
        assert len(server.requests) == 2
        assert one.label_mass is None


def test_levels_beyond_what_a_score_has_are_a_choice():
    with deciding(rising) as server:
        lm_of(server).decide_options([PROMPT], [[str(level) for level in range(11)]], [True])
        assert next(iter(server.requests[0]["questions"].values()))["type"] == "choice"


def test_what_a_service_does_not_take_is_refused_item_by_item():
    with deciding(rising, most=26) as server:
        lists = [[str(name) for name in range(count)] for count in (26, 27, 256)]
        small, large, huge = lm_of(server).decide_options([PROMPT] * 3, lists, [False] * 3)
        assert small.refused is None
        assert len(small.probabilities) == 26
        assert "refuses with 400" in large.refused
        assert "at most 26 options" in large.refused
        assert huge.refused == "more options than the 255 that a decision service takes"
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("statuses", "error", "message"),
    [
        ([401], NoAnswerError, "wants a key"),
        ([404], UserError, "refuses with 404 for model 'decider'"),
        ([501], UserError, "refuses with 501"),
        ([500] * 3, UserError, "refuses with 500"),
    ],
)
def test_errors_that_are_the_services(statuses, error, message):
    with deciding(rising, statuses=statuses) as server:
        with pytest.raises(error, match=message):
            lm_of(server).decide_options([PROMPT], [OPTIONS], [False])
        assert len(server.requests) == len(statuses)


@pytest.mark.parametrize("statuses", [[429], [529, 429], [500, 500], [503]])
def test_a_busy_service_is_asked_again(statuses):
    with deciding(rising, statuses=statuses) as server:
        (found,) = lm_of(server).decide_options([PROMPT], [OPTIONS], [False])
        assert found.probabilities is not None
        assert len(server.requests) == len(statuses) + 1


def test_an_item_that_is_refused():
    with deciding(rising, statuses=[422]) as server:
        (found,) = lm_of(server).decide_options([PROMPT], [OPTIONS], [False])
        assert found.refused.startswith("the service refuses with 422")


def test_rounded_probabilities_are_divided_by_their_sum():
    with deciding(lambda *_: [1 / 3] * 3, decimals=2) as server:
        (found,) = lm_of(server).decide_options([PROMPT], [OPTIONS], [False])
    assert found.probabilities == pytest.approx((1 / 3,) * 3)


@pytest.mark.parametrize(
    "probabilities", [{"yes": 0.5}, {"yes": 1.5, "no": -0.5}, {"yes": float("nan"), "no": 1}, {}, None, {"yes": "x"}]
)
def test_what_is_no_distribution(probabilities):
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        read_answer({"answers": {"answer": {"probabilities": probabilities}}})


def test_other_options_than_were_given():
    with deciding(rising) as server:
        server.decide = lambda _: {"answers": {"answer": {"probabilities": {"A": 0.5, "B": 0.3, "C": 0.2}}}}
        (found,) = lm_of(server).decide_options([PROMPT], [OPTIONS], [False])
    assert "other options" in found.refused


def test_it_writes_nothing():
    lm = SystemOneLM(Service(Endpoint("http://localhost:1", "m"), AnswerStore()))
    for question in ("answers", "draw_options", "sample", "option_logprobs", "output_logprobs", "respond"):
        assert lm.cannot(question)
    assert lm.cannot("decide_options") is None
    with pytest.raises(UserError, match="two options of an item are the same"):
        lm.decide_options([PROMPT], [["a", "a"]], [False])
