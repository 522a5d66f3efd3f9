"""Models of every attention layout with random weights, and a suite of a few items, written in milliseconds."""

import math

import torch
from datasets import Dataset
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma3Config,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

WINDOW = 8  # tokens that a sliding layer sees, fewer than any prompt here has


def tiny_model(name, vocabulary, *, attention="sdpa", seed=0):
    """``gemma3`` (sliding and full layers), ``llama``, ``qwen2`` (full), ``mistral`` (sliding) or ``bloom``.

    ``bloom`` takes no position ids. Embeddings of ``gemma3`` and ``qwen2`` are tied. ``gemma3_vision`` is ``gemma3``
    with the vision tower that the larger models of the family have.
    """
    torch.manual_seed(seed)
    if name == "bloom":
        config = BloomConfig(vocab_size=vocabulary, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2)
        return BloomForCausalLM(config).eval()
    shape = {
        "vocab_size": vocabulary, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 400,
        "initializer_range": 0.2, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0,
        "attn_implementation": attention,
    }  # fmt: skip
    if name == "gemma3":
        layers = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
        return Gemma3ForCausalLM(Gemma3TextConfig(**shape, sliding_window=WINDOW, layer_types=layers)).eval()
    if name == "gemma3_vision":
        text = shape | {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 2}
        return behind_vision_tower(Gemma3TextConfig(**text)).eval()
    if name == "mistral":
        return MistralForCausalLM(MistralConfig(**shape, sliding_window=WINDOW)).eval()
    if name == "qwen2":
        shape.pop("head_dim")
        return Qwen2ForCausalLM(Qwen2Config(**shape, tie_word_embeddings=True)).eval()
    return LlamaForCausalLM(LlamaConfig(**shape)).eval()


def behind_vision_tower(text):
    """A Gemma 3 of this text configuration with the tower that the family has from 4B up."""
    sizes = dict.fromkeys(("hidden_size", "intermediate_size"), 16)
    vision = sizes | {"num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    return Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4))


def save_model(folder, tokenizer, *, seed=0):
    """A Gemma 3 of 4 layers with its tokenizer, as a checkpoint."""
    tiny_model("gemma3", len(tokenizer), seed=seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_llama(folder, tokenizer):
    """A Llama of two layers with random weights and this tokenizer, as a checkpoint."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, initializer_range=0.2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


QWEN3_CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if not enable_thinking | default(true) %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
"""What matters of that family's chat template: thinking can be switched off."""


def save_qwen3(folder, tokenizer, *, positions=512, layers=2, heads=2):
    """A Qwen3 with random weights, with heads of a size that vLLM has kernels for, as a checkpoint."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32 * heads, intermediate_size=64 * heads, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=1, head_dim=32, initializer_range=0.2,
        max_position_embeddings=positions,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_qwen3_decider(folder, tokenizer, **shape):
    """The same with a chat template, for decisions by labels; yes and no have to be one token each."""
    tokenizer.chat_template = QWEN3_CHAT
    return save_qwen3(folder, tokenizer, positions=2048, **shape)


def item(item_id, question, options, probabilities):
    return {
        "id": item_id,
        "messages": [{"role": "description", "content": "A draw."}, {"role": "input", "content": question}],
        "options": options,
        "probabilities": probabilities,
        "output_label": "Answer",
    }


COLORS = [
    item(f"colors/{n}", f"Which color comes at place {n}?", ["red", "blue", "dark blue"], [0.5, 0.3, 0.2])
    for n in range(5)
]
DICE = [item("dice/0", "Roll a die.", [str(n) for n in range(1, 7)], [1 / 6] * 6)]
DRAWS = [
    {
        "id": f"draws/{row}",
        "process": "p",
        "messages": [
            {"role": "description", "content": "Tosses of a coin."},
            *({"role": "output", "content": side} for side in ("Heads", "Tails", "Heads", "Heads", "Tails")),
        ],
        "source": "coins",
        "n_outputs": 5,
    }
    for row in range(6)
]
LETTERS = [
    {
        "id": "letters/0",
        "description": "Say a letter.",
        "examples": ["a", "b", "c"],
        "validator": "one_of",
        "valid_items": list("abcdefghijklmnopqrstuvwxyz"),
        "max_new_tokens": 2,
        "source": "letters",
    }
]


def save_suite(folder, trained=(), **tasks):
    """A suite as it lies on disk: Parquet files and a README that lists them; all but ``trained`` are held out."""
    tasks = tasks or {"colors": COLORS, "dice": DICE, "draws": DRAWS, "letters": LETTERS}
    lines = ["---", "configs:"]
    for task, rows in tasks.items():
        split = "train" if task in trained else "test"
        Dataset.from_list(rows).to_parquet(folder / task / f"{split}.parquet")
        lines += [f"- config_name: {task}", "  data_files:", f"  - split: {split}", f"    path: {task}/{split}.parquet"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    return folder


ANSWERS = ("A", "B", "C", "D")
FAR = 100.0  # nats between a token and the likely ones: e^-100 adds nothing in float32


def memoryless_model(tokenizer, text_format, probabilities):
    """A model that gives an output these probabilities, whatever came before, and then ends the turn."""
    size = len(tokenizer)
    config = LlamaConfig(
        vocab_size=size, hidden_size=size, num_hidden_layers=0, num_attention_heads=1, head_dim=8, intermediate_size=8
    )
    model = LlamaForCausalLM(config).eval()
    logits = torch.full((size, size), -FAR)  # [token, next token]

    def last_id(text):
        return tokenizer(text, add_special_tokens=False).input_ids[-1]

    for answer, probability in probabilities.items():
        logits[last_id(text_format.context(None)), last_id(answer)] = math.log(probability)
    for answer in ANSWERS:
        logits[last_id(answer), last_id(text_format.terminator)] = 0
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(1000 * torch.eye(size))  # large: the norm's epsilon does not matter
        model.lm_head.weight.copy_(logits.T / size**0.5)
    return model


def shaken(model, by=0.3):
    """The model with everything that trains changed, as training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=by)
    return model
