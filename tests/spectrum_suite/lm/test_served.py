"""A model behind a completions server is scored as it is here, and its samples follow its distribution."""

import math
import re
from collections import Counter
from typing import get_args

import pytest
import torch

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import option_token_ids, prompt_token_ids
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm import client, served
from spectrum_suite.lm.base import SERVICES_ONLY, Question
from spectrum_suite.lm.client import Endpoint
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm.served import ServedLM
from tests.completions_server import serving
from tests.tiny_models import tiny_model

PROMPTS = [
    "A die is rolled once. It shows the number ",
    [{"role": "description", "content": "A coin."}, {"role": "output", "content": "Heads"}],
    [{"role": "input", "content": "日本 or é?"}],
]
OPTIONS = [["1", "10", "100", "12", "2", "1"], ["Heads", "Tails", "Heads up"], ["é", "日本", "🎲"]]

NO_ECHO, NO_IDS, ONE_TEXT = "echoes those of a prompt", "refuses with 400 .*expected a string", "gave 1 completions"
QUESTIONS = tuple(question for question in get_args(Question) if question not in SERVICES_ONLY)

SIDES = ["Heads", "Tails", "It stands"]
COIN = [
    {"role": "description", "content": "A coin."},
    *({"role": "output", "content": side} for side in ("Heads", "Tails", "Heads")),
]
PLAIN = [
    turn
    for given, side in (("1", "Tails"), ("2", "Heads"))
    for turn in ({"role": "input", "content": given}, {"role": "output", "content": side})
]
ALONE = PLAIN[:2]  # nothing to score: no description and a single output


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model("gemma3", len(tokenizer))


@pytest.fixture
def server(model, tokenizer, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(model, tokenizer) as found:
        yield found


def scoring(server):
    """The requests that the server has been sent, without those that find out what it takes and tells."""
    sent = [body for _, _, body in server.requests if body.get("logprob_token_ids") != [0, 1, 2]]
    return [body for body in sent if "echo" in body or body.get("logprobs", 1) == 1]


@pytest.fixture
def lm_in(server, tokenizer):
    """``lm_in(format)``: the served model."""

    def make(name="spectrum", **settings):
        return ServedLM.of(Endpoint(server.url, "tiny", **settings), tokenizer, get_format(name, tokenizer))

    return make


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("name", ["spectrum", "colon"])
def test_options_get_the_scores_of_the_model_itself(name, as_text, server, lm_in, model, tokenizer, monkeypatch):
    monkeypatch.setattr(served, "SCORED_PER_REQUEST", 4)
    options = [OPTIONS[0][4:], *OPTIONS[1:]] if as_text else OPTIONS  # the text "number 10" has other tokens
    found = lm_in(name, as_text=as_text).option_logprobs(PROMPTS, options)
    expected = LocalLM.of(model, tokenizer, get_format(name, tokenizer)).option_logprobs(PROMPTS, options)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.log_probs.dtype == torch.float32
        torch.testing.assert_close(mine.log_probs, theirs.log_probs, atol=1e-4, rtol=0)
        assert (mine.token_ids, mine.refused) == (theirs.token_ids, None)
    asked = [[body["prompt"]] if as_text else body["prompt"] for body in scoring(server)]
    sent = [prompt for prompts in asked for prompt in prompts]
    assert all(isinstance(prompt, str) is as_text for prompt in sent)
    assert all(server.tokens(prompt).count(tokenizer.bos_token_id) == 1 for prompt in sent)
    assert max(map(len, asked)) == (1 if as_text else 4)


@pytest.mark.parametrize("name", ["spectrum", "colon"])
def test_a_server_that_tells_of_tokens_is_asked_about_each_beginning_once(name, server, lm_in, model, tokenizer):
    server.takes_nodes = True
    prompts = [("Any " * 50) + PROMPTS[0], [{"role": "description", "content": "A coin. " * 60}], "1 2 3"]
    options = [*OPTIONS[:2], ["a " * 60]]
    lm, local = lm_in(name), LocalLM.of(model, tokenizer, get_format(name, tokenizer))
    found = lm.option_logprobs(prompts, options)
    for mine, theirs in zip(found, local.option_logprobs(prompts, options), strict=True):
        torch.testing.assert_close(mine.log_probs, theirs.log_probs, atol=1e-4, rtol=0)
        assert mine.token_ids == theirs.token_ids
    asked = scoring(server)
    assert len(server.requests) == len(asked) + 1
    beginnings = [len({ids[:end] for ids in each.token_ids for end in range(len(ids))}) for each in found]
    nodes = [body for body in asked if "echo" not in body]
    assert sum(len(body["prompt"]) for body in nodes) == sum(beginnings[:2])
    assert all((body["max_tokens"], body["logprobs"]) == (1, 1) for body in nodes)
    (whole,) = (body["prompt"] for body in asked if "echo" in body)
    assert len(whole) == 1  # sixty tokens that no other option shares
    (mine,), (theirs,) = (engine.output_logprobs([COIN], options=SIDES) for engine in (lm, local))
    torch.testing.assert_close(mine.options, theirs.options, atol=1e-4, rtol=0)
    assert len(server.requests) == len(scoring(server)) + 1


def lists_in(server):
    return [body for _, _, body in server.requests if body.get("logprobs", 1) > 1]


@pytest.mark.parametrize("echoes", [True, False])
@pytest.mark.parametrize("name", ["spectrum", "colon"])
def test_one_text_at_a_time_is_enough_where_likely_tokens_are_listed(
    name, echoes, server, lm_in, model, tokenizer, monkeypatch
):
    """As llama-cpp-python answers: no token ids, no lists of prompts, no BOS in what it echoes."""
    monkeypatch.setattr(served, "LISTED", (40,))
    server.one_text, server.lists, server.lists_ids = True, 10**6, not echoes
    server.echoes = echoes
    options = [["1", "2", "12"], ["Heads", "Tails", "Heads up"], ["x", "日本", "🎲"][: 3 if echoes else 1]]
    prompts = [("Any " * 50) + PROMPTS[0], [{"role": "description", "content": "A coin. " * 60}], "1 2 3"]
    lm = lm_in(name, as_text=True)
    assert lm.cannot("option_logprobs") is None
    found = lm.option_logprobs(prompts, options)
    expected = LocalLM.of(model, tokenizer, get_format(name, tokenizer)).option_logprobs(prompts, options)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.log_probs, theirs.log_probs, atol=1e-4, rtol=0)
    assert all(isinstance(body["prompt"], str) for _, _, body in server.requests)
    asked = [(body["prompt"], body["logprobs"]) for body in lists_in(server)]
    assert len(asked) == len(set(asked)) + (not echoes)  # a prompt is the small question itself
    assert {most for _, most in asked} == ({40} if echoes else {40, len(tokenizer)})


@pytest.mark.parametrize("prompt", [("Any " * 50) + PROMPTS[0], "1 2 "], ids=["long", "short"])
@pytest.mark.parametrize("as_text", [False, True])
def test_options_among_the_listed_tokens_need_no_echo(prompt, as_text, server, lm_in, model, tokenizer, monkeypatch):
    """As llama.cpp's own server answers: ids of the likeliest tokens, and nothing of a prompt."""
    server.echoes, server.lists, server.lists_ids = False, 20, True
    monkeypatch.setattr(served, "LISTED", (1000, 20))
    text_format = get_format("colon", tokenizer)
    (ids,) = prompt_token_ids(tokenizer, [prompt], text_format)
    with torch.inference_mode():
        log_probs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    rank = log_probs.argsort(descending=True).argsort().tolist()
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    words = {
        ids[0]: word
        for word, ids in zip(texts, option_token_ids(tokenizer, texts), strict=True)
        if len(ids) == 1 and word.isalpha()
    }
    likely = [token for token in words if rank[token] < 20]
    unlikely = next(token for token in words if rank[token] >= 20)
    lm = lm_in("colon", as_text=as_text)
    assert lm.cannot("option_logprobs") is None
    (found,) = lm.option_logprobs([prompt], [[words[token] for token in likely]])
    torch.testing.assert_close(found.log_probs, log_probs[likely], atol=1e-4, rtol=0)
    assert len(likely) > 1
    with pytest.raises(UserError, match=f"{NO_ECHO}.*not among the 20 likeliest .*--estimate samples"):
        lm.option_logprobs([prompt], [[words[token] for token in (*likely, unlikely)]])


def test_an_echo_of_other_log_probabilities_than_its_tokens_is_not_used(server, lm_in, model, tokenizer, monkeypatch):
    """As llama-cpp-python tells them where a model has no beginning of sequence."""
    server.off_by_one, server.lists = True, 10**6
    (found,) = lm_in("colon", as_text=True).option_logprobs(["1 2 "], [["3"]])
    (expected,) = LocalLM.of(model, tokenizer, get_format("colon", tokenizer)).option_logprobs(["1 2 "], [["3"]])
    torch.testing.assert_close(found.log_probs, expected.log_probs, atol=1e-4, rtol=0)
    monkeypatch.setattr(ServedLM, "_no_echo", property(lambda _: ""))
    (wrong,) = lm_in("colon", as_text=True).option_logprobs(["1 2 "], [["3"]])
    assert abs(wrong.log_probs - expected.log_probs) > served.ECHO_TOLERANCE


@pytest.mark.parametrize(("limit", "value"), [("SCORED_PER_REQUEST", 2), ("TOKENS_PER_REQUEST", 1), ("FOLLOWERS", 1)])
def test_requests_keep_within_their_limits(limit, value, server, lm_in, monkeypatch):
    server.takes_nodes = limit == "FOLLOWERS"
    monkeypatch.setattr(served, limit, value)
    lm_in().option_logprobs([f"{word} " * 40 for word in "vwxyz"], [[word] for word in "abcde"])
    assert [len(body["prompt"]) for body in scoring(server)] == ([2, 2, 1] if value == 2 else [1] * 5)


def test_an_option_that_begins_another_is_not_sent(server, lm_in, tokenizer):
    options = ["a", "a b", "a b c", "x", "x"]
    assert len(tokenizer("a b c", add_special_tokens=False).input_ids) == 3
    lm_in().option_logprobs(["Any"], [options])
    assert {path for path, _, _ in server.requests} == {"/v1/completions"}
    (body,) = scoring(server)
    assert [tokenizer.decode(ids[-1:]) for ids in body["prompt"]] == [" c", "x"]
    assert {name: value for name, value in body.items() if name != "prompt"} == {
        "max_tokens": 0, "echo": True, "logprobs": 1, "model": "tiny", "temperature": 1, "top_p": 1,
    }  # fmt: skip


def test_text_that_would_be_cut_elsewhere_is_refused(server, lm_in, tokenizer):
    apart = [token for piece in ("th", "e") for token in tokenizer(piece, add_special_tokens=False).input_ids]
    assert tokenizer("the", add_special_tokens=False).input_ids != apart
    with pytest.raises(UserError, match="as text has other tokens than prompt and option by themselves"):
        lm_in(as_text=True).option_logprobs(["th"], [["e"]])
    assert all(body["prompt"] == "1 2 3" for _, _, body in server.requests)  # what the server tells was found out


def test_so_it_is_not_where_the_next_token_is_listed(server, lm_in, model, tokenizer):
    server.one_text, server.lists = True, 10**6
    (found,) = lm_in("colon", as_text=True).option_logprobs(["th"], [["e"]])
    (expected,) = LocalLM.of(model, tokenizer, get_format("colon", tokenizer)).option_logprobs(["th"], [["e"]])
    torch.testing.assert_close(found.log_probs, expected.log_probs, atol=1e-4, rtol=0)


def test_nothing_to_score_asks_nothing(server, lm_in):
    assert lm_in().option_logprobs([], []) == []
    assert lm_in().option_logprobs(["Any"], [[]])[0].log_probs.shape == (0,)
    assert server.requests == []


def test_what_is_longer_than_the_model_takes_is_refused_where_that_is_asked_for(server, tokenizer):
    lm = ServedLM.of(Endpoint(server.url, "tiny"), tokenizer, positions=4)
    short, long = lm.option_logprobs(["A", "A " * 8], [["a"], ["a", "b"]], refuse_long=True)
    assert short.refused is None
    assert short.log_probs.item() < 0
    assert long.refused == "longer than the 4 tokens that the model takes"
    assert long.log_probs.isnan().tolist() == [True, True]
    assert len(scoring(server)) == 1


@pytest.mark.parametrize("options", [None, SIDES])
@pytest.mark.parametrize("name", ["spectrum", "colon"])
def test_outputs_get_the_scores_of_the_model_itself(name, options, server, lm_in, model, tokenizer, monkeypatch):
    monkeypatch.setattr(served, "SCORED_PER_REQUEST", 4)
    sequences = [COIN, PLAIN, ALONE]
    found = lm_in(name).output_logprobs(sequences, options=options)
    expected = LocalLM.of(model, tokenizer, get_format(name, tokenizer)).output_logprobs(sequences, options=options)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.log_probs, theirs.log_probs, atol=1e-4, rtol=0, equal_nan=True)
        assert mine.tokens.tolist() == theirs.tokens.tolist()
        if options:
            torch.testing.assert_close(mine.options, theirs.options, atol=1e-4, rtol=0, equal_nan=True)
    sent = sum(len(body["prompt"]) for body in scoring(server))
    assert sent == (2 + 2 * (3 + 1) if options else 2)  # two sequences; two other options in each of four places
    assert max(len(body["prompt"]) for body in scoring(server)) <= 4


def test_each_output_may_have_options_of_its_own(lm_in, model, tokenizer):
    own = [[SIDES[:2], [], [*SIDES[:2], "Edge"]]]
    (found,) = lm_in().output_logprobs([COIN], options=own)
    (expected,) = LocalLM.of(model, tokenizer, get_format("spectrum", tokenizer)).output_logprobs([COIN], options=own)
    torch.testing.assert_close(found.options, expected.options, atol=1e-4, rtol=0, equal_nan=True)
    assert found.options.isfinite().sum() == 2 + 3


def test_samples_follow_the_distribution_and_stop_at_the_end_of_turn(server, lm_in, model, tokenizer, monkeypatch):
    monkeypatch.setattr(served, "SAMPLES_PER_REQUEST", 250)
    text_format = get_format("spectrum", tokenizer)
    end = tokenizer.convert_tokens_to_ids(text_format.terminator)
    prompt = PROMPTS[1]
    n = 600
    (found,) = lm_in().sample([prompt], n, max_new_tokens=1, seed=1)
    assert isinstance(found, Samples)
    assert len(found.texts) == n
    ids = tokenizer(text_format.prompt(prompt), add_special_tokens=False).input_ids
    with torch.inference_mode():
        probabilities = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
    assert n - found.unfinished == pytest.approx(n * probabilities[end].item(), abs=4 * math.sqrt(n))
    counts = Counter(found.texts)
    written = tokenizer.batch_decode([[token] for token in range(len(tokenizer))], skip_special_tokens=True)
    likely = written[probabilities.argmax()]
    share = sum(p for text, p in zip(written, probabilities.tolist(), strict=True) if text == likely)
    assert counts[likely] / n == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))
    bodies = [body for _, _, body in server.requests]
    assert sorted(body["n"] for body in bodies) == [100, 250, 250]
    assert len({body["seed"] for body in bodies}) == 3
    for body in bodies:
        assert (body["temperature"], body["top_p"], body["top_k"], body["min_p"]) == (1, 1, -1, 0)
        assert (body["stop"], body["stop_token_ids"], body["prompt"]) == ([text_format.terminator], [end], ids)


def test_samples_depend_on_the_seed_and_equal_prompts_differ(lm_in):
    def draw(seed):
        return lm_in().sample(["Any", "Any"], 3, max_new_tokens=4, seed=seed)

    first, second = draw(1)
    assert [first, second] == draw(1)
    assert first.texts != second.texts
    assert draw(2)[0].texts != first.texts


def test_plain_text_ends_at_a_blank_line_and_begins_after_the_space(server, lm_in):
    server.failures = [(200, {"choices": [{"index": 0, "text": " red", "finish_reason": "stop"}]})]
    assert lm_in("colon").sample([PROMPTS[1]], 1, max_new_tokens=9, seed=0) == [Samples(("red",), 0)]
    assert server.requests[0][2]["stop"] == ["\n\n"]
    assert "stop_token_ids" not in server.requests[0][2]


def test_a_response_is_greedy_and_its_tokens_are_counted(server, lm_in, tokenizer):
    server.failures = [
        (200, {"choices": [{"index": 0, "text": "red and blue", "finish_reason": reason}]})
        for reason in ("stop", "length")
    ]
    whole, cut = (lm_in().respond([PROMPTS[1]], max_new_tokens=3)[0] for _ in range(2))
    words = len(tokenizer("red and blue", add_special_tokens=False).input_ids)
    assert (whole.text, whole.tokens, whole.ended) == ("red and blue", words + 1, True)
    assert (cut.tokens, cut.ended) == (words, False)
    assert all((body["temperature"], body["max_tokens"]) == (0, 3) for _, _, body in server.requests)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((400, {"error": "no such model"}), "refuses with 400 for model 'tiny': .*no such model"),
        ((200, {"choices": []}), "gave 0 completions, not the 1 asked for"),
        ((200, {"choices": [{"index": 0, "text": "x", "logprobs": None}]}), "gave 0 log-probabilities for 3 tokens"),
        ((200, b"<html>"), "does not answer in JSON"),
    ],
)
def test_what_a_server_cannot_do_is_named(answer, message, server, lm_in, tokenizer, monkeypatch):
    assert len(tokenizer("a").input_ids) == 2
    monkeypatch.setattr(client, "RETRIES", 1)
    server.failures = [answer] * 4  # the small question is tried twice, too
    with pytest.raises(UserError, match=message):
        lm_in().option_logprobs(["a"], [["a"]])


@pytest.mark.parametrize(
    ("lacking", "refused"),
    [
        ("echoes", {"option_logprobs": NO_ECHO, "output_logprobs": NO_ECHO}),
        ("takes_ids", dict.fromkeys(QUESTIONS, NO_IDS)),
        ("draws_many", dict.fromkeys(("sample", "answers", "draw_options"), ONE_TEXT)),
        (None, {}),
    ],
)
def test_what_cannot_be_asked_is_found_out_with_one_small_request(lacking, refused, server, lm_in):
    if lacking:
        setattr(server, lacking, False)
    lm = lm_in()
    assert server.requests == []
    for question in QUESTIONS * 2:
        reason = lm.cannot(question)
        assert re.search(refused[question], reason) if question in refused else reason is None
    assert len(scoring(server)) == 3  # options and outputs are asked in one way, and all that is drawn


def test_a_server_that_is_gone_is_not_one_that_cannot(lm_in, server, monkeypatch):
    monkeypatch.setattr(client, "RETRIES", 0)
    lm = lm_in()
    server.server_close()
    with pytest.raises(client.NoAnswerError):
        lm.cannot("sample")


def test_mistakes_are_named(lm_in):
    with pytest.raises(UserError, match="2 prompts but 1 lists"):
        lm_in().option_logprobs(["a", "b"], [["x"]])
    with pytest.raises(UserError, match="n is 0"):
        lm_in().sample(["a"], 0, max_new_tokens=1, seed=0)
