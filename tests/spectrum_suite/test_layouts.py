"""Texts share rows, packs and caches where the model was seen to keep them apart, and nowhere else."""

import logging
import threading

import pytest
import torch
from transformers import BertConfig, BertLMHeadModel, GPTNeoConfig, GPTNeoForCausalLM, LlamaConfig, LlamaForCausalLM

from spectrum_suite import layouts
from spectrum_suite.errors import UserError
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.layouts import Layout, cache_differs, positions_keep_apart, proof_of, require
from tests.spectrum_suite.architectures import tiny
from tests.tiny_models import tiny_model


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("plain")


def gpt_neo(vocabulary, window):
    torch.manual_seed(0)
    config = GPTNeoConfig(
        vocab_size=vocabulary, hidden_size=32, num_layers=4, attention_types=[[["global", "local"], 2]], num_heads=4,
        window_size=window, max_position_embeddings=2048, initializer_range=0.2,
    )  # fmt: skip
    return GPTNeoForCausalLM(config).eval()


@pytest.mark.parametrize("window", [8, 100, 256])
def test_a_window_by_index_in_the_row_is_noticed_however_wide(window, tokenizer, caplog):
    model = gpt_neo(len(tokenizer), window)
    prompt = "A number between 100 and 999 is drawn, all of them equally likely. The number is "
    options = [f"{n} is it" for n in range(100, 300)]
    with caplog.at_level(logging.WARNING):
        (found,) = option_logprobs(model, tokenizer, [prompt], [options])
    with torch.inference_mode():
        expected = [plain_log_prob(model, tokenizer, prompt, option) for option in options]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=0)
    assert "GPTNeoForCausalLM cannot share a prompt" in caplog.text
    assert "nats" in caplog.text


def plain_log_prob(model, tokenizer, prompt, option):
    start = tokenizer(prompt).input_ids
    ids = tokenizer(option, add_special_tokens=False).input_ids
    log_probs = model(torch.tensor([start + ids])).logits[0].double().log_softmax(-1)
    return sum(log_probs[len(start) - 1 + place, token].item() for place, token in enumerate(ids))


@pytest.mark.parametrize("rope", ["longrope", "dynamic"])
def test_a_text_keeps_its_numbers_beside_one_for_which_rotary_embeddings_change(rope, tokenizer):
    torch.manual_seed(0)
    more = {"short_factor": [1.0] * 4, "long_factor": [9.0] * 4} if rope == "longrope" else {"factor": 8.0}
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=24 if rope == "dynamic" else 512, initializer_range=0.2,
        rope_parameters={
            "rope_type": rope, "rope_theta": 10000.0, "original_max_position_embeddings": 24, **more
        },
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    config.max_position_embeddings = 512
    prompts = ["Pick", "Pick a number.", "A number between 100 and 999 is drawn, all of them equally likely: " * 2]
    for options in ([" a", " b c d"], [" e", " f g"]):
        short = option_logprobs(model, tokenizer, prompts[:1], [options])[0]
        found = option_logprobs(model, tokenizer, prompts, [options] * 3)
        again = option_logprobs(model, tokenizer, prompts[:1], [options])[0]
        for prompt, scores in zip(prompts, found, strict=True):
            with torch.inference_mode():
                model(torch.tensor([[1]]))  # rotary embeddings that grow begin anew
                expected = [plain_log_prob(model, tokenizer, prompt, option) for option in options]
            torch.testing.assert_close(scores, torch.tensor(expected), atol=1e-4, rtol=0)
        torch.testing.assert_close(short, found[0], atol=1e-4, rtol=0)
        torch.testing.assert_close(again, found[0], atol=1e-4, rtol=0)


def test_a_model_is_proven_once_and_forgotten_with_it(monkeypatch, tokenizer):
    passes = []
    monkeypatch.setattr(layouts, "tree_pass", lambda *given, run=layouts.tree_pass: passes.append(1) or run(*given))
    model = tiny_model("llama", len(tokenizer))
    for _ in range(3):
        option_logprobs(model, tokenizer, ["Any"], [[" a", " b c"]])
    assert len(passes) == 1
    assert model in layouts._proofs
    known = len(layouts._proofs)
    del model
    assert len(layouts._proofs) == known - 1


def test_threads_that_share_a_model_prove_it_once(monkeypatch, tokenizer):
    passes = []
    monkeypatch.setattr(layouts, "tree_pass", lambda *given, run=layouts.tree_pass: passes.append(1) or run(*given))
    model = tiny_model("gemma3", len(tokenizer))
    found = []
    threads = [threading.Thread(target=lambda: found.append(proof_of(model).layout)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Layout.TREE] * 8
    assert len(passes) == 1


def test_a_model_that_sees_what_comes_after_is_refused(tokenizer):
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, initializer_range=0.2
    )
    with pytest.raises(UserError, match=r"BertLMHeadModel is not a causal language model: .* by [0-9.]+ nats"):
        option_logprobs(BertLMHeadModel(config).eval(), tokenizer, ["Any"], [["a", "b"]])


def test_a_model_that_does_not_look_back_proves_nothing(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    for layer in model.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    assert proof_of(model).layout is Layout.PADDED
    with pytest.raises(UserError, match="hardly depend on the text before"):
        require(model, Layout.TREE, 64, option="--branching", autocast=None)


@pytest.mark.parametrize(
    ("architecture", "packs"),
    [("llama", True), ("gemma3_text", True), ("mamba", False), ("bloom", False), ("lfm2", False), ("opt", False)],
)
def test_positions_keep_texts_apart_where_they_do(architecture, packs):
    reason = positions_keep_apart(tiny(architecture, 300), 64, autocast=None)
    assert (reason == "") is packs, reason


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("shift", [0, 1])
def test_a_cache_in_half_precision_is_told_from_one_that_leads_astray(dtype, shift, monkeypatch):
    """Of many likely tokens, one differs by far more than rounding makes most of them differ."""
    model = tiny_model("llama", 400).to(dtype)
    model.lm_head.weight.data *= 8
    plain = LlamaForCausalLM.forward

    def shifted(self, *arguments, past_key_values=None, **options):
        if past_key_values is not None:
            options["position_ids"] = torch.tensor([[past_key_values.get_seq_length() + shift]])
        return plain(self, *arguments, past_key_values=past_key_values, **options)

    monkeypatch.setattr(LlamaForCausalLM, "forward", shifted)
    assert bool(cache_differs(model)) == bool(shift)
