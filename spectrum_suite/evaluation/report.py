"""The report of an evaluation: what it holds, and how it is read.

``report.json`` is one object (units: nats and seconds; a number that is not finite is null):

    schema_version  2
    created         when the report was written, ISO 8601, UTC
    libraries       versions, by package name
    model           name (as given), revision (commit on a Hub, or null), fingerprint (of the files; of the server and
                    the tokenizer for a served model), base (the same of an adapter's base, or null),
                    adapter_scale (how much of the adapter's change was taken, where not all of it)
    suite           name (as given; null where there is none), fingerprint (of all scored items), task_versions (task ->
                    its version, where the suite has it; numbers on different versions must not be compared),
                    dataset (with --dataset: name, config, split, revision (the commit, or null), columns)
    settings        format, task_labels, bos (its text as put before each prompt, or ""), dtype, device, load_in_4bit
                    (null for a served model), endpoint ({url, model} or null), engine ({name, version, options}, where
                    it is not transformers), rules (weights of the adapter that the model is multiplied by, or null),
                    smoothing, seed, limit, batch_size, examples (answers before each item of alignment, if any),
                    max_length (of scored sequences), generations (per prompt), first_line (whether only that of a
                    generation was checked), judge ({url, model, tasks} or null), likelihood_judge, data (name -> as
                    given), max_new_tokens (of a response), processes (their number)
    seconds         spent on scoring and sampling
    steerability    task -> {
        n, n_available, n_too_long, capability, max_length, seconds, rows_fingerprint,
        options         the closed answers of the outputs, a list of these lists where questions differ, or null
        without_options why outputs have none, and so neither accuracy nor calibration -> how many of the drawn ones
        n_outputs, n_failed  scored outputs, and those of them for which the model gave NaN
        summary, at_largest_k  loss (with the terminator), loss_per_token, accuracy, ece, each with <metric>_se
        ci95            metric -> bootstrap 95% interval over sequences
        by_k            the same by the number of examples, as columns
        reliability     the columns of a reliability diagram, or null
        sequences       [{id, content (a hash), k, losses, tokens, answers, log_probs, asked (the place of an output's
                        answers among options, or null), failed (the k of outputs that are NaN)}]
    }
    coverage        task -> prompting -> {
        n, unfinished, set_size, validity, seconds, row_fingerprint,
        scores          valid, unique, yield, reached, unique_texts -> {mean, se}
        yield_curve     mean number of different valid items among the first k
        messages, texts, items
    }
    alignment       task -> {
        estimate        {name (of the way to estimate a distribution) and what it depends on: n, precision, ...}
        n_available, n, n_scored, n_failed (items for which the model gave NaN), refused (why items were not asked ->
        how many), seconds, rows_fingerprint,
        model           metric -> {mean, se}
        uniform         the same of the uniform guess
        skill           divergence -> {skill (1 - divergence / that of the uniform guess), ci95, n}
        drawn           where answers were drawn: {n {least, mean, most}, answers, others (why not an option ->
                        how many), reasoning (characters), corrected (metric -> {mean, ci95, n}), skill (of these),
                        interval_width, perfect and record (metric -> mean: what a perfect sampler of the target would
                        get, and what people's answers are away from their population), indistinguishable {n, of},
                        sums_off (of written distributions)}
        items           [{id, options, target, log_probs, probabilities, scores, uniform, refused (or null), ordered,
                        drawn (or null: n, counts, others, plug_in, corrected, ci95, perfect, record, p_value)}]
        calibrated      with --calibration: {kinds (of option set -> items), unknown (items of other kinds), model (as
                        above), difference (metric -> {difference, ci95, n}: after minus before), worse, js_divergence
                        (of each item)}
        orders          with --orders: {orders, n, unlisted (items whose prompts list no options), flip_rate {mean,
                        ci95, n}, model (of the mean over orders), difference (metric -> mean over orders minus the
                        given order)}
    }
    alignment_mean  js_divergence (corrected, where answers were drawn) and skill -> {mean, ci95, n}: over tasks
    calibration     with --calibration: its suite, items and kinds, and difference, ci95, n and worse of all items
    instruction     name of a dataset -> {
        n, n_available, seconds, rows_fingerprint
        ranking         capability, ci95, n, n_failed, pairs (ids), margins (of both sides of each pair)
        format          measure -> {mean, ci95, n}
        win_rate        null, or judge, n, win_rate, length_controlled, consistency and intervals: over the data's own
                        responses
        similarity      null, or to, n, correlation, ci95, nearness_by_quarter, likeness_by_quarter
        items           [{id, instruction, reference, response, scores}]
    }
    markers         name of a dataset -> {
        n, n_available, seconds, rows_fingerprint, marked (whether the model's tokenizer takes markers), n_failed
        accuracy        category -> {inferred, ci95, majority, n}; null without markers, as the next three
        own_length_error  median relative error of the length that the model announces, against its own response's
        length_curve    [{wanted, mean, median, quartiles}], tokens
        length_correlation {spearman, ci95, n}: of the tokens wanted and got, over all responses
        moved           category -> value -> {set, not_set}: the share of responses that have the value; set is null
                        without markers
        problems        what was wrong with lists -> how often
        length_violation  {words, fixed} -> {mean, ci95, n}: said in words, and set as a marker (or null)
        lines_in_language {inferred, fixed} -> the same: every line is in the language
        nats_per_token  {inferred, fixed} -> the same: of the data's own responses, after the inferred list (or none)
                        and after their own
        by_frequency    category -> the same by bucket (common, medium, tail), with win_rate where there is a judge
        items           [{id, instruction, markers, limit, nats_per_token, responses}]
    }
    Sections of steerability and alignment have questions: [{question, n, measure -> {mean, ci95, n}}] (of draws those
    that are in several sequences); and with --by, by: attribute -> group -> {n, measure -> {mean, ci95, n}}.
    A section of steerability, alignment, instruction or markers has trained_on where the model was trained on any of
    its rows: their ids, by the training report beside the model.
    failed          [{desideratum, task, prompting (of a coverage task, or null), reason}]: what could not be measured
    comparison      null, or {other: {model, format}, steerability, alignment and instruction: task -> metric ->
                    {difference, ci95, n}, coverage: prompting -> {tasks: task -> metric -> {difference, ci95}, mean:
                    the same}}; with instruction also win_rate, over the other model; markers: length_violation
                    (baseline is the other model asked in words, inferred this one, fixed this one by a marker),
                    too_long and nats_per_token -> {difference, ci95, n}; refused: [{desideratum, task, reason}], what
                    both have and what cannot be compared

A desideratum on datasets may be missing in reports of earlier versions. The metrics of alignment are those of
``metrics/spectrum_alignment``; ``scores`` and ``uniform`` of its items hold one number each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spectrum_suite.errors import UserError, first_line
from spectrum_suite.json_files import read_json

SCHEMA_VERSION = 2
REPORT = "report.json"

Report = dict[str, Any]
"""What ``report.json`` holds."""

Section = dict[str, Any]
"""What ``report.json`` holds about one task."""


def read_report(path: str | Path) -> Report:
    """A report from its ``report.json``, or from the folder that holds it.

    Raises:
        UserError: There is none, or it is not one of this version.
    """
    path = Path(path).expanduser()
    file = path / REPORT if path.is_dir() else path
    remedy, again = f"give a {REPORT}, or the folder that holds one", "write it again with evaluate_model.py"
    report = read_json(file, remedy, what="report", again=again)
    if report.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"report {str(file)!r} is not of version {SCHEMA_VERSION}: write it with this evaluate_model.py"
        )
    return report


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Say on one line that a report is not what one of this version holds."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"report {str(path)!r} is damaged ({type(error).__name__}: {first_line(error)}): write it again with "
            "evaluate_model.py"
        ) from error


def model_name(report: Mapping[str, Any]) -> str:
    """The name of the model that a report is about, with the scale of its adapter where it is not 1."""
    model = report["model"]
    return model["name"] + (f" at adapter scale {model['adapter_scale']:g}" if "adapter_scale" in model else "")


def failure_text(failure: Mapping[str, Any]) -> str:
    """One line that says what was not measured, or not compared, and why."""
    how = f", {failure['prompting']}" if failure.get("prompting") else ""
    return f"{failure['task']} ({failure['desideratum']}{how}): {failure['reason']}"
