"""Estimates of memory, and what is said when there was too little."""

import pytest
import torch
from transformers import Gemma3TextConfig, LlamaConfig, TrainingArguments

from spectrum_suite.errors import UserError
from spectrum_suite.training.memory import GIB, estimate_memory, explain_out_of_memory


def test_weights_are_those_of_the_model(tiny_model):
    for architecture in ("gemma3", "llama", "qwen2"):
        model = tiny_model(architecture)
        matrices = sum(parameter.numel() for parameter in model.parameters() if parameter.dim() > 1)
        found = estimate_memory(model.config, method="LoRA", tokens=1, weight_bytes=4)
        assert found.weights * GIB == pytest.approx(4 * matrices)


def test_llama_8b_by_hand():
    config = LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, tie_word_embeddings=False,
    )  # fmt: skip
    full = estimate_memory(config, method="full fine-tuning", tokens=1024)
    assert full.weights == pytest.approx(8.03e9 * 2 / GIB, rel=0.01)
    assert full.training == pytest.approx(8.03e9 * 10 / GIB, rel=0.01)
    lora = estimate_memory(config, method="4-bit LoRA", tokens=1024)
    assert lora.weights == pytest.approx((1.05e9 * 2 + 6.98e9 * 0.516) / GIB, rel=0.01)
    assert lora.training == pytest.approx(41.9e6 * 16 / GIB, rel=0.01)  # 41,943,040 weights of rank 16
    assert lora.total < 16 < full.total


def test_checkpointing_and_fewer_tokens_take_less():
    config = Gemma3TextConfig()
    whole = estimate_memory(config, method="4-bit LoRA", tokens=1024)
    assert estimate_memory(config, method="4-bit LoRA", tokens=512).activations == whole.activations / 2
    fewer = estimate_memory(config, method="4-bit LoRA", tokens=1024, checkpointing=True)
    assert fewer.activations < whole.activations / 5
    assert fewer.logits == whole.logits


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (
            {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
            r"--per_device_train_batch_size 4 --gradient_accumulation_steps 4 \(now 8 and 2\), which trains the same",
        ),
        ({"per_device_train_batch_size": 1}, "turn on --gradient_checkpointing true"),
        (
            {"per_device_train_batch_size": 1, "gradient_checkpointing": True},
            r"lower the length with --max_length 512 \(now 1024\)",
        ),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_out_of_memory_says_what_to_change(tmp_path, options, remedy, error):
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)
    with pytest.raises(UserError, match=f"^out of memory: .*{remedy}"), explain_out_of_memory(args, 1024):
        raise error


def test_other_errors_stay_what_they_are(tmp_path):
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    with pytest.raises(RuntimeError, match="shapes"), explain_out_of_memory(args, 1024):
        raise RuntimeError("shapes do not fit")
