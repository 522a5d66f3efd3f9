"""How much memory training takes: an estimate before, and what to change when it was too little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig, TrainingArguments
from trl import ModelConfig

from spectrum_suite.devices import GIB
from spectrum_suite.errors import UserError
from spectrum_suite.live_memory import NF4_BYTES


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a training step, in GiB.

    Attributes:
        weights: The model.
        training: Trained copies, gradients and the two moments of AdamW.
        activations: What the backward pass needs of all layers.
        logits: Scores of the vocabulary at the trained positions, with their gradient.
    """

    weights: float
    training: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it, without what a framework takes for itself (about 1 GiB on a GPU)."""
        return self.weights + self.training + self.activations + self.logits


def estimate_memory(
    config: PretrainedConfig,
    *,
    method: str,
    tokens: int,
    trained_share: float = 0.3,
    lora_r: int = 16,
    weight_bytes: int = 2,
    checkpointing: bool = False,
) -> MemoryEstimate:
    """Memory of one step on one device, from the shapes of a decoder with gated feed-forward layers.

    The matrices hold ``V h (1 + untied) + L (2 h q + 2 h k + 3 h f)`` weights, with vocabulary V, width h, L layers,
    q and k the widths of queries and keys, and f that of the feed-forward layer. Activations are, per token and layer,
    ``6 h + 2 q + 3 k + 5 f`` numbers (inputs of norms and matrices, and of what is between them), or ``h`` with
    checkpointing plus one layer in full; an adapter adds its inputs of rank r.

    Args:
        config: Of the model; nothing is downloaded.
        method: ``4-bit LoRA``, ``LoRA`` or ``full fine-tuning``.
        tokens: Tokens in a batch on the device, padding included.
        trained_share: Of them, those with a loss.
        lora_r: Rank of the adapter.
        weight_bytes: Per weight that is not in 4 bits, and per activation.
        checkpointing: Whether activations are computed again (``--gradient_checkpointing true``).
    """
    text = config.get_text_config()
    width, layers, feed = text.hidden_size, text.num_hidden_layers, text.intermediate_size
    head = getattr(text, "head_dim", None) or width // text.num_attention_heads
    query, key = head * text.num_attention_heads, head * text.num_key_value_heads
    embeddings = text.vocab_size * width * (1 if text.tie_word_embeddings else 2)
    linear = layers * (2 * width * query + 2 * width * key + 3 * width * feed)
    adapter = layers * lora_r * (2 * (width + query) + 2 * (width + key) + 3 * (width + feed))
    if method == "full fine-tuning":
        weights, training = (embeddings + linear) * weight_bytes, (embeddings + linear) * (weight_bytes + 8)
    else:
        weights = embeddings * weight_bytes + linear * (NF4_BYTES if method == "4-bit LoRA" else weight_bytes)
        training = adapter * (4 + 4 + 8)
    full = 6 * width + 2 * query + 3 * key + 5 * feed + (0 if method == "full fine-tuning" else 7 * lora_r)
    activations = tokens * weight_bytes * (layers * width + full if checkpointing else layers * full)
    logits = tokens * trained_share * text.vocab_size * (weight_bytes + 4 + 4)
    return MemoryEstimate(*(part / GIB for part in (weights, training, activations, logits)))


@contextmanager
def explain_out_of_memory(args: TrainingArguments, max_length: int) -> Iterator[None]:
    """Turn running out of memory into a UserError that says what to change, the cheapest thing first."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise UserError(f"out of memory: {remedy(args, max_length)}") from error


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or "can't allocate memory" in str(error) or "not enough memory" in str(error)


def remedy(args: TrainingArguments, max_length: int, settings: ModelConfig | None = None) -> str:
    """What to change so that training takes less memory, the cheapest thing first.

    Args:
        args: How it is trained.
        max_length: Tokens of a sequence, at most.
        settings: How the model is adapted, where that may be changed.
    """
    size, accumulate = args.per_device_train_batch_size, args.gradient_accumulation_steps
    if size > 1:
        fewer = (size + 1) // 2
        return (
            f"lower the batch with --per_device_train_batch_size {fewer} --gradient_accumulation_steps "
            f"{accumulate * size // fewer} (now {size} and {accumulate}), which trains the same"
        )
    if not args.gradient_checkpointing:
        return "turn on --gradient_checkpointing true, which takes a third more time"
    if settings is not None and not settings.use_peft:
        return "train a LoRA adapter instead of all weights with --use_peft true"
    if settings is not None and not settings.load_in_4bit:
        return "keep the base in 4 bits with --load_in_4bit true"
    return f"lower the length with --max_length {max_length // 2} (now {max_length})"
