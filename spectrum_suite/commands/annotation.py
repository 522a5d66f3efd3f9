"""What `spectrum-suite annotate` does."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from dataset_builder.registry import all_tasks
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message
from spectrum_suite.lm.client import Endpoint, served_model
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm.served import ServedLM
from spectrum_suite.markers.annotate import COLUMN, Annotator
from spectrum_suite.markers.marker_counts import marker_report
from spectrum_suite.markers.plan import Planned, load_plan
from spectrum_suite.markers.provenance import task_markers
from spectrum_suite.markers.quality import RewardModel
from spectrum_suite.markers.sets import Finders, Provenance, annotate_draws, annotate_instructions, bucket_qualities
from spectrum_suite.markers.tagger import Tagger
from spectrum_suite.markers.taxonomy import TAXONOMY, Taxonomy, load_taxonomy
from spectrum_suite.models import find_model, load_for_scoring, load_tokenizer, scoring_device
from spectrum_suite.parser import parse_pairs
from spectrum_suite.seeding import stable_sample
from spectrum_suite.training.mixture import load_mixture

logger = logging.getLogger("spectrum_suite.markers")

REPORT = "markers.md"
TAGS = "tags.jsonl"
KEPT = ".annotated"
"""Below the output: what a later call takes up. Its name begins with a dot, so that `load_dataset` passes over it."""


def annotate(options: argparse.Namespace) -> None:
    """Annotate what the options name, and write it with its report."""
    taxonomy = load_taxonomy(options.taxonomy) if options.taxonomy else TAXONOMY
    parts = list(_planned(options, taxonomy))
    if not parts and not options.suite:
        raise UserError("nothing to annotate: give instruction data, a --plan, or a --suite with --tasks")
    for part in parts:
        taxonomy.check(part.provenance.fixed)
    if options.output.is_file():
        raise UserError(f"output {str(options.output)!r} is a file: give a folder")
    tokenizer = load_tokenizer(find_model(options.tokenizer, weights=False))
    finders = Finders(
        Annotator(tokenizer, taxonomy=taxonomy),
        score=RewardModel.load(options.reward_model, device=scoring_device(None), progress=True).score
        if options.reward_model
        else None,
        tagger=_tagger(options, taxonomy),
        num_proc=options.num_proc,
        kept=options.output / KEPT,
    )
    found = [
        annotate_instructions(
            part.data,
            finders,
            part.provenance,
            layout=part.layout,
            split=part.split,
            limit=part.limit,
            seed=options.seed,
        )
        for part in parts
    ]
    if options.suite:
        found += _suite_rows(options, finders)
    rows = bucket_qualities(concatenate_datasets(found))
    if options.max_tokens:
        rows = rows.filter(
            lambda messages: _longest(messages, tokenizer) <= options.max_tokens, input_columns="messages"
        )
    _write(rows, options, taxonomy)


def _longest(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> int:
    """The tokens of the longest message."""
    texts = [message["content"] for message in messages]
    return max(map(len, tokenizer(texts, add_special_tokens=False).input_ids))


def _write(rows: Dataset, options: argparse.Namespace, taxonomy: Taxonomy) -> None:
    splits = _splits(rows, options.held_out, options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    for split, part in splits.items():
        part.to_parquet(options.output / f"{split}.parquet")
    report = marker_report([found for markers in splits["train"][COLUMN] for found in markers], taxonomy)
    (options.output / REPORT).write_text(report + "\n", encoding="utf-8")
    logger.info("%s", report)
    for split, part in splits.items():
        logger.info("%s: %d rows in %s", split, len(part), options.output / f"{split}.parquet")


def _splits(rows: Dataset, held_out: int, seed: int) -> dict[str, Dataset]:
    """The rows of so many prompts held out: all answers to a prompt are on one side, in whichever data they are."""
    prompts = [json.dumps([[message["role"], message["content"]] for message in row[:-1]]) for row in rows["messages"]]
    distinct = set(prompts)
    if len(distinct) <= held_out:
        raise UserError(f"{len(distinct)} prompts are left, and --held_out asks for {held_out}: annotate more data")
    chosen = stable_sample(distinct, held_out, f"held out/{seed}")
    test = [prompt in chosen for prompt in prompts]
    splits = {"train": rows.select([row for row, held in enumerate(test) if not held])}
    return splits | ({"test": rows.select([row for row, held in enumerate(test) if held])} if held_out else {})


def _planned(options: argparse.Namespace, taxonomy: Taxonomy) -> Iterator[Planned]:
    known = Provenance(
        parse_pairs("--fixed", options.fixed, "source=Human"),
        parse_pairs("--columns", options.columns, "task=category"),
    )
    for data in options.data:
        yield Planned(data, known, options.layout, options.split, options.limit)
    if options.plan:
        sources = options.sources_dir or os.environ.get("SPECTRUM_SOURCES")
        yield from load_plan(options.plan, Path(sources) if sources else None, taxonomy)


def _suite_rows(options: argparse.Namespace, finders: Finders) -> Iterator[Dataset]:
    mixture = load_mixture(options.suite, options.tasks, seed=options.seed)
    known, start = {spec.name: spec for spec in all_tasks()}, 0
    for task, count in mixture.rows_per_task.items():
        rows = mixture.rows.select(range(start, start + count))
        yield annotate_draws(rows, finders, task_markers(known[task]) if task in known else {})
        start += count


def _tagger(options: argparse.Namespace, taxonomy: Taxonomy) -> Tagger | None:
    if not options.tagger:
        if options.tagger_endpoint:
            raise UserError("--tagger_endpoint needs the tokenizer of the model there: name the model with --tagger")
        return None
    if options.tagger_endpoint:
        endpoint = Endpoint(options.tagger_endpoint, served_model(options.tagger_endpoint))
        lm = ServedLM(find_model(options.tagger, weights=False), "auto", endpoint)
    else:
        lm = LocalLM.of(*load_for_scoring(options.tagger))
    return Tagger(lm, options.tagger, cache=options.output / TAGS, taxonomy=taxonomy, progress=True)
