"""The page of the metric's Space: two distributions as text, or sampled answers, to bars and scores."""

from __future__ import annotations

from pathlib import Path

import evaluate
import gradio as gr
import pandas as pd

INTRODUCTION = """# Spectrum Alignment
Does a model draw its answers from the distribution it should? Write the **target** as one `option: probability` per
line. Write the **model** in the same way, or choose *samples* and paste its answers, one per line."""

EXAMPLES = [
    ["red: 0.5\nblue: 0.3\ngreen: 0.2", "red: 0.35\nblue: 0.35\ngreen: 0.1", "probabilities", 1e-6, False],
    ["heads: 0.5\ntails: 0.5", "heads: -1.61\ntails: -0.51", "log_probabilities", 1e-6, False],
    ["red: 0.5\nblue: 0.25\ngreen: 0.25", "red\nred\nred\nblue\ngreen\nI pick blue", "samples", 1e-6, False],
    ["never: 0.1\nsometimes: 0.6\nalways: 0.3", "never: 0.3\nsometimes: 0.6\nalways: 0.1", "probabilities", 0, True],
]


def parse_distribution(text: str) -> dict[str, float]:
    """The numbers of a text with one ``option: number`` per line; an option may hold colons itself."""
    numbers = {}
    for line in filter(str.strip, text.splitlines()):
        option, _, number = line.rpartition(":")
        try:
            numbers[option.strip()] = float(number)
        except ValueError:
            raise ValueError(f"line {line.strip()!r}: write 'option: number', such as 'red: 0.5'") from None
    return numbers


def parse_model(text: str, prediction_type: str, options: list[str]) -> list[float] | list[str]:
    """Samples, one per line, or a number per option; an option that is not written has no mass."""
    if prediction_type == "samples":
        return [line for line in text.splitlines() if line.strip()]
    numbers = parse_distribution(text)
    unknown = [option for option in numbers if option not in options]
    if unknown:
        raise ValueError(f"the model's option {unknown[0]!r} is not in the target: use its options, {options}")
    absent = 0.0 if prediction_type == "probabilities" else float("-inf")
    return [numbers.get(option, absent) for option in options]


def compare(
    target_text: str, model_text: str, prediction_type: str, smoothing: float, ordered: bool
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The bars of the target, the bars of the model over the same options (mass elsewhere left out), and the scores."""
    target = parse_distribution(target_text)
    options = list(target)
    model = parse_model(model_text, prediction_type, options)
    metric = evaluate.load(str(Path(__file__).with_name("spectrum_alignment.py")))
    scores = metric.compute(
        predictions=[model],
        references=[{"options": options, "probabilities": list(target.values())}],
        prediction_type=prediction_type,
        smoothing=smoothing,
        ordered=ordered,
        per_item=True,
    )["per_item"]
    if prediction_type == "samples":
        answers = [answer.strip() for answer in model]
        model = [answers.count(option) / len(answers) for option in options]
    heights = pd.Series(model, options)
    heights = heights.map(float) if prediction_type != "log_probabilities" else 2.718281828459045**heights
    bars = [pd.DataFrame({"option": options, "probability": list(values)}) for values in (target.values(), heights)]
    return *bars, pd.DataFrame({"metric": list(scores), "value": [round(value, 4) for (value,) in scores.values()]})
