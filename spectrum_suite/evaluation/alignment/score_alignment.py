"""Distributional alignment: how far a model's distribution over declared options is from the true one.

Arxiv 2510.06084, section "distributional alignment": every option of an item is scored as the continuation of its
prompt, the probabilities are divided by their sum over the options, and the result is compared with the target. Other
ways to estimate the model's distribution are in the other files of this folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.calibrated import calibrated_section
from spectrum_suite.evaluation.alignment.comparable import estimate_of, why_not_comparable
from spectrum_suite.evaluation.alignment.decided import SYSTEMONE
from spectrum_suite.evaluation.alignment.drawn_examples import after_examples
from spectrum_suite.evaluation.alignment.estimates import Estimate
from spectrum_suite.evaluation.alignment.first_tokens import TOP_LOGPROBS
from spectrum_suite.evaluation.alignment.item_scores import SMOOTHING, are_ordered, by_item, uniform_scores
from spectrum_suite.evaluation.alignment.option_orders import ask_in_orders, meant_probabilities, orders_section
from spectrum_suite.evaluation.alignment.sampled import SAMPLES
from spectrum_suite.evaluation.alignment.sequence import SEQUENCE
from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem, TaskAlignment
from spectrum_suite.evaluation.alignment.verbalized import VERBALIZED
from spectrum_suite.evaluation.group_tables import alignment_tables
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.evaluation.work import RowsWork, seconds_of
from spectrum_suite.fingerprints import fingerprint_of_rows
from spectrum_suite.formats.render import Format, Message
from spectrum_suite.generation.logprobs import Prompt, TokenIds, exclusive_log_probs
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM
from spectrum_suite.lm.calibration_file import Calibration
from spectrum_suite.metrics.spectrum_alignment import scoring


def score_items(lm: TokenLM, rows: Dataset, *, task_labels: bool = False) -> tuple[AlignmentItem, ...]:
    """Score a model on items of a distribution task, and the uniform guess on the same items.

    Args:
        lm: The model. In the format ``colon`` an option follows ``Output:`` and a space. An item that is longer than
            the model takes is refused.
        rows: The items.
        task_labels: In ``colon``, write the task's own label (``output_label``, e.g. ``Response (color)``) in place of
            ``Output``, as the paper does.

    Returns:
        One result per row.

    Raises:
        UserError: Two options of an item are the same tokens, or the format has no labels.
    """
    options: list[list[str]] = rows["options"][:]
    prompts: list[Prompt] = rows["messages"][:]
    texts = options
    if task_labels:
        prompts = [_labelled(*row, lm.text_format) for row in zip(prompts, rows["output_label"], strict=True)]
        texts = [[lm.text_format.output_prefix + option for option in row] for row in options]
    scores = lm.option_logprobs(prompts, texts, refuse_long=True)
    items = score_alignment(
        rows["id"][:],
        options,
        rows["probabilities"][:],
        [found.log_probs for found in scores],
        [found.token_ids for found in scores],
        ordered=are_ordered(rows),
    )
    return tuple(replace(item, refused=found.refused) for item, found in zip(items, scores, strict=True))


def _labelled(messages: Sequence[Message], label: str, text_format: Format) -> str:
    """The plain text prompt for the encoder, without BOS, ending in the task's own label instead of ``Output:``."""
    if text_format.turn is not None or text_format.name == "model_chat":
        raise UserError(f"format {text_format.name!r} has no labels: use --task_labels with --format colon")
    text = text_format.marked_prompt(messages)
    return text.removesuffix(text_format.context(None)) + f"{label}:"


def score_alignment(
    ids: Sequence[str],
    options: Sequence[Sequence[str]],
    targets: Sequence[Sequence[float]],
    log_probs: Sequence[torch.Tensor],
    token_ids: Sequence[Sequence[TokenIds]],
    *,
    ordered: Sequence[bool] | None = None,
) -> tuple[AlignmentItem, ...]:
    """Compare log-probabilities of options with their targets; all arguments hold one entry per item."""
    ordered = [False] * len(ids) if ordered is None else ordered
    exclusive = [exclusive_log_probs(found, tokens) for found, tokens in zip(log_probs, token_ids, strict=True)]
    found = scoring.score_items(
        targets, exclusive, prediction_type="log_probabilities", smoothing=SMOOTHING, ordered=any(ordered)
    )
    scores, uniform = by_item(found, ordered), uniform_scores(targets, ordered)
    return tuple(
        AlignmentItem(
            id=item_id,
            options=tuple(options[index]),
            target=tuple(targets[index]),
            log_probs=tuple(log_probs[index].tolist()),
            probabilities=tuple(torch.softmax(exclusive[index], dim=0).tolist()),
            scores=scores[index],
            uniform=uniform[index],
            ordered=ordered[index],
        )
        for index, item_id in enumerate(ids)
    )


def items_fingerprint(rows: Dataset) -> str:
    """A hash of what the score of some items depends on: prompts, options and targets."""
    return fingerprint_of_rows(rows.select_columns(["id", "messages", "options", "probabilities"]))


def _by_logprobs(lm: TokenLM, rows: Dataset, *, settings: EvaluationSettings) -> tuple[AlignmentItem, ...]:
    return score_items(lm, rows, task_labels=settings.task_labels)


ESTIMATES: dict[str, Estimate] = {
    "logprobs": Estimate("option_logprobs", _by_logprobs, lambda _: {}),
    "samples": SAMPLES,
    "verbalized": VERBALIZED,
    "sequence": SEQUENCE,
    "top_logprobs": TOP_LOGPROBS,
    "systemone": SYSTEMONE,
}
"""``--estimate`` -> how it is done; the names are those of :data:`spectrum_suite.evaluation.choices.ESTIMATES`."""


METRICS = 2
"""Raised when the numbers of an item change: what was kept before is then measured anew."""

_SAID_OF_TARGETS = ("ordered", "n_responses")
"""Columns with what a row says of its target, which not every suite has."""


class AlignmentWork(RowsWork):
    """The items of a distribution task.

    Args:
        settings: Of the evaluation.
        task: The task's name.
        calibration: Of the model, for calibrated numbers next to its own.
    """

    kind = "distribution"
    has_groups = True

    def __init__(self, settings: EvaluationSettings, task: str, calibration: Calibration | None = None) -> None:
        super().__init__(settings, task)
        self.calibration = calibration
        self.estimate = ESTIMATES[settings.estimate]
        self.questions = (self.estimate.question,)

    def some(self, part: str) -> Dataset:
        """The rows of a part, as they are asked."""
        return after_examples(super().some(part), self.settings.examples, seed=self.settings.seed)

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        self.check()
        orders = {"orders": self.settings.orders, "seed": self.settings.seed} if self.settings.orders > 1 else {}
        for part in self.names():
            rows = self.some(part)
            depends = {"rows": items_fingerprint(rows), "task_labels": self.settings.task_labels, "metrics": METRICS}
            depends |= {name: rows[name][:] for name in _SAID_OF_TARGETS if name in rows.column_names}
            yield part, depends | orders | self.estimate.depends(self.settings)

    def score(self, part: str, lm: TokenLM) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        rows, score = self.some(part), partial(self.estimate.score, lm, settings=self.settings)
        result: Section = {"items": list(map(asdict, score(rows)))}
        if self.settings.orders > 1:
            asked = ask_in_orders(rows, self.settings.orders, self.settings.seed, score)
            result["orders"] = list(map(meant_probabilities, asked))
        return result

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        items = tuple(AlignmentItem.from_dict(item) for result in results.values() for item in result["items"])
        fingerprint = items_fingerprint(self.drawn)
        found = TaskAlignment(self.task, len(self.rows), items, fingerprint, seconds_of(results))
        if all(item.refused and item.bounds is None for item in items):
            raise UserError(f"no item of task {self.task!r} can be scored: {items[0].refused}")
        section = {"estimate": self._estimate, **found.as_dict()}
        section |= alignment_tables(section["items"], self.drawn, self.settings.by)
        if self.settings.orders > 1:
            orders = [of_item for result in results.values() for of_item in result["orders"]]
            section["orders"] = orders_section(items, orders, most=self.settings.orders, smoothing=SMOOTHING)
        if self.calibration is not None:
            section["calibrated"] = calibrated_section(self.calibration, self.drawn, items, smoothing=SMOOTHING)
        return finite(section)

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        reason = why_not_comparable(self._estimate, estimate_of(theirs))
        return reason or self.nothing_shared(item["id"] for item in theirs["items"])

    @property
    def _estimate(self) -> dict[str, Any]:
        """How distributions are estimated, for the report."""
        return {"name": self.settings.estimate} | self.estimate.depends(self.settings)
