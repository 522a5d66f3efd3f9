"""GlobalOpinionQA: reads questions with their shares of answers by country (the files: ``globaloqa_files.py``).

Upstream: https://huggingface.co/datasets/Anthropic/llm_global_opinions (arXiv 2306.16388). Licence: CC BY-NC-SA 4.0.
Raw rows (made up) of its table, of VITAL, and of the distributional-alignment benchmark:

    How are you?,"defaultdict(<class 'list'>, {'Kenya': [0.29, 0.71]})","['Well', 'Ill']",GAS
    {"question": "Question: How are you?\\nOptions: A. Well B. Ill\\nAnswer:", "options": ["Well", "Ill"],
     "attribute": "Kenya", "gold_distribution": [0.29, 0.71], "id": 27, ...}
    "How are you?": {"Kenya": [0.29, 0.71], "MC_options": "['Well', 'Ill']", "countries": ["Kenya"]}

The whole files: the table has a row for each question; VITAL has 1,676 entries, each for one of 128 countries and with
an id of its own; the benchmark has 100 questions under their own texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.globaloqa_files import ALIGNMENT, TABLE, VITAL
from dataset_builder.sources.surveys import literal, text_list
from dataset_builder.task_spec import Dropped, RawFiles

_DEFAULTDICT = re.compile(r"defaultdict\(<class 'list'>, (\{.*\})\)", re.DOTALL)
_VITAL_PROMPT = re.compile(r"Question: (.*)\nOptions: .*\nAnswer:", re.DOTALL)


class Question(NamedTuple):
    """A question, its options and the shares of their answers by country; the number is unique and upstream's."""

    number: int
    text: str
    options: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]


def read_questions(raw_files: RawFiles) -> Iterator[Question | Dropped]:
    """Every question of the file that is there, in upstream order; shares are made to sum to 1."""
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
                raise ValueError(f"the id {item['id']!r} is not a number or is there already")
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
