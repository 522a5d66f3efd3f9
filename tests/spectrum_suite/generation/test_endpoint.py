"""A model behind a completions server is scored as it is here, and its samples follow its distribution."""

import math
from collections import Counter

import pytest
import requests
import torch

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.endpoint.client import Endpoint, _Key, served_model
from spectrum_suite.generation.endpoint.samples import endpoint_sample
from spectrum_suite.generation.endpoint.scores import endpoint_option_logprobs
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.generation.sample import Samples
from tests.completions_server import serving
from tests.tiny_models import tiny_model

PROMPTS = [
    "A die is rolled once. It shows the number ",
    [{"role": "description", "content": "A coin."}, {"role": "output", "content": "Heads"}],
    [{"role": "input", "content": "日本 or é?"}],
]
OPTIONS = [["1", "10", "100", "12", "2", "1"], ["Heads", "Tails", "Heads up"], ["é", "日本", "🎲"]]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model("llama", len(tokenizer))


@pytest.fixture
def server(model, tokenizer, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(model, tokenizer) as found:
        yield found


def endpoint(server, **settings):
    return Endpoint(server.url, "tiny", **settings)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("name", ["spectrum", "colon"])
def test_equals_the_scores_of_the_model_itself(name, as_text, server, model, tokenizer):
    text_format = get_format(name, tokenizer)
    options = [OPTIONS[0][4:], *OPTIONS[1:]] if as_text else OPTIONS  # the text "number 10" has other tokens
    found = endpoint_option_logprobs(
        endpoint(server, as_text=as_text), tokenizer, PROMPTS, options, text_format=text_format, batch_size=4
    )
    expected = option_logprobs(model, tokenizer, PROMPTS, options, text_format=text_format)
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        assert row.dtype == torch.float32
        torch.testing.assert_close(row, other, atol=1e-4, rtol=0)
    sent = [prompt for _, _, body in server.requests for prompt in body["prompt"]]
    assert all(isinstance(prompt, str) is as_text for prompt in sent)
    assert all(server.tokens(prompt).count(tokenizer.bos_token_id) == 1 for prompt in sent)
    assert max(len(body["prompt"]) for _, _, body in server.requests) == 4


def test_an_option_that_begins_another_is_not_sent(server, tokenizer):
    options = ["a", "a b", "a b c", "x", "x"]
    assert len(tokenizer("a b c", add_special_tokens=False).input_ids) == 3
    endpoint_option_logprobs(endpoint(server), tokenizer, ["Any"], [options])
    ((path, _, body),) = server.requests
    assert path == "/v1/completions"
    assert [tokenizer.decode(ids[-1:]) for ids in body["prompt"]] == [" c", "x"]
    assert {name: body[name] for name in ("max_tokens", "echo", "logprobs", "model")} == {
        "max_tokens": 0, "echo": True, "logprobs": 1, "model": "tiny",
    }  # fmt: skip


def test_text_that_would_be_cut_elsewhere_is_refused(server, tokenizer):
    apart = [token for piece in ("th", "e") for token in tokenizer(piece, add_special_tokens=False).input_ids]
    assert tokenizer("the", add_special_tokens=False).input_ids != apart
    with pytest.raises(UserError, match="as text has other tokens than prompt and option by themselves"):
        endpoint_option_logprobs(endpoint(server, as_text=True), tokenizer, ["th"], [["e"]])
    assert server.requests == []


def test_nothing_to_score_asks_nothing(server, tokenizer):
    assert endpoint_option_logprobs(endpoint(server), tokenizer, [], []) == []
    assert endpoint_option_logprobs(endpoint(server), tokenizer, ["Any"], [[]])[0].shape == (0,)
    assert server.requests == []


def test_samples_follow_the_distribution_and_stop_at_the_end_of_turn(server, model, tokenizer):
    text_format = get_format("spectrum", tokenizer)
    end = tokenizer.convert_tokens_to_ids(text_format.terminator)
    prompt = PROMPTS[1]
    n = 600
    (found,) = endpoint_sample(
        endpoint(server), tokenizer, [prompt], n, text_format=text_format, max_new_tokens=1, batch_size=250, seed=1
    )
    assert isinstance(found, Samples)
    assert len(found.texts) == n
    ids = tokenizer(text_format.prompt(prompt), add_special_tokens=False).input_ids
    with torch.inference_mode():
        probabilities = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
    assert n - found.unfinished == pytest.approx(n * probabilities[end].item(), abs=4 * math.sqrt(n))
    counts = Counter(found.texts)
    (likely,) = probabilities.topk(1).indices.tolist()
    share = probabilities[likely].item()
    expected_error = math.sqrt(share * (1 - share) / n)
    assert counts[tokenizer.decode([likely], skip_special_tokens=True)] / n == pytest.approx(
        share, abs=4 * expected_error
    )
    bodies = [body for _, _, body in server.requests]
    assert [body["n"] for body in bodies] == [250, 250, 100]
    assert len({body["seed"] for body in bodies}) == 3
    for body in bodies:
        assert (body["temperature"], body["top_p"], body["top_k"], body["min_p"]) == (1, 1, -1, 0)
        assert (body["stop"], body["stop_token_ids"], body["prompt"]) == ([text_format.terminator], [end], ids)


def test_samples_depend_on_the_seed_and_equal_prompts_differ(server, tokenizer):
    def draw(seed):
        return endpoint_sample(endpoint(server), tokenizer, ["Any", "Any"], 3, max_new_tokens=4, seed=seed)

    first, second = draw(1)
    assert [first, second] == draw(1)
    assert first.texts != second.texts
    assert draw(2)[0].texts != first.texts
    assert first.unfinished == 3  # a string says no end of its own


def test_plain_text_ends_at_a_blank_line_and_begins_after_the_space(server, tokenizer):
    server.failures = [(200, {"choices": [{"index": 0, "text": " red", "finish_reason": "stop"}]})]
    colon = get_format("colon", tokenizer)
    (found,) = endpoint_sample(
        endpoint(server), tokenizer, [PROMPTS[1]], 1, text_format=colon, max_new_tokens=9, seed=0
    )
    assert found == Samples(("red",), 0)
    assert server.requests[0][2]["stop"] == ["\n\n"]
    assert "stop_token_ids" not in server.requests[0][2]


def test_a_busy_server_is_asked_again(server, tokenizer):
    server.failures = [(503, {})]
    found = endpoint_option_logprobs(endpoint(server), tokenizer, ["Any"], [["a"]])
    assert len(server.requests) == 2
    assert found[0].item() < 0


def test_the_key_is_sent_and_never_told(server, tokenizer, monkeypatch, caplog):
    server.key = "sk-right"
    for key in (None, "sk-wrong"):
        if key:
            monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(UserError, match="wants a key: set OPENAI_API_KEY") as raised:
            endpoint_option_logprobs(endpoint(server), tokenizer, ["Any"], [["a"]])
        assert "sk-wrong" not in str(raised.value)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right")
    with caplog.at_level("DEBUG"):
        endpoint_option_logprobs(endpoint(server), tokenizer, ["Any"], [["a"]])
    assert "sk-right" not in caplog.text + repr(endpoint(server))


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://host/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://127.0.0.1/v1", True),
        ("http://host/v1", False),
    ],
)
def test_the_key_leaves_this_machine_encrypted_only(url, sent, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right")
    request = requests.Request("POST", url, auth=_Key()).prepare()
    assert ("Authorization" in request.headers) is sent


def test_the_only_model_is_found(server):
    assert served_model(server.url) == "tiny"
    assert served_model(server.url.removesuffix("/v1")) == "tiny"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((400, {"error": "no such model"}), "refuses with 400: .*no such model"),
        ((200, {"choices": []}), "gave 0 completions, not the 1 asked for"),
        ((200, {"choices": [{"index": 0, "text": "x", "logprobs": None}]}), "gave 0 log-probabilities for 3 tokens"),
        ((200, b"<html>"), "does not answer in JSON"),
    ],
)
def test_what_a_server_cannot_do_is_named(answer, message, server, tokenizer):
    assert len(tokenizer("a").input_ids) == 2
    server.failures = [answer]
    with pytest.raises(UserError, match=message):
        endpoint_option_logprobs(endpoint(server), tokenizer, ["a"], [["a"]])


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", ""])
def test_an_address_that_is_none(url):
    with pytest.raises(UserError, match="is no http address"):
        Endpoint(url, "tiny")


def test_no_server(monkeypatch, tokenizer):
    monkeypatch.setattr("spectrum_suite.generation.endpoint.client._RETRIES", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UserError, match="does not answer"):
        served_model("http://127.0.0.1:9")


def test_mistakes_are_named(server, tokenizer):
    with pytest.raises(UserError, match="2 prompts but 1 lists"):
        endpoint_option_logprobs(endpoint(server), tokenizer, ["a", "b"], [["x"]])
    with pytest.raises(UserError, match="n is 0"):
        endpoint_sample(endpoint(server), tokenizer, ["a"], 0, max_new_tokens=1, seed=0)
