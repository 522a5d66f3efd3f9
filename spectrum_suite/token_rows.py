"""Rows of the embedding matrices that an adapter has of its own, laid over those of the base.

PEFT's ``trainable_token_indices`` has single rows inside the adapter, tied weights included, but builds the whole
matrix anew in every forward pass: for Gemma 3 270M 671 MB in float32, more work than the rest of the model. The same
function needs no copy: look the rows up, and overwrite the few that the adapter has.
"""

from __future__ import annotations

import types
from collections.abc import Callable

import torch
from peft.tuners.trainable_tokens import TrainableTokensLayer
from torch import nn


def overlay_rows(model: nn.Module) -> int:
    """Make the layers of a PEFT model that have rows of their own compute them alone; returns how many there are.

    Parameters, their names, what is saved and what is computed stay PEFT's, which answers itself where several adapters
    are active, and for a head with a bias, which it drops.
    """
    layers = [
        module
        for module in model.modules()
        if isinstance(module, TrainableTokensLayer) and getattr(module.base_layer, "bias", None) is None
    ]
    for layer in layers:
        embeds = isinstance(layer.base_layer, nn.Embedding)
        plain: Callable = layer.forward_adapters
        layer.forward_adapters = types.MethodType(_embed_rows if embeds else _score_rows, layer)
        layer.rebuild_matrix = plain  # what an inactive or merged adapter needs
    return len(layers)


def active_rows(layer: TrainableTokensLayer, active_adapters: list[str]) -> tuple[torch.Tensor, torch.Tensor] | None:
    """(token ids, rows) of the one active adapter, or None where PEFT's own code has to answer."""
    if layer.disable_adapters or layer.merged or len(active_adapters) != 1:
        return None
    name = active_adapters[0]
    rows = layer.trainable_tokens_delta[name]
    return torch.tensor(layer.token_indices[name], device=rows.device), rows


def _embed_rows(layer: TrainableTokensLayer, x: torch.Tensor, active_adapters: list[str]) -> torch.Tensor:
    """Token ids of shape (batch, length) -> embeddings of shape (batch, length, width)."""
    active = active_rows(layer, active_adapters)
    if active is None:
        return layer.rebuild_matrix(x, active_adapters)
    token_ids, rows = active
    embedded = layer.base_layer(x)
    scale = layer._get_embed_scale()
    rows = rows.to(embedded.dtype) if scale is None else rows.to(embedded.dtype) * scale.to(embedded.dtype)
    matches = x.unsqueeze(-1) == token_ids
    return torch.where(matches.any(-1, keepdim=True), rows[matches.int().argmax(-1)], embedded)


def _score_rows(layer: TrainableTokensLayer, x: torch.Tensor, active_adapters: list[str]) -> torch.Tensor:
    """Hidden states of shape (..., width) -> logits of shape (..., vocabulary)."""
    active = active_rows(layer, active_adapters)
    if active is None:
        return layer.rebuild_matrix(x, active_adapters)
    token_ids, rows = active
    scores = nn.functional.linear(x, rows.to(x.dtype))
    return layer.base_layer(x).index_copy(-1, token_ids, scores)
