"""A model's answers to rows of decisions, and the tables that say how good they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from spectrum_suite.decisions.decide import Answered, Reader
from spectrum_suite.decisions.rows import DecisionRow
from spectrum_suite.decisions.scores import (
    KL_FLOOR,
    METRICS,
    decisions_of,
    differs_from_card,
    summarize,
    tables,
    uniform_predictions,
)
from spectrum_suite.generation.logprobs import score_options
from spectrum_suite.markdown import markdown_table

REPORT, PAGE = "decisions.json", "decisions.md"
"""What is written of answers to rows of decisions."""

_COLUMNS = ("accuracy", "accuracy, any tied", "KL from gold", "Brier", "ECE 10, pooled", "ECE 10, by question")


def answer_rows(
    model: Any, reader: Reader, rows: Sequence[DecisionRow], *, batch_size: int, progress: bool = False
) -> list[list[Answered]]:
    """The answers to the questions of each row, whose questions share the tokens of the state.

    Args:
        model: A causal language model in eval mode.
        reader: How it is asked.
        rows: The rows.
        batch_size: Prompts per forward pass.
        progress: Show a progress bar.

    Raises:
        UserError: As :func:`spectrum_suite.decide`.
    """
    asked = [[reader.ask(row.state, question) for question in row.questions] for row in rows]
    items = [item for of_row in asked for each in of_row for item in each.scored]
    scores = iter(score_options(model, items, batch_size=batch_size, progress=progress))
    return [[reader.answer(each, list(islice(scores, len(each.items)))) for each in of_row] for of_row in asked]


def decisions_report(rows: Sequence[DecisionRow], answers: Sequence[Sequence[Answered]]) -> dict[str, Any]:
    """What is written as JSON.

    Returns:
        ``model`` and ``uniform`` (of all decisions), ``by`` (question, type, workflow -> its tables),
        ``uniform_differs_from_card`` (lines; empty for the benchmark's own test rows), ``kl_floor``, ``label_mass``
        and, with several orders, ``flip_rate`` (means over decisions), and ``rows``: id, and the predictions.
    """
    decisions = decisions_of(rows, [[each.probabilities for each in of_row] for of_row in answers])
    uniform = summarize(decisions_of(rows, uniform_predictions(rows)))
    told = [each.diagnostics for of_row in answers for each in of_row]
    flips = [each["flip_rate"] for each in told if each.get("flip_rate") is not None]
    return {
        "model": summarize(decisions),
        "uniform": uniform,
        "by": tables(decisions),
        "uniform_differs_from_card": differs_from_card(uniform),
        "kl_floor": KL_FLOOR,
        "label_mass": sum(each["label_mass"] for each in told) / len(told),
        **({"flip_rate": sum(flips) / len(flips)} if flips else {}),
        "rows": [
            {"id": row.id, "answers": {each.question.id: _shares(each) for each in of_row}}
            for row, of_row in zip(rows, answers, strict=True)
        ],
    }


def report_page(report: Mapping[str, Any], name: str) -> str:
    """The tables as a page of Markdown.

    Args:
        report: That of :func:`decisions_report`.
        name: Of the model.
    """
    lines = [f"# Decisions of {name}", "", _table({name: report["model"], "uniform": report["uniform"]}, "model"), ""]
    lines += [f"A predicted probability counts as at least {report['kl_floor']:g} in the divergence (nats)."]
    lines += [f"Mean probability of saying any option: {report['label_mass']:.3f}."]
    if "flip_rate" in report:
        lines += [f"Mean share of other orders with another answer: {report['flip_rate']:.3f}."]
    if differs := report["uniform_differs_from_card"]:
        lines += ["", f"Not the test rows of the benchmark, whose uniform guess differs: {'; '.join(differs)}."]
    for kind, groups in report["by"].items():
        lines += ["", f"## By {kind}", "", _table(groups, kind)]
    return "\n".join([*lines, ""])


def _table(groups: Mapping[str, Mapping[str, float]], head: str) -> str:
    cells = [
        (group or "-", numbers["n"], *(f"{numbers[metric]:.3f}" for metric in METRICS))
        for group, numbers in groups.items()
    ]
    return markdown_table((head, "n", *_COLUMNS), cells, align="l" + "r" * (1 + len(METRICS)))


def _shares(answered: Answered) -> dict[str, float]:
    return dict(zip(answered.question.keys, answered.probabilities, strict=True))
