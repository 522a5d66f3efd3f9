"""Turn tokens of a family, and their rows of the embedding matrix: trained, from some beginning, or a donor model's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from spectrum_suite.embedded_model import resolve_model
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format
from spectrum_suite.loading import read_config

_WHOLE = {torch.float64, torch.float32, torch.bfloat16, torch.float16}

TRAIN, NEWLINE, TRANSPLANT, KEEP = "train", "newline", "transplant", "keep"


@dataclass(frozen=True)
class TurnTokenRows:
    """Rows of the embedding matrices for some tokens.

    Attributes:
        inputs: (tokens, width), of the input embeddings.
        outputs: The same of the LM head; equal to ``inputs`` where they are tied.
    """

    inputs: torch.Tensor
    outputs: torch.Tensor


def turn_token_source(asked: str) -> str | None:
    """The model after ``transplant:``, or None for the other ways; raises a UserError for what is neither."""
    kind, _, model = asked.partition(":")
    if (kind == TRANSPLANT) != bool(model) or kind not in (TRAIN, NEWLINE, TRANSPLANT, KEEP):
        raise UserError(f"no --turn_tokens {asked!r}: choose train, newline, keep, or transplant:MODEL")
    return model or None


def donor_rows(donor: str, tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> TurnTokenRows:
    """The rows that ``donor`` has for some tokens; nothing else of its weights is read.

    Args:
        donor: A model with the same vocabulary, usually the instruction-tuned one: a folder, a Hub id or an embedded
            model, in safetensors.
        tokenizer: The tokenizer of the model that gets the rows.
        token_ids: The tokens.

    Raises:
        UserError: There is no such model, it is an encoder-decoder, its embeddings are quantized, or its tokens are
            others.
    """
    name = resolve_model(donor)
    tokens = tokenizer.convert_ids_to_tokens(list(token_ids))
    try:
        read_config(name, donor)
        theirs = AutoTokenizer.from_pretrained(name).convert_tokens_to_ids(tokens)
        inputs, outputs = (_read_rows(name, ending, token_ids) for ending in ("embed_tokens.weight", "lm_head.weight"))
    except (OSError, ValueError) as error:
        raise UserError(f"no turn tokens can be taken from {donor!r}: {str(error).splitlines()[0]}") from error
    if theirs != list(token_ids):
        raise UserError(f"model {donor!r} has other ids for {', '.join(tokens)}: give a model of the same vocabulary")
    if inputs is None:
        raise UserError(f"no turn tokens can be taken from {donor!r}: it has no matrix called embed_tokens.weight")
    rows = TurnTokenRows(inputs, inputs if outputs is None else outputs)
    if not {rows.inputs.dtype, rows.outputs.dtype} <= _WHOLE:
        raise UserError(f"no turn tokens can be taken from {donor!r}: its embeddings are quantized")
    return rows


def _read_rows(name: str, ending: str, token_ids: Sequence[int]) -> torch.Tensor | None:
    """Some rows of the matrix whose name ends so, or None where there is none."""
    index = cached_file(name, SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False)
    if index is None:
        files = {SAFE_WEIGHTS_NAME}
    else:
        with open(index, encoding="utf-8") as file:  # noqa: PTH123
            places = json.load(file)["weight_map"]
        files = {place for key, place in places.items() if key.endswith(ending)}
    for file in files:
        with safe_open(cached_file(name, file), framework="pt") as weights:
            for key in weights.keys():  # noqa: SIM118
                if key.endswith(ending):
                    matrix = weights.get_slice(key)
                    return torch.cat([matrix[token : token + 1] for token in token_ids])
    return None


def line_breaks(tokenizer: PreTrainedTokenizerBase, text_format: Format) -> dict[int, int]:
    """Turn token -> the token with whose row it may begin: the end of a turn as a line's, others as a blank line.

    A base model has never seen its turn tokens: Gemma 3 270M gives the end of a turn a probability of e^-33, but knows
    well where a line ends. Begun like this, training need not find that out first.
    """
    if text_format.turn is None:
        return {}
    end, blank = (tokenizer(text, add_special_tokens=False).input_ids[-1] for text in ("\n", "\n\n"))
    ids = tokenizer.convert_tokens_to_ids(list(text_format.turn.special))
    ends = (token == text_format.turn.end for token in text_format.turn.special)
    return {token_id: end if is_end else blank for token_id, is_end in zip(ids, ends, strict=True)}


def copy_rows(model: PreTrainedModel, sources: Mapping[int, int]) -> None:
    """Give some tokens of a model without an adapter the rows of others: token -> the token that it is like."""
    like = list(sources.values())
    matrices = (model.get_input_embeddings(), model.get_output_embeddings())
    overwrite_rows(model, list(sources), TurnTokenRows(*(matrix.weight[like] for matrix in matrices)))


@torch.no_grad()
def overwrite_rows(model: PreTrainedModel, token_ids: Sequence[int], rows: TurnTokenRows) -> None:
    """Overwrite rows of the embedding matrices of a model without an adapter; a bias of the head stays.

    Raises:
        UserError: The rows are those of a model of another width.
    """
    head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    if rows.inputs.shape[1] != embedding.shape[1]:
        raise UserError(
            f"the turn tokens are {rows.inputs.shape[1]} wide and the model is {embedding.shape[1]}: transplant from a "
            "model of the same size"
        )
    embedding[list(token_ids)] = rows.inputs.to(embedding)
    if head is not embedding:
        head[list(token_ids)] = rows.outputs.to(head)


def trainable_rows(model: PreTrainedModel, token_ids: Sequence[int]) -> dict[str, list[int]] | list[int] | None:
    """What PEFT's ``trainable_token_indices`` has to be, for tied embeddings and for a head of its own.

    A head with a bias keeps its rows, for PEFT would drop the bias of all tokens with them.
    """
    if not token_ids:
        return None
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head.weight is embeddings.weight and not has_bias(head):
        return list(token_ids)
    names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
    return {names[id(matrix)]: list(token_ids) for matrix in (embeddings, head) if not has_bias(matrix)}


def check_head_keeps_bias(model: PreTrainedModel, name: str, *, transplanted: bool) -> None:
    """Refuse rows of turn tokens in an adapter that would take the bias of the LM head with them.

    Args:
        model: The base.
        name: What to call it.
        transplanted: Whether the rows are not to train but to be those of other tokens, in both matrices.

    Raises:
        UserError: The head has a bias, and is tied to the embeddings or needs rows of its own.
    """
    head = model.get_output_embeddings()
    if has_bias(head) and (transplanted or head.weight is model.get_input_embeddings().weight):
        raise UserError(
            f"the LM head of model {name!r} has a bias, which an adapter with rows of turn tokens would drop: use "
            f"{'--turn_tokens train or keep' if transplanted else '--turn_tokens keep'}, or --use_peft false"
        )


def has_bias(matrix: nn.Module) -> bool:
    """Whether an LM head adds a number of its own to the score of each token."""
    return getattr(matrix, "bias", None) is not None


def turn_token_ids(tokenizer: PreTrainedTokenizerBase, text_format: Format) -> list[int]:
    """The ids of the format's turn tokens, sorted; empty for plain text."""
    if text_format.turn is None:
        return []
    return sorted(tokenizer.convert_tokens_to_ids(list(text_format.turn.special)))
