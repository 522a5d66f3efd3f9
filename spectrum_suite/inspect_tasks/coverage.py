"""``spectrum_suite/coverage``: how many different valid outputs a model gives, where each epoch is one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, Scorer, ScoreReducer, Target, mean, score_reducer, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from spectrum_suite.evaluation.choices import N_GENERATIONS, SEED
from spectrum_suite.evaluation.coverage.score_coverage import answer, prompt_messages, sampling_seed, valid_items_of
from spectrum_suite.evaluation.coverage.validators import n_valid
from spectrum_suite.inspect_tasks.engines import Asking, as_chat
from spectrum_suite.inspect_tasks.suite_samples import rows_of
from spectrum_suite.metrics.output_coverage.scoring import METRICS, score_task

_METRICS = {name: [mean(), stderr()] for name in METRICS}
_RULE = ("validator", "valid_items", "description", "examples")


@task
def coverage(
    suite: str,
    *,
    tasks: str = "all",
    promptings: str = "description",
    generations: int = N_GENERATIONS,
    format: str = "auto",  # noqa: A002 - the name of our option
    tokenizer: str | None = None,
    seed: int = SEED,
) -> Task:
    """Coverage of the valid outputs of tasks.

    Args:
        suite: Folder of a suite, or its id on a Hub.
        tasks: Names of coverage tasks, with commas between them, or ``all``.
        promptings: What prompts hold, with commas between them: ``description``, ``examples``, ``both``.
        generations: Epochs.
        format: How messages are written for a model whose tokenizer is known.
        tokenizer: Folder or Hub id of the tokenizer of the model behind a completions API.
        seed: Of what is drawn.

    Raises:
        UserError: There is no such suite or task, or a row lacks what a prompting needs.
    """
    wanted = [name.strip() for name in promptings.split(",")]
    samples = [
        _sample(name, rows[0], prompting, seed)
        for name, rows in rows_of(suite, tasks, "coverage").items()
        for prompting in wanted
    ]
    return Task(
        dataset=MemoryDataset(samples, name="coverage"),
        solver=one_output(Asking(format, tokenizer), generations),
        scorer=valid_share(),
        epochs=Epochs(generations, yield_of_answers()),
    )


def _sample(name: str, row: Mapping[str, Any], prompting: str, seed: int) -> Sample:
    row = {**row, "examples": row["examples"] or [], "valid_items": row["valid_items"] or []}
    messages = prompt_messages(name, row, prompting, seed=seed)
    kept = {"messages": messages, "max_new_tokens": row["max_new_tokens"]}
    kept |= {"seed": sampling_seed(name, prompting, seed), "rule": {column: row[column] for column in _RULE}}
    return Sample(id=f"{name}/{prompting}", input=as_chat(messages), metadata={"task": name, **kept})


@solver
def one_output(asking: Asking, together: int) -> Solver:
    """Draws the output of an epoch."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        asked = state.metadata
        found = await asking.answer(
            asked["messages"], state.epoch - 1, max_new_tokens=asked["max_new_tokens"], seed=asked["seed"],
            together=together,
        )  # fmt: skip
        state.output.completion = found.text
        return state

    return solve


@scorer(metrics=_METRICS)
def valid_share() -> Scorer:
    """Whether an output is valid, and the item that it names."""

    async def score(state: TaskState, target: Target) -> Score:
        text, rule = answer(state.output.completion), state.metadata["rule"]
        (item,) = valid_items_of([text], rule)
        told = {"item": item, "set_size": n_valid(rule["validator"], rule["valid_items"])}
        return Score(value=int(item is not None), answer=text, metadata=told)

    return score


@score_reducer
def yield_of_answers() -> ScoreReducer:
    """Validity, uniqueness and yield of all outputs of a prompt."""

    def reduce(scores: list[Score]) -> Score:
        items = [score.metadata["item"] for score in scores]
        texts = [score.answer or "" for score in scores]
        found = score_task(texts, items, set_size=scores[0].metadata["set_size"])
        return Score(value={name: found[name] for name in METRICS}, metadata={"texts": texts, "items": items})

    return reduce
