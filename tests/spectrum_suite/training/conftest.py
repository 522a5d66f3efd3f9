"""Tiny random models of four architectures over the small ChatML vocabulary, and rows to train them on."""

import pytest
import torch
from datasets import Dataset
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from spectrum_suite.formats.render import get_format
from spectrum_suite.training.tokenize import tokenize_rows
from tests.tiny_models import behind_vision_tower

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}


def gemma3_text(vocabulary):
    layers = ["sliding_attention", "full_attention"]
    return Gemma3TextConfig(
        **SIZES, vocab_size=vocabulary, sliding_window=8, layer_types=layers, query_pre_attn_scalar=16
    )


def tiny_gemma3(vocabulary):
    """Tied, scaled embeddings; one layer sees 8 tokens back, one sees all."""
    return Gemma3ForCausalLM(gemma3_text(vocabulary))


def tiny_gemma3_vision(vocabulary):
    """The same behind a vision tower, as Gemma 3 has it from 4B up."""
    return behind_vision_tower(gemma3_text(vocabulary))


def tiny_llama(vocabulary):
    return LlamaForCausalLM(LlamaConfig(**SIZES, vocab_size=vocabulary, tie_word_embeddings=False))


def tiny_qwen2(vocabulary):
    sizes = {name: size for name, size in SIZES.items() if name != "head_dim"}
    return Qwen2ForCausalLM(Qwen2Config(**sizes, vocab_size=vocabulary, tie_word_embeddings=True))


ARCHITECTURES = {"gemma3": tiny_gemma3, "gemma3_vision": tiny_gemma3_vision, "llama": tiny_llama, "qwen2": tiny_qwen2}


@pytest.fixture(scope="session")
def chatml(tokenizer_of):
    return tokenizer_of("chatml")


@pytest.fixture
def tiny_model(chatml):
    """``tiny_model(architecture)``: the same random weights each time, float32."""

    def make(architecture):
        torch.manual_seed(0)
        model = ARCHITECTURES[architecture](len(chatml))
        model.config.pad_token_id = chatml.pad_token_id
        return model.eval()

    return make


@pytest.fixture(scope="session")
def tokenized_rows(chatml):
    """32 tokenized rows of 1 to 5 draws; every fourth has no description."""
    rows = []
    for number in range(32):
        messages = [{"role": "description", "content": f"A die with {number} sides, thrown by hand."}]
        messages = [] if number % 4 == 3 else messages
        messages += [
            {"role": "output", "content": str(7**draw * number)} for draw in range(1 + number % 5 + (number % 4 == 3))
        ]
        rows.append({"id": f"row{number}", "messages": messages})
    return tokenize_rows(Dataset.from_list(rows), chatml, get_format("spectrum", chatml), max_length=200)[0]
