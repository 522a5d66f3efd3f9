"""What bears on a situation, as ValuePrism has it: the values, rights and duties, with reasons and valences.

Upstream: https://huggingface.co/datasets/allenai/ValuePrism. Licence and a raw row: see ``valueprism.py``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from dataset_builder.sources.valueprism import CLOSED, KINDS, VALUEPRISM, read_rows
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import stable_sample

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
    )
]
