"""How a model is adapted: 4-bit LoRA, 16-bit LoRA or full fine-tuning; and an adapter merged into its base."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import PartialState
from peft import PeftModel, get_peft_model, prepare_model_for_kbit_training
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations import is_deepspeed_zero3_enabled
from trl import ModelConfig, get_quantization_config

from spectrum_suite.adapters import check_new, merged, put_on
from spectrum_suite.devices import best_device, has_4bit_kernels, has_dtype
from spectrum_suite.errors import UserError
from spectrum_suite.loading import (
    Purpose,
    avoid_packing,
    check_causal,
    explain_failed_load,
    load_causal_lm,
    own_quantization,
    read_config,
)
from spectrum_suite.probe import logits_after
from spectrum_suite.token_rows import overlay_rows
from spectrum_suite.training.lora import lora_config
from spectrum_suite.training.tokens import (
    TurnTokenRows,
    check_head_keeps_bias,
    copy_rows,
    overwrite_rows,
)

MERGED = "merged"
"""The folder of the merged model, within that of its adapter."""


@dataclass
class AdaptationConfig(ModelConfig):
    """TRL's ModelConfig with the defaults of the method: an adapter on a base in 4 bits."""

    use_peft: bool = field(default=True, metadata={"help": "Train a LoRA adapter; false trains all weights."})
    load_in_4bit: bool | None = field(
        default=None, metadata={"help": "Keep the base in 4 bits; the default with LoRA. false is 16-bit LoRA."}
    )
    lora_dropout: float | None = field(
        default=None, metadata={"help": "LoRA dropout; the default is 0.05, or 0 where PEFT adapts experts."}
    )
    adapter_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "An adapter of the same base to continue, a folder or a Hub id; its rank and layers are kept."
        },
    )

    def __post_init__(self) -> None:
        self.asked_revision = self.model_revision  # a branch or a tag, where the setting becomes its commit
        self.asks_for_bits = bool(self.load_in_4bit or self.load_in_8bit)
        self.asks_for_none = self.load_in_4bit is False and not self.load_in_8bit and self.use_peft
        if self.load_in_4bit is None:
            self.load_in_4bit = self.use_peft and not self.load_in_8bit
        if (self.load_in_4bit or self.load_in_8bit) and not self.use_peft:
            raise UserError(
                "weights in 4 or 8 bits cannot be trained themselves: leave --load_in_4bit out, or use LoRA"
            )
        if self.adapter_name_or_path and not self.use_peft:
            raise UserError(
                "--adapter_name_or_path trains an adapter further: leave --use_peft out, or merge it and tune that"
            )
        if self.load_in_8bit and best_device().type == "cpu":
            raise UserError("--load_in_8bit needs a GPU, and there is none here: use --load_in_4bit, or a GPU")
        if self.attn_implementation and "flash" in self.attn_implementation and best_device().type == "cpu":
            raise UserError(
                f"--attn_implementation {self.attn_implementation} needs a GPU, and there is none here: leave it out"
            )
        super().__post_init__()
        if isinstance(self.lora_target_modules, str) and re.fullmatch(r"[\w.]+", self.lora_target_modules):
            self.lora_target_modules = [self.lora_target_modules]  # PEFT would take it for the whole name of a module

    @property
    def method(self) -> str:
        """``4-bit LoRA``, ``8-bit LoRA``, ``LoRA`` or ``full fine-tuning``."""
        if not self.use_peft:
            return "full fine-tuning"
        return {(True, False): "4-bit LoRA", (False, True): "8-bit LoRA"}.get(
            (bool(self.load_in_4bit), self.load_in_8bit), "LoRA"
        )


def load_model(
    name: str,
    settings: AdaptationConfig,
    token_ids: Sequence[int] = (),
    transplanted: TurnTokenRows | None = None,
    like: Mapping[int, int] | None = None,
    *,
    adapter: Path | None = None,
    device: torch.device | None = None,
) -> PreTrainedModel | PeftModel:
    """The model to train: the base with a LoRA adapter on all linear layers, or the base itself.

    Args:
        name: A folder or a Hub id.
        settings: Of the adaptation. Its dtype becomes the one that was loaded, its LoRA that of ``adapter``.
        token_ids: Tokens whose rows of the embedding matrices belong to the adapter.
        transplanted: What these rows are, and stay with LoRA; None trains them.
        like: Some of these tokens -> the token with whose row they begin; the others begin with what the base has.
        adapter: The folder of an adapter to train further, rows of tokens included, instead of a new one.
        device: On which it will train; by default the accelerator where there is one.

    Raises:
        UserError: The model cannot be loaded whole, is not a causal language model, or is quantized in a way that
            cannot be trained; or the adapter does not fit it.
    """
    model = _base(name, settings, best_device() if device is None else device)
    if settings.use_peft and token_ids:
        check_head_keeps_bias(model, name, transplanted=transplanted is not None or bool(like))
    if transplanted is not None:
        overwrite_rows(model, token_ids, transplanted)
    if like:
        copy_rows(model, like)
    if not settings.use_peft:
        return model
    if settings.load_in_4bit or settings.load_in_8bit:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if adapter is not None:
        return _adapter_to_train(model, adapter, settings, name)
    peft_model = _new_adapter(model, name, settings, token_ids)
    overlay_rows(peft_model)
    if transplanted is not None:
        for parameter_name, parameter in peft_model.named_parameters():
            if "trainable_tokens_delta" in parameter_name:
                parameter.requires_grad_(False)
    return peft_model


def _new_adapter(model: PreTrainedModel, name: str, settings: AdaptationConfig, token_ids: Sequence[int]) -> PeftModel:
    """The model with a new LoRA adapter that has rows for some tokens."""
    adapter = lora_config(model, settings, token_ids, exclude=layers_of_other_modalities(model))
    settings.lora_dropout = adapter.lora_dropout
    is_checked = PartialState().is_main_process and not is_deepspeed_zero3_enabled()
    expected = logits_after(model) if is_checked else None
    with explain_failed_load(f"model {name!r} cannot be given a LoRA adapter"):
        peft_model = get_peft_model(model, adapter)
    _check_head_is_not_adapted(peft_model)
    if expected is not None:
        check_new(peft_model, expected, name=name)
    return peft_model


def _base(name: str, settings: AdaptationConfig, device: torch.device) -> PreTrainedModel:
    """The model itself, checked; ``settings`` become what was loaded: its dtype, and in how many bits it is."""
    accelerated = device.type != "cpu"
    quantization = get_quantization_config(settings)
    own = own_quantization(read_config(name, name, settings.model_revision), name)
    if settings.asks_for_none and isinstance(own, BitsAndBytesConfig):
        raise UserError(
            f"model {name!r} has its weights in {4 if own.load_in_4bit else 8} bits: leave --load_in_4bit false out, "
            "or give a checkpoint in 16 bits"
        )
    if own and not settings.asks_for_bits:
        quantization = None  # four bits are only the default: the checkpoint has its own
    options = {"attn_implementation": settings.attn_implementation} if settings.attn_implementation else {}
    if quantization:
        check_kernels(settings, device)
    if accelerated and quantization:
        options["device_map"] = {"": device}
    in_4bit_there = accelerated and settings.load_in_4bit and has_dtype(device, torch.bfloat16)
    model = load_causal_lm(
        name,
        name=name,
        purpose=Purpose.ADAPT if settings.use_peft else Purpose.CHANGE,
        dtype=torch.bfloat16 if in_4bit_there else settings.dtype,
        revision=settings.model_revision,
        quantization=quantization,
        **options,
    )
    avoid_packing(model)
    if not is_deepspeed_zero3_enabled():  # which has shared its weights out
        check_causal(model, name)
    settings.dtype = str(model.dtype).removeprefix("torch.")
    settings.load_in_4bit = settings.use_peft and getattr(model, "is_loaded_in_4bit", False)
    settings.load_in_8bit = settings.use_peft and getattr(model, "is_loaded_in_8bit", False)
    return model


def _adapter_to_train(model: PreTrainedModel, folder: Path, settings: AdaptationConfig, name: str) -> PeftModel:
    """The model with an adapter from a folder, which trains on."""
    peft_model = put_on(model, folder, name=str(folder), base_name=name, trainable=True)
    _check_head_is_not_adapted(peft_model)
    overlay_rows(peft_model)
    adapter = peft_model.peft_config["default"]
    settings.lora_r, settings.lora_alpha, settings.lora_dropout = adapter.r, adapter.lora_alpha, adapter.lora_dropout
    settings.use_rslora, settings.use_dora = adapter.use_rslora, adapter.use_dora
    return peft_model


def _check_head_is_not_adapted(model: PeftModel) -> None:
    """Refuse an adapter on the LM head, from whose own weights TRL computes the loss."""
    if isinstance(model.get_output_embeddings(), BaseTunerLayer):
        raise UserError("an adapter on the LM head would not be trained: leave the head out of --lora_target_modules")


def layers_of_other_modalities(model: PreTrainedModel) -> list[str]:
    """Names of the linear layers outside the language model, such as Gemma 3's vision tower: text trains none."""
    language = {id(module) for module in (*model.get_decoder().modules(), model.get_output_embeddings())}
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return [name for name, module in linear.items() if id(module) not in language]


def check_kernels(settings: AdaptationConfig, device: torch.device) -> None:
    """Refuse weights in 4 bits on a device for which bitsandbytes has no kernels.

    Raises:
        UserError: It has none.
    """
    if settings.load_in_4bit and not has_4bit_kernels(device):
        raise UserError(
            f"bitsandbytes has no kernels for weights in 4 bits on {device.type}: use --load_in_4bit false, which "
            "trains a LoRA adapter on 16-bit weights"
        )


def keep_adapter_precision(model: torch.nn.Module) -> None:
    """Undo, on a CPU, that TRL casts the adapter of a quantized model to bfloat16: it would cost precision."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.device.type == "cpu":
            parameter.data = parameter.data.float()


def merge_adapter(adapter: Path, name: str, revision: str, tokenizer: PreTrainedTokenizerBase) -> Path:
    """Write base + adapter as one model in safetensors, in the dtype of the base's files; returns its folder.

    The base is loaded again: 4-bit weights would be merged with their rounding. One whose own files are in 4 or 8 bits
    is made whole, since the adapter was trained with these weights.

    Args:
        adapter: The adapter's folder; the model goes into a folder of it.
        name: The base.
        revision: Branch, tag or commit of the base on a Hub.
        tokenizer: Goes with the model.

    Raises:
        UserError: The base cannot be made whole, or the merged model is another function than base and adapter.
    """
    folder, writing = adapter / MERGED, adapter / f"{MERGED}.writing"
    shutil.rmtree(writing, ignore_errors=True)
    base = load_causal_lm(name, name=name, purpose=Purpose.CHANGE, dtype="auto", revision=revision)
    model = merged(put_on(base, adapter, name=str(adapter), base_name=name), name=str(adapter))
    model.save_pretrained(writing)
    tokenizer.save_pretrained(writing)
    shutil.rmtree(folder, ignore_errors=True)
    writing.rename(folder)
    return folder
