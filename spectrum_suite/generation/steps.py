"""The log-probabilities of steps in trees of tokens, a pass for all trees together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from spectrum_suite.errors import UserError
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter
from spectrum_suite.layouts import Layout, NotApart, alone, not_the_same, proof_of
from spectrum_suite.lm_head import Adjustment, chosen_log_probs, target_log_probs, unwatched
from spectrum_suite.tree_attention import ROOT, Step, TokenTree, padded_inputs, tree_inputs


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
    than any before are compared with their texts alone (see :mod:`spectrum_suite.layouts`).

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
    """Compare a text of rows that are longer than any before with the same text alone.

    What goes by index in the row (a window, a bias) shows in the last text of the longest tree, and what padding does
    in the shortest row.

    Raises:
        NotApart: They differ.
        UserError: The model gives other numbers each time.
    """
    longest = max(range(len(trees)), key=lambda row: (not trees[row].is_line, len(trees[row].ids)))
    proof, length, is_tree = proof_of(model), len(trees[longest].ids), not trees[longest].is_line
    if length <= (proof.reach if is_tree else proof.padded_reach):
        return
    row = longest if is_tree else min(range(len(trees)), key=lambda row: len(trees[row].ids))
    line, expected = _text_alone(trees[row], max(found[row])[0], found[row])
    expected = {
        step: value for step, value in expected.items() if not math.isnan(value)
    }  # one of another text may spread
    (right,) = _together(unwatched(model), [line], [sorted(expected)], rules) if expected else ({},)
    if (difference := _difference(expected, right)) > proof.tolerance:
        (again,) = _together(unwatched(model), [line], [sorted(expected)], rules)
        if (by_itself := _difference(again, right)) > proof.tolerance:
            raise UserError(not_the_same(model, by_itself))
        raise NotApart(f"in a row of {length} tokens a text differs from itself alone by {difference:.3g} nats")
    if is_tree:
        proof.reach = max(length, proof.reach)
    else:
        proof.padded_reach = max(length, proof.padded_reach)


def _difference(found: dict[Step, float], right: dict[Step, float]) -> float:
    """The largest difference; infinite where one of both is NaN."""
    differences = [abs(found[step] - right[step]) if found[step] != right[step] else 0.0 for step in found]
    return max((math.inf if math.isnan(each) else each for each in differences), default=0.0)


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
