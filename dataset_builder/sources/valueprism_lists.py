"""Lists from ValuePrism: situations, those in which one value matters, and the values, rights and duties themselves.

Upstream: https://huggingface.co/datasets/allenai/ValuePrism. Licence and a raw row: see ``valueprism.py``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial

from dataset_builder.sources.valueprism import KINDS, VALUEPRISM, read_rows
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import stable_sample

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
]
