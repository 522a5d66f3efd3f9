"""The page of the playground: a question, and how each model answers it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import gradio as gr

from spectrum_suite.errors import UserError
from spectrum_suite.playground.answers import ARROW, MOST_SAMPLES, Model, ask, read_question
from spectrum_suite.playground.drawing import draw_options, draw_samples
from spectrum_suite.playground.gallery import GALLERY, Case

SAMPLES = 50
AT_ONCE = 1
"""Questions that are answered at a time: each one takes all of the machine, and two would take twice its memory."""

MOST_WAITING = 100
"""Questions that may wait; later ones are refused, as the playground is busy."""

INTRODUCTION = """# Spectrum playground
Describe what is drawn, give examples of draws, or both. You see how probable each **option** is to the models, and what
they **say** when they are asked many times, at temperature 1."""


def page(models: Sequence[Model]) -> gr.Blocks:
    """The page on which models are asked."""

    def respond(*fields: str | float) -> tuple[str, str]:
        *texts, n = fields
        try:
            question = read_question(*texts)
            answers = ask(models, question, int(n), seed=random.randrange(2**31))
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return draw_options(question, answers), draw_samples(answers)

    with gr.Blocks(title="Spectrum playground") as blocks:
        gr.Markdown(INTRODUCTION)
        fields = _fields(GALLERY[0])
        gallery = gr.Examples(
            [case.fields for case in GALLERY], fields, example_labels=[case.name for case in GALLERY], label="Try"
        )
        with gr.Row():
            with gr.Column():
                for field in fields:
                    field.render()
                n = gr.Slider(1, MOST_SAMPLES, SAMPLES, step=1, label="Samples")
                button = gr.Button("Ask", variant="primary")
            with gr.Column():
                bars = gr.HTML(label="Options", show_label=True, container=True, padding=True)
                samples = gr.HTML(label="Samples", show_label=True, container=True, padding=True)
                gr.Markdown("<br>".join(f"**{model.label}**: `{model.name}`" for model in models))
        inputs, outputs = [*fields, n], [bars, samples]
        turn = {"concurrency_id": "models", "concurrency_limit": AT_ONCE}  # one queue, whatever asks
        gr.on([blocks.load, button.click], respond, inputs, outputs, api_name="ask", **turn)
        gallery.load_input_event.then(respond, inputs, outputs, api_visibility="private", **turn)
    return blocks.queue(max_size=MOST_WAITING)


def _fields(case: Case) -> list[gr.Textbox]:
    """Where the question is written; they are put on the page later."""
    return [
        gr.Textbox(case.description, label="Description", lines=3, render=False),
        gr.Textbox(
            case.examples, label="Examples", info=f"one a line: output, or input {ARROW} output", lines=3, render=False
        ),
        gr.Textbox(case.given, label="Next input", info="where the outputs have inputs", render=False),
        gr.Textbox(case.options, label="Options", info="one a line", lines=4, max_lines=8, render=False),
    ]
