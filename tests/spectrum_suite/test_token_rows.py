"""Rows of an adapter without a copy of the matrix: PEFT's own numbers, gradients and files."""

import copy

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PhiConfig, PhiForCausalLM

from spectrum_suite.formats.render import get_format
from spectrum_suite.models import load_for_scoring
from spectrum_suite.token_rows import overlay_rows
from spectrum_suite.training.adaptation import AdaptationConfig, load_model
from spectrum_suite.training.tokens import turn_token_ids

ARCHITECTURES = ["gemma3", "llama", "qwen2"]


@pytest.fixture
def adapted(tiny_model, chatml):
    """A model with an adapter that has been trained a little: nothing in it is zero any more."""

    def make(architecture):
        token_ids = turn_token_ids(chatml, get_format("spectrum", chatml))
        config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", trainable_token_indices=token_ids)
        model = get_peft_model(tiny_model(architecture), config)
        torch.manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.3)
        return model.eval()

    return make


@pytest.fixture
def ids(chatml):
    text = "<|im_start|>description\nA die.<|im_end|>\n<|im_start|>output\n4<|im_end|>\n"
    return torch.tensor([chatml(text).input_ids, chatml(text.replace("4", "6")).input_ids])


def gradients(model, ids):
    model.zero_grad()
    model(ids, labels=ids).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_and_gradients_are_those_of_peft(adapted, ids, architecture):
    theirs = adapted(architecture)
    ours = copy.deepcopy(theirs)
    assert overlay_rows(ours) == (1 if architecture == "llama" else 2)
    torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=1e-5, atol=1e-5)
    expected, found = gradients(theirs, ids), gradients(ours, ids)
    assert found.keys() == expected.keys()
    rows = [name for name in expected if "trainable_tokens" in name]
    assert rows
    assert all(expected[name].abs().sum() > 0 for name in rows)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


@pytest.fixture
def copies(monkeypatch):
    """Shapes of the matrices of which a copy with other rows is made, from here on."""
    found, plain = [], torch.Tensor.index_copy

    def counted(self, dim, index, source):
        found.append(tuple(self.shape))
        return plain(self, dim, index, source)

    monkeypatch.setattr(torch.Tensor, "index_copy", counted)
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_matrix_is_copied(adapted, ids, architecture, copies):
    """PEFT's way allocates a vocabulary-sized matrix in every forward pass of each layer."""
    model = adapted(architecture)
    overlay_rows(model)
    matrix = tuple(model.get_base_model().model.embed_tokens.original_module.weight.shape)
    model(ids)
    assert matrix not in copies


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_adapter_on_four_bits_is_scored_without_a_copy(
    adapted, tiny_model, chatml, ids, tmp_path, architecture, copies
):
    tiny_model(architecture).save_pretrained(tmp_path / "base")
    chatml.save_pretrained(tmp_path / "base")
    trained = adapted(architecture)
    trained.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    trained.save_pretrained(tmp_path / "adapter")
    model, _ = load_for_scoring(str(tmp_path / "adapter"), device="cpu", load_in_4bit=True)
    copies.clear()
    model(ids)
    assert tuple(trained.get_base_model().model.embed_tokens.original_module.weight.shape) not in copies


def test_an_adapter_trains_on_without_a_copy(adapted, tiny_model, ids, tmp_path, copies):
    tiny_model("gemma3").save_pretrained(tmp_path / "base")
    trained = adapted("gemma3")
    trained.save_pretrained(tmp_path / "adapter")
    settings = AdaptationConfig(load_in_4bit=False, dtype="float32")
    model = load_model(str(tmp_path / "base"), settings, adapter=tmp_path / "adapter")
    copies.clear()
    model(ids)
    assert tuple(trained.get_base_model().model.embed_tokens.original_module.weight.shape) not in copies


def test_a_head_with_a_bias_is_left_to_peft():
    """PEFT drops the bias of a head that has rows of its own, and the adapter was trained so."""
    config = PhiConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    rows = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], trainable_token_indices={"lm_head": [5, 9]})
    model = PhiForCausalLM(config)
    torch.nn.init.normal_(model.lm_head.bias)
    theirs = get_peft_model(model, rows).eval()
    ours = copy.deepcopy(theirs)
    assert overlay_rows(ours) == 0
    ids = torch.tensor([[1, 5, 7]])
    torch.testing.assert_close(ours(ids).logits, theirs(ids).logits)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_adapter_needs_none_of_our_code(adapted, tiny_model, ids, tmp_path, architecture):
    model = adapted(architecture).double()  # merging rounds, and random layers make more of it
    base = tiny_model(architecture).double()
    without = base(ids).logits.detach()
    overlay_rows(model)
    trained = model(ids).logits.detach()
    assert (trained - without).abs().max() > 0.5
    model.save_pretrained(tmp_path)
    reloaded = PeftModel.from_pretrained(base, tmp_path, autocast_adapter_dtype=False).eval()
    torch.testing.assert_close(reloaded(ids).logits, trained, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(reloaded.merge_and_unload()(ids).logits, trained, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_disabled_or_merged_adapter_answers_as_peft_has_it(adapted, tiny_model, ids, architecture):
    model = adapted(architecture).double()
    overlay_rows(model)
    trained = model(ids).logits.detach()
    with model.disable_adapter():
        torch.testing.assert_close(model(ids).logits, tiny_model(architecture).double()(ids).logits)
    model.merge_adapter()
    torch.testing.assert_close(model(ids).logits, trained, rtol=1e-9, atol=1e-9)
