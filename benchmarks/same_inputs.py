"""What `benchmarks.same_results` gives to both checkouts: the options of their commands, a tiny model, and data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SMALL_SUITE = (
    "coinflip described_shares dist_urn dist_nytimes dist_train_categorical flight imdb cov_car_brand polis_vote"
)
TRAINING = (
    "--model_name_or_path ../inputs/tiny --report_to none --use_cpu true --logging_steps 1 --lora_r 4 --max_length 160 "
    "--per_device_train_batch_size 4 --dtype float32 --disable_tqdm true --save_strategy no"
)
DRAWS = "--load_in_4bit false --suite ../inputs/suite --tasks described_shares=12 coinflip=8"
PAIRS = "--load_in_4bit false --data ../inputs/pairs.jsonl --format tags"
MARKED = "--load_in_4bit false --objective markers --data ../inputs/marked.jsonl --format chat --max_length 300"
RUNS = {
    "plain": DRAWS,
    "packed": f"{DRAWS} --packing true",
    "branched": f"{DRAWS} --branching 0.7",
    "accumulated": f"{DRAWS} --per_device_train_batch_size 2 --gradient_accumulation_steps 2 --num_train_epochs 2",
    "all tokens, merged": f"{DRAWS} --train_on all --description_dropout 0 --permute false --merge true",
    "four bits": "--load_in_4bit true --suite ../inputs/suite --tasks polis_vote=8 imdb=4 --turn_tokens newline",
    "all weights": f"{DRAWS} --use_peft false --alignment_steps 2",
    "resumed adapter": f"{DRAWS} --begin_with|--adapter_name_or_path ../inputs/tuned --seed 7",
    "instruction": f"{PAIRS} --objective instruction",
    "response": f"{PAIRS} --objective response",
    "single task": f"{PAIRS} --objective single_task --packing true",
    "markers": MARKED,
    "unmarked": f"{MARKED} --marked false",
    "distribution": (
        "--load_in_4bit false --objective distribution --suite ../inputs/suite --allow_held_out true "
        "--tasks described_shares=8 dist_train_categorical=12 dist_urn=4"
    ),
}
TASKS = "dist_urn dist_nytimes flight polis_vote cov_car_brand"
ON_SUITE = f"--suite ../inputs/suite --tasks {TASKS} --limit 6 --generations 4 --max_length 400"
ON_PAIRS = "--desiderata instruction --data ../inputs/pairs.jsonl --format tags --max_new_tokens 6"
ON_MARKED = "--desiderata markers --data ../inputs/marked.jsonl --format chat --max_new_tokens 8"
TINY, TUNED = "--model ../inputs/tiny", "--model ../inputs/tuned"
EVALUATIONS = {
    "base": f"{TINY} {ON_SUITE} --format colon --task_labels",
    "tuned": f"{TUNED} {ON_SUITE} --compare base",
    "rules": f"{TINY} {ON_SUITE} --format tags --rules paper --without_rule 1",
    "judged": f"{TINY} {ON_SUITE} --format chat --judge URL --judge_model tiny",
    "served": f"{TINY} --endpoint URL {ON_SUITE} --format spectrum",
    "instruction": f"{TINY} {ON_PAIRS}",
    "instruction of another": f"{TUNED} {ON_PAIRS} --compare instruction --likelihood_judge ../inputs/tiny",
    "instruction served": f"{TINY} --endpoint URL {ON_PAIRS}",
    "unmarked": f"{TINY} {ON_MARKED}",
    "marked": f"--model ../inputs/marked {ON_MARKED} --compare unmarked",
    "many": "--runs ../inputs/runs.yaml",
}
RECIPE = """
title: Tiny
suite: ../inputs/suite
settings: {seed: 42, batch_size: 8}
measure:
  steerability: {tasks: [flight], limit: 6, max_length: 400}
  coverage: {tasks: [cov_car_brand], promptings: [both], generations: 4}
  alignment: {tasks: [dist_urn, dist_nytimes], limit: 6}
choose:
  alignment: {tasks: [dist_train_categorical], limit: 3}
runs:
  - {name: base, group: base, model: ../inputs/tiny, formats: [colon, colon+label, spectrum]}
  - {name: tuned, group: spectrum, model: ../inputs/tuned}
"""


def save_tiny_model(folder: Path, text: str) -> None:
    """A Gemma 3 of four layers, sliding and full ones, with ChatML's turn tokens and 1,000 others."""
    import torch  # noqa: PLC0415 - seconds, which --help does not need
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, PreTrainedTokenizerFast  # noqa: PLC0415

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=special[2], pad_token=special[0])
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=len(wrapped), hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=2048, initializer_range=0.2, bos_token_id=0,
        eos_token_id=2, pad_token_id=0, sliding_window=64, layer_types=["sliding_attention", "full_attention"] * 2,
    )  # fmt: skip
    Gemma3ForCausalLM(config).save_pretrained(folder)
    wrapped.save_pretrained(folder)


def pair(number: int) -> dict[str, Any]:
    """An instruction and its response."""
    return {"instruction": f"Say {number} or {number**2}{' please' * (number % 4)}.", "output": f"{number} it is."}


def marked(number: int) -> dict[str, Any]:
    """An annotated conversation."""
    answer = "La ville est belle au printemps." if number % 4 == 3 else "The city is beautiful in spring."
    return {
        "id": f"asked/{number}",
        "messages": [
            {"role": "input", "content": f"Tell me about city number {number}."},
            {"role": "output", "content": answer},
        ],
        "markers": [
            {
                "length_tokens": 4 + number, "task": ["Explanation", "Rewrite"][number % 2],
                "lang": "French" if number % 4 == 3 else "English",
            }
        ],
    }  # fmt: skip


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
