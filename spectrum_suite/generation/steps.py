"""The log-probabilities of steps in trees of tokens: rows in batches, in the fastest layout that is right."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from spectrum_suite.errors import UserError
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter
from spectrum_suite.layouts import Layout, NotApart, alone, name_of, not_the_same, proof_of, runs_beside
from spectrum_suite.lm_head import Adjustment, chosen_log_probs, target_log_probs, unwatched
from spectrum_suite.tree_attention import ROOT, Step, TokenTree, padded_inputs, tree_inputs

logger = logging.getLogger(__name__)

MAX_BRANCH_TOKENS = 2048
"""Most tokens of options in a row; the text before them is run again for more (a mask grows with the square)."""

Candidate = TypeVar("Candidate", bound=tuple)


@dataclass
class Row(Generic[Candidate]):
    """A text with what may continue it, as one tree of tokens.

    Attributes:
        tree: The tokens.
        steps: What is scored -> the steps that lead through it.
        texts: How many texts of a batch the row counts for.
    """

    tree: TokenTree = field(default_factory=TokenTree)
    steps: dict[Candidate, list[Step]] = field(default_factory=dict)
    texts: int = 1


def score_rows(
    model: PreTrainedModel,
    rows_in: Callable[[Layout], Iterable[Row[Candidate]]],
    rows_again: Callable[[Layout, list[Candidate]], Iterable[Row[Candidate]]],
    *,
    shared: str,
    longest: int,
    rules: RuleBasedAdapter | None,
    batch_size: int,
    max_padding: float = math.inf,
    progress: bool,
) -> dict[Candidate, float]:
    """The log-probability of each candidate in nats, in the fastest layout whose numbers are those of texts alone.

    Args:
        model: A causal language model, with or without an adapter.
        rows_in: The rows in a layout.
        rows_again: The rows that score candidates which got NaN once more, apart from others: a NaN of one text
            spreads over all that share its row, whatever attends to it.
        shared: What candidates would share; for the log.
        longest: Tokens of the longest text.
        rules: What the model is multiplied by, if anything.
        batch_size: Texts per forward pass.
        max_padding: Tokens by which a row may be shorter than the longest of its batch.
        progress: Show a progress bar.

    Raises:
        UserError: As :func:`spectrum_suite.layouts.proof_of`.
    """

    def score(rows: Iterable[Row[Candidate]], layout: Layout) -> dict[Candidate, float]:
        batches = list(_batches(rows, layout, batch_size, max_padding))
        found: dict[Candidate, float] = {}
        for batch in tqdm(batches, desc="Scoring", unit="batch", leave=None, disable=not (progress and batches)):
            wanted = [[step for steps in row.steps.values() for step in steps] for row in batch]
            log_probs = step_log_probs(model, [row.tree for row in batch], wanted, rules, layout=layout)
            for row, of_step in zip(batch, log_probs, strict=True):
                found |= {candidate: sum(of_step[step] for step in steps) for candidate, steps in row.steps.items()}
        return found

    while True:
        proof = proof_of(model)
        layout = proof.layout if runs_beside(model, longest) else Layout.ALONE
        if layout < Layout.TREE:
            reasons = "; ".join(dict.fromkeys(proof.refusals.values()))
            logger.warning(
                "%s cannot share %s between options (%s): scoring them one by one", name_of(model), shared, reasons
            )
        try:
            found = score(rows_in(layout), layout)
            return found | score(
                rows_again(layout, [each for each, value in found.items() if math.isnan(value)]), layout
            )
        except NotApart as reason:
            proof.refusals[layout] = str(reason)
            proof.layout = min(proof.layout, Layout(layout - 1))


def _batches(
    rows: Iterable[Row[Candidate]], layout: Layout, batch_size: int, max_padding: float
) -> Iterator[list[Row[Candidate]]]:
    """Rows of similar length together, longest first, so that too small a machine fails at once."""
    if layout is Layout.ALONE:  # shortest first: rotary embeddings that grow with a text stay as they are for the next
        yield from ([row] for row in sorted(rows, key=lambda row: len(row.tree.ids)))
        return
    batch: list[Row[Candidate]] = []
    for row in sorted(rows, key=lambda row: -len(row.tree.ids)):
        if batch:
            is_full = sum(other.texts for other in batch) + row.texts > batch_size
            if is_full or len(batch[0].tree.ids) - len(row.tree.ids) > max_padding:
                yield batch
                batch = []
        batch.append(row)
    if batch:
        yield batch


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
        trees: The tokens to run; without branches, unless ``layout`` is ``TREE``.
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
    position_index = torch.cat([rank[row, [node for node, _ in of_tree]] for row, of_tree in enumerate(wanted)])
    targets = torch.tensor([token for of_tree in wanted for _, token in of_tree])
    adjust = None if rules is None else _with_rules(rules, trees, wanted)
    log_probs = target_log_probs(model, inputs, positions.to(model.device), position_index, targets, adjust=adjust)
    found = iter(log_probs.tolist())
    return [{step: next(found) for step in of_tree} for of_tree in wanted]


def _alone(
    model: PreTrainedModel, line: TokenTree, steps: Sequence[Step], rules: RuleBasedAdapter | None
) -> dict[Step, float]:
    """One text in a plain pass, without anything that makes passes cheaper."""
    nodes = sorted({node for node, _ in steps})
    logits = alone(model, line.ids)[nodes].float()
    if rules is not None:
        logits = _with_rules(rules, [line], [steps])(logits, 0)
    position_index = torch.tensor([nodes.index(node) for node, _ in steps])
    found = chosen_log_probs(logits, position_index, torch.tensor([token for _, token in steps]))
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
    line.offsets = {place_of[at]: count for at, count in tree.offsets.items() if at in place_of}
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
        lengths = [tree.offsets[node] for tree, node in here]
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
