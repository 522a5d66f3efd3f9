"""How texts may be laid out in a pass of a model, proven on the model itself.

What a model gives a text that is alone in a pass is right. Padding, packing and sharing prefixes are faster, and give
the same numbers where a model keeps texts apart; whether it does cannot be seen from its name or its configuration. So
a few short passes of the very model are compared, once per model:

    alone     S B                     (what is right)
    a line    O S A B                 (what S and B would get if everything before them leaked into them)
    a tree    O | S A | S B           (one row, ``S`` there once)
    a pack    O | S B                 (one row, separated by positions)

The difference to what is right has to be small compared with that of a leak, which is measured, so that a model that
hardly looks at its context proves nothing.
"""

from __future__ import annotations

import logging
import math
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from spectrum_suite.compared_passes import (
    IN_ROW,
    ComparedTexts,
    continued_pass,
    far_pass,
    followed_pass,
    largest_difference,
    likely_difference,
    log_probs_of,
    pack_pass,
    padded_pass,
    tree_pass,
)
from spectrum_suite.errors import UserError
from spectrum_suite.lm_head import unwatched
from spectrum_suite.tree_attention import core_model, takes

logger = logging.getLogger(__name__)

PER_LEAK = {torch.float32: 5e-4, torch.float64: 1e-6, torch.float16: 0.05, torch.bfloat16: 0.2}
"""The largest difference that rounding explains, as a share of what a leak would make."""

LEAST = {torch.float32: 1e-4, torch.float64: 1e-8, torch.float16: 0.02, torch.bfloat16: 0.15}
"""Nats by which a log-probability may differ from that of the same text alone, at least."""

_TIMES_NOISE = {torch.float32: 10, torch.float64: 10}
"""In longer texts rounding makes larger differences than in the short ones that are compared first."""

_TIMES_HALF_NOISE = 2  # the same where half precision rounds

_FOLLOWED = 128  # tokens, at most, of a row of one text that is compared before training
_Pass = Callable[..., torch.Tensor]


class Layout(IntEnum):
    """A way to lay out texts in a pass, from the plainest to the fastest."""

    ALONE = 0
    """Each text in a pass of its own."""
    PADDED = 1
    """A row for each text, padded at its end."""
    TREE = 2
    """Texts that share a row, and the tokens with which they begin."""


class NotApart(Exception):  # noqa: N818  it is a finding
    """Texts of one pass have other numbers than alone; the message says by how much."""


@dataclass
class Proof:
    """What was found out about a model.

    Attributes:
        layout: The fastest layout whose numbers are right.
        refusals: Why a faster one is not.
        tolerance: Nats by which a token's log-probability may differ from that of the same text alone.
        likely_tolerance: The same for the largest difference among all likely tokens; None until it was measured.
        reach: Tokens of the longest tree that was compared with its texts alone.
        padded_reach: Tokens of the longest row of one text that was compared with the text alone.
        extent: Tokens of the longest text beside which shorter ones were seen to keep their numbers.
        too_long: Tokens of the shortest text beside which they were seen not to.
        caches: Whether the cache of a pass leads on to the numbers of whole texts; None until it was tried.
        cached_reach: Tokens of the longest text to which they were followed and compared.
        responses: The fastest :class:`~spectrum_suite.generation.respond.Way` to respond that is not known to be wrong.
        response_reach: Tokens of the longest prompt on which it was tried.
        continues: Whether the cache of some responses leads on to the numbers of whole texts: of all of them (False),
            and of those that are left when others have ended (True). What is not there was not tried.
        texts: The texts that were compared; None where nothing but texts alone is right.
        precision: What rounds.
    """

    layout: Layout = Layout.ALONE
    refusals: dict[Layout, str] = field(default_factory=dict)
    tolerance: float = 0.0
    likely_tolerance: float | None = None
    reach: int = 0
    padded_reach: int = 0
    extent: float = math.inf
    too_long: float = math.inf
    caches: bool | None = None
    cached_reach: int = 0
    responses: int = 2
    response_reach: int = 0
    continues: dict[bool, bool] = field(default_factory=dict)
    texts: ComparedTexts | None = None
    precision: torch.dtype = torch.float32


_lock = threading.Lock()
_proofs: weakref.WeakKeyDictionary[nn.Module, tuple[threading.Lock, dict[tuple[Any, ...], Proof]]]
_proofs = weakref.WeakKeyDictionary()  # a proof belongs to the object: it is made once, and goes when the model goes


def proof_of(model: PreTrainedModel, autocast: torch.dtype | None = None, *, watched: bool = False) -> Proof:
    """What is proven of a model in the state that it is in; proven now where it was not yet.

    Threads may share the model: one of them proves, and the others wait.

    Args:
        model: The model.
        autocast: What the passes are computed in, if it is not the model's own precision.
        watched: Whether hooks on the model see the passes, as those must that gather weights from several processes.

    Raises:
        UserError: It is not a causal language model, is not the same twice, or cannot run a text alone.
    """
    with _lock:
        mine, known = _proofs.setdefault(model, (threading.Lock(), {}))
    state = (
        core_model(model).config.get_text_config()._attn_implementation,
        model.dtype,
        model.device,
        model.training,
        autocast,
        str(getattr(model, "active_adapter", None)),
    )
    with mine:
        if state not in known:
            with torch.no_grad():
                known[state] = _prove(model if watched else unwatched(model), _precision(model, autocast))
        return known[state]


@torch.no_grad()
def runs_beside(model: PreTrainedModel, longest: int) -> bool:
    """Whether texts keep their numbers in a pass with one of so many tokens; rotary embeddings may depend on it.

    Raises:
        UserError: As :func:`proof_of`.
    """
    proof = proof_of(model)
    if proof.texts is None or longest <= proof.extent:
        return True
    if longest < proof.too_long:
        reason = _beside(unwatched(model), proof.texts, proof.precision, longest)
        if not reason:
            proof.extent = longest
            return True
        proof.too_long = longest
        proof.refusals[Layout.PADDED] = f"beside a text of {longest} tokens {reason}"
    return False


@torch.no_grad()
def likely_tolerance(model: PreTrainedModel) -> float:
    """Nats by which :func:`~spectrum_suite.compared_passes.likely_difference` may differ from 0 by rounding.

    In half precision, the largest of hundreds of thousands of differences may be more than a nat. How large rounding
    makes it is measured on the model: plain passes of a text and of its beginnings are all right and differ.

    Raises:
        UserError: As :func:`proof_of`.
    """
    proof = proof_of(model)
    if proof.likely_tolerance is None:
        noise = 0.0
        if proof.precision not in _TIMES_NOISE:
            plain, (before, tokens) = unwatched(model), ComparedTexts.of(model).continued
            ids = before + tokens
            ends = range(len(before) + 1, len(ids) + 1)
            beginnings = torch.stack([alone(plain, ids[:end])[-1] for end in ends])
            noise = likely_difference(beginnings, alone(plain, ids)[len(before) :])
        proof.likely_tolerance = max(proof.tolerance, _TIMES_HALF_NOISE * noise)
    return proof.likely_tolerance


@torch.no_grad()
def cache_differs(model: PreTrainedModel) -> str:
    """Why a text that is continued token by token from a cache does not have its numbers; an empty string if it does.

    Raises:
        UserError: The model cannot run the text alone.
    """
    plain, texts = unwatched(model), ComparedTexts.of(model)
    before, tokens = texts.continued
    right = alone(plain, before + tokens)[len(before) :]
    try:
        difference = likely_difference(continued_pass(plain, texts), right)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a model may raise anything
        return reason_of(error)
    if difference <= likely_tolerance(model) or right.isnan().any():  # NaN is refused where it is met
        return ""
    return f"within {len(tokens)} tokens by {difference:.3g} nats"


@torch.no_grad()
def require(model: PreTrainedModel, layout: Layout, length: int, *, option: str, autocast: torch.dtype | None) -> None:
    """Refuse a layout that training needs where it is not proven.

    Args:
        model: The model, in eval mode.
        layout: What is needed.
        length: Tokens of the longest row.
        option: Names what the user asked for.
        autocast: What the passes are computed in, if it is not the model's own precision.

    Raises:
        UserError: The losses would be wrong; the message says by how much.
    """
    proof = proof_of(model, autocast, watched=True)
    reasons = [reason for refused, reason in sorted(proof.refusals.items()) if refused <= layout]
    if not reasons and length > proof.extent:
        reasons = [_beside(model, proof.texts, proof.precision, length)]
    if not any(reasons):
        run, until = (tree_pass, length) if layout is Layout.TREE else (followed_pass, min(length, _FOLLOWED))
        reasons = [_at_length(model, proof, until, run)]
    if any(reasons):
        remedy = "leave it out" if layout is Layout.TREE else "use another model"
        raise UserError(f"{option} would give wrong losses with {name_of(model)}, {reasons[0]}: {remedy}")


@torch.no_grad()
def positions_keep_apart(model: PreTrainedModel, length: int, *, autocast: torch.dtype | None) -> str:
    """Whether a model separates the texts of a row by their positions alone.

    Args:
        model: The model, in eval mode.
        length: Tokens of the longest row.
        autocast: What the passes are computed in, if it is not the model's own precision.

    Returns:
        An empty string where it does, else why not.

    Raises:
        UserError: As :func:`proof_of`.
    """
    proof = proof_of(model, autocast, watched=True)
    return _at_length(model, proof, length, pack_pass)


def _at_length(model: PreTrainedModel, proof: Proof, length: int, run: _Pass) -> str:
    """Why a pass of a short row, or of one of ``length`` tokens, is not right; an empty string where both are."""
    if proof.texts is None:
        return next(iter(proof.refusals.values()))
    for fill in (0, max(length - IN_ROW, 0)):
        reason, _ = _difference(model, proof.texts, proof.precision, partial(run, fill=fill))
        if reason:
            return reason
    return ""


def alone(model: PreTrainedModel, ids: Sequence[int]) -> torch.Tensor:
    """The logits of a text that is alone in a plain pass, (length, vocabulary).

    Raises:
        UserError: The model cannot run it, or gives something else.
    """
    try:
        logits = model(input_ids=torch.tensor([ids], device=model.device)).logits
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a model may raise anything
        raise UserError(f"{name_of(model)} cannot run a text of {len(ids)} tokens alone: {reason_of(error)}") from error
    if logits.ndim != 3 or logits.shape[:2] != (1, len(ids)):  # noqa: PLR2004
        raise UserError(f"{name_of(model)} gives no logits for each token of a text: it is not a causal language model")
    return logits[0]


def check_repeats(model: PreTrainedModel, ids: Sequence[int], log_probs: torch.Tensor) -> None:
    """Refuse a model that gives a text other log-probabilities than ``log_probs``, (tokens, vocabulary), a second time.

    Raises:
        UserError: It does.
    """
    by_itself = largest_difference(alone(model, ids)[-len(log_probs) :].float().log_softmax(-1), log_probs)
    if by_itself > proof_of(model).tolerance:
        raise UserError(not_the_same(model, by_itself))


def not_the_same(model: PreTrainedModel, difference: float) -> str:
    """The error line for a model whose probabilities change by themselves."""
    return f"{name_of(model)} gives other probabilities each time, by {difference:.3g} nats: use another model"


def _precision(model: PreTrainedModel, autocast: torch.dtype | None) -> torch.dtype:
    """The coarsest of the types in which a pass is computed."""
    quantization = getattr(core_model(model).config, "quantization_config", None)
    types = [model.dtype, autocast, getattr(quantization, "bnb_4bit_compute_dtype", None)]
    known = [dtype for dtype in types if dtype in PER_LEAK]
    return max(known, key=lambda dtype: torch.finfo(dtype).eps, default=torch.bfloat16)


def _prove(model: PreTrainedModel, precision: torch.dtype) -> Proof:
    """Compare passes of a few short texts."""
    found = ComparedTexts.of(model)
    right = log_probs_of(alone(model, found.text), found)
    proof = Proof(tolerance=LEAST[precision], precision=precision)
    try:
        padded, leaked = padded_pass(model, found)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a model may raise anything
        proof.refusals[Layout.PADDED] = reason_of(error)
        _check_causal(model, found, right, proof.tolerance)
        return proof
    found = replace(found, alone=right, size=largest_difference(leaked, right))
    if not (difference := largest_difference(padded, right)) <= max(proof.tolerance, PER_LEAK[precision] * found.size):
        _check_causal(model, found, right, proof.tolerance)
        proof.refusals[Layout.PADDED] = f"a padded pass differs from a plain one by {difference:.3g} nats"
        return proof
    proof.layout, proof.texts = Layout.PADDED, found
    limit = getattr(core_model(model).config.get_text_config(), "max_position_embeddings", None)
    if limit and takes(model, "position_ids") and _beside(model, found, precision, limit):
        proof.extent = 0
    reason, difference = _difference(model, found, precision, tree_pass)
    if reason:
        proof.refusals[Layout.TREE] = reason
        return proof
    proof.layout = Layout.TREE
    proof.tolerance = max(proof.tolerance, _TIMES_NOISE.get(precision, _TIMES_HALF_NOISE) * difference)
    return proof


def _difference(model: PreTrainedModel, texts: ComparedTexts, precision: torch.dtype, run: _Pass) -> tuple[str, float]:
    """Why a pass does not have the numbers of a text alone, or an empty string; and the largest difference in nats."""
    try:
        found = run(model, texts)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a model may raise anything
        return f"it does not run such a pass ({reason_of(error)})", math.nan
    difference = largest_difference(found, texts.alone)
    if difference <= PER_LEAK[precision] * texts.size:
        return "", difference
    if not texts.size > LEAST[precision] / 100:
        return "its probabilities hardly depend on the text before, so nothing can be proven", difference
    return f"such a pass differs from plain ones by {difference:.3g} nats", difference


def _beside(model: PreTrainedModel, texts: ComparedTexts, precision: torch.dtype, length: int) -> str:
    """Why a text does not keep its numbers in a pass with one of ``length`` tokens; an empty string where it does.

    Positions stand for the tokens. Where they have other numbers than a text without positions, as in models that count
    from another number than 0, far ones are compared with near ones.
    """
    reason, _ = _difference(model, texts, precision, partial(far_pass, length=length))
    if not reason:
        return ""
    near = replace(texts, alone=far_pass(model, texts, len(texts.text + texts.tail)))
    return _difference(model, near, precision, partial(far_pass, length=length))[0]


def _check_causal(model: PreTrainedModel, texts: ComparedTexts, right: torch.Tensor, tolerance: float) -> None:
    """Refuse a model whose probabilities depend on later tokens, or change by themselves.

    Raises:
        UserError: It is one.
    """
    again = largest_difference(log_probs_of(alone(model, texts.text), texts), right)
    if again > tolerance:
        raise UserError(
            f"{name_of(model)} gives other probabilities each time (by {again:.3g} nats): it cannot be scored"
        )
    later = largest_difference(log_probs_of(alone(model, texts.text + texts.tail), texts), right)
    if later > tolerance:
        raise UserError(
            f"{name_of(model)} is not a causal language model: tokens after a text change its probabilities by "
            f"{later:.3g} nats"
        )


def name_of(model: PreTrainedModel) -> str:
    """The architecture, without the wrapper of an adapter."""
    return type(core_model(model)).__name__


def reason_of(error: Exception) -> str:
    """What is wrong, in one short line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:120]}"
