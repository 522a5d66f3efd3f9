"""A tokenizer and its chat template, sampling, weights, a forward pass: ``verify_model.py ORG/NAME COMMIT``."""

from __future__ import annotations

import sys

import torch
from huggingface_hub import file_exists
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

MESSAGES = [
    {"role": "description", "content": "A guest orders a drink."},
    {"role": "input", "content": "breakfast"},
    {"role": "output", "content": "tea"},
    {"role": "input", "content": "dinner"},
]


def main(name: str, commit: str) -> None:
    """Load a model, or an adapter on its base model, and ask it for one more output."""
    tokenizer = AutoTokenizer.from_pretrained(name, revision=commit)
    prompt = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    sampling = GenerationConfig.from_pretrained(name, revision=commit)
    if (sampling.do_sample, sampling.temperature, sampling.top_p, sampling.top_k) != (True, 1.0, 1.0, 0):
        raise AssertionError("it does not sample at temperature 1 without top-p and top-k")
    is_adapter = file_exists(name, "adapter_config.json", revision=commit)
    auto_class = AutoPeftModelForCausalLM if is_adapter else AutoModelForCausalLM
    model = auto_class.from_pretrained(name, revision=commit, dtype="auto").eval()
    sys.stdout.write(f"{'adapter and base model' if is_adapter else 'model'}: loaded\n")
    with torch.inference_mode():
        logits = model(**prompt).logits[0, -1].float()
    if not logits.isfinite().all():
        raise AssertionError("its logits are not all finite")
    sys.stdout.write(f"a prompt of {prompt['input_ids'].shape[1]} tokens: {len(logits)} logits\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
