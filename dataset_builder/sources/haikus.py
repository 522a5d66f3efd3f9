"""Poems of three lines from several collections, with the syllables of each line.

Upstream: https://github.com/docmarionum1/haikurnn. Licence: unstated. A raw row (made up); where a word can be
spoken in two ways, the syllables of its line are several counts:

    0,1,2,source,0_syllables,1_syllables,2_syllables
    frost on the hour hand,a fire that nobody lit,waits for the morning,attic,"5,6",7,5

The whole file: 25,886 different poems in four collections, 128 of which lack a line or its syllables.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.seeding import stable_sample

_REVISION = "e35b0d5065a728b77a3f99f1ec1e2871d677b9ff"
_PATH = "input/poems/haikus.csv"

HAIKUS = Source(
    name="haikus",
    title="haikurnn haiku corpus",
    homepage="https://github.com/docmarionum1/haikurnn",
    license="unstated",
    redistributable="unknown",
    citation="https://github.com/docmarionum1/haikurnn",
    folder="haikus",
    revision=_REVISION,
    files=(SourceFile(_PATH, f"https://raw.githubusercontent.com/docmarionum1/haikurnn/{_REVISION}/{_PATH}"),),
)

_LINES, _SYLLABLES = ("0", "1", "2"), ("0_syllables", "1_syllables", "2_syllables")
_LENGTH, _MAX_SEQUENCES = 64, 200  # of a sequence, and per variant
_WORD = re.compile(r"[^\W\d_]+(?:['’\x92-][^\W\d_]+)*")  # \x92: as upstream has it
_DESCRIPTIONS = {
    "syllables": (
        "Haikus: poem ~ syllables of the three lines",
        "Three-line poems. The input gives the syllables of each line, the output is the poem.",
        "Write a haiku whose lines have the given numbers of syllables.",
    ),
    "include_word": (
        "Haikus: poem ~ include_word + syllables of the three lines",
        "Three-line poems. The input gives a word that the poem contains and the syllables of each line.",
        "Write a haiku with the given word in it, whose lines have the given numbers of syllables.",
    ),
    "poem": ("Haikus: poem ~ 1", "Haikus, that is short poems of three lines.", "Each output is a haiku."),
}


class Poem(NamedTuple):
    """A poem, its collection, and what is known of it."""

    text: str
    collection: str
    syllables: str

    def draw(self, variant: str) -> Draw:
        """The poem with what the variant gives."""
        if variant == "poem":
            return Draw(None, self.text)
        if variant == "syllables":
            return Draw(self.syllables, self.text)
        [word] = stable_sample(_WORD.findall(self.text), 1, self.text)
        return Draw(json.dumps({"include_word": word, "syllables": self.syllables}, ensure_ascii=False), self.text)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per variant and collection, and one of all poems without an input."""
    poems: dict[str, Poem] = {}
    for poem in _poems(raw_files):
        if isinstance(poem, Dropped):
            yield poem
        elif poem.text in poems:
            yield Dropped("poem that came before")
        else:
            poems[poem.text] = poem
    for variant, descriptions in _DESCRIPTIONS.items():
        collections = _collections(poems, variant)
        if beyond := len(poems) - sum(map(len, collections.values())):
            yield Dropped(f"poem beyond those of the variant {variant}", beyond)
        for collection, members in collections.items():
            yield Example(f"{collection}/{variant}", descriptions, tuple(poem.draw(variant) for poem in members))


def _poems(raw_files: RawFiles) -> Iterator[Poem | Dropped]:
    path = raw_files[_PATH]
    table = raw.read_csv(path, dict.fromkeys((*_LINES, "source", *_SYLLABLES), pl.String))
    for row, cells in enumerate(table.rows(), start=1):
        texts = [(cell or "").strip() for cell in cells]
        lines, collection, counts = texts[:3], texts[3], texts[4:]
        if not all(texts) or not _WORD.search(text := "\n".join(lines)):
            yield Dropped("poem with an empty line, or without words, syllables or collection")
        else:
            with raw.at_row(path, row):
                yield Poem(text, collection, ", ".join(map(_count, counts)))


def _count(field: str) -> str:
    """``5`` for "5"; ``9 or 10`` for "10,9"."""
    return " or ".join(map(str, sorted(map(int, field.split(",")))))


def _collections(poems: Mapping[str, Poem], variant: str) -> dict[str, list[Poem]]:
    """At most so many poems that a variant has no more than its sequences, of which each collection's last is short."""
    names = {text: "all" if variant == "poem" else poem.collection for text, poem in poems.items()}
    chosen = stable_sample(poems, _LENGTH * (_MAX_SEQUENCES - len(set(names.values()))), variant)
    collections = defaultdict(list)
    for text in filter(chosen.__contains__, poems):
        collections[names[text]].append(poems[text])
    return collections


TASKS = [
    TaskSpec(
        name="haikus",
        kind="icl",
        split="train",
        source=HAIKUS,
        group="text_collections",
        summary="Three-line poems, given the syllables of their lines, a word and the syllables, or nothing.",
        process="one collection of poems and what is given",
        inputs=("include_word", "syllables"),
        outputs=("poem",),
        sequences=Sequences("partition", _LENGTH),
        read=read,
        domain="Culture",
        version="1.1.0",
        quirks=f"A poem that comes twice is used once. A variant has a fixed sample of poems, {_MAX_SEQUENCES} rows at "
        "most. The word to include depends on the poem alone.",
    )
]
