"""The configuration of a new LoRA adapter, checked on the very model that it is for."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedModel
from trl import ModelConfig

from spectrum_suite.errors import UserError, first_line
from spectrum_suite.training.tokens import trainable_rows

DROPOUT = 0.05
MATRIX = 2
"""Dimensions of a parameter that every kind of LoRA can adapt; experts are stacked in one with more."""


def lora_config(
    model: PreTrainedModel, settings: ModelConfig, token_ids: Sequence[int], *, exclude: Sequence[str] = ()
) -> LoraConfig:
    """LoRA on all linear layers, or on those that the settings name.

    Args:
        model: To be adapted; it is not changed.
        settings: Rank and the like. Without a dropout it is :data:`DROPOUT`, or 0 where PEFT has none for the layers.
        token_ids: Tokens whose rows of the embedding matrices train with it.
        exclude: Names of layers that stay as they are.

    Raises:
        UserError: A layer or parameter is named that the model does not have, or PEFT refuses the settings.
    """
    _check_targets(model, settings)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=DROPOUT if settings.lora_dropout is None else settings.lora_dropout,
        target_modules=settings.lora_target_modules or "all-linear",
        target_parameters=settings.lora_target_parameters,
        exclude_modules=list(exclude) or None,
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        trainable_token_indices=trainable_rows(model, token_ids),
    )
    if any(parameter.ndim > MATRIX for parameter in model.parameters()):  # experts, with whom PEFT can do less
        error = _refusal(model, config)
        if error and settings.lora_dropout is None:
            config.lora_dropout = 0.0
            error = _refusal(model, config)
        if error:
            raise UserError(f"PEFT cannot adapt this model in this way: {first_line(error)}") from error
    return config


def _check_targets(model: PreTrainedModel, settings: ModelConfig) -> None:
    """Refuse names that fit nothing, of which PEFT does not speak while others fit."""
    modules, parameters = ([name for name, _ in found] for found in (model.named_modules(), model.named_parameters()))
    named = settings.lora_target_modules if isinstance(settings.lora_target_modules, list) else []
    for option, asked, known in (
        ("lora_target_modules", named, modules),
        ("lora_target_parameters", settings.lora_target_parameters or [], parameters),
    ):
        for name in asked:
            if name != "all-linear" and not any(each == name or each.endswith(f".{name}") for each in known):
                what = option.removeprefix("lora_target_")[:-1]
                raise UserError(f"--{option} {name}: the model has no {what} of this name, such as {known[-1]!r}")


def _refusal(model: PreTrainedModel, config: LoraConfig) -> ValueError | None:
    """What PEFT says against the configuration, tried on the model's shapes without its weights."""
    with torch.device("meta"):
        shapes = AutoModelForCausalLM.from_config(copy(model.config))
    try:
        get_peft_model(shapes, copy(config))
    except ValueError as error:
        return error
    return None
