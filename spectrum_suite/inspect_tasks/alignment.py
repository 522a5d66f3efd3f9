"""``spectrum_suite/alignment``: how far a model's distributions over options are from the true ones.

With ``estimate=logprobs`` a sample is an item, scored by the exact probability of each of its options. With
``estimate=samples`` each epoch of it is an answer, and the shares of the options among all of them are scored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset
from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, Scorer, ScoreReducer, Target, grouped, mean, score_reducer, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.item_scores import OF_ORDERED
from spectrum_suite.evaluation.alignment.sampled import shares_of_answers, told_of_counts
from spectrum_suite.evaluation.alignment.score_alignment import score_alignment
from spectrum_suite.evaluation.choices import N_ANSWERS, SEED
from spectrum_suite.inspect_tasks.engines import Asking, as_chat, is_exact
from spectrum_suite.inspect_tasks.suite_samples import rows_of
from spectrum_suite.lm.answers import Answer
from spectrum_suite.lm.base import MAX_ANSWER_TOKENS
from spectrum_suite.lm.match_answers import match_answers
from spectrum_suite.suite import draw_rows
from spectrum_suite.systemone import likeliest

_ROW = ("id", "messages", "options", "probabilities", "ordered", "n_responses")
_SCORES = "scores"
_METRICS = {"js_divergence": [mean(), stderr(), grouped(mean(), "task", all=False)], "*": [mean(), stderr()]}


@task
def alignment(
    suite: str,
    *,
    tasks: str = "all",
    estimate: str = "auto",
    answers: int = N_ANSWERS,
    format: str = "auto",  # noqa: A002 - the name of our option
    tokenizer: str | None = None,
    items: int | None = None,
    seed: int = SEED,
) -> Task:
    """Distributional alignment of a model on distribution tasks.

    Args:
        suite: Folder of a suite, or its id on a Hub.
        tasks: Names of distribution tasks, with commas between them, or ``all``.
        estimate: ``logprobs``: the exact probability of each option. ``samples``: answers, an epoch each. ``auto``: the
            former where the model is in this process (``hf/``) or ``tokenizer`` is given, else the latter.
        answers: Epochs with ``samples``.
        format: How messages are written for a model whose tokenizer is known.
        tokenizer: Folder or Hub id of the tokenizer of the model behind a completions API
            (``openai-api-completions/``, ``vllm-completions/``).
        items: Items of each task at most, drawn at random with ``seed``; all by default.
        seed: Of what is drawn.

    Raises:
        UserError: There is no such suite, task or estimate.
    """
    if estimate not in ("auto", "logprobs", "samples"):
        raise UserError(f"no estimate {estimate!r}: choose from auto, logprobs, samples")
    exact = is_exact(tokenizer) if estimate == "auto" else estimate == "logprobs"
    asking = Asking(format, tokenizer)
    samples = [
        _sample(name, row)
        for name, rows in rows_of(suite, tasks, "distribution").items()
        for row in draw_rows(rows, name, limit=items, seed=seed)
    ]
    return Task(
        dataset=MemoryDataset(samples, name="alignment"),
        solver=option_probabilities(asking) if exact else option_answers(asking, answers, seed),
        scorer=alignment_scores(),
        epochs=Epochs(1 if exact else answers, answer_shares(seed)),
        metadata={"estimate": "logprobs" if exact else "samples"},
    )


def _sample(name: str, row: Mapping[str, Any]) -> Sample:
    kept = {column: row.get(column) for column in _ROW}
    return Sample(
        id=f"{name}/{row['id']}",
        input=as_chat(row["messages"]),
        choices=row["options"],
        target=row["options"][likeliest(row["probabilities"])],
        metadata={"task": name, "row": kept},
    )


@solver
def option_probabilities(asking: Asking) -> Solver:
    """Scores every option of an item by its exact probability."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        row = state.metadata["row"]
        found = await asking.option_scores(row["messages"], row["options"])
        (item,) = score_alignment(
            [row["id"]], [row["options"]], [row["probabilities"]], [found.log_probs], [found.token_ids],
            ordered=[bool(row["ordered"])],
        )  # fmt: skip
        told = {"log_probs": _finite(item.log_probs), "probabilities": _finite(item.probabilities)}
        state.metadata |= {_SCORES: dict(item.scores), **told}
        state.output.completion = item.options[likeliest(item.probabilities)]
        return state

    return solve


@solver
def option_answers(asking: Asking, together: int, seed: int) -> Solver:
    """Draws the answer of an epoch."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        found = await asking.answer(
            state.metadata["row"]["messages"], state.epoch - 1, max_new_tokens=MAX_ANSWER_TOKENS, seed=seed,
            together=together,
        )  # fmt: skip
        state.metadata["answer"] = vars(found)
        state.output.completion = found.text
        return state

    return solve


@scorer(metrics=_METRICS)
def alignment_scores() -> Scorer:
    """The metrics of an item; of an answer, the place of its option."""

    async def score(state: TaskState, target: Target) -> Score:
        row, scores = state.metadata["row"], state.metadata.get(_SCORES)
        if scores is not None:
            told = {name: state.metadata[name] for name in ("log_probs", "probabilities")}
            return Score(value=_complete(scores), answer=state.output.completion, metadata=told)
        found = match_answers([Answer(**state.metadata["answer"])], row["options"], row["messages"])
        (choice,) = found.choices
        told = {"row": row, "choice": choice, "others": dict(found.others)}
        return Score(value=math.nan if choice is None else choice, answer=state.output.completion, metadata=told)

    return score


@score_reducer
def answer_shares(seed: int = SEED) -> ScoreReducer:
    """The metrics of an item from the options that its answers are; what was scored exactly stays as it is."""

    def reduce(scores: list[Score]) -> Score:
        if isinstance(scores[0].value, dict):
            return scores[0]
        row = scores[0].metadata["row"]
        choices = [score.metadata["choice"] for score in scores]
        counts = np.bincount([choice for choice in choices if choice is not None], minlength=len(row["options"]))
        told = told_of_counts(row, counts, seed)
        counted = {"n": len(choices), "counts": counts.tolist(), "others": {}, "reasoning": 0, "by": "answers"}
        for score in scores:
            for reason, count in score.metadata["others"].items():
                counted["others"][reason] = counted["others"].get(reason, 0) + count
        (item,) = shares_of_answers(Dataset.from_list([row]), [counted | told])
        corrected = {"js_divergence_corrected": told["corrected"]["js_divergence"]}
        return Score(value=_complete(dict(item.scores) | corrected), metadata={"drawn": counted | told})

    return reduce


def _complete(scores: Mapping[str, float]) -> dict[str, float]:
    """The metrics of an item, NaN where it lacks one that others have: it is left out of the mean then."""
    every = dict.fromkeys(OF_ORDERED, math.nan) | dict(scores)
    return {name: math.nan if value is None else value for name, value in every.items()}


def _finite(values: tuple[float, ...]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
