"""What the tests of vLLM share: a small engine, prompts with options, and what counts as the same scores."""

import torch

CPU = torch.device("cpu")
SMALL = {
    "kv_cache_memory_bytes": 2**26, "enforce_eager": True, "max_num_seqs": 16, "max_model_len": 512,
    "max_num_batched_tokens": 512,
}  # fmt: skip
WORDS = [f"{name}={value}" for name, value in SMALL.items()]

COIN = [{"role": "description", "content": "A coin."}]
PROMPTS = ["A die is rolled once. It shows the number ", COIN, [{"role": "input", "content": "日本 or é?"}]]
OPTIONS = [
    ["1", "10", "100", "12", "2", "1"],
    ["Heads", "Tails", "Heads up", "It stands on its edge, for once, and nobody knows what that would mean for us."],
    ["é", "日本", "🎲"],
]
SIDES = ["Heads", "Tails", "It stands"]


def assert_close_options(found, expected, atol):
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.log_probs.dtype == torch.float32
        torch.testing.assert_close(mine.log_probs, theirs.log_probs, atol=atol, rtol=1e-5)
        assert (mine.token_ids, mine.refused) == (theirs.token_ids, theirs.refused)
