"""Greedy responses are the most likely next tokens, whatever a model's own generation config says."""

import logging
from copy import deepcopy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GenerationConfig, LogitsProcessorList

from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import prompt_token_ids
from spectrum_suite.generation.respond import Way, respond
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter, Rules, generate
from spectrum_suite.generation.sample import ending_of
from tests.tiny_models import tiny_model

PROMPTS = [[{"role": "input", "content": text}] for text in ("Say something.", "And now a longer one, please.")]
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


def greedy(model, tokenizer, text_format, prompt, count):
    ids = list(prompt_token_ids(tokenizer, [prompt], text_format)[0])
    end, start = ending_of(model.generation_config, tokenizer, text_format), len(ids)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            if end.reached(ids[start:]):
                break
    return end.text_before(ids[start:])


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
