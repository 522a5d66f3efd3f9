"""Ways to adapt a model, turn tokens from a donor, and an adapter merged into its base."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
)

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.training.adaptation import AdaptationConfig, load_model, merge_adapter
from spectrum_suite.training.tokens import donor_rows, turn_token_ids, turn_token_source
from tests.tiny_models import shaken

ARCHITECTURES = ["gemma3", "gemma3_vision", "llama", "qwen2"]


@pytest.fixture
def folder_of(tiny_model, chatml, tmp_path):
    """``folder_of(architecture, change)``: a tiny checkpoint with its tokenizer, changed by a number."""

    def save(architecture, change=0.0, dtype=torch.float32):
        folder = tmp_path / f"{architecture}-{change}"
        model = tiny_model(architecture)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(change)
        model.to(dtype).save_pretrained(folder)
        chatml.save_pretrained(folder)
        return str(folder)

    return save


@pytest.fixture
def token_ids(chatml):
    return turn_token_ids(chatml, get_format("spectrum", chatml))


@pytest.fixture
def ids(chatml):
    return torch.tensor([chatml("<|im_start|>output\n4<|im_end|>\n<|im_start|>output\n6<|im_end|>").input_ids])


def settings(**options):
    return AdaptationConfig(**{"dtype": "float32", "load_in_4bit": False, "lora_dropout": 0.0} | options)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("options", [{}, {"use_rslora": True, "use_dora": True}], ids=["plain", "rslora and dora"])
def test_the_merged_model_is_base_and_adapter(folder_of, chatml, token_ids, ids, tmp_path, architecture, options):
    base = folder_of(architecture)
    model = load_model(base, settings(**options), token_ids).eval()
    shaken(model)
    model.save_pretrained(tmp_path / "adapter")
    merged = merge_adapter(tmp_path / "adapter", base, "main", chatml)
    assert [path.name for path in merged.glob("*.safetensors")] == ["model.safetensors"]
    loaded = AutoModelForCausalLM.from_pretrained(merged)
    expected = model(ids).logits.detach()
    assert (expected - AutoModelForCausalLM.from_pretrained(base)(ids).logits).abs().max() > 0.5
    torch.testing.assert_close(loaded(ids).logits, expected, rtol=1e-4, atol=1e-4)
    again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter")
    torch.testing.assert_close(again(ids).logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_the_merged_model_keeps_the_dtype_of_the_base(folder_of, chatml, token_ids, tmp_path, architecture):
    base = folder_of(architecture, dtype=torch.bfloat16)
    model = load_model(base, settings(), token_ids)
    shaken(model)
    model.save_pretrained(tmp_path / "adapter")
    merged = merge_adapter(tmp_path / "adapter", base, "main", chatml)
    found = AutoModelForCausalLM.from_pretrained(merged, dtype="auto").state_dict()
    before = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).state_dict()
    exact = model.merge_and_unload().state_dict()
    for name, weight in exact.items():
        assert found[name].dtype == torch.bfloat16
        bound = 2**-8 * (before[name].abs() + weight.abs())  # the change is rounded, and so is the sum
        assert ((found[name].float() - weight).abs() <= bound).all(), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_of_both_matrices_train(folder_of, token_ids, ids, architecture):
    model = load_model(folder_of(architecture), settings(), token_ids)
    model(ids, labels=ids).loss.backward()
    rows = {name: p.grad for name, p in model.named_parameters() if "trainable_tokens_delta" in name}
    assert len(rows) == (2 if architecture == "llama" else 1)
    assert all(gradient.abs().sum() > 0 for gradient in rows.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("use_peft", [True, False])
def test_turn_tokens_come_from_the_sibling(folder_of, chatml, token_ids, ids, tmp_path, architecture, use_peft):
    base, donor = folder_of(architecture), folder_of(architecture, change=0.5)
    rows = donor_rows(donor, chatml, token_ids)
    theirs = AutoModelForCausalLM.from_pretrained(donor)
    torch.testing.assert_close(rows.inputs, theirs.get_input_embeddings().weight[token_ids])
    torch.testing.assert_close(rows.outputs, theirs.get_output_embeddings().weight[token_ids])
    model = load_model(base, settings(use_peft=use_peft), token_ids, rows).eval()
    expected = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        expected.get_input_embeddings().weight[token_ids] = rows.inputs
        expected.get_output_embeddings().weight[token_ids] = rows.outputs
    torch.testing.assert_close(model(ids).logits, expected(ids).logits, rtol=1e-4, atol=1e-4)
    if use_peft:
        assert not any(p.requires_grad for name, p in model.named_parameters() if "trainable_tokens" in name)
        model.save_pretrained(tmp_path / "adapter")
        again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter")
        torch.testing.assert_close(again(ids).logits, expected(ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("use_peft", [True, False])
def test_turn_tokens_begin_like_others_and_train(folder_of, token_ids, ids, tmp_path, architecture, use_peft):
    base, like = folder_of(architecture), dict(zip(token_ids, (5, 7), strict=True))
    model = load_model(base, settings(use_peft=use_peft), token_ids, like=like)
    expected = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        for matrix in (expected.get_input_embeddings(), expected.get_output_embeddings()):
            matrix.weight[token_ids] = matrix.weight[[5, 7]].clone()
    torch.testing.assert_close(model(ids).logits, expected(ids).logits, rtol=1e-4, atol=1e-4)
    model(ids, labels=ids).loss.backward()
    if use_peft:
        rows = [p for name, p in model.named_parameters() if "trainable_tokens" in name]
        assert rows
        assert all(row.grad.abs().sum() > 0 for row in rows)
        model.save_pretrained(tmp_path / "adapter")
        again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter")
        torch.testing.assert_close(again(ids).logits, expected(ids).logits, rtol=1e-4, atol=1e-4)


def test_text_trains_no_vision_tower(folder_of, token_ids):
    model = load_model(folder_of("gemma3_vision"), settings(), token_ids)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert any(".vision_tower." in name for name, _ in model.named_parameters())
    assert {name.split(".")[4] for name in trained} == {"embed_tokens", "layers"}
    assert len([name for name in trained if "lora_A" in name]) == 4 * 7  # of 4 layers


def test_a_sibling_of_another_family_is_refused(folder_of, model_of_another_family, chatml, token_ids):
    with pytest.raises(UserError, match=r"has other ids for <\|im_start\|>, <\|im_end\|>: give a model of the same"):
        donor_rows(model_of_another_family, chatml, token_ids)
    with pytest.raises(UserError, match="no turn tokens can be taken from 'no-such-model'"):
        donor_rows("no-such-model", chatml, token_ids)


@pytest.fixture
def model_of_another_family(tokenizer_of, tmp_path):
    tokenizer, folder = tokenizer_of("llama3"), tmp_path / "llama3"
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_all_weights_train_without_an_adapter(folder_of, token_ids, ids):
    model = load_model(folder_of("gemma3"), settings(use_peft=False), token_ids)
    model(ids, labels=ids).loss.backward()
    assert all(parameter.requires_grad and parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("asked", ["teach", "transplant", "transplant:", "keep:x", "train:x"])
def test_ways_that_there_are_not(asked):
    with pytest.raises(UserError, match="choose train, newline, keep, or transplant:MODEL"):
        turn_token_source(asked)


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({}, "4-bit LoRA"),
        ({"load_in_4bit": False}, "LoRA"),
        ({"use_peft": False}, "full fine-tuning"),
    ],
)
def test_the_default_is_an_adapter_on_four_bits(options, method):
    assert AdaptationConfig(**options).method == method


@pytest.mark.skipif(torch.cuda.is_available(), reason="these work where there is a GPU")
@pytest.mark.parametrize(
    "options",
    [{"load_in_8bit": True}, {"attn_implementation": "flash_attention_2"}],
)
def test_what_needs_a_gpu_says_so(options):
    with pytest.raises(UserError, match="needs a GPU, and there is none here"):
        AdaptationConfig(**options)


def test_four_bits_do_not_train_themselves():
    with pytest.raises(UserError, match="weights in 4 or 8 bits cannot be trained"):
        AdaptationConfig(use_peft=False, load_in_4bit=True)


def test_turn_tokens_come_from_causal_models_in_whole_weights(folder_of, chatml, token_ids, tmp_path):
    folder = folder_of("llama")
    path = Path(folder, "model.safetensors")
    weights = load_file(path)
    save_file(
        weights | {"model.embed_tokens.weight": weights["model.embed_tokens.weight"].to(torch.float8_e4m3fn)}, path
    )
    with pytest.raises(UserError, match="its embeddings are quantized"):
        donor_rows(folder, chatml, token_ids)
    sizes = dict.fromkeys(("d_model", "encoder_ffn_dim", "decoder_ffn_dim"), 32)
    bart = BartForConditionalGeneration(
        BartConfig(**sizes, vocab_size=len(chatml), encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                   decoder_attention_heads=2)
    )  # fmt: skip
    bart.save_pretrained(tmp_path / "bart")
    chatml.save_pretrained(tmp_path / "bart")
    with pytest.raises(UserError, match="is an encoder-decoder"):
        donor_rows(str(tmp_path / "bart"), chatml, token_ids)
