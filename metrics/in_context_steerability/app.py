"""The page of the metric's Space: scored outputs as lines of text, to curves and scores (`python app.py`)."""

from __future__ import annotations

from io import StringIO

import gradio as gr
import numpy as np
import pandas as pd
from scoring import METRICS, as_outputs, at_largest_k, by_examples, reliability, summarize, with_examples

INTRODUCTION = """# In-Context Steerability
Does a model learn from the examples in its context? Write one output per line: the **sequence** it is in, **k**, the
number of examples before it, and its **loss** in nats; and where it has options, the **confidence** in the most likely
one and whether that is **correct** (1 or 0)."""

EXAMPLES = [
    ["sequence,k,loss\nann,0,2.0\nann,1,1.5\nann,2,1.0\nbob,0,3.0\nbob,1,1.5\nbob,2,0.5"],
    [
        "sequence,k,loss,confidence,correct\nann,1,0.5,0.6,1\nann,2,0.3,0.7,1\nann,3,1.6,0.8,0\n"
        "bob,1,0.9,0.6,0\nbob,2,0.2,0.8,1\nbob,3,0.1,0.9,1"
    ],
]
COLUMNS = ("sequence", "k", "loss", "tokens", "correct", "confidence")


def parse_outputs(text: str) -> pd.DataFrame:
    """The table in a text of comma-separated lines, the first of which names the columns."""
    table = pd.read_csv(StringIO(text), dtype={"sequence": str}, skipinitialspace=True)
    for name in COLUMNS[:3]:
        if name not in table:
            raise ValueError(f"there is no column {name!r}: let the first line be 'sequence,k,loss'")
    for name in table:
        if name not in COLUMNS:
            raise ValueError(f"column {name!r} is not known: use {', '.join(COLUMNS)}")
    return table


def score(text: str, n_bins: float) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The loss by number of examples, accuracy by bin of confidence, and the scores."""
    table = parse_outputs(text)
    outputs = as_outputs(**{name: table[name].to_list() for name in table})
    counted, last = with_examples(outputs), at_largest_k(outputs)
    summary, at_last = (summarize(chosen, n_bins=int(n_bins)) for chosen in (counted, last))
    scores = pd.DataFrame(
        {
            "metric": METRICS,
            "with examples": [round(summary[name], 4) for name in METRICS],
            "standard error": [round(summary[f"{name}_se"], 4) for name in METRICS],
            "at the largest k": [round(at_last[name], 4) for name in METRICS],
        }
    )
    curve, bars = pd.DataFrame(by_examples(outputs)), pd.DataFrame(reliability(counted, n_bins=int(n_bins)))
    filled = bars[bars["n"] > 0]
    return curve[["k", "loss"]], filled[["confidence", "accuracy"]].astype(float), scores.replace({np.nan: None})


def score_or_explain(*inputs: str | float) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """:func:`score`, with a mistake shown on the page."""
    try:
        return score(*inputs)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from error


def main() -> None:
    """Serve the page."""
    with gr.Blocks(title="In-Context Steerability") as page:
        gr.Markdown(INTRODUCTION)
        text = gr.Textbox(EXAMPLES[-1][0], lines=8, label="Outputs")
        n_bins = gr.Number(10, label="Bins of confidence", precision=0)
        button = gr.Button("Score", variant="primary")
        with gr.Row():
            curve = gr.LinePlot(x="k", y="loss", title="Loss by number of examples (nats)")
            bars = gr.ScatterPlot(x="confidence", y="accuracy", y_lim=[0, 1], title="Accuracy by confidence")
        scores = gr.Dataframe(label="Scores")
        gr.Examples(EXAMPLES, [text])
        gr.on([page.load, button.click], score_or_explain, [text, n_bins], [curve, bars, scores])
    page.launch()


if __name__ == "__main__":
    main()
