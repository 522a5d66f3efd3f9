"""A model behind a chat service: what it is asked, what is made of its answers, and how it wants to be asked."""

import math
from collections import Counter

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.lm import chat_manner
from spectrum_suite.lm.answer_store import AnswerStore
from spectrum_suite.lm.chat import ChatLM
from spectrum_suite.lm.chat_messages import SYSTEM_PROMPT, as_answer, chat_turns, read_completion
from spectrum_suite.lm.client import Endpoint, NoAnswerError
from spectrum_suite.lm.service import Plan, Service
from tests.chat_server import REASONING, chatting

PROMPT = [
    {"role": "description", "content": "Votes on a proposal."},
    {"role": "input", "content": "Build a bridge?"},
    {"role": "output", "content": "Yes"},
    {"role": "input", "content": "Close the road?"},
]
VOTES = {"Yes": 0.6, "No": 0.3, "I'm sorry, I can't answer that.": 0.1}


def votes(_):
    return VOTES


def lm_of(server, store=None, *, plan=None, **options):
    return ChatLM(Service(Endpoint(server.url, "tiny"), store or AnswerStore(), plan=plan), **options)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_examples_are_earlier_turns():
    assert chat_turns(PROMPT, "Answer.") == [
        {"role": "system", "content": "Answer.\n\nVotes on a proposal."},
        {"role": "user", "content": "Build a bridge?"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "Close the road?"},
    ]


def test_an_output_without_input_answers_a_request():
    turns = chat_turns([{"role": "output", "content": "red"}, {"role": "output", "content": "blue"}], "")
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    assert len({turn["content"] for turn in turns if turn["role"] == "user"}) == 1


def test_without_a_system_role_its_text_begins_the_first_turn():
    turns = chat_turns(PROMPT, "Answer.", system_role=False)
    assert turns[0] == {"role": "user", "content": "Answer.\n\nVotes on a proposal.\n\nBuild a bridge?"}
    assert turns[1:] == chat_turns(PROMPT, "Answer.")[2:]


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("Yes", "Yes", 0),
        ("<think>Is it?</think>\n\nYes", "Yes", 21),
        ("<think>\n\n</think>\n\nYes", "Yes", 17),  # closed at once, as some templates do
        ("Is it? It is.</think>Yes", "Yes", 21),  # opened by the template
        ("<think>Is it? I wonder wh", "", 25),
        ("[THINK]a[/THINK]Yes", "Yes", 16),
        ("<Reasoning>a</reasoning> Yes", "Yes", 24),
        ("Yes <think>", "Yes <think>", 0),
        ("", "", 0),
        (None, "", 0),
        ([{"type": "text", "text": "Ye"}, {"type": "image"}, {"type": "text", "text": "s"}], "Yes", 0),
    ],
)
def test_reasoning_is_taken_out_and_counted(content, text, reasoning):
    response = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    (kept,) = read_completion(response)
    answer = as_answer(kept)
    assert (answer.text, answer.ended, answer.refused) == (text, True, False)
    assert answer.reasoning == reasoning


def test_what_a_service_says_of_an_answer():
    def one(**choice):
        choice = {"message": {"content": "a"}, "finish_reason": "stop"} | choice
        return as_answer(read_completion({"choices": [choice]})[0])

    assert not one(finish_reason="length").ended
    assert one(finish_reason="content_filter").refused
    assert one(message={"content": None, "refusal": "No."}).refused
    assert one(message={"content": "a", "reasoning_content": "hm"}).reasoning == 2
    assert one(message={"content": "a", "reasoning": "hmm"}).reasoning == 3


def test_a_likely_token_that_is_told_twice_counts_once():
    top = [{"token": token, "logprob": log_prob} for token, log_prob in (("b", -1.5), ("a", -0.5), ("b", -1.5))]
    choice = {"message": {"content": "b"}, "logprobs": {"content": [{"token": "b", "top_logprobs": top}]}}
    assert read_completion({"choices": [choice]})[0]["top"] == [("b", -1.5), ("a", -0.5)]


@pytest.mark.parametrize("response", [{}, {"choices": []}, {"choices": None}, {"choices": [{}]}, {"error": "busy"}])
def test_what_is_no_completion(response):
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        read_completion(response)


def test_answers_are_draws_of_the_service():
    with chatting(votes) as server:
        lm = lm_of(server)
        ((*drawn,),) = lm.answers([PROMPT], 600, seed=1)
        counts = Counter(answer.text for answer in drawn)
        assert counts.keys() == VOTES.keys()
        assert all(abs(counts[text] / 600 - share) < 4 * math.sqrt(share / 600) for text, share in VOTES.items())
        body = server.served[-1]
        assert body["messages"] == chat_turns(PROMPT, SYSTEM_PROMPT)
        assert body["temperature"] == body["top_p"] == 1
        assert (body["top_k"], body["min_p"]) == (-1, 0)
        assert body["n"] > 1


def test_options_are_drawn():
    with chatting(votes) as server:
        (found,) = lm_of(server).draw_options([PROMPT], [["Yes", "No"]], 200, seed=1)
    assert len(found.choices) == 200
    assert found.others == {"refused": found.choices.count(None)}
    assert 5 < found.choices.count(None) < 45


def test_equal_prompts_and_later_answers_are_drawn_anew(tmp_path):
    with chatting(lambda _: dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 1 / 26)) as server:
        lm = lm_of(server, AnswerStore(tmp_path / "a"))
        first, second = lm.answers([PROMPT, PROMPT], 20, seed=1)
        assert first != second
        (more,) = lm.answers([PROMPT], 30, seed=1)
        assert more[:20] == first
        assert lm.answers([PROMPT], 10, first=20, seed=1) == [more[20:]]
        assert lm.answers([PROMPT], 20, seed=2) != [first]
        asked = len(server.requests)
        assert lm_of(server, AnswerStore(tmp_path / "a")).answers([PROMPT], 30, seed=1) == [more]
        assert len(server.requests) == asked  # how it wants to be asked is kept, too


def test_a_request_takes_the_place_of_the_system_prompt():
    with chatting(votes) as server:
        lm_of(server).answers([PROMPT], 1, requests=["Write JSON."], max_new_tokens=500, seed=1)
        assert server.served[-1]["messages"][0]["content"] == "Write JSON.\n\nVotes on a proposal."
        assert server.served[-1]["max_tokens"] == 500


def test_samples_are_answers():
    with chatting(lambda _: {"Yes": 0.5, "No, and for many reasons": 0.5}) as server:
        (found,) = lm_of(server).sample([PROMPT], 40, max_new_tokens=3, seed=1)
        assert set(found.texts) == {"Yes", "No, and for "}
        assert found.unfinished == found.texts.count("No, and for ")
        with pytest.raises(UserError, match="give a list of messages"):
            lm_of(server).sample(["Once"], 1, max_new_tokens=3, seed=1)


@pytest.mark.parametrize("question", ["option_logprobs", "output_logprobs", "respond"])
def test_what_it_cannot_is_said_before_anything_is_asked(question):
    with chatting(votes) as server:
        lm = lm_of(server)
        reason = lm.cannot(question)
        assert "log-probabilities" in reason
        assert not server.requests
        arguments = {"respond": ([PROMPT],), "option_logprobs": ([PROMPT], [["Yes"]])}.get(question, ([PROMPT],))
        with pytest.raises(UserError, match="log-probabilities"):
            getattr(lm, question)(*arguments, **({"max_new_tokens": 1} if question == "respond" else {}))


FIELDS = {"top_k", "min_p", "repetition_penalty", "seed", "n", "max_tokens", "top_p", "temperature"}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "unknown", [set(), {"seed"}, {"n"}, {"top_k", "min_p", "repetition_penalty"}, {"max_tokens"}, FIELDS]
)
def test_fields_that_a_service_refuses_are_left_out(unknown, named):
    with chatting(votes, unknown=unknown, names_unknown=named, takes_system="max_tokens" not in unknown) as server:
        lm = lm_of(server)
        assert lm.cannot("answers") is None
        (drawn,) = lm.answers([PROMPT], 20, seed=3)
        assert len(drawn) == 20
        body = server.served[-1]
        assert not unknown & body.keys()
        if named:  # else some that it knows are left out as well
            assert FIELDS - unknown - {"n"} <= body.keys()
            assert ("n" in body) == ("n" not in unknown)
        assert (body["messages"][0]["role"] == "system") == server.takes_system or not named
        assert "max_tokens" in body or "max_completion_tokens" in body


def test_a_service_that_gives_one_answer_is_asked_for_one():
    with chatting(votes, most=1) as server:
        lm_of(server).answers([PROMPT], 5, seed=3)
        assert [body.get("n") for body in server.served] == [2, None, None, None, None, None]


SWITCHES = [(name, value) for switch in chat_manner._SWITCHES for name, value in switch.items()]


@pytest.mark.parametrize("place", ["field", "content"])
@pytest.mark.parametrize("switch", [*SWITCHES, ("nothing", "helps")], ids=str)
def test_reasoning_is_turned_off_where_that_is_known(switch, place):
    with chatting(votes, reasons=place, switch=switch) as server:
        lm = lm_of(server)
        (drawn,) = lm.answers([PROMPT], 30, seed=3)
        assert {answer.text for answer in drawn} <= VOTES.keys()
        counted = sum(answer.reasoning for answer in drawn)
        assert (counted >= 30 * len(REASONING)) if switch[0] == "nothing" else (counted == 0)
        assert lm.manner.reasons == (switch[0] == "nothing")
        assert all(answer.ended for answer in drawn)  # where it reasons, it has room to


def test_reasoning_is_left_on_where_it_is_wanted():
    with chatting(votes, reasons="field", switch=("reasoning_effort", "none")) as server:
        lm = lm_of(server, thinking=True)
        (drawn,) = lm.answers([PROMPT], 3, seed=3)
        assert [answer.reasoning for answer in drawn] == [len(REASONING)] * 3
        assert "reasoning_effort" not in server.served[-1]


def test_nothing_is_sent_to_turn_off_what_is_not_there():
    with chatting(votes) as server:
        lm_of(server).answers([PROMPT], 3, seed=3)
        assert len(server.served) == 2
        assert not {name for name, _ in SWITCHES} & server.served[-1].keys()


def test_a_filter_refuses():
    with chatting(votes, filtered="Close the road") as server:
        (drawn,) = lm_of(server).answers([PROMPT], 4, seed=3)
        assert [(answer.text, answer.refused) for answer in drawn] == [("", True)] * 4


def test_what_is_wrong_with_a_service():
    with chatting(votes, key="sk-right") as server, pytest.raises(NoAnswerError, match="wants a key"):
        lm_of(server).cannot("answers")
    with chatting(votes) as server:
        server.refusal = lambda _: {"message": "no model of that name"}
        assert "refuses with 400" in lm_of(server).cannot("answers")
        assert len(server.requests) < 12


def test_a_plan_asks_nothing():
    with chatting(votes) as server:
        lm = lm_of(server, plan=Plan())
        assert lm.cannot("answers") is None
        assert not server.requests


def test_the_report_says_how_it_was_asked():
    with chatting(votes, unknown={"seed"}, reasons="field", switch=("reasoning_effort", "none")) as server:
        lm = lm_of(server, system_prompt="Vote.")
        assert lm.conditions["system_prompt"] == "Vote."
        assert lm.conditions["endpoint"] == {"url": server.url, "model": "tiny", "api": "chat"}
        lm.answers([PROMPT], 3, seed=3)
        account = lm.account
        assert account["manner"]["seeded"] is False
        assert account["manner"]["switch"] == {"reasoning_effort": "none"}
        assert account["usage"]["requests"] == len(server.served)
        assert account["usage"]["input_tokens"] > 0


def test_the_fingerprint_is_that_of_address_and_name():
    def of(url, model):
        return ChatLM(Service(Endpoint(url, model), AnswerStore())).fingerprint

    assert of("http://localhost:1/v1", "a") == of("http://localhost:1/v1/", "a")
    assert len({of("http://localhost:1", "a"), of("http://localhost:2", "a"), of("http://localhost:1", "b")}) == 3
