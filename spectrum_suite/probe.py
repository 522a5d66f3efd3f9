"""Two short texts that tell what a model is: run on them, it shows whether it is causal, and the same as another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from spectrum_suite.lm_head import HeadView

LENGTH = 8
"""Tokens of each text."""

SAME = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""By how much of the largest logit two ways to compute the same may differ; 16-bit weights are rounded when merged."""


@torch.inference_mode()
def logits_after(model: nn.Module, among: Sequence[int] = ()) -> torch.Tensor:
    """Logits of a model after the first and after the last token of two texts that begin with the same token.

    Args:
        model: A causal language model, with or without an adapter; it is left in the mode that it is in.
        among: Tokens to have in the texts; the others are spread over the vocabulary.

    Returns:
        (texts, positions, vocabulary) = (2, 2, vocabulary), float32, on the CPU.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    spread = torch.linspace(1, max(vocabulary - 1, 1) * 0.9, 2 * LENGTH).long().tolist()
    tokens = [*list(among)[-LENGTH:], *spread]
    first, rest = spread[0], tokens[: 2 * (LENGTH - 1)]
    texts = torch.tensor([[first, *rest[0::2]], [first, *rest[1::2]]], device=model.device)
    training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            found = HeadView(model)(lambda states: states[:, [0, -1]].flatten(0, 1), input_ids=texts, use_cache=False)
    finally:
        model.train(training)
    return found.logits.float().view(2, 2, -1).cpu()


def reads_ahead(logits: torch.Tensor, model: PreTrainedModel) -> bool:
    """Whether the logits after the first token of the two texts differ, although only later tokens do.

    Args:
        logits: Those of :func:`logits_after`.
        model: That gave them. More than its rounding counts, which may depend on the other tokens of a batch; what is
            as small in 16 bits counts where the configuration says that the model is not a decoder.
    """
    first, second = logits[:, 0]
    apart, largest = (first - second).abs().max(), first.abs().max()
    if apart > 16 * torch.finfo(model.dtype).eps * largest:
        return True
    is_coarse = model.dtype != torch.float32
    return is_coarse and bool(apart > 0) and getattr(model.config, "is_decoder", None) is False


def difference(logits: torch.Tensor, others: torch.Tensor) -> float:
    """The largest difference between the logits of two models; infinite where only one of them has NaN."""
    apart = (logits - others).abs()
    both = logits.isnan() & others.isnan()
    return float(apart.masked_fill(both, 0).nan_to_num(torch.inf).max())


def are_same(logits: torch.Tensor, others: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether two ways to compute a model in ``dtype`` agree on the texts."""
    largest = logits[logits.isfinite()].abs().max() if logits.isfinite().any() else torch.tensor(1.0)
    return difference(logits, others) <= SAME.get(dtype, SAME[torch.bfloat16]) * float(largest)
