"""The rules with a small model of random weights: ``verify_rule_adapter.py ORG/NAME COMMIT SHA256``.

`generate` runs code from the Hub here, and only the very file that was published, by its SHA-256.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CODE = "custom_generate/generate.py"
WORDS = ["<end>", "a", "Name", "two", "birds"]
END, SPOKEN = 0, 4
SPECIAL = {"eos_token": WORDS[END], "pad_token": WORDS[END]}
TOKENS = 5


def main(name: str, commit: str, digest: str) -> None:
    """Generate greedily with a rule that forbids all but one word, and with one that ends the response at once."""
    code = Path(hf_hub_download(name, CODE, revision=commit)).read_bytes()
    if sha256(code).hexdigest() != digest:
        raise AssertionError(f"{CODE} is not the file that was published")
    vocabulary = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}))
    vocabulary.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=vocabulary, **SPECIAL)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(WORDS), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
            bos_token_id=None, eos_token_id=END, pad_token_id=END,
        )
    ).eval()  # fmt: skip
    prompt = tokenizer("Name two birds", return_tensors="pt")

    def response(**rules: object) -> list[int]:
        tokens = model.generate(
            **prompt, custom_generate=name, revision=commit, trust_remote_code=True, tokenizer=tokenizer, rules=rules,
            do_sample=False, max_new_tokens=TOKENS,
        )  # fmt: skip
        return tokens[0, prompt["input_ids"].shape[1] :].tolist()

    others = {f" {word}": -1e4 for word in WORDS[1:] if word != WORDS[SPOKEN]}
    spoken = response(words=others | {f" {WORDS[SPOKEN]}": 1e4}, ending=0.0, repetition=0.0)
    if spoken != [SPOKEN] * TOKENS:
        raise AssertionError(f"the rule on words gives {spoken}")
    sys.stdout.write("the rule on words: followed\n")
    ended = response(words={}, ending=1e6, ending_length=2, repetition=0.0)
    if ended[-1] != END or len(ended) > 2:  # noqa: PLR2004 - as ending_length says
        raise AssertionError(f"the rule on the ending gives {ended}")
    sys.stdout.write("the rule on the ending: followed\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    main(*sys.argv[1:])
