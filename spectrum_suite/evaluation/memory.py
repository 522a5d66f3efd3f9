"""The memory that scoring takes, counted before the model is loaded on a pass whose tensors have no content."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from transformers import PreTrainedConfig

from spectrum_suite.adapters import read_adapter_config, trained_tokens
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.generation.logprobs import MAX_SHARED_TOKENS
from spectrum_suite.live_memory import (
    FIRST_SCORING,
    FIRST_USE,
    NF4_BYTES,
    LiveMemory,
    MemoryEstimate,
    converted_bytes,
    inputs_of,
    make_fake,
    shapes_of,
    tensor_bytes,
)
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm_head import HEAD_POSITIONS
from spectrum_suite.loading import read_config


def say_memory(lm: LocalLM, settings: EvaluationSettings) -> None:
    """Log how much memory an evaluation takes, and what to change where there is less."""
    files = lm.files.base or lm.files
    length = settings.max_length if "steerability" in settings.desiderata else MAX_SHARED_TOKENS
    shape = settings.batch_size, length
    estimate = count_scoring(read_config(files.folder, files.name), lm, shape)
    if settings.batch_size > 1:
        remedy = f"lower the batch with --batch_size {settings.batch_size // 2} (now {settings.batch_size})"
    elif not settings.load_in_4bit:
        remedy = "load the weights in 4 bits with --load_in_4bit"
    else:
        remedy = f"lower the length with --max_length {settings.max_length // 2} (now {settings.max_length})"
    estimate.say(lm.device, f"scoring {shape[0]} x {shape[1]} tokens at a time", remedy)


def count_scoring(config: PreTrainedConfig, lm: LocalLM, shape: tuple[int, int]) -> MemoryEstimate:
    """The memory of scoring with a model of this configuration; that of the keys and values of samples is left out.

    Args:
        config: Of the model.
        lm: The model, which is not loaded.
        shape: Rows of a batch and tokens of a row.
    """
    model = shapes_of(deepcopy(config), lm.dtype)
    converting = converted_bytes(config, model.parameters(), lm.dtype, in_4bit=lm.load_in_4bit)
    weights = tensor_bytes([*model.parameters(), *model.buffers()])
    head = model.get_output_embeddings()
    whole = 0
    if lm.files.base and trained_tokens(read_adapter_config(lm.files.folder, lm.files.name)):
        converting = max(converting, head.weight.nbytes)  # merging the adapter's rows makes the matrix anew
    if lm.load_in_4bit:
        matrices = [each.weight for each in model.modules() if isinstance(each, nn.Linear) and each is not head]
        weights -= sum(weight.nbytes - weight.numel() * NF4_BYTES for weight in matrices)
        whole = max(weight.nbytes for weight in matrices)
    compute = head.forward
    with make_fake(model, lm.device), torch.no_grad():
        inputs = inputs_of(model.eval(), *shape)
        head.forward = lambda states: compute(states.flatten(0, 1)[:HEAD_POSITIONS].clone())
        with LiveMemory([*model.parameters(), *model.buffers()]) as live:
            model(**inputs).logits.float().logsumexp(-1)
    return MemoryEstimate.of(
        lm.device,
        converting=converting,
        weights=weights,
        step=live.peak + whole,
        in_4bit=lm.load_in_4bit,
        first_use=FIRST_USE if lm.load_in_4bit else FIRST_SCORING,
    )
