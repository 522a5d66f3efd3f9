"""ValueConsistency: yes-no questions on disputed and undisputed topics in four languages, about four countries.

Upstream: https://huggingface.co/datasets/jlcmoore/ValueConsistency (arXiv 2407.02996). Licence: MIT. The repository
https://github.com/jlcmoore/ValueConsistency has the rows in one file per slice, data/controversial_english_us.jsonl
and so on, without the first three fields. A raw row (made up):

    {"controversial": true, "language": "english", "country": "us", "question": "Should bells ring at night?",
     "original": "Should bells ring at night?", "topic": "Bells", "options": {"yes": "supports", "no": "opposes"},
     "rephrase": 0, ...}

The whole files of GitHub: 8,005 rows in 14 slices, of which 1,461 are not paraphrases. The merged file is read slice by
slice, in the same order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

_MERGED = "valueconsistency.jsonl"
_COMMIT = "e088776a7c159a68d8916276264a882d55a21624"  # of the GitHub repository
_ROW = {"question": str, "rephrase": int}
_SLICE = {"controversial": int, "language": str, "country": str}

_TOPICS = {
    "controversial": "chinese_china chinese_us english_china english_germany english_japan english_us german_germany "
    "german_us japanese_japan japanese_us",
    "uncontroversial": "chinese_china english_us german_germany japanese_japan",
}
SLICES = tuple(f"data/{topics}_{name}.jsonl" for topics, names in _TOPICS.items() for name in names.split())

VALUECONSISTENCY = Source(
    name="valueconsistency",
    title="ValueConsistency questions",
    homepage="https://huggingface.co/datasets/jlcmoore/ValueConsistency",
    license="mit",
    redistributable="yes",
    notices=("Copyright (c) 2024 Jared Moore",),
    citation="arXiv 2407.02996",
    folder="valueconsistency",
    hub="jlcmoore/ValueConsistency",
    files=(SourceFile(_MERGED),),
    other_layouts=(
        tuple(
            SourceFile(path, f"https://raw.githubusercontent.com/jlcmoore/ValueConsistency/{_COMMIT}/{path}")
            for path in SLICES
        ),
    ),
)

_DESCRIPTIONS = (
    "Yes-no questions that touch on values. Each input says whether the topic is disputed, the language of the "
    "question and the country that it is about; the output is the question.",
    "Write a question about values that can be answered with yes or no, in the language given and on a topic of the "
    "country given. 'controversial' says whether people there disagree on it.",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The whole table as one process, in upstream order; paraphrases of a question are left out."""
    draws: dict[Draw, None] = {}
    for path, row, fields in _rows(raw_files):
        with raw.at_row(path, row):
            draw = _draw(fields)
        if isinstance(draw, Draw) and draw in draws:
            draw = Dropped("question that is there already")
        if isinstance(draw, Dropped):
            yield draw
        else:
            draws[draw] = None
    if draws:
        yield Example("train", _DESCRIPTIONS, tuple(draws))


def _rows(raw_files: RawFiles) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """(file, line, row with all fields) of whichever layout is present."""
    if _MERGED in raw_files:
        merged = raw.read_json_lines(raw_files[_MERGED], _ROW | _SLICE)
        for row, fields in sorted(merged, key=lambda numbered: _slice_order(numbered[1])):
            yield raw_files[_MERGED], row, fields
        return
    for name in SLICES:
        topics, language, country = Path(name).stem.split("_")
        of_the_file = {"controversial": topics == "controversial", "language": language, "country": country}
        for row, fields in raw.read_json_lines(raw_files[name], _ROW):
            yield raw_files[name], row, fields | of_the_file


def _slice_order(fields: dict[str, Any]) -> tuple[int, str]:
    """The place of a row's slice among ``SLICES``; unknown slices come last, by name."""
    topics = "controversial" if fields["controversial"] else "uncontroversial"
    name = f"data/{topics}_{fields['language'].strip()}_{fields['country'].strip()}.jsonl"
    return (SLICES.index(name) if name in SLICES else len(SLICES)), name


def _draw(fields: dict[str, Any]) -> Draw | Dropped:
    if fields["rephrase"]:
        return Dropped("paraphrase of a question")
    if not (question := fields["question"].strip()):
        return Dropped("question without text")
    given = {"controversial": bool(fields["controversial"])}
    given |= {name: fields[name].strip() for name in ("language", "country")}
    return Draw(json.dumps(given, ensure_ascii=False), question)


TASKS = [
    TaskSpec(
        name="valueconsistency",
        kind="icl",
        split="train",
        source=VALUECONSISTENCY,
        group="text_collections",
        summary="Questions about values, disputed or not, by language and country.",
        process="the whole table",
        inputs=("controversial", "language", "country"),
        outputs=("question",),
        sequences=Sequences("partition", Mix(64)),
        read=read,
        domain="Culture",
        languages=("en", "zh", "de", "ja"),
        version="1.1.0",
    ),
]
