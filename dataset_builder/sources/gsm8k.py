"""GSM8K: school mathematics word problems with worked solutions.

Upstream: https://github.com/openai/grade-school-math (arXiv 2110.14168). Licence: MIT. A raw row (made up):

    {"question": "Ada buys 3 pens at $2 each. What does she pay?", "answer": "She pays 3*2=$<<3*2=6>>6.\\n#### 6"}

The whole file: 7,473 problems; no question and no solution comes twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

_REVISION = "3101c7d5072418e28b9008a6636bde82a006892c"
_PATH = "grade_school_math/data/train.jsonl"

GSM8K = Source(
    name="gsm8k",
    title="GSM8K",
    homepage="https://github.com/openai/grade-school-math",
    license="mit",
    redistributable="yes",
    notices=("Copyright (c) 2021 OpenAI",),
    citation="arXiv 2110.14168",
    folder="gsm8k",
    revision=_REVISION,
    files=(SourceFile(_PATH, f"https://raw.githubusercontent.com/openai/grade-school-math/{_REVISION}/{_PATH}"),),
)

_QUESTION, _ANSWER = ("question",), ("answer",)
_DESCRIPTIONS = {
    ((), _QUESTION): (
        "Word problems in school mathematics.",
        "Each output is the question of a school mathematics word problem, without its solution.",
    ),
    (_QUESTION, _ANSWER): (
        "Word problems in school mathematics: the input is a question, the output its worked solution.",
        "Solve each school mathematics problem step by step; the last line gives the number after ####.",
    ),
    ((), _QUESTION + _ANSWER): (
        "Word problems in school mathematics, each with its worked solution, as JSON with question and answer.",
        "Each output is a school mathematics question together with its step by step answer, as JSON.",
    ),
    (_ANSWER, _QUESTION): (
        "The input is the worked solution of a school mathematics word problem, the output the question it answers.",
        "Given the answer to a school mathematics problem, write the problem.",
    ),
}


def read(raw_files: RawFiles, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Iterator[Example | Dropped]:
    """The training table as one process, in upstream order."""
    draws = []
    for _, row in raw.read_json_lines(raw_files[_PATH], {"question": str, "answer": str}):
        fields = {name: row[name].strip() for name in ("question", "answer")}
        if all(fields.values()):
            draws.append(Draw(_text(fields, inputs) if inputs else None, _text(fields, outputs)))
        else:
            yield Dropped("question or answer is empty")
    if draws:
        yield Example("train", _DESCRIPTIONS[inputs, outputs], tuple(draws))


def _text(fields: dict[str, str], names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return fields[names[0]]
    return json.dumps({name: fields[name] for name in names}, ensure_ascii=False)


def _task(name: str, summary: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> TaskSpec:
    return TaskSpec(
        name=name,
        kind="icl",
        split="train",
        source=GSM8K,
        group="capability" if inputs else "text_collections",
        summary=summary,
        process="the whole training table",
        inputs=inputs,
        outputs=outputs,
        sequences=Sequences("several", Mix(64), count=50),
        read=partial(read, inputs=inputs, outputs=outputs),
        version="1.1.0",
    )


TASKS = [
    _task("gsm8k_question", "School mathematics word problems.", (), _QUESTION),
    _task("gsm8k_answer_from_question", "Worked solutions of word problems.", _QUESTION, _ANSWER),
    _task("gsm8k_question_answer", "Word problems with their worked solutions.", (), _QUESTION + _ANSWER),
    _task("gsm8k_question_from_answer", "The word problem that a worked solution answers.", _ANSWER, _QUESTION),
]
