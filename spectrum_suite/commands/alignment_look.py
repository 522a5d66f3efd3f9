"""How far a model is from held-out distributions while it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from spectrum_suite.evaluation.alignment.score_alignment import AlignmentItem, score_items
from spectrum_suite.evaluation.measured_tasks import tasks_of
from spectrum_suite.formats.render import Format
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.suite import draw_rows, task_rows
from spectrum_suite.training.arguments import SpectrumArguments
from spectrum_suite.training.trainer import SpectrumTrainer


class AlignmentLook(TrainerCallback):
    """Measures every some steps how far the model is from held-out distributions, and logs the means."""

    def __init__(self, trainer: SpectrumTrainer, arguments: SpectrumArguments, text_format: Format) -> None:
        self.trainer = trainer
        self.every = arguments.alignment_steps
        self.text_format = text_format
        self.rows = {
            task: draw_rows(
                task_rows(arguments.suite, task), task, limit=arguments.alignment_items, seed=trainer.args.seed
            )
            for task in tasks_of(arguments.suite, ["all"], ["alignment"])["alignment"]
        }

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Log ``alignment/<task>/js_divergence`` and ``coverage``."""
        if state.global_step % self.every:
            return
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        model.eval()
        lm = LocalLM.of(model, self.trainer.processing_class, self.text_format)
        found = {
            f"alignment/{task}/{name}": fmean(item.scores[name] for item in items)
            for task, items in self._items(lm)
            for name in ("js_divergence", "coverage")
        }
        model.train()
        should_log = control.should_log  # a line of our own would take the place of the step's
        self.trainer.log(found)
        control.should_log = should_log

    def _items(self, lm: LocalLM) -> Iterator[tuple[str, tuple[AlignmentItem, ...]]]:
        """The task's name and its scored items, for every task; the same items each time."""
        for task, rows in self.rows.items():
            yield task, score_items(lm, rows)
