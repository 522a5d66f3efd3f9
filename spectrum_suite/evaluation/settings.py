"""What to evaluate, on what, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import (
    BATCH_SIZE,
    LIMIT,
    MAX_LENGTH,
    MAX_NEW_TOKENS,
    N_ANSWERS,
    N_GENERATIONS,
    PROMPTINGS,
    SEED,
    Prompting,
)
from spectrum_suite.generation.rule_adapter import RULES, Rules
from spectrum_suite.lm.client import CONCURRENCY, TIMEOUT_S
from spectrum_suite.yaml_entries import Kind, read_entries

PAPER = "paper"
"""The rules with the weights of their paper."""

_RULES: dict[str, Kind] = {
    "ending": float, "ending_length": int, "words": dict, "repetition": float, "repetition_in": str,
}  # fmt: skip
_NUMBERS = {str(number): name for number, name in enumerate(RULES, 1)}


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings of an evaluation.

    Attributes:
        model: A path, a Hub id, or ``embedded:gemma-3-270m``; a checkpoint or an adapter. Where only a service is
            known, its name there, or None for the only one.
        output: The folder of the report.
        suite: A built suite's folder, or a dataset on a Hub; what is measured on ``data`` needs none.
        dataset: What the suite was made of, where it was made of a dataset as it is: ``name``, ``config``, ``split``,
            ``revision`` and ``columns``.
        by: Attributes of the rows by whose groups there are tables.
        desiderata: What to measure: ``steerability``, ``coverage``, ``alignment``; on ``data`` ``instruction``
            and ``markers``.
        tasks: Tasks of the kinds that these need; ``all`` is every one of the suite, ``icl`` tasks if held out.
        text_format: ``auto`` or the name of a format.
        task_labels: In ``colon``, write each task's own label in place of ``Output``, as the paper does.
        limit: Items or sequences per task at most, one number or one for each task; None for all.
        max_length: Tokens of a sequence whose outputs are scored (steerability), at most.
        generations: Samples per prompt (coverage).
        promptings: What the prompts of coverage hold: ``description``, ``examples``, ``both``.
        first_line: Check the first line of a generated text only (coverage).
        judge: The base URL of a chat endpoint that decides which generations are valid, in place of rules.
        judge_model: The name under which that endpoint knows the judge.
        judge_tasks: The coverage tasks that it decides on; ``all`` is every one.
        data: Instruction data: files, folders or datasets on a Hub, ``limit`` conversations of each.
        layout: Of the data; ``auto`` goes by the columns.
        data_split: Of the data, or a part of it as in ``train[80%:]``.
        marker_categories: The categories of markers that are measured; ``all`` are those of the rows.
        marker_taxonomy: A YAML file with categories of a user's own.
        max_new_tokens: Tokens of a response at most, its markers included (instruction, markers).
        likelihood_judge: A local model whose likelihood stands in for a judge of responses.
        similar_to: A narrow task's data, with whose responses the model's are compared (instruction).
        rules: ``paper``, or a YAML file of weights: the model is multiplied by the three-rule adapter, wherever it is
            scored or sampled from.
        without_rule: Rules to leave out: ``ending`` or ``1``, ``words`` or ``2``, ``repetition`` or ``3``.
        seed: Of the draw of items and of sampling.
        batch_size: Prompts per forward pass.
        device: By default the accelerator where there is one, else ``cpu``.
        dtype: By default bfloat16 on a GPU and float32 elsewhere.
        base: The base model of an adapter; by default the one that its configuration names.
        revision: Branch, tag or commit of a model on a Hub.
        adapter_scale: How much of an adapter's change is taken: 0 is the base, 1 the adapter.
        load_in_4bit: Load the weights as NF4.
        engine: What runs the model where no service does, one of ``ENGINES``.
        engine_options: More arguments of ``vllm.LLM`` (vllm).
        endpoint: The base URL of a service that has the model.
        endpoint_model: The name under which it has the model; by default ``model`` where only the service is known,
            else that of the only one it has.
        api: What the service speaks, one of ``APIS``: of a completions server only the tokenizer is loaded here, of the
            others nothing.
        as_text: Send a completions server text instead of token ids.
        concurrency: Requests to a service under way at a time, at most.
        timeout: Seconds to wait for an answer of a service.
        system_prompt: What a chat service is asked for, before the description; None for our own words.
        thinking: Let a chat service reason before it answers.
        compare: Another report to set this one against, item by item.
        calibration: The model's ``calibration.json``, or its folder, for numbers after calibration too (alignment).
        estimate: How a distribution over options is estimated (alignment): one of ``ESTIMATES``.
        n: Answers per item at most, where it is estimated from answers.
        precision: Stop asking an item when the 95% interval of its divergence is no wider, in nats; None for never.
        examples: Answers, drawn from an item's own distribution, that are shown before it (alignment).
        orders: An item whose prompt lists its options is asked in so many orders of them at most (alignment).
    """

    model: str | None
    output: Path
    suite: str | None = None
    dataset: Mapping[str, Any] | None = None
    by: tuple[str, ...] = ()
    desiderata: tuple[str, ...] = ("alignment",)
    tasks: tuple[str, ...] = ("all",)
    text_format: str = "auto"
    task_labels: bool = False
    limit: int | Mapping[str, int] | None = LIMIT
    max_length: int = MAX_LENGTH
    generations: int = N_GENERATIONS
    promptings: tuple[Prompting, ...] = PROMPTINGS
    first_line: bool = True
    judge: str | None = None
    judge_model: str | None = None
    judge_tasks: tuple[str, ...] = ("all",)
    data: tuple[str, ...] = ()
    layout: str = "auto"
    data_split: str = "train"
    marker_categories: tuple[str, ...] = ("all",)
    marker_taxonomy: Path | None = None
    max_new_tokens: int = MAX_NEW_TOKENS
    likelihood_judge: str | None = None
    similar_to: str | None = None
    rules: str | None = None
    without_rule: tuple[str, ...] = ()
    seed: int = SEED
    batch_size: int = BATCH_SIZE
    device: str | None = None
    dtype: str | None = None
    base: str | None = None
    revision: str | None = None
    adapter_scale: float = 1.0
    load_in_4bit: bool = False
    engine: str = "local"
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    endpoint: str | None = None
    endpoint_model: str | None = None
    api: str = "completions"
    as_text: bool = False
    concurrency: int = CONCURRENCY
    timeout: float = TIMEOUT_S
    system_prompt: str | None = None
    thinking: bool = False
    compare: Path | None = None
    calibration: Path | None = None
    estimate: str = "logprobs"
    n: int = N_ANSWERS
    precision: float | None = None
    examples: int = 0
    orders: int = 1

    def limit_of(self, task: str) -> int | None:
        """Items of ``task`` at most."""
        return self.limit.get(task) if isinstance(self.limit, Mapping) else self.limit

    def adapter_rules(self) -> Rules | None:
        """The rules that the model is multiplied by, if any.

        Raises:
            UserError: There is no such file or rule, or it is not a file of rules.
        """
        if self.rules is None:
            if self.without_rule:
                raise UserError("--without_rule leaves out a rule of --rules: give it too, e.g. --rules paper")
            return None
        rules = Rules() if self.rules == PAPER else _read_rules(self.rules)
        try:
            return rules.without(*(_NUMBERS.get(name, name) for name in self.without_rule))
        except ValueError as error:
            raise UserError(str(error)) from error


def _read_rules(path: str) -> Rules:
    """The weights that a YAML file gives; the others are as in the paper."""
    entries = read_entries(path, "rules", f"give a YAML file of weights, or {PAPER!r}")
    entries.check(_RULES)
    if "words" in entries:
        entries["words"].check({word: float for word in entries["words"] if isinstance(word, str)})
    try:
        return Rules(**entries)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
