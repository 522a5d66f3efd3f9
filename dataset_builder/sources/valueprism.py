"""ValuePrism: situations, and the values, rights and duties that bear on them (machine-written, checked by people).

Upstream: https://huggingface.co/datasets/allenai/ValuePrism (gated). Licence: AI2 ImpACT, medium risk. A raw row
(made up), where the kind is Value, Right or Duty and the valence Supports, Opposes or Either:

    situation,vrd,text,explanation,valence
    Keeping a found umbrella,Value,Honesty,Returning it would be honest.,Opposes

The whole table has a row for each consideration, so situations and texts are repeated; no id is relied on.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.seeding import stable_sample

_PATH = "full/full.csv"

VALUEPRISM = Source(
    name="valueprism",
    title="ValuePrism",
    homepage="https://huggingface.co/datasets/allenai/ValuePrism",
    license="AI2 ImpACT License for medium risk artifacts",
    redistributable="no",
    citation="arXiv 2309.00779",
    folder="valueprism",
    hub="allenai/ValuePrism",
    files=(SourceFile(_PATH),),
)

KINDS = ("Value", "Right", "Duty")
CLOSED = {"vrd": KINDS, "valence": ("Supports", "Opposes", "Either")}


def read_rows(raw_files: RawFiles, *columns: str) -> tuple[list[tuple[str, ...]], list[Dropped]]:
    """The rows with text in all of the columns, in upstream order, and what is dropped for lack of it.

    Raises:
        UserError: The file is malformed, or a kind or valence is not one of those that there are.
    """
    path = raw_files[_PATH]
    rows, dropped = [], []
    table = raw.read_csv(path, dict.fromkeys(columns, pl.String))
    for number, values in enumerate(table.rows(), start=1):
        row = tuple((value or "").strip() for value in values)
        if not all(row):
            dropped.append(Dropped(f"{columns[row.index('')]} is empty"))
            continue
        for column, value in zip(columns, row, strict=True):
            if value not in CLOSED.get(column, (value,)):
                raise raw.bad_row(path, number, f"{column} holds {value!r}, which is not one of {list(CLOSED[column])}")
        rows.append(row)
    return rows, dropped


_MIN_ROWS_OF_A_VALUE, _MAX_VALUES = 10, 400

_SITUATION_TEXTS = (
    "Situations and actions for moral reasoning.",
    "Each output is a short description of something a person does, to be judged morally.",
)
_KIND_TEXTS = {
    "Value": ("Values that matter in moral reasoning.", "Each output is the short name of a human value."),
    "Right": ("Rights that matter in moral reasoning.", "Each output is a right that a person may have."),
    "Duty": ("Duties that matter in moral reasoning.", "Each output is a duty that a person may have."),
}


def read_situations(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The distinct situations as one process."""
    rows, dropped = read_rows(raw_files, "situation")
    yield from dropped
    yield from _collections({"situations": [situation for (situation,) in rows]}, {"situations": _SITUATION_TEXTS})


def read_texts(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process for each of values, rights and duties: its distinct texts."""
    rows, dropped = read_rows(raw_files, "vrd", "text")
    yield from dropped
    texts = {kind: [text for found, text in rows if found == kind] for kind in KINDS}
    yield from _collections(texts, _KIND_TEXTS)


def read_situations_of_values(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process for each frequent value: the distinct situations in which it matters."""
    rows, dropped = read_rows(raw_files, "situation", "vrd", "text")
    yield from dropped
    values = Counter(text for _, kind, text in rows if kind == "Value")
    frequent = [value for value, count in values.items() if count >= _MIN_ROWS_OF_A_VALUE]
    chosen = stable_sample(frequent, _MAX_VALUES, VALUEPRISM.name)
    situations: dict[str, list[str]] = defaultdict(list)
    for situation, kind, text in rows:
        if kind == "Value" and text in chosen:
            situations[text].append(situation)
    if others := len(rows) - sum(map(len, situations.values())):
        yield Dropped("row of another value, or of a right or duty", others)
    yield from _collections(situations, {value: _value_texts(value) for value in situations})


def _value_texts(value: str) -> tuple[str, ...]:
    return (
        f"Situations in which this value matters: {value}.",
        f"Each output is a situation or action that bears on one value, {value}.",
    )


def _collections(texts: dict[str, list[str]], descriptions: dict[str, tuple[str, ...]]) -> Iterator[Example | Dropped]:
    """One process per collection of texts, without repetitions."""
    for name, collected in texts.items():
        distinct = tuple(dict.fromkeys(collected))
        if repeated := len(collected) - len(distinct):
            yield Dropped("repeated text", repeated)
        if distinct:
            yield Example(name, descriptions[name], tuple(Draw(None, text) for text in distinct))


_task = partial(
    TaskSpec, kind="icl", split="train", source=VALUEPRISM, group="text_collections", domain="SocialSciences"
)

_MEAN_LENGTH, _MAX_SEQUENCES = 32, 500
_MAX_SITUATIONS = _MEAN_LENGTH * _MAX_SEQUENCES
_KEYS = ("text", "vrd", "explanation", "valence")
_DESCRIPTIONS = (
    "The input is a situation to reason about morally. The output is a JSON list of about three to eight "
    "considerations, each with four keys: text, a short name of the consideration; vrd, whether it is a "
    f"{', a '.join(KINDS[:-1])} or a {KINDS[-1]}; explanation, one sentence on how it bears on the situation; valence, "
    f"which is one of {', '.join(CLOSED['valence'])}.",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The situations, each with the list of all that bears on it, as one process."""
    rows, dropped = read_rows(raw_files, "situation", *_KEYS)
    yield from dropped
    considerations = defaultdict(list)
    for situation, *values in rows:
        considerations[situation].append(dict(zip(_KEYS, values, strict=True)))
    chosen = stable_sample(considerations, _MAX_SITUATIONS, VALUEPRISM.name)
    if beyond := sum(len(listed) for situation, listed in considerations.items() if situation not in chosen):
        yield Dropped(f"consideration on a situation beyond the {_MAX_SITUATIONS}", beyond)
    pairs = ((situation, listed) for situation, listed in considerations.items() if situation in chosen)
    if draws := tuple(Draw(situation, json.dumps(listed, ensure_ascii=False)) for situation, listed in pairs):
        yield Example("considerations", _DESCRIPTIONS, draws)


TASKS = [
    _task(
        name="valueprism_situation",
        summary="Situations and actions to judge morally.",
        process="the whole list of situations",
        outputs=("situation",),
        sequences=Sequences("partition", Mix(256)),
        read=read_situations,
        version="1.1.0",
    ),
    _task(
        name="valueprism_vrds_noncontextual",
        summary="Short names of values, rights or duties.",
        process="one kind of consideration: values, rights or duties",
        outputs=("text",),
        sequences=Sequences("partition", Mix(256)),
        read=read_texts,
        version="1.1.0",
    ),
    _task(
        name="valueprism_misc",
        summary="Situations in which one value matters.",
        process="one frequent value",
        outputs=("situation",),
        sequences=Sequences("one", Mix(32)),
        read=read_situations_of_values,
        quirks="Only rows that name it as a value; the release also takes rights and duties of the same text.",
    ),
    TaskSpec(
        name="valueprism_vrd",
        kind="icl",
        split="train",
        source=VALUEPRISM,
        group="text_collections",
        summary="The values, rights and duties that bear on a situation.",
        process="the whole table, grouped by situation",
        inputs=("situation",),
        outputs=("output",),
        sequences=Sequences("partition", Mix(_MEAN_LENGTH)),
        read=read,
        version="1.1.0",
        domain="SocialSciences",
        quirks=f"About {_MAX_SEQUENCES} rows from a fixed sample of {_MAX_SITUATIONS} situations. The lists are JSON, "
        "and the description names the valences that occur; in the release, one of them does not.",
    ),
]
