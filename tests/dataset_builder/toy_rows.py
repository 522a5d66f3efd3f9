"""Specs and rows of tasks that are made up for a test."""

from dataset_builder.registry import get_task
from dataset_builder.suite_builder import SpectrumSuite, tables
from dataset_builder.task_spec import Sequences, Source, TaskSpec

SOURCE = Source("s", "S", "https://example.org", "mit", "yes", "nobody")


def icl_task(name="task", sequences=None, n_processes=1, generate=None):
    return TaskSpec(
        name, "icl", "train", SOURCE, "random_draws", "Draws.", "a list", ("value",),
        sequences=sequences or Sequences("one"), generate=generate or (lambda rng, i: None), n_processes=n_processes,
    )  # fmt: skip


def rows_of(spec, examples, **settings):
    return [row for table in tables(spec, examples, 42, **settings) for row in table.to_pylist()]


def toy_rows(name, **settings):
    spec = get_task(name)
    return list(SpectrumSuite(config_name=name, **settings).as_streaming_dataset(split=spec.split))
