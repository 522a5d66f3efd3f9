"""A checkpoint read whole, or refused: every weight is the checkpoint's own, and the model is a causal one.

`transformers` draws what a checkpoint lacks at random, leaves out what it does not know, and loads encoders as if they
were decoders; each is a warning at most. Here each is an error in one line.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedConfig, PreTrainedModel
from transformers.quantizers.auto import AutoHfQuantizer, AutoQuantizationConfig
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file
from transformers.utils.quantization_config import QuantizationConfigMixin

from spectrum_suite.errors import UserError, first_line
from spectrum_suite.probe import logits_after, reads_ahead

LOAD_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    ImportError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    SafetensorError,
)
"""What files that are broken, of another kind or in need of a package make `transformers` and PEFT raise."""

NAMED_WEIGHTS = 3  # weights that a message names; the others are counted
_FAR_BELOW = -1e3  # what a mask adds to scores is smaller, and a scale or a weight is not


class Purpose(Enum):
    """What a model is loaded for, which decides what may stay quantized of a checkpoint that is."""

    SCORE = "scored"
    ADAPT = "adapted"
    CHANGE = "changed"


def load_causal_lm(
    source: str | Path,
    *,
    name: str,
    purpose: Purpose,
    dtype: str | torch.dtype | None,
    revision: str | None = None,
    quantization: BitsAndBytesConfig | None = None,
    **options: Any,
) -> PreTrainedModel:
    """A causal language model with all weights of its checkpoint and no others. Code from a Hub is never run.

    A checkpoint that is quantized itself stays so where that serves the purpose; else its weights are made whole.

    Args:
        source: A folder or a Hub id.
        name: What to call it in messages.
        purpose: What it is loaded for.
        dtype: Of the weights that are not quantized; ``auto`` is the checkpoint's.
        revision: Branch, tag or commit, on a Hub.
        quantization: How to quantize weights that are not.
        options: Other arguments of ``from_pretrained``; none of them may be None that has a meaning as None.

    Raises:
        UserError: It cannot be loaded, is not a causal language model, or lacks weights or has too many.
    """
    config = read_config(source, name, revision)
    with explain_failed_load(f"model {name!r} cannot be loaded as a causal language model"):
        options |= _quantization(config, name, purpose, quantization)
        with without_load_report():
            model, report = AutoModelForCausalLM.from_pretrained(
                source,
                config=config,
                revision=revision,
                dtype=dtype,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are in the report, by name
                **options,
            )
    check_whole(report, source, name, revision)
    avoid_packing(model, everywhere=False)
    if purpose is Purpose.CHANGE and getattr(model, "is_quantized", False):
        model = model.dequantize()
    if not getattr(model, "is_quantized", False):
        _forget_quantization(model)
    return model


def read_config(source: str | Path, name: str, revision: str | None = None) -> PreTrainedConfig:
    """The configuration of a checkpoint.

    Raises:
        UserError: It cannot be read, or is that of an encoder-decoder.
    """
    with explain_failed_load(f"model {name!r} cannot be loaded as a causal language model"):
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    if config.is_encoder_decoder:
        raise UserError(f"model {name!r} is an encoder-decoder ({config.model_type}): give a causal language model")
    return config


def check_can_be_whole(source: str | Path, name: str, revision: str | None = None) -> None:
    """Refuse, at no cost, a checkpoint whose weights are quantized in a way that cannot be undone.

    Raises:
        UserError: It is one, or cannot be read.
    """
    with explain_failed_load(f"model {name!r} cannot be loaded as a causal language model"):
        _quantization(read_config(source, name, revision), name, Purpose.CHANGE, None)


def check_causal(model: PreTrainedModel, name: str) -> None:
    """Refuse a model whose probabilities of a token depend on later ones, or are none. It runs on 16 tokens.

    Raises:
        UserError: It is an encoder, its logits are not finite, or it cannot be run.
    """
    if not PartialState().is_main_process:
        return  # the others have the same model, or with FSDP none of its weights yet
    with explain_failed_load(f"model {name!r} cannot be run"):
        check_logits(logits_after(model), model, name)


def check_logits(logits: torch.Tensor, model: PreTrainedModel, name: str) -> None:
    """Refuse a model by its logits on the texts of :mod:`spectrum_suite.probe`; raises as :func:`check_causal`."""
    if not logits.isfinite().any():
        dtype = str(model.dtype).removeprefix("torch.")
        remedy = "its weights are broken" if model.dtype == torch.float32 else "load it in float32 (--dtype float32)"
        raise UserError(f"the logits of model {name!r} are not finite in {dtype}: {remedy}")
    if reads_ahead(logits, model):
        raise UserError(
            f"model {name!r} ({model.config.model_type}) attends to later tokens, as encoders do: "
            "give a causal language model"
        )


@contextmanager
def explain_failed_load(what: str) -> Iterator[None]:
    """Turn what a load raises into a UserError of one line, but for running out of memory."""
    try:
        yield
    except (UserError, torch.OutOfMemoryError):
        raise
    except LOAD_ERRORS as error:
        if "not enough memory" in str(error) or "can't allocate memory" in str(error):
            raise
        raise UserError(f"{what}: {first_line(error)}") from error


def own_quantization(config: PreTrainedConfig, name: str) -> QuantizationConfigMixin | None:
    """How the weights of a checkpoint are quantized, or None where they are not.

    Raises:
        UserError: `transformers` does not know the way.
    """
    found = getattr(config, "quantization_config", None)
    found = found or getattr(config.get_text_config(decoder=True), "quantization_config", None)
    if not found or isinstance(found, QuantizationConfigMixin):
        return found or None
    try:
        return AutoQuantizationConfig.from_dict(dict(found))
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(
            f"model {name!r} is quantized in a way that cannot be read here ({first_line(error)}): give its weights in "
            "16 bits"
        ) from error


def _quantization(
    config: PreTrainedConfig, name: str, purpose: Purpose, asked: BitsAndBytesConfig | None
) -> dict[str, Any]:
    """The argument ``quantization_config``, only where there is one: None would switch the checkpoint's own off."""
    own = own_quantization(config, name)
    if own is None:
        return {} if asked is None else {"quantization_config": asked}
    method = getattr(own.quant_method, "value", own.quant_method)
    if asked is not None and (not isinstance(own, BitsAndBytesConfig) or own.load_in_4bit != asked.load_in_4bit):
        raise UserError(
            f"model {name!r} is quantized already ({method}), and cannot be in {4 if asked.load_in_4bit else 8} bits: "
            "use --load_in_4bit false, or a checkpoint in 16 bits"
        )
    if purpose is Purpose.SCORE or isinstance(own, BitsAndBytesConfig):
        return {}
    if purpose is Purpose.ADAPT and getattr(AutoHfQuantizer.from_config(own), "is_trainable", False):
        return {}
    if not hasattr(own, "dequantize"):
        raise UserError(
            f"model {name!r} is quantized ({method}), and cannot be {purpose.value}: give its weights in 16 bits"
        )
    own.dequantize = True
    return {"quantization_config": own}


def check_whole(report: dict[str, Any], source: str | Path, name: str, revision: str | None = None) -> None:
    """Refuse a model whose weights are not all of its checkpoint and no others.

    Args:
        report: What ``from_pretrained`` gives with ``output_loading_info``.
        source: The folder or Hub id that it was given.
        name: What to call the model.
        revision: Branch, tag or commit, on a Hub.

    Raises:
        UserError: Weights are missing, unexpected or of another shape.
    """
    unexpected = _without_masks(report["unexpected_keys"], source, revision)
    mismatched = [f"{key} ({tuple(theirs)} for {tuple(ours)})" for key, theirs, ours in report["mismatched_keys"]]
    faults = {"lacks": report["missing_keys"], "has weights of other shapes:": mismatched, "has": unexpected}
    found = [f"{verb} {name_weights(keys)}" for verb, keys in faults.items() if keys]
    if found:
        known = ", which no part of the model takes" if unexpected else ""
        raise UserError(
            f"the checkpoint of model {name!r} {', and '.join(found)}{known}: it is incomplete, or of another kind of "
            "model"
        )


def name_weights(keys: Iterable[str]) -> str:
    """Some weights by name, and how many more there are."""
    ordered = sorted(keys)
    more = len(ordered) - NAMED_WEIGHTS
    return ", ".join(ordered[:NAMED_WEIGHTS]) + (f" and {more} more weights" if more > 0 else "")


def _without_masks(keys: Iterable[str], source: str | Path, revision: str | None) -> list[str]:
    """Keys but those of causal masks, which older checkpoints (GPT-Neo, GPT-J, CodeGen) keep with their weights."""
    left = set(keys)
    if left:
        for path in _weight_files(source, revision):
            with safe_open(path, framework="pt") as weights:
                for key in left.intersection(weights.keys()):
                    if _is_mask(weights.get_slice(key).get_shape(), weights, key):
                        left.discard(key)
    return sorted(left)


def _is_mask(shape: list[int], weights: Any, key: str) -> bool:
    """Whether a weight is a triangle or a band of ones, or the number far below zero that a mask adds."""
    if math.prod(shape) == 1:
        return weights.get_tensor(key).item() < _FAR_BELOW
    if len(shape) == 1 or shape[-1] != shape[-2] or set(shape[:-2]) - {1}:
        return False
    mask = weights.get_tensor(key).squeeze().float()
    zeros_and_ones = ((mask == 0) | (mask == 1)).all()
    return bool(zeros_and_ones and torch.equal(mask, mask.tril()) and (mask.diagonal() == 1).all())


def _weight_files(source: str | Path, revision: str | None) -> list[str]:
    find = {"revision": revision, "_raise_exceptions_for_missing_entries": False}
    index = cached_file(source, SAFE_WEIGHTS_INDEX_NAME, **find)
    names = {SAFE_WEIGHTS_NAME}
    if index is not None:
        names = set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
    return [path for path in (cached_file(source, name, **find) for name in sorted(names)) if path is not None]


def _forget_quantization(model: PreTrainedModel) -> None:
    """Let weights that were made whole be saved as they are: what was done to them on loading is not done backwards."""
    kept = getattr(model, "_weight_conversions", None)
    if kept is not None:
        of_quantizer = (any(hasattr(op, "hf_quantizer") for op in getattr(each, "operations", ())) for each in kept)
        model._weight_conversions = [each for each, drop in zip(kept, of_quantizer, strict=True) if not drop]


def avoid_packing(model: PreTrainedModel, *, everywhere: bool = True) -> None:
    """Keep bitsandbytes from packing 4-bit matrices for a CPU with bfloat16 when they are first used in eval mode.

    Packed ones are faster, but have no gradients, and are rounded once more.

    Args:
        model: With or without such matrices.
        everywhere: Or only those of shapes that cannot be packed, at which it fails.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            state = module.weight.quant_state
            block = 64 if state is None else state.blocksize
            if everywhere or module.out_features % 32 or module.in_features % block:
                module.support_avx512bf16_for_cpu = False


@contextmanager
def without_load_report() -> Iterator[None]:
    """Within, `transformers` does not print its table of weights that are missing: an error names them."""
    logger = logging.getLogger("transformers.modeling_utils")

    def keep(record: logging.LogRecord) -> bool:
        return "LOAD REPORT" not in str(record.msg)

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
