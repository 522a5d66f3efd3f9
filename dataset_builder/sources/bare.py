"""Tables that language models wrote, for six domains: a base model's drafts, refined by an instruction-tuned one.

Upstream: https://github.com/pgasawa/BARE. Licence: MIT. A raw line (made up) of the table of mathematics problems:

    {"question": "Ida cuts 12 m of rope into 4 parts. How long is one?", "answer": "12 / 4 = 3. It is 3 m long."}

The table of e-mails has {"spam": true, "email": {"email": "..."}}, where ``email`` may also be bare text.

The whole tables have 500 or 1,000 rows, as their names tell, and no ids; some rows come again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import UnionType

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

BARE = Source(
    name="bare",
    title="BARE sample generations (data written by language models for six domains)",
    homepage="https://github.com/pgasawa/BARE",
    license="mit",
    redistributable="yes",
    notices=("Copyright (c) 2025 Parth Asawa",),
    citation="Zhu, Asawa et al. 2025, BARE, https://github.com/pgasawa/BARE",
    folder="bare",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """What is given, what is wanted, and the sentence that says so."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wanted: str

    @property
    def name(self) -> str:
        """E.g. ``answer_from_question``."""
        return "_from_".join("_".join(names) for names in (self.outputs, self.inputs) if names)

    def draw(self, texts: dict[str, str]) -> Draw:
        """A row of the table as a draw."""
        return Draw(_text(texts, self.inputs) if self.inputs else None, _text(texts, self.outputs))


def _text(texts: dict[str, str], names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return texts[names[0]]
    return json.dumps({name: texts[name] for name in names}, ensure_ascii=False)


def read(
    raw_files: RawFiles,
    path: str,
    fields: Mapping[str, type | UnionType],
    about: tuple[str, ...],
    variants: tuple[Variant, ...],
) -> Iterator[Example | Dropped]:
    """One process per variant, each of them the whole table in upstream order."""
    rows = []
    for number, row in raw.read_json_lines(raw_files[path], fields):
        with raw.at_row(raw_files[path], number):
            texts = {name: _plain(row[name]) for name in fields}
        if all(texts.values()):
            rows.append(texts)
        else:
            yield Dropped("row with an empty field")
    for variant in variants if rows else ():
        descriptions = (*(f"{text} {variant.wanted}" for text in about), f"{variant.wanted} {about[0]}")
        yield Example(variant.name, descriptions, tuple(variant.draw(texts) for texts in rows))


def _plain(value: str | bool | dict[str, str] | None) -> str:
    if isinstance(value, dict):
        return "\n".join(map(str.strip, value.values())).strip()
    return "" if value is None else str(value).strip()


def task(
    name: str,
    table: str,
    fields: Mapping[str, type | UnionType],
    about: tuple[str, ...],
    variants: tuple[Variant, ...],
    *,
    summary: str,
    domain: str,
    verbatim: str = "",
) -> TaskSpec:
    """The training task of one table.

    Args:
        name: The task's id.
        table: The file, without its ending, below ``bare/sample_generated_data``.
        fields: Field -> type of its value.
        about: Sentences, any of which says what the table is.
        variants: What is given and wanted, for each process.
        summary: One sentence for the card.
        domain: What the texts are about.
        verbatim: Why the texts are left as they are, if they are.
    """
    path = f"bare/sample_generated_data/{table}.jsonl"
    return TaskSpec(
        name=name,
        kind="icl",
        split="train",
        source=replace(BARE, files=(SourceFile(path),)),
        group="text_collections",
        summary=summary,
        process="the whole table, and which fields are given and wanted",
        inputs=tuple(dict.fromkeys(field for variant in variants for field in variant.inputs)),
        outputs=tuple(dict.fromkeys(field for variant in variants for field in variant.outputs)),
        sequences=Sequences("partition", Mix(32)),
        read=partial(read, path=path, fields=fields, about=about, variants=variants),
        domain=domain,
        verbatim=verbatim,
        version="1.1.0",
        quirks="Rows that the models wrote more than once are kept as separate draws.",
    )
