"""Every recipe is one that `train_sft.py` takes, and says the memory that its model's shape gives."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from transformers import Gemma3TextConfig, LlamaConfig, Qwen3Config
from trl import TrlParser

from spectrum_suite.devices import GIB
from spectrum_suite.live_memory import NF4_BYTES
from spectrum_suite.training.adaptation import AdaptationConfig
from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig
from spectrum_suite.training.objectives import OBJECTIVES, find_objective

RECIPES = Path(__file__).parents[3] / "recipes"
SHAPES = {
    "gemma-3-270m": Gemma3TextConfig(
        vocab_size=262144, hidden_size=640, num_hidden_layers=18, num_attention_heads=4, num_key_value_heads=1,
        head_dim=256, intermediate_size=2048,
    ),
    "gemma-3-12b": Gemma3TextConfig(
        vocab_size=262208, hidden_size=3840, num_hidden_layers=48, num_attention_heads=16, num_key_value_heads=8,
        head_dim=256, intermediate_size=15360,
    ),
    "qwen3-14b": Qwen3Config(
        vocab_size=151936, hidden_size=5120, num_hidden_layers=40, num_attention_heads=40, num_key_value_heads=8,
        head_dim=128, intermediate_size=17408, tie_word_embeddings=False,
    ),
    "llama-3.1-8b": LlamaConfig(
        vocab_size=128256, hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8,
        intermediate_size=14336, tie_word_embeddings=False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_is_understood(path, tmp_path):
    parser = TrlParser((SpectrumArguments, TuningConfig, AdaptationConfig))
    more = ["--output_dir", str(tmp_path), "--use_cpu", "true", "--bf16", "false"]
    _, config, adaptation = parser.parse_args_and_config(["--config", str(path), *more])
    in_16_bits = {
        "markers": 3, "spectrum-gemma-3-270m-long": 1, "ablations-smollm2-135m": 1, "quickstart": 1,
        "gemma-3-270m-spectrum": 1, "gemma-3-270m-markers": 1, "gemma-3-270m-response": 1,
        "gemma-3-270m-single-task": 5,
    }  # fmt: skip
    expected = ("LoRA", in_16_bits[path.stem]) if path.stem in in_16_bits else ("4-bit LoRA", 1)
    assert (adaptation.method, config.num_train_epochs) == expected
    assert f"recipes/{path.name}" in path.read_text().splitlines()[0]


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator, and it is used")
def test_mixed_precision_needs_no_word_on_the_processor(tmp_path):
    parser = TrlParser((SpectrumArguments, TuningConfig, AdaptationConfig))
    recipe = RECIPES / "spectrum-gemma-3-270m-long.yaml"
    _, config, adaptation = parser.parse_args_and_config(["--config", str(recipe), "--output_dir", str(tmp_path)])
    assert (config.bf16, config.use_cpu, adaptation.dtype) == (True, True, "bfloat16")


@pytest.mark.parametrize("path", sorted((RECIPES / "implicit").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_on_instruction_data_is_understood(path, tmp_path):
    parser = TrlParser((SpectrumArguments, TuningConfig, AdaptationConfig))
    more = ["--output_dir", str(tmp_path), "--use_cpu", "true", "--bf16", "false"]
    arguments, config, adaptation = parser.parse_args_and_config(["--config", str(path), *more])
    assert find_objective(arguments).options >= {"data", "data_limit"}
    assert arguments.objective == (path.stem if path.stem in OBJECTIVES else "single_task")
    assert (adaptation.method, config.lr_scheduler_type, config.warmup_steps) == ("LoRA", "cosine", 0.1)
    assert f"recipes/implicit/{path.name}" in path.read_text().splitlines()[0]


def memory(config, *, tokens, checkpointing, trained_share=0.3, rank=16):
    """GiB of 4-bit LoRA in 16 bits, and of the states of full fine-tuning: weights, gradients and AdamW's two moments.

    By the shapes of a decoder with gated feed-forward layers. Its matrices have ``V h (1 + untied) + L (2 h q + 2 h k +
    3 h f)`` weights, with vocabulary V, width h, L layers, q and k the widths of queries and keys, and f that of the
    feed-forward layer. The backward pass keeps ``6 h + 2 q + 3 k + 5 f`` numbers of a token and layer (inputs of norms
    and matrices, and what is between them), or ``h`` with checkpointing and one layer in full.
    """
    width, layers, feed = config.hidden_size, config.num_hidden_layers, config.intermediate_size
    query, key = (config.head_dim * heads for heads in (config.num_attention_heads, config.num_key_value_heads))
    embeddings = config.vocab_size * width * (1 if config.tie_word_embeddings else 2)
    linear = layers * (2 * width * query + 2 * width * key + 3 * width * feed)
    adapter = layers * rank * (2 * (width + query) + 2 * (width + key) + 3 * (width + feed))
    full = 6 * width + 2 * query + 3 * key + 5 * feed + 7 * rank
    kept = layers * width + full if checkpointing else layers * full
    logits = trained_share * config.vocab_size * (2 + 4 + 4)
    lora = 2 * embeddings + NF4_BYTES * linear + 16 * adapter + tokens * (2 * kept + logits)
    return lora / GIB, 16 * (embeddings + linear) / GIB


@pytest.mark.parametrize("name", SHAPES)
def test_a_recipe_says_how_much_memory_it_takes(name):
    text = (RECIPES / f"{name}.yaml").read_text()
    recipe = yaml.safe_load(text)
    tokens = recipe["per_device_train_batch_size"] * recipe["max_length"]
    expected = memory(SHAPES[name], tokens=tokens, checkpointing=recipe["gradient_checkpointing"])
    said = [float(number) for number in re.findall(r"([\d.]+) GiB", text)]
    assert said == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("path", sorted((RECIPES / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_configuration_of_accelerate_is_one(path):
    from accelerate.commands.config.config_args import load_config_from_file  # noqa: PLC0415

    found = load_config_from_file(str(path))
    kinds = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "deepspeed_zero3": "DEEPSPEED"}
    assert found.distributed_type == kinds[path.stem]
    assert str(path.relative_to(RECIPES.parent)) in path.read_text().splitlines()[0]
