"""The log-probabilities of steps in trees of tokens, a pass for all trees together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from spectrum.generation.rule_adapter import RuleBasedAdapter
from spectrum.lm_head import Adjustment, target_log_probs
from spectrum.tree_attention import ROOT, Step, TokenTree, masks_for_model, tree_inputs


def step_log_probs(
    model: PreTrainedModel,
    trees: Sequence[TokenTree],
    steps: Sequence[Iterable[Step]],
    rules: RuleBasedAdapter | None = None,
) -> list[dict[Step, float]]:
    """The log-probability of the steps of each tree, in nats.

    The trees are the rows of one batch. The LM head sees the tokens from which a step is scored.

    Args:
        model: A causal language model, with or without an adapter; one that shares prefixes, or every tree is a line.
        trees: The tokens to run.
        steps: Per tree the steps to score; none of them starts at the root.
        rules: What the model is multiplied by, if anything. A response begins where :meth:`TokenTree.steps` began.
    """
    wanted = [sorted(set(of_tree)) for of_tree in steps]
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
    length = max(len(tree.ids) for tree in trees)
    fill = trees[0].ids[0]  # any token does: nothing attends to it
    tokens = torch.tensor([tree.ids + [fill] * (length - len(tree.ids)) for tree in trees])
    inputs = {"input_ids": tokens.to(model.device)}
    if all(tree.is_line for tree in trees):
        mask = torch.tensor([[1] * len(tree.ids) + [0] * (length - len(tree.ids)) for tree in trees])
        return inputs | {"attention_mask": masks_for_model(mask, None, model)}
    parents = torch.tensor([tree.parents + [ROOT] * (length - len(tree.parents)) for tree in trees])
    return inputs | tree_inputs(parents, model)
