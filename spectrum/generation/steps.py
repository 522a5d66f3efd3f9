"""The log-probabilities of steps in trees of tokens, a pass for all trees together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from spectrum.generation.rule_adapter import RuleBasedAdapter
from spectrum.layouts import Layout, NotApart, alone, proof_of
from spectrum.lm_head import Adjustment, chosen_log_probs, target_log_probs, unwatched
from spectrum.tree_attention import ROOT, Step, TokenTree, padded_inputs, tree_inputs


def step_log_probs(
    model: PreTrainedModel,
    trees: Sequence[TokenTree],
    steps: Sequence[Iterable[Step]],
    rules: RuleBasedAdapter | None = None,
    *,
    layout: Layout,
) -> list[dict[Step, float]]:
    """The log-probability of the steps of each tree, in nats.

    The trees are the rows of one batch. The LM head sees the tokens from which a step is scored. Rows that are longer
    than any before are compared with their texts alone (see :mod:`spectrum.layouts`).

    Args:
        model: A causal language model, with or without an adapter.
        trees: The tokens to run; lines, unless ``layout`` is ``TREE``.
        steps: Per tree the steps to score; none of them starts at the root.
        rules: What the model is multiplied by, if anything. A response begins where :meth:`TokenTree.steps` began.
        layout: How the texts may be laid out.

    Raises:
        NotApart: Numbers are not those of texts alone.
    """
    wanted = [sorted(set(of_tree)) for of_tree in steps]
    if layout is Layout.ALONE:
        return [_alone(model, tree, of_tree, rules) for tree, of_tree in zip(trees, wanted, strict=True)]
    found = _together(model, trees, wanted, rules)
    _check(model, trees, found, rules)
    return found


def _together(
    model: PreTrainedModel,
    trees: Sequence[TokenTree],
    wanted: Sequence[Sequence[Step]],
    rules: RuleBasedAdapter | None,
) -> list[dict[Step, float]]:
    """All trees in one pass."""
    inputs = _inputs(model, trees)
    positions = torch.zeros(inputs["input_ids"].shape, dtype=torch.bool)
    for row, of_tree in enumerate(wanted):
        positions[row, [node for node, _ in of_tree]] = True
    rank = positions.flatten().cumsum(0).view_as(positions) - 1
    lines = torch.cat([rank[row, [node for node, _ in of_tree]] for row, of_tree in enumerate(wanted)])
    targets = torch.tensor([token for of_tree in wanted for _, token in of_tree])
    adjust = None if rules is None else _with_rules(rules, trees, wanted)
    found = iter(target_log_probs(model, inputs, positions.to(model.device), lines, targets, adjust=adjust).tolist())
    return [{step: next(found) for step in of_tree} for of_tree in wanted]


def _alone(
    model: PreTrainedModel, line: TokenTree, steps: Sequence[Step], rules: RuleBasedAdapter | None
) -> dict[Step, float]:
    """One text in a plain pass, without anything that makes passes cheaper."""
    nodes = sorted({node for node, _ in steps})
    logits = alone(model, line.ids)[nodes].float()
    if rules is not None:
        logits = _with_rules(rules, [line], [steps])(logits, 0)
    lines = torch.tensor([nodes.index(node) for node, _ in steps])
    found = chosen_log_probs(logits, lines, torch.tensor([token for _, token in steps]))
    return dict(zip(steps, found.tolist(), strict=True))


def _check(
    model: PreTrainedModel,
    trees: Sequence[TokenTree],
    found: Sequence[dict[Step, float]],
    rules: RuleBasedAdapter | None,
) -> None:
    """Compare the last text of a tree that is longer than any before with the same text alone.

    What goes by index in the row (a window, a bias) shows there.

    Raises:
        NotApart: They differ.
    """
    longest = max(range(len(trees)), key=lambda row: (not trees[row].is_line, len(trees[row].ids)))
    proof, length = proof_of(model), len(trees[longest].ids)
    if trees[longest].is_line or length <= proof.reach:
        return
    line, expected = _text_alone(trees[longest], max(found[longest])[0], found[longest])
    (right,) = _together(unwatched(model), [line], [sorted(expected)], rules)
    # a NaN of another text may have spread: such a text is scored anew, alone
    pairs = torch.tensor([(expected[step], right[step]) for step in expected if not math.isnan(expected[step])])
    if len(pairs) and not torch.allclose(*pairs.T, rtol=0, atol=proof.tolerance):
        difference = (pairs[:, 0] - pairs[:, 1]).abs().max().item()
        raise NotApart(f"in a row of {length} tokens a text differs from itself alone by {difference:.3g} nats")
    proof.reach = max(length, proof.reach)


def _text_alone(tree: TokenTree, node: int, found: dict[Step, float]) -> tuple[TokenTree, dict[Step, float]]:
    """A text of a tree as a line, and what was found for the steps along it."""
    line, place_of = TokenTree(), {}
    line.extend(ROOT, tree.text(node))
    for place in reversed(range(len(line.ids))):
        place_of[node] = place
        node = tree.parents[node]
    line.behind = {place_of[at]: count for at, count in tree.behind.items() if at in place_of}
    return line, {(place_of[at], token): value for (at, token), value in found.items() if at in place_of}


def _with_rules(rules: RuleBasedAdapter, trees: Sequence[TokenTree], steps: Sequence[Sequence[Step]]) -> Adjustment:
    """Adds the rules' scores to the logits of the tokens from which the steps start."""
    starts = [
        (tree, node)
        for tree, of_tree in zip(trees, steps, strict=True)
        for node in sorted({node for node, _ in of_tree})
    ]

    def adjust(logits: torch.Tensor, first: int) -> torch.Tensor:
        here = starts[first : first + len(logits)]
        lengths = [tree.behind[node] for tree, node in here]
        counts = lengths if rules.rules.repetition_in == "response" else [None] * len(here)
        used = [tree.text(node, count) for (tree, node), count in zip(here, counts, strict=True)]
        return rules.add(logits, lengths, used)

    return adjust


def _inputs(model: PreTrainedModel, trees: Sequence[TokenTree]) -> dict[str, Any]:
    """Tokens and mask of a batch; trees that are lines need a padding mask alone."""
    if all(tree.is_line for tree in trees):
        return padded_inputs(trees, model)
    length = max(len(tree.ids) for tree in trees)
    fill = trees[0].ids[0]  # any token does: nothing attends to it
    tokens = torch.tensor([tree.ids + [fill] * (length - len(tree.ids)) for tree in trees])
    parents = torch.tensor([tree.parents + [ROOT] * (length - len(tree.parents)) for tree in trees])
    return {"input_ids": tokens.to(model.device)} | tree_inputs(parents, model)
