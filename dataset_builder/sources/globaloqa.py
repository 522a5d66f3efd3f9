"""GlobalOpinionQA: shares of answers by country, as lists of percentages and as distributions.

Upstream: https://huggingface.co/datasets/Anthropic/llm_global_opinions (arXiv 2306.16388). Licence: CC BY-NC-SA 4.0.
Two benchmarks hold shares taken from its table; their files are read where the table is missing. Raw rows (made up) of
the table, of VITAL, and of the distributional-alignment benchmark:

    How are you?,"defaultdict(<class 'list'>, {'Kenya': [0.29, 0.71]})","['Well', 'Ill']",GAS
    {"question": "Question: How are you?\\nOptions: A. Well B. Ill\\nAnswer:", "options": ["Well", "Ill"],
     "attribute": "Kenya", "gold_distribution": [0.29, 0.71], "id": 27, ...}
    "How are you?": {"Kenya": [0.29, 0.71], "MC_options": "['Well', 'Ill']", "countries": ["Kenya"]}

The whole files: the table has a row for each question; VITAL has 1,676 entries, each for one of 128 countries and with
an id of its own; the benchmark has 100 questions, keyed by their text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.surveys import LETTERS, lettered, literal, text_list
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, Target, TaskSpec

TABLE = "globaloqa/data/global_opinions.csv"
VITAL = "vital/dataset/vital_distributional_globalopinionqa.json"
ALIGNMENT = "global_values_bda/Global_Values/data/data.json"
_REVISION = "cb2880488749218abb81802a94c2c62ebfde2f35"
_HUB = "https://huggingface.co/datasets/Anthropic/llm_global_opinions"
_GITHUB = "https://raw.githubusercontent.com"
_VITAL_COMMIT = "7e4201cb3b491d705f1124bdcb763250a4e5db42"
_ALIGNMENT_COMMIT = "36869b56b214b5ddce13dc234d62b4cbce3706cd"

# The files are in three folders of --sources_dir, so the source itself has none and every path begins with its own.
GLOBALOQA = Source(
    name="globaloqa",
    title="GlobalOpinionQA",
    homepage=_HUB,
    license="cc-by-nc-sa-4.0",
    redistributable="yes",
    creators="Esin Durmus and others, Anthropic",
    citation="arXiv 2306.16388",
    revision=_REVISION,
    files=(SourceFile(TABLE, f"{_HUB}/resolve/{_REVISION}/data/global_opinions.csv"),),
    other_layouts=(
        (SourceFile(VITAL, f"{_GITHUB}/anudeex/VITAL/{_VITAL_COMMIT}/{VITAL.partition('/')[2]}"),),
        (
            SourceFile(
                ALIGNMENT,
                f"{_GITHUB}/nicolemeister/benchmarking-distributional-alignment/{_ALIGNMENT_COMMIT}/"
                + ALIGNMENT.partition("/")[2],
                "1bde7f5612a57f3f15b0b2dc1b54cb501b3073b6383d5b5db980e1d7641d246d",
            ),
        ),
    ),
)

_DEFAULTDICT = re.compile(r"defaultdict\(<class 'list'>, (\{.*\})\)", re.DOTALL)
_VITAL_PROMPT = re.compile(r"Question: (.*)\nOptions: .*\nAnswer:", re.DOTALL)


class Question(NamedTuple):
    """A question, its options and the shares of their answers by country; the number is unique and upstream's."""

    number: int
    text: str
    options: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]


def read_questions(raw_files: RawFiles) -> Iterator[Question | Dropped]:
    """Every question of the file that is present, in upstream order; shares are normalised to sum to 1."""
    [(name, path)] = raw_files.items()
    for question in {TABLE: _read_table, VITAL: _read_vital, ALIGNMENT: _read_alignment}[name](path):
        if not question.text:
            yield Dropped("question without text")
            continue
        shares = {}
        for country, values in question.shares.items():
            if len(values) != len(question.options):
                yield Dropped("shares of a country that do not match the options")
            elif not (total := sum(values)):
                yield Dropped("shares of a country that are all zero")
            else:
                shares[country] = tuple(value / total for value in values)
        yield question._replace(shares=shares)


def _read_table(path: Path) -> Iterator[Question]:
    table = raw.read_csv(path, dict.fromkeys(("question", "selections", "options"), pl.String))
    for row, (text, selections, options) in enumerate(table.rows(), start=1):
        with raw.at_row(path, row):
            if not (mapping := _DEFAULTDICT.fullmatch((selections or "").strip())):
                raise ValueError(f"column 'selections' holds {str(selections)[:80]!r}, which is not a defaultdict")
            shares = {_country(country): _shares(values) for country, values in literal(mapping[1]).items()}
            question = Question(row, (text or "").strip(), text_list(literal(options)), shares)
        yield question


def _read_vital(path: Path) -> Iterator[Question]:
    numbers = set()
    for row, item in enumerate(_container(path, list), start=1):
        with raw.at_row(path, row):
            if not (prompt := _VITAL_PROMPT.fullmatch(item["question"])):
                raise ValueError(f"the prompt {item['question'][:80]!r} is not a question with options")
            if not isinstance(item["id"], int) or item["id"] in numbers:
                raise ValueError(f"the id {item['id']!r} is not a number or is repeated")
            shares = {_country(item["attribute"]): _shares(item["gold_distribution"])}
            question = Question(item["id"], prompt[1].strip(), text_list(item["options"]), shares)
        numbers.add(question.number)
        yield question


def _read_alignment(path: Path) -> Iterator[Question]:
    for row, (text, item) in enumerate(_container(path, dict).items(), start=1):
        with raw.at_row(path, row):
            shares = {_country(country): _shares(item[country]) for country in item["countries"]}
            question = Question(row, text.strip(), text_list(literal(item["MC_options"])), shares)
        yield question


def _container(path: Path, kind: type[list] | type[dict]) -> list | dict:
    value = raw.read_json(path)
    if not isinstance(value, kind):
        raise raw.bad_row(path, 1, f"the file is not a JSON {kind.__name__} but {type(value).__name__}")
    return value


def _country(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not a country")
    return value.strip()


def _shares(values: object) -> tuple[float, ...]:
    if not isinstance(values, list) or not all(
        isinstance(value, int | float) and math.isfinite(value) and value >= 0 for value in values
    ):
        raise ValueError(f"{values!r} are not shares")
    return tuple(map(float, values))


_SOURCES_DIFFER = "Where the table is not there, shares are read from benchmarks that hold parts of it."


def read_countries(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per country, in order of appearance; draws in the order of questions."""
    draws: dict[str, list[Draw]] = {}
    for question in read_questions(raw_files):
        if isinstance(question, Dropped):
            yield question
            continue
        given = json.dumps({"question": question.text, "options": list(question.options)}, ensure_ascii=False)
        for country, shares in question.shares.items():
            answers = [
                {option: percent} for option, percent in zip(question.options, whole_percents(shares), strict=True)
            ]
            draws.setdefault(country, []).append(Draw(given, json.dumps(answers, ensure_ascii=False)))
    for country, answered in draws.items():
        yield Example(country, _country_descriptions(country), tuple(answered))


def whole_percents(shares: Sequence[float]) -> list[int]:
    """Shares that sum to 1 as whole percentages that sum to 100.

    Each is rounded down, then those with the largest remainders (the first of equal ones) are raised by 1.
    """
    exact = [round(100 * share, 9) for share in shares]  # 100 * 0.29 is a little less than 29
    percents = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: percents[i] - exact[i])
    for i in by_remainder[: 100 - sum(percents)]:
        percents[i] += 1
    return percents


def read_targets(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per question and country, in upstream order."""
    for question in read_questions(raw_files):
        if isinstance(question, Dropped):
            yield question
        elif len(question.options) > len(LETTERS):
            yield Dropped("question with more options than letters")
        elif len(question.options) == 1:
            yield Dropped("question with one option")
        else:
            yield from _targets(question)


def _targets(question: Question) -> Iterator[Example]:
    prompt, letters = lettered(question.text, question.options), tuple(LETTERS[: len(question.options)])
    for country, shares in question.shares.items():
        description = (
            f"Country: {country}. A random person of this country answers a survey question; the answer is the letter "
            "of an option."
        )
        target = Target(prompt, letters, shares)
        yield Example(f"{question.number}/{country}", (description,), target=target, groups=(("country", country),))


def _country_descriptions(country: str) -> tuple[str, ...]:
    return (
        f"How people answered survey questions. Country: {country}. For each question and its options, give the whole "
        "percentage of people who chose each option.",
        f"A survey of people in one country ({country}). The input is a question with its options; the output lists "
        "every option with the percentage of people who chose it.",
        "The people of one place were surveyed. The output has, for each option of the question, the percentage of "
        "people who chose it.",
    )


TASKS = [
    TaskSpec(
        name="globaloqa",
        kind="icl",
        split="test",
        source=GLOBALOQA,
        group="human_variation",
        summary="What percentage of a country's people chose each answer to survey questions.",
        process="one country",
        inputs=("question", "options"),
        outputs=("distribution",),
        sequences=Sequences("several", count=2),
        read=read_countries,
        domain="SocialSciences",
        quirks=(
            "Two of three descriptions name the country, which the release never tells. Percentages sum to 100 by the "
            f"largest remainder; the release cuts them off. {_SOURCES_DIFFER}"
        ),
        version="1.1.0",
    ),
    TaskSpec(
        name="dist_global_oqa",
        kind="distribution",
        split="test",
        source=GLOBALOQA,
        group="human_variation",
        summary="What a random person of a country answers to a survey question.",
        process="one question in one country",
        inputs=("question",),
        outputs=("answer",),
        read=read_targets,
        domain="SocialSciences",
        output_label="Response (letter)",
        quirks=f"Shares that are all zero are dropped; the release keeps them unnormalised. {_SOURCES_DIFFER}",
        version="1.2.0",
        more_columns=("groups",),
    ),
]
