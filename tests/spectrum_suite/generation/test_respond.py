"""Greedy responses are the most likely next tokens, whatever a model's own generation config says."""

import logging
from copy import deepcopy
from itertools import combinations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList

import spectrum_suite.generation.respond as respond_module
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import prompt_token_ids
from spectrum_suite.generation.respond import Way, respond
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter, Rules, generate
from spectrum_suite.generation.sample import ending_of
from spectrum_suite.layouts import proof_of
from tests.tiny_models import tiny_model

PROMPTS = [[{"role": "input", "content": text}] for text in ("Say something.", "And now a longer one, please.")]
THINGS = ("tea", "the sea", "a long road", "six geese", "the end", "rain and snow in April")
LONG = 40
OWN = {
    "repetition_penalty": 1.3, "no_repeat_ngram_size": 1, "suppress_tokens": [300, 400], "min_new_tokens": 12,
    "bad_words_ids": [[350]], "num_beams": 4, "forced_eos_token_id": 5, "forced_bos_token_id": 7,
    "exponential_decay_length_penalty": (2, 5.0), "max_length": 30, "stop_strings": ["e"], "do_sample": True,
    "temperature": 5.0, "top_k": 3, "encoder_repetition_penalty": 2.0, "guidance_scale": 3.0, "max_time": 1e-9,
    "sequence_bias": {(400,): 50.0}, "remove_invalid_values": True, "renormalize_logits": True, "penalty_alpha": 0.6,
    "watermarking_config": {"bias": 20.0}, "cache_implementation": "static", "return_dict_in_generate": True,
    "num_return_sequences": 2, "output_scores": True, "use_cache": False, "prompt_lookup_num_tokens": 3,
}  # fmt: skip


@pytest.fixture
def tokenizer(tokenizer_of):
    return tokenizer_of("chatml")


def tokens_of(model, tokenizer, text_format, prompt, count):
    """The most likely next token, again and again, each by a pass of its own."""
    ids = list(prompt_token_ids(tokenizer, [prompt], text_format)[0])
    end, start = ending_of(model.generation_config, tokenizer, text_format), len(ids)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            if end.reached(ids[start:]):
                break
    return ids[start:]


def greedy(model, tokenizer, text_format, prompt, count):
    end = ending_of(model.generation_config, tokenizer, text_format)
    return end.text_before(tokens_of(model, tokenizer, text_format, prompt, count))


@pytest.mark.parametrize("name", OWN)
def test_the_models_own_config_changes_nothing(tokenizer, name):
    text_format = get_format("spectrum", tokenizer)
    model = tiny_model("llama", len(tokenizer), seed=1)
    expected = [greedy(model, tokenizer, text_format, prompt, 20) for prompt in PROMPTS]
    setattr(model.generation_config, name, OWN[name])
    found = respond(model, tokenizer, PROMPTS, text_format=text_format, max_new_tokens=20)
    assert [response.text for response in found] == expected
    assert getattr(model.generation_config, name) == OWN[name]


def test_so_for_an_adapter_which_keeps_its_config(tokenizer):
    text_format = get_format("spectrum", tokenizer)
    model = get_peft_model(tiny_model("llama", len(tokenizer), seed=1), LoraConfig(init_lora_weights=False)).eval()
    expected = [greedy(model, tokenizer, text_format, prompt, 20) for prompt in PROMPTS]
    model.generation_config.repetition_penalty = 2.0
    found = respond(model, tokenizer, PROMPTS, text_format=text_format, max_new_tokens=20)
    assert [response.text for response in found] == expected
    assert (
        model.generation_config.repetition_penalty == model.get_base_model().generation_config.repetition_penalty == 2
    )


@pytest.mark.parametrize("way", [None, *Way], ids=str)
def test_a_tokenizer_without_an_end_or_padding_responds_until_it_may_not(tokenizer_of, monkeypatch, way):
    tokenizer = deepcopy(tokenizer_of("plain"))
    tokenizer.eos_token = None
    model = tiny_model("llama", len(tokenizer), seed=1).double()  # no near tie is decided by rounding
    model.generation_config.eos_token_id = None
    if way is not None:  # else the fastest that is proven
        monkeypatch.setattr("spectrum_suite.generation.respond._Ways.proven", lambda *_: way)
    found = respond(model, tokenizer, PROMPTS, text_format=get_format("colon", tokenizer), max_new_tokens=5)
    assert [(response.tokens, response.ended) for response in found] == [(5, False)] * 2


def test_a_model_in_half_precision_responds_from_its_cache(tokenizer, caplog):
    model = tiny_model("llama", len(tokenizer), seed=1).to(torch.bfloat16)
    model.lm_head.weight.data *= 8
    with caplog.at_level(logging.WARNING):
        respond(model, tokenizer, PROMPTS, text_format=get_format("spectrum", tokenizer), max_new_tokens=5)
    assert not caplog.text


def test_the_rules_as_custom_generate_multiply_the_model_and_not_its_config(tokenizer):
    model = tiny_model("llama", len(tokenizer), seed=1)
    inputs = torch.tensor(prompt_token_ids(tokenizer, PROMPTS[:1], get_format("spectrum", tokenizer)))
    rules = {"words": {}, "repetition": -2.0}
    expected = generate(model, inputs, tokenizer=tokenizer, rules=rules, max_new_tokens=10)
    model.generation_config.repetition_penalty = 2.0
    model.generation_config.no_repeat_ngram_size = 1
    assert torch.equal(generate(model, inputs, tokenizer=tokenizer, rules=rules, max_new_tokens=10), expected)
    assert model.generation_config.repetition_penalty == 2.0
    asked = generate(model, inputs, tokenizer=tokenizer, rules=rules, max_new_tokens=10, repetition_penalty=2.0)
    adapter = RuleBasedAdapter(tokenizer, Rules(**rules), eos_token_id=model.generation_config.eos_token_id)
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    plain = model.generate(
        inputs, logits_processor=LogitsProcessorList([adapter]), max_new_tokens=10, repetition_penalty=2.0
    )
    assert torch.equal(asked, plain)


@pytest.fixture(scope="module")
def uneven_lengths(tokenizer_of):
    """A model, prompts whose responses end after very different numbers of tokens, and those responses."""
    tokenizer = tokenizer_of("chatml")
    text_format = get_format("spectrum", tokenizer)
    model = tiny_model("llama", len(tokenizer), seed=1).double()  # no near tie is decided by rounding
    model.generation_config.eos_token_id = None
    prompts = [[{"role": "input", "content": f"Say something about {thing}."}] for thing in THINGS]
    prompts.sort(key=lambda prompt: -len(prompt_token_ids(tokenizer, [prompt], text_format)[0]))
    free = [tokens_of(model, tokenizer, text_format, prompt, LONG) for prompt in prompts]
    model.generation_config.eos_token_id = ends_unevenly(free)
    ended = [tokens_of(model, tokenizer, text_format, prompt, LONG) for prompt in prompts]
    end = ending_of(model.generation_config, tokenizer, text_format)
    return model, prompts, [(end.text_before(tokens), len(tokens)) for tokens in ended]


def ends_unevenly(responses):
    """Three tokens that end some responses early, one of them before one that goes on, one late, and one never."""
    for ends in combinations(sorted({token for tokens in responses for token in tokens}), 3):
        lengths = [next((n for n, each in enumerate(tokens, 1) if each in ends), LONG + 1) for tokens in responses]
        early = [length < 16 for length in lengths]
        late = any(20 < length < LONG for length in lengths)
        if early.count(True) >= 2 and late and max(lengths) > LONG and False in early[early.index(True) :]:
            return list(ends)
    raise AssertionError("no tokens end these responses unevenly: take another model")


@pytest.fixture
def uneven(uneven_lengths):
    """The same, of which nothing has been found out yet."""
    model, prompts, expected = uneven_lengths
    return deepcopy(model), prompts, expected


def texts_and_lengths(responses):
    return [(response.text, response.tokens) for response in responses]


def test_what_has_ended_leaves_the_batch(tokenizer, uneven, monkeypatch, caplog):
    model, prompts, expected = uneven
    monkeypatch.setattr(respond_module, "_TOGETHER", 4)
    how = {"text_format": get_format("spectrum", tokenizer), "max_new_tokens": LONG, "batch_size": len(prompts)}
    with caplog.at_level(logging.WARNING):
        assert texts_and_lengths(respond(model, tokenizer, prompts, **how)) == expected
    assert not caplog.text
    assert proof_of(model).continues == {False: True, True: True}

    steps = []
    model.register_forward_pre_hook(lambda _, args, given: steps.append(given["input_ids"].shape), with_kwargs=True)
    assert texts_and_lengths(respond(model, tokenizer, prompts, **how)) == expected
    longest = max(length for _, length in expected)
    assert sum(rows for rows, tokens in steps if tokens == 1) < 0.7 * len(prompts) * longest


def first_rows(cache, index):
    """A wrong way to leave a batch: the last rows go, whichever have ended."""
    for layer in cache.layers:
        layer.keys, layer.values = layer.keys[: len(index)], layer.values[: len(index)]


def without_values(batch, output, kept):
    """A wrong way to continue: with values that are nowhere read."""
    after = plain_after(batch, output, kept)
    for cache in after.cache.values():
        for layer in cache.layers:
            layer.values = torch.zeros_like(layer.values)
    return after


plain_after = respond_module._Batch.after
WRONG = {
    "rows": (DynamicCache, "reorder_cache", first_rows),
    "values": (respond_module._Batch, "after", without_values),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_cache_that_rows_cannot_leave_is_not_used_for_it(tokenizer, uneven, monkeypatch, caplog, wrong):
    model, prompts, expected = uneven
    monkeypatch.setattr(*WRONG[wrong])
    with caplog.at_level(logging.WARNING):
        found = respond(
            model, tokenizer, prompts, text_format=get_format("spectrum", tokenizer), max_new_tokens=LONG, batch_size=6
        )
    assert texts_and_lengths(found) == expected
    assert caplog.text.count("keeps responses that have ended in the batch: its probabilities differ") == 1
    assert not all(proof_of(model).continues.values())
