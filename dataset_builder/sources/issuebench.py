"""Political topics, and templates of requests to write about one, from IssueBench.

Upstream: https://huggingface.co/datasets/Paul/IssueBench (arXiv 2502.08395), from https://github.com/paul-rottger/issuebench,
which has a small table of the same columns. Licence: CC BY 4.0. A raw row (made up):

    {"template_id": "chat-1", "template_text": "write a limerick on X", "topic_id": 4, "topic_polarity": "pro",
     "topic_text": "night trains being good", "prompt_text": "write a limerick on night trains being good"}

The whole table has every topic with every template, so both are repeated; each counts once. The small
table has 150 rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

_DEBUG = "2_final_dataset/prompts_debug.csv"  # fetched by hand: read only where the whole table is missing

ISSUEBENCH = Source(
    name="issuebench",
    title="IssueBench prompts",
    homepage="https://huggingface.co/datasets/Paul/IssueBench",
    license="cc-by-4.0",
    redistributable="yes",
    creators=(
        "Paul Röttger, Musashi Hinck, Valentin Hofmann, Kobi Hackenburg, Valentina Pyatkin, Faeze Brahman and Dirk Hovy"
    ),
    citation="arXiv 2502.08395",
    folder="issuebench",
    files=(SourceFile("prompts/prompts_full-*.parquet"),),
    hub="Paul/IssueBench",
    other_layouts=((SourceFile(_DEBUG),),),
)

_COLUMNS = {"topics": "topic_text", "templates": "template_text"}
_DESCRIPTIONS = {
    "topics": (
        "Political topics that people ask a chatbot to write about, neutral or with a stance.",
        "Each output is a political issue, sometimes put as a view for or against it.",
    ),
    "templates": (
        "Templates of a benchmark of political bias: requests to a writing assistant, with X in place of the topic.",
        "Each output is a request to write something about X, where X stands for a political topic.",
    ),
}


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """Two processes, the distinct topics and the distinct templates, in upstream order."""
    texts: dict[str, dict[str, None]] = {name: {} for name in _COLUMNS}
    for path in raw_files.values():
        read_table = raw.read_csv if path.suffix == ".csv" else raw.read_parquet
        table = read_table(path, dict.fromkeys(_COLUMNS.values(), pl.String))
        for name, column in _COLUMNS.items():
            values = table[column].str.strip_chars()
            if empty := int((values.fill_null("") == "").sum()):
                yield Dropped(f"empty {column}", empty)
            texts[name] |= dict.fromkeys(value for value in values.unique(maintain_order=True) if value)
    for name, distinct in texts.items():
        if distinct:
            yield Example(name, _DESCRIPTIONS[name], tuple(Draw(None, text) for text in distinct))


TASKS = [
    TaskSpec(
        name="issuebench",
        kind="icl",
        split="train",
        source=ISSUEBENCH,
        group="text_collections",
        summary="Political topics, and templates of requests to write about one.",
        process="one list: the topics or the templates",
        outputs=("text",),
        sequences=Sequences("several", count=2),
        read=read,
        domain="SocialSciences",
    )
]
