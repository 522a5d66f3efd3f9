"""A service over HTTP: its answers are those of `decide`, whoever asks, and whatever is malformed gets one line."""

import copy
import json
import math
import random
import threading
import time

import openai
import psutil
import pytest
import torch

from spectrum_suite import decide
from spectrum_suite.decisions.decide import Reader
from spectrum_suite.lm.systemone_service import question_of, read_answer, state_of
from spectrum_suite.serving.bodies import LARGEST_BODY
from tests.spectrum_suite.serving.service import ASKED, HEADERS, NAME, TEAM, TONE, URGENT, Client, serving


def numbers_of(answers):
    """Every probability of some answers, in order."""
    shares = (list(each["probabilities"].values()) if "probabilities" in each else [each["noul"]] for each in answers)
    return [share for each in shares for share in each]


def test_the_answers_are_those_of_decide(ask, served):
    status, found = ask(ASKED)
    assert status == 200
    expected = decide(*served, ASKED["state"], ASKED["questions"])
    assert (found["model"], found["object"]) == (NAME, "structured_decision")
    assert found["id"].startswith("decision-")
    assert [set(each) for each in found["answers"].values()] == [set(each) for each in expected.answers.values()]
    assert numbers_of(found["answers"].values()) == pytest.approx(numbers_of(expected.answers.values()), abs=1e-5)
    mass = expected.diagnostics["team"]["label_mass"]
    assert found["diagnostics"]["team"]["label_mass"] == pytest.approx(mass, abs=1e-5)
    assert found["diagnostics"]["team"]["argmax_is_label"] is expected.diagnostics["team"]["argmax_is_label"]
    assert found["usage"] == {"input_tokens": expected.input_tokens, "output_tokens": 0}


def test_what_vllm_takes_is_taken(ask):
    more = {"instructions": "Be brief.", "chat_template_kwargs": {"enable_thinking": False}, "cache_salt": "x"}
    status, found = ask(ASKED | more)
    assert status == 200
    assert list(found["answers"]) == ["team", "urgent", "tone"]
    assert ask({name: value for name, value in ASKED.items() if name != "model"})[0] == 200


def test_our_own_client_reads_the_answers(ask, served):
    """An evaluation asks a decision service so."""
    prompt = [{"role": "description", "content": "An urn."}, {"role": "input", "content": "Which ball?"}]
    for ordered in (False, True):
        state, question = state_of(prompt), question_of(["red", "dark blue"], ordered)
        status, found = ask({"model": NAME, "state": state, "questions": {"answer": question}})
        assert status == 200
        (kept,) = read_answer(found)
        expected = decide(*served, state, {"answer": question})
        assert kept["probabilities"] == pytest.approx(expected.answers["answer"]["probabilities"], abs=1e-5)
        assert kept["label_mass"] == pytest.approx(expected.diagnostics["answer"]["label_mass"], abs=1e-5)


@pytest.fixture(scope="module")
def client(port):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused", max_retries=0)


QUESTIONS = [
    {"type": "predicate", "name": "urgent", "instructions": URGENT["instructions"]},
    {
        "type": "choice", "instructions": [{"type": "input_text", "text": TEAM["instructions"]}],
        "choices": [
            {"value": "billing", "description": "payments and refunds"}, {"value": "shipping"}, {"value": True},
        ],
    },
    {
        "type": "score", "name": "tone", "instructions": TONE["instructions"],
        "levels": [{"label": "calm"}, {"label": "annoyed", "description": "a little"}, {"label": "very annoyed"}],
    },
]  # fmt: skip


def test_the_client_of_openai_is_answered(client, served):
    found = client.decisions.create(model=NAME, input="My card was charged twice.", questions=QUESTIONS)
    predicate, choice, score = found.answers
    same = {
        "urgent": URGENT | {"criteria": None},
        "team": TEAM | {"criteria": {"billing": "payments and refunds", "shipping": None, "true": None}},
    }
    expected = decide(*served, "My card was charged twice.", same)
    assert (predicate.type, predicate.name) == ("predicate", "urgent")
    assert predicate.probability == pytest.approx(expected.answers["urgent"]["noul"], abs=1e-5)
    assert (choice.type, choice.name) == ("choice", None)
    assert [each.value for each in choice.probabilities] == ["billing", "shipping", True]
    shares = list(expected.answers["team"]["probabilities"].values())
    assert [each.probability for each in choice.probabilities] == pytest.approx(shares, abs=1e-5)
    assert choice.choice == choice.probabilities[shares.index(max(shares))].value
    assert choice.confidence == pytest.approx(expected.answers["team"]["confidence"], abs=1e-5)
    labels = [(each.value, each.label) for each in score.probabilities]
    assert labels == [(0, "calm"), (1, "annoyed"), (2, "very annoyed")]
    assert score.score == pytest.approx(sum(each.value * each.probability for each in score.probabilities))
    assert found.usage.total_tokens == found.usage.input_tokens > 0
    assert [model.id for model in client.models.list()] == [NAME]


def test_messages_are_what_questions_are_about(client, served):
    said = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "One."}, {"type": "input_json", "data": {"n": 2}}]},
    ]
    (answer,) = client.decisions.create(model=NAME, input=said, questions=QUESTIONS[:1]).answers
    asked = {"q": URGENT | {"criteria": None}}
    expected = decide(*served, 'One.\n\n{"n": 2}', asked, instructions="Be brief.")
    assert answer.probability == pytest.approx(expected.answers["q"]["noul"], abs=1e-5)


def test_the_client_raises_what_is_wrong(client):
    with pytest.raises(openai.NotFoundError, match="model 'gpt-6-luna' is not served here"):
        client.decisions.create(model="gpt-6-luna", input="x", questions=QUESTIONS)
    twice = QUESTIONS[1] | {"choices": [{"value": "true"}, {"value": True}]}
    with pytest.raises(openai.BadRequestError, match="two options that read the same"):
        client.decisions.create(model=NAME, input="x", questions=[twice])


@pytest.fixture(scope="module")
def faulty(served):
    """The address of a service whose model has no numbers after a text with a tilde in it."""
    model, tokenizer = copy.deepcopy(served[0]), served[1]
    (tilde,) = tokenizer("~", add_special_tokens=False).input_ids
    with torch.no_grad():
        model.get_input_embeddings().weight[tilde] = math.nan
    with serving(model, Reader.of(tokenizer)) as (port, _):
        yield port


def test_a_question_without_probabilities_is_refused_and_the_others_are_answered(client, faulty):
    given = [QUESTIONS[0], QUESTIONS[1] | {"name": "odd", "instructions": "Which ~ is it?"}, QUESTIONS[2]]
    asked = {"model": NAME, "input": "My card was charged twice."}
    with openai.OpenAI(base_url=f"http://127.0.0.1:{faulty}/v1", api_key="unused", max_retries=0) as other:
        found = other.decisions.create(**asked, questions=given)
        (alone,) = other.decisions.create(**asked, questions=[{"type": "predicate", "instructions": "~?"}]).answers
    predicate, refusal, score = found.answers
    assert (refusal.type, refusal.name) == ("refusal", "odd")
    assert (alone.type, alone.name) == ("refusal", None)
    expected = client.decisions.create(**asked, questions=[QUESTIONS[0], QUESTIONS[2]])
    assert predicate.probability == pytest.approx(expected.answers[0].probability, abs=1e-5)
    assert score.score == pytest.approx(expected.answers[1].score, abs=1e-5)
    assert found.usage.input_tokens == expected.usage.input_tokens


def test_system_one_has_no_refusals(faulty):
    ask = Client(faulty)
    status, content = ask(ASKED | {"questions": {"q": TONE, "odd": TONE | {"instructions": "How ~ is it?"}}})
    assert (status, content["error"]["type"]) == (500, "server_error")
    assert "not finite" in content["error"]["message"]
    assert ask(ASKED)[0] == 200


def test_null_is_a_state(ask):
    assert ask(ASKED | {"state": None})[0] == 200
    status, content = ask({"questions": ASKED["questions"]})
    assert (status, content["error"]["message"]) == (400, "state is missing")


def test_a_key_is_asked_for(served):
    model, tokenizer = served
    with serving(model, Reader.of(tokenizer), key="s3cret") as (port, _):
        ask = Client(port)
        status, found = ask(ASKED)
        assert (status, found["error"]["code"]) == (401, 401)
        assert "s3cret" not in json.dumps(found)
        assert ask(ASKED, headers=HEADERS | {"Authorization": "Bearer wrong"})[0] == 401
        assert ask(ASKED, headers=HEADERS | {"Authorization": "Bearer s3cret"})[0] == 200
        assert ask(None, "/v1/models", method="GET")[0] == 401
        assert ask(None, "/health", method="GET") == (200, {"status": "ok"})


SYSTEM_ONE, DECISIONS = "/v1/systemone", "/v1/decisions"


@pytest.mark.parametrize(
    ("body", "path", "status", "message"),
    [
        (b"{", SYSTEM_ONE, 400, "the body is not JSON"),
        (b"\xff", SYSTEM_ONE, 400, "not JSON in UTF-8"),
        (b"[]", SYSTEM_ONE, 400, "not a JSON object"),
        (b'{"state": NaN}', SYSTEM_ONE, 400, "NaN is not JSON"),
        (b'{"state": 1e999, "questions": {}}', SYSTEM_ONE, 400, "the state is neither"),
        (b'{"a": 1, "a": 2}', SYSTEM_ONE, 400, "the key 'a' appears twice"),
        (b"[" * 100_000, SYSTEM_ONE, 400, "levels deep"),
        (b'{"state": ' + b"[" * 101 + b"]" * 101 + b"}", SYSTEM_ONE, 400, "levels deep"),
        (b'{"state": ' + b"9" * 5000 + b"}", SYSTEM_ONE, 400, "not JSON"),
        (b" " * (LARGEST_BODY + 1), SYSTEM_ONE, 413, "larger than 1,048,576 bytes"),
        (ASKED, "/v1/systemtwo", 404, "Not Found"),
        (ASKED | {"model": "other"}, SYSTEM_ONE, 404, "model 'other' is not served here: there is 'tiny'"),
        (ASKED | {"seed": 1}, SYSTEM_ONE, 400, "the field 'seed', which is not known"),
        (ASKED | {"chat_template_kwargs": {"enable_thinking": True}}, SYSTEM_ONE, 400, "leave it out"),
        (ASKED | {"state": "\ud800"}, SYSTEM_ONE, 400, "half of a surrogate pair"),
        (ASKED | {"model": "\ud800"}, SYSTEM_ONE, 400, "half of a surrogate pair"),
        (ASKED | {"\ud800": 1}, SYSTEM_ONE, 400, "which is not known"),
        (ASKED | {"state": "word " * 1000}, SYSTEM_ONE, 400, "this service takes 400"),
        (ASKED | {"state": "x" * 200_001}, SYSTEM_ONE, 400, "give at most 200,000"),
        ({"input": "x", "questions": []}, DECISIONS, 400, "a list of 1 to 200 questions"),
        ({"input": [], "questions": QUESTIONS}, DECISIONS, 400, "input is a string"),
        ({"input": "x", "questions": [QUESTIONS[0] | {"name": 1}]}, DECISIONS, 400, "is 1: give a string"),
        ({"input": "x", "questions": [{"type": "choice"}]}, DECISIONS, 400, "neither a string nor a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(ask, body, path, status, message):
    found, content = ask(body, path)
    assert found == status
    assert message in content["error"]["message"]
    assert content["error"]["code"] == status


def test_what_is_not_sent_as_json_is_refused(ask):
    """A page of another site can send text to this machine without asking, but no JSON."""
    status, content = ask(ASKED, headers={"Content-Type": "text/plain"})
    assert (status, content["error"]["code"]) == (415, 415)
    assert ask(None, method="GET")[0] == 405


ODD = [
    None,
    True,
    0,
    -1.5,
    "",
    " ",
    [],
    {},
    [None],
    {"": None},
    "\ud800",
    ["\ud800"],
    {"\udfff": 1},
    10**400,
    "\0",
    [[]],
]
"""None of them can stand where a question, its type or its criteria do; null may be the criteria of a noul."""


def malformed(draw):
    """A body that is no request, made from one by a random change that breaks it."""
    body = copy.deepcopy(ASKED)
    question = draw.choice(list(body["questions"]))
    change = draw.randrange(9)
    raw = json.dumps(body).encode()
    if change == 0:
        return raw[: draw.randrange(1, len(raw))]
    if change == 1:
        place = draw.randrange(len(raw))
        return raw[:place] + draw.choice([b"\0", b"\x80", b"\xff", b"\x1f"]) + raw[place:]
    if change == 2:
        del body[draw.choice(["state", "questions"])]
    elif change == 3:
        body["questions"] = draw.choice(ODD)
    elif change == 4:
        body["questions"][question] = draw.choice(ODD)
    elif change == 5:
        body["questions"][question]["type"] = draw.choice(ODD)
    elif change == 6:
        too_many, too_long = dict.fromkeys(map(str, range(300))), {"a" * 2000: None}
        body["questions"]["team"]["criteria"] = draw.choice([*ODD, {"a": 1}, too_long, too_many])
    elif change == 7:
        more = [["a", "a"], ["a", None], list("abcdefghijk"), ["a", {"b": 1}]]
        body["questions"]["tone"]["criteria"] = draw.choice([*ODD, *more])
    else:
        body[draw.choice(["images", "Model", "\ud800", "x" * 500])] = draw.choice(ODD)
    return body


def test_a_thousand_malformed_requests_are_refused_in_a_line_each(ask):
    draw, process, before = random.Random(0), psutil.Process(), 0
    for number in range(1000):
        body = malformed(draw)
        status, content = ask(body)
        assert 400 <= status < 500, (body, status, content)
        line = content["error"]["message"]
        assert 0 < len(line) <= 500, body
        assert "\n" not in line, body
        if number == 200:
            before = process.memory_info().rss
    assert process.memory_info().rss - before < 20 * 2**20
    assert ask(ASKED)[0] == 200


def test_random_changes_never_break_the_service(ask):
    """Some of them leave a request that is one."""
    draw = random.Random(1)
    for _ in range(100):
        raw = bytearray(json.dumps(ASKED).encode())
        for _ in range(draw.randrange(1, 4)):
            place = draw.randrange(len(raw))
            raw[place : place + draw.randrange(3)] = bytes(draw.choices(b'{}[]",:0aN\\', k=draw.randrange(3)))
        status, _ = ask(bytes(raw))
        assert status == 200 or 400 <= status < 500, raw


def requests(count):
    """Different requests: about short and longer states, of one to three questions."""
    draw = random.Random(2)
    for number in range(count):
        names = draw.sample(list(ASKED["questions"]), draw.randint(1, 3))
        state = " ".join(f"line {draw.randrange(100)}" for _ in range(draw.randint(1, 40)))
        questions = {name: ASKED["questions"][name] for name in names}
        yield {"model": NAME, "state": f"{number}: {state}", "questions": questions}


def many_at_once(port, clients, seconds):
    """Ask for so long with so many clients; returns the number of answers, and how far they were from the lone ones."""
    bodies = list(requests(24))
    alone = [numbers_of(Client(port)(body)[1]["answers"].values()) for body in bodies]
    apart, failures, end = [], [], time.monotonic() + seconds

    def run(first):
        ask, place = Client(port), first
        while time.monotonic() < end or place == first:
            status, content = ask(bodies[place % len(bodies)])
            if status != 200:
                failures.append(content)
                return
            found = numbers_of(content["answers"].values())
            apart.append(max(abs(a - b) for a, b in zip(found, alone[place % len(bodies)], strict=True)))
            place += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    return len(apart), max(apart)


def test_many_clients_get_what_one_gets(port):
    count, apart = many_at_once(port, 16, 2)
    assert count >= 16
    assert apart < 1e-5


@pytest.mark.slow
def test_64_clients_get_what_one_gets_for_a_minute(port):
    count, apart = many_at_once(port, 64, 60)
    assert count >= 64
    assert apart < 1e-5
