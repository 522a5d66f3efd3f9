"""An adapter put on its base and merged into it, or refused: adapted and merged model are one function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel, PeftType, TaskType, get_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING
from peft.peft_model import PeftModelForCausalLM
from peft.tuners.lora import LoraLayer
from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper, ModulesToSaveWrapper, TrainableTokensWrapper, load_peft_weights
from torch import nn
from transformers import PreTrainedModel

from spectrum_suite.errors import UserError
from spectrum_suite.loading import check_logits, explain_failed_load, name_weights
from spectrum_suite.probe import are_same, difference, logits_after

_ROUNDING = 1e-6  # of the largest weight: what is computed twice in different order


def read_adapter_config(folder: Path, name: str) -> PeftConfig:
    """The configuration of an adapter that changes weights of a causal language model.

    Args:
        folder: The adapter's.
        name: What to call it in messages.

    Raises:
        UserError: It cannot be read, or the adapter is of another kind.
    """
    with explain_failed_load(f"the configuration of adapter {name!r} cannot be read"):
        config = PeftConfig.from_pretrained(str(folder))
    kind = getattr(config.peft_type, "value", config.peft_type)
    if config.is_prompt_learning or config.is_adaption_prompt or kind not in PEFT_TYPE_TO_PREFIX_MAPPING:
        raise UserError(
            f"adapter {name!r} is of kind {kind}, which changes no weights and cannot be merged: tune one that does, "
            "such as LoRA"
        )
    if config.task_type not in (None, TaskType.CAUSAL_LM):
        raise UserError(f"adapter {name!r} is for the task {config.task_type}: give one of a causal language model")
    return config


def put_on(base: PreTrainedModel, folder: Path, *, name: str, base_name: str, trainable: bool = False) -> PeftModel:
    """The base with an adapter, all of whose weights are in the folder and have a place in the model.

    Raises:
        UserError: The adapter is of another kind or does not fit the base, or some of its weights are missing.
    """
    config = read_adapter_config(folder, name)
    config.inference_mode = not trainable
    kind = PeftModelForCausalLM if config.task_type == TaskType.CAUSAL_LM else PeftModel
    with explain_failed_load(f"adapter {name!r} does not fit base {base_name!r}"):
        adapted = kind(base, config)
        mapping = getattr(base, "_checkpoint_conversion_mapping", {})
        result = adapted.load_adapter(str(folder), "default", is_trainable=trainable, key_mapping=mapping)
        missing = {key.replace(".default.", ".") for key in result.missing_keys}
        unexpected = list(result.unexpected_keys)
        if not missing and not mapping:
            kept = load_peft_weights(str(folder), device="cpu").keys()
            missing = get_peft_model_state_dict(adapted, save_embedding_layers=False).keys() - kept
    faults = {"lacks": missing, "has": unexpected}
    found = [f"{verb} {name_weights(keys)}" for verb, keys in faults.items() if keys]
    if found:
        known = ", for which there is no place" if unexpected else ""
        raise UserError(
            f"adapter {name!r} on base {base_name!r} {', and '.join(found)}{known}: give the base it was made for"
        )
    return adapted.train(trainable)


def check_adapted(adapted: PeftModel, *, name: str) -> torch.Tensor:
    """The logits of an adapted model on the texts of :mod:`spectrum_suite.probe`.

    Raises:
        UserError: As :func:`spectrum_suite.loading.check_causal`.
    """
    with explain_failed_load(f"adapter {name!r} cannot be run"):
        logits = logits_after(adapted, trained_tokens(adapted.active_peft_config))
        check_logits(logits, adapted.get_base_model(), name)
    return logits


def check_can_be_scaled(config: PeftConfig, name: str) -> None:
    """Refuse a scale for an adapter whose change of the weights is not a sum that it can multiply.

    Raises:
        UserError: It is not LoRA, or it is DoRA, which scales whole weights besides.
    """
    kind = "DoRA" if getattr(config, "use_dora", False) else getattr(config.peft_type, "value", config.peft_type)
    if kind != PeftType.LORA.value:
        raise UserError(f"adapter {name!r} is {kind}, whose change has no scale: --adapter_scale is for LoRA adapters")


def scale(adapted: PeftModel, factor: float, base_logits: torch.Tensor, *, name: str) -> None:
    """Take ``factor`` of what an adapter changes: low-rank products, rows of tokens and whole modules alike.

    The weights are then those of the base plus ``factor`` times their difference to it. That all of the difference is
    scaled is seen at 0, where the model must be the base, bit for bit.

    Args:
        adapted: The base with the adapter; its scaling is changed in place.
        factor: 0 for the base, 1 for the adapter.
        base_logits: Those of the base on the texts of :mod:`spectrum_suite.probe`, with the adapter's tokens in them.
        name: What to call the adapter in messages.

    Raises:
        UserError: It cannot be scaled.
    """
    scalings = [
        (module.scaling, key, value)
        for module in adapted.modules()
        if isinstance(module, LoraLayer)
        for key, value in module.scaling.items()
    ]
    replaced = [(mine, mine.detach().clone(), theirs.detach().to(mine)) for mine, theirs in _replaced(adapted)]
    for part in (0.0, factor):
        for scaling, key, value in scalings:
            scaling[key] = value * part
        for mine, full, theirs in replaced:
            mine.data.copy_(theirs + part * (full - theirs))
        if part == 0 and not torch.equal(check_adapted(adapted, name=name), base_logits):
            raise UserError(
                f"adapter {name!r} at scale 0 is not its base, with logits "
                f"{difference(check_adapted(adapted, name=name), base_logits):.2g} apart: it changes weights that have "
                "no scale; leave --adapter_scale out"
            )


def _replaced(adapted: PeftModel) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Weights that an adapter has in place of the base's, each with the base's; those that are shared once."""
    seen: set[int] = set()
    for module in adapted.modules():
        pairs = []
        if isinstance(module, TrainableTokensLayer):
            pairs = [
                (rows, module.trainable_tokens_original[key]) for key, rows in module.trainable_tokens_delta.items()
            ]
        elif isinstance(module, ModulesToSaveWrapper):
            theirs = dict(module.original_module.named_parameters())
            pairs = [
                (each, theirs[key]) for own in module.modules_to_save.values() for key, each in own.named_parameters()
            ]
        for mine, original in pairs:
            if id(mine) not in seen:
                seen.add(id(mine))
                yield mine, original


def check_new(adapted: PeftModel, expected: torch.Tensor, *, name: str) -> None:
    """Refuse a new adapter that would not train as it is merged: one whose layers the model does not call, or not all.

    Args:
        adapted: The base with the adapter, which changes nothing yet.
        expected: The logits of the base on the texts of :mod:`spectrum_suite.probe`.
        name: What to call the base in messages.

    Raises:
        UserError: The model cannot be run with the adapter, computes something else with it, or uses the weights of an
            adapted layer without calling it, or in another place as well.
    """
    called: set[int] = set()
    modules = dict(adapted.named_modules())
    handles = [each.register_forward_hook(lambda module, *_: called.add(id(module))) for each in modules.values()]
    try:
        with explain_failed_load(f"model {name!r} cannot be run with a LoRA adapter on these layers"):
            logits = logits_after(adapted)
    finally:
        for handle in handles:
            handle.remove()
    if not are_same(expected, logits, torch.bfloat16):
        raise UserError(
            f"model {name!r} is another model with a new LoRA adapter, with logits {difference(expected, logits):.2g} "
            "apart: choose other layers with --lora_target_modules"
        )
    layers = {path: module for path, module in modules.items() if isinstance(module, LoraLayer)}
    plain = {path: module for path, module in layers.items() if type(module.get_base_layer()) is nn.Linear}
    bypassed = [
        path
        for path, module in plain.items()
        if id(module) not in called and id(modules[path.rpartition(".")[0]]) in called
    ]
    places = Counter(id(weight) for _, weight in adapted.named_parameters(remove_duplicate=False))
    shared = [path for path, module in plain.items() if places[id(module.get_base_layer().weight)] > 1]
    if bypassed or shared:
        raise UserError(
            f"model {name!r} uses the weights of {name_weights(_short(bypassed or shared))} past a LoRA adapter: "
            "choose other layers with --lora_target_modules"
        )


def _short(paths: list[str]) -> list[str]:
    """Names of layers in the base, without what PEFT puts in front of them."""
    return [path.removeprefix("base_model.model.") for path in paths]


def merged(adapted: PeftModel, *, name: str) -> PreTrainedModel:
    """The base with the adapter merged into its weights, the same function of its input as the two apart.

    Where the base ties embeddings and LM head and the adapter changes one of them, they are tied no longer.

    Raises:
        UserError: It is an adapter that cannot be merged, or one that is another function when it is.
    """
    logits, among = check_adapted(adapted, name=name), trained_tokens(adapted.active_peft_config)
    _untie(adapted)
    with explain_failed_load(f"adapter {name!r} cannot be merged into its base"):
        model = adapted.merge_and_unload()
        _say_whether_tied(model)
        others = logits_after(model, among)
    if not are_same(logits, others, model.dtype):
        raise UserError(
            f"adapter {name!r} merged into its base is another model, with logits {difference(logits, others):.2g} "
            "apart: it cannot be scored or merged here"
        )
    return model


def trained_tokens(config: PeftConfig) -> list[int]:
    """Tokens that have rows of their own in the adapter."""
    indices = getattr(config, "trainable_token_indices", None) or getattr(config, "token_indices", None) or []
    return sorted(set().union(*indices.values())) if isinstance(indices, dict) else sorted(indices)


def _inside(module: nn.Module) -> nn.Module:
    """The module of the base in whatever an adapter has put around it."""
    while True:
        if isinstance(module, AuxiliaryTrainingWrapper):
            module = module.original_module
        elif isinstance(module, BaseTunerLayer):
            module = module.get_base_layer()
        else:
            return module


def _untie(adapted: PeftModel) -> None:
    """Give the head weights of its own where it shares those of the embeddings and an adapter would change them."""
    model = adapted.get_base_model()
    matrices = [model.get_input_embeddings(), model.get_output_embeddings()]
    embeddings, head = (None if matrix is None else _inside(matrix) for matrix in matrices)
    if head is None or embeddings.weight is not head.weight:
        return
    with_rows = [isinstance(matrix, TrainableTokensWrapper) for matrix in matrices]
    if any(isinstance(matrix, BaseTunerLayer) for matrix in matrices) or any(with_rows) != all(with_rows):
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)


def _say_whether_tied(model: PreTrainedModel) -> None:
    """Let the configuration say of embeddings and head what is so after merging, for whoever loads the model again."""
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or head.weight is embeddings.weight:
        return
    apart, largest = (head.weight - embeddings.weight).abs().max(), embeddings.weight.abs().max()
    if apart <= _ROUNDING * largest and model.config.get_text_config().tie_word_embeddings:
        head.weight = embeddings.weight
        return
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = False
    model.all_tied_weights_keys = model.get_expanded_tied_weights_keys(all_submodels=True)
