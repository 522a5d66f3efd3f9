"""The page of the metric's Space: generations and valid answers as text, to scores and a curve (`python app.py`)."""

from __future__ import annotations

from collections import Counter

import gradio as gr
import numpy as np
import pandas as pd
from scoring import METRICS, listed_items, rarefaction, score_task

INTRODUCTION = """# Output Coverage
How much of what is valid does a model reach when it answers one prompt many times? Paste its **generations** and the
**valid answers**, one per line."""

EXAMPLES = [
    ["Friday\nMonday\nfriday\nFriday\nSomeday", "Monday\nTuesday\nWednesday\nThursday\nFriday\nSaturday\nSunday", True],
    ["He\nFe\nhe\nNa\nFe\nXx", "H\nHe\nLi\nBe\nB\nC\nN\nO\nF\nNe\nNa\nMg\nFe", False],
]


def score(generations: str, valid_items: str, ignore_case: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The expected yield of the first k generations, and the scores with their standard errors."""
    texts, valid = _lines(generations), _lines(valid_items)
    if not texts or not valid:
        raise ValueError("there is nothing to score: write at least one generation and one valid answer, one per line")
    items, set_size = listed_items(texts, valid, "one_of" if ignore_case else "one_of_exact")
    scores = score_task(texts, items, set_size=set_size)
    counts = Counter(item for item in items if item is not None)
    curve = rarefaction(list(counts.values()), len(texts))
    return pd.DataFrame({"generations": np.arange(1, len(texts) + 1), "different valid answers": curve}), pd.DataFrame(
        {
            "metric": METRICS,
            "value": [round(scores[name], 4) for name in METRICS],
            "standard error": [round(scores[f"{name}_se"], 4) for name in METRICS],
        }
    )


def score_or_explain(*inputs: str | bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """:func:`score`, with a mistake shown on the page."""
    try:
        return score(*inputs)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from error


def main() -> None:
    """Serve the page."""
    with gr.Blocks(title="Output Coverage") as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            generations = gr.Textbox(EXAMPLES[0][0], lines=8, label="Generations")
            valid_items = gr.Textbox(EXAMPLES[0][1], lines=8, label="Valid answers")
        ignore_case = gr.Checkbox(value=True, label="Ignore upper and lower case")
        button = gr.Button("Score", variant="primary")
        curve = gr.LinePlot(x="generations", y="different valid answers", title="Yield")
        scores = gr.Dataframe(label="Scores")
        inputs = [generations, valid_items, ignore_case]
        gr.Examples(EXAMPLES, inputs)
        gr.on([page.load, button.click], score_or_explain, inputs, [curve, scores])
    page.launch()


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


if __name__ == "__main__":
    main()
