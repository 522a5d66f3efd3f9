"""Rows that train without a copy of the matrix: PEFT's own numbers, gradients and files."""

import copy

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from spectrum_suite.formats.render import get_format
from spectrum_suite.training.tokens import line_breaks, train_rows_without_copies, turn_token_ids

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


def test_turn_tokens_are_those_of_the_family(tokenizer, family):
    text_format = get_format("spectrum", tokenizer)
    assert tokenizer.convert_ids_to_tokens(turn_token_ids(tokenizer, text_format)) == sorted(
        text_format.turn.special, key=tokenizer.convert_tokens_to_ids
    )
    assert turn_token_ids(tokenizer, get_format("colon", tokenizer)) == []


def test_a_turn_ends_like_a_line_and_begins_like_a_blank_one(tokenizer, family):
    text_format = get_format("spectrum", tokenizer)
    found = line_breaks(tokenizer, text_format)
    assert sorted(found) == turn_token_ids(tokenizer, text_format)
    for token_id, like in found.items():
        is_end = tokenizer.convert_ids_to_tokens(token_id) == text_format.turn.end
        text = tokenizer.decode([like])
        assert text == "\n" if is_end else set(text) == {"\n"}
    assert line_breaks(tokenizer, get_format("colon", tokenizer)) == {}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_and_gradients_are_those_of_peft(adapted, ids, architecture):
    theirs = adapted(architecture)
    ours = copy.deepcopy(theirs)
    assert train_rows_without_copies(ours) == (1 if architecture == "llama" else 2)
    torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=1e-5, atol=1e-5)
    expected, found = gradients(theirs, ids), gradients(ours, ids)
    assert found.keys() == expected.keys()
    rows = [name for name in expected if "trainable_tokens" in name]
    assert rows
    assert all(expected[name].abs().sum() > 0 for name in rows)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_matrix_is_copied(adapted, ids, architecture):
    """PEFT's way allocates a vocabulary-sized matrix in every forward pass of each layer."""
    model = adapted(architecture)
    copies = []
    plain = torch.Tensor.index_copy

    def counted(self, dim, index, source):
        copies.append(self.shape)
        return plain(self, dim, index, source)

    vocabulary, width = model.get_input_embeddings().weight.shape
    train_rows_without_copies(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "index_copy", counted)
        model(ids)
    assert (vocabulary, width) not in [tuple(shape) for shape in copies]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_adapter_needs_none_of_our_code(adapted, tiny_model, ids, tmp_path, architecture):
    model = adapted(architecture).double()  # merging rounds, and random layers make more of it
    base = tiny_model(architecture).double()
    without = base(ids).logits.detach()
    train_rows_without_copies(model)
    trained = model(ids).logits.detach()
    assert (trained - without).abs().max() > 0.5
    model.save_pretrained(tmp_path)
    reloaded = PeftModel.from_pretrained(base, tmp_path, autocast_adapter_dtype=False).eval()
    torch.testing.assert_close(reloaded(ids).logits, trained, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(reloaded.merge_and_unload()(ids).logits, trained, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_disabled_or_merged_adapter_answers_as_peft_has_it(adapted, tiny_model, ids, architecture):
    model = adapted(architecture).double()
    train_rows_without_copies(model)
    trained = model(ids).logits.detach()
    with model.disable_adapter():
        torch.testing.assert_close(model(ids).logits, tiny_model(architecture).double()(ids).logits)
    model.merge_adapter()
    torch.testing.assert_close(model(ids).logits, trained, rtol=1e-9, atol=1e-9)
