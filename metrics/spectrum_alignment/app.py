"""The page of the metric's Space: a target and a model's answers as text, to bars and scores (`python app.py`)."""

from __future__ import annotations

import html

import gradio as gr
import numpy as np
import pandas as pd
from scoring import sample_shares, score_items

INTRODUCTION = """# Spectrum Alignment
Does a model draw its answers from the distribution it should? Write the **target** as one `option: probability` per
line. Write the **model** the same way, or choose *samples* and paste its answers, one per line. Divergences in nats."""

COLORS = ("#4f46e5", "#ea580c")
"""Of the target and of the model."""

EXAMPLES = [
    ["red: 0.5\nblue: 0.3\ngreen: 0.2", "red: 0.35\nblue: 0.35\ngreen: 0.1", "probabilities", 1e-6, False],
    ["heads: 0.5\ntails: 0.5", "heads: -1.61\ntails: -0.51", "log_probabilities", 1e-6, False],
    ["red: 0.5\nblue: 0.25\ngreen: 0.25", "red\nred\nred\nblue\ngreen\nI pick blue", "samples", 1e-6, False],
    ["never: 0.1\nsometimes: 0.6\nalways: 0.3", "never: 0.3\nsometimes: 0.6\nalways: 0.1", "probabilities", 0, True],
]


def parse_distribution(text: str) -> dict[str, float]:
    """The numbers of a text with one ``option: number`` per line; an option may hold colons itself."""
    numbers: dict[str, float] = {}
    for line in filter(str.strip, text.splitlines()):
        option, _, number = (part.strip() for part in line.rpartition(":"))
        if option in numbers:
            raise ValueError(f"option {option!r} is written twice: add up its numbers")
        try:
            numbers[option] = float(number)
        except ValueError:
            raise ValueError(f"line {line.strip()!r}: write 'option: number', such as 'red: 0.5'") from None
    return numbers


def parse_model(text: str, prediction_type: str, options: list[str]) -> np.ndarray:
    """The model's probability of each option; an option that is not written has none."""
    if prediction_type == "samples":
        return sample_shares([line for line in text.splitlines() if line.strip()], options)
    numbers = parse_distribution(text)
    unknown = [option for option in numbers if option not in options]
    if unknown:
        raise ValueError(f"the model's option {unknown[0]!r} is not in the target: use its options, {options}")
    if prediction_type == "log_probabilities":
        return np.exp([numbers.get(option, -np.inf) for option in options])
    return np.array([numbers.get(option, 0.0) for option in options])


def compare(
    target_text: str, model_text: str, prediction_type: str, smoothing: float, ordered: bool
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The bars of the target, those of the model over the same options, and the scores."""
    target = parse_distribution(target_text)
    model = parse_model(model_text, prediction_type, list(target))
    scores = score_items([list(target.values())], [model], smoothing=smoothing, ordered=ordered)
    bars = [pd.DataFrame({"option": list(target), "probability": list(side)}) for side in (target.values(), model)]
    return *bars, pd.DataFrame(
        {"metric": list(scores), "value": [round(float(value[0]), 4) for value in scores.values()]}
    )


def draw_bars(target: pd.DataFrame, model: pd.DataFrame) -> str:
    """Both sides of every option as bars, in the order that was written, and what the model puts elsewhere."""
    sides = list(zip(target["option"], target["probability"], model["probability"], strict=True))
    elsewhere = max(0.0, 1 - model["probability"].sum())
    rows = [_row(html.escape(option), *pair) for option, *pair in sides] + [_row("<i>none of these</i>", 0, elsewhere)]
    return f"""<div style="display: grid; grid-template-columns: max-content 1fr max-content; gap: 2px 12px">
<b>option</b><b><span style="color: {COLORS[0]}">target</span>, <span style="color: {COLORS[1]}">model</span></b><i></i>
{"".join(rows)}</div>"""


def compare_or_explain(*inputs: str | float | bool) -> tuple[str, pd.DataFrame]:
    """:func:`compare`, drawn, and with a mistake shown on the page."""
    try:
        *sides, scores = compare(*inputs)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from error
    return draw_bars(*sides), scores


def main() -> None:
    """Serve the page."""
    with gr.Blocks(title="Spectrum Alignment") as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            target = gr.Textbox(EXAMPLES[0][0], lines=6, label="Target")
            model = gr.Textbox(EXAMPLES[0][1], lines=6, label="Model")
        with gr.Row():
            kind = gr.Radio(
                ["probabilities", "log_probabilities", "samples"], value="probabilities", label="Model gives"
            )
            smoothing = gr.Number(1e-6, label="Smoothing")
            ordered = gr.Checkbox(label="Options are in order (adds the Wasserstein distance)")
        button = gr.Button("Compare", variant="primary")
        bars = gr.HTML(label="Bars", container=True, padding=True)
        scores = gr.Dataframe(label="Scores")
        inputs = [target, model, kind, smoothing, ordered]
        gr.Examples(EXAMPLES, inputs)
        gr.on([page.load, button.click], compare_or_explain, inputs, [bars, scores])
    page.launch()


def _row(name: str, *shares: float) -> str:
    bars = "".join(
        f'<div style="width: {100 * share:.2f}%; min-width: 1px; height: 12px; background: {color}"></div>'
        for color, share in zip(COLORS, shares, strict=True)
    )
    numbers = "<br>".join(f"{share:.3f}" for share in shares)
    return (
        f'<div>{name}</div><div style="align-self: center">{bars}</div><div style="line-height: 1.2">{numbers}</div>\n'
    )


if __name__ == "__main__":
    main()
