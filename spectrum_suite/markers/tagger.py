"""Markers that a language model reads off an example: domain, task and format.

Each category is one question whose answers are its valid values, scored as continuations of the prompt: whatever the
model, it cannot answer outside them. A model here and one on a server are the same to it::

    lm = LocalLM.of(model, tokenizer)
    lm = ServedLM(find_model("google/gemma-3-1b-pt", weights=False), "auto", Endpoint(url, name))
    tagged = tag_rows(annotated, Tagger(lm, "google/gemma-3-1b-pt", cache=Path("tags.jsonl")))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset
from tqdm import tqdm

from spectrum_suite.errors import UserError
from spectrum_suite.json_files import append_lines, kept_answers
from spectrum_suite.lm.base import LM
from spectrum_suite.markers.annotate import COLUMN
from spectrum_suite.markers.taxonomy import TAXONOMY, Category, Taxonomy, Value

TAGGED = ("domain", "task", "format")
NOTHING = "None"
"""The answer that gives no marker: the example has no format."""
OPTIONAL = frozenset({"format"})

MAX_CHARACTERS = 800
"""Of a request and of an answer; the middle of longer ones is left out."""


class Shot(NamedTuple):
    """An example with its tags, shown in every prompt."""

    prompt: str
    completion: str
    tags: dict[str, str]


SHOTS = (
    Shot(
        "Why do leaves turn yellow in autumn?",
        "Trees take back the green pigment before winter. What stays behind is yellow.",
        {"domain": "Sciences", "task": "Explanation", "format": NOTHING},
    ),
    Shot(
        "My function crashes on an empty list: def mean(x): return sum(x) / len(x)",
        "It divides by zero. Repaired:\n\n```python\ndef mean(x):\n    return sum(x) / len(x) if x else 0.0\n```",
        {"domain": "Code", "task": "CodeFix", "format": "Markdown"},
    ),
    Shot(
        "A jacket costs 80 euros and is reduced by a quarter. What is its price now?",
        "A quarter of 80 is 80 / 4 = 20. So the price is 80 - 20 = 60 euros.",
        {"domain": "Math", "task": "Reasoning", "format": "ChainOfThought"},
    ),
    Shot(
        "Which of these are composers: Bach, Monet, Verdi?",
        "- Bach\n- Verdi",
        {"domain": "Culture", "task": "Classification", "format": "Enumeration"},
    ),
    Shot(
        "Tell me how your weekend was, in two lines that rhyme.",
        "I walked along the river bend,\nand wished the Sunday would not end.",
        {"domain": "Conversation", "task": "CreativeWriting", "format": NOTHING},
    ),
)


@dataclass
class Tagger:
    """Asks a model for the value of a category.

    Attributes:
        lm: The model.
        model: The model's name; answers are kept under it.
        cache: A file of JSON lines with the answers, so that nothing is asked twice; None keeps them in memory.
        taxonomy: The categories.
        batch_size: Questions between two writes of the cache.
        progress: Show a progress bar.
    """

    lm: LM
    model: str
    cache: Path | None = None
    taxonomy: Taxonomy = TAXONOMY
    batch_size: int = 64
    progress: bool = False
    _known: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._known = kept_answers(self.cache, "value")

    def tag(self, name: str, examples: Sequence[tuple[str, str]]) -> list[Value | None]:
        """The value of category ``name`` for each (prompt, completion); None where the model says that none applies.

        Raises:
            UserError: There is no such category, or it has no values to choose from.
        """
        category = self.taxonomy[name]
        if not category.values:
            raise UserError(f"marker {name!r} has no values to choose from: a tagger needs some")
        options = [str(value) for value in category.values] + [NOTHING] * (name in OPTIONAL)
        asked = [question(category, *example) for example in examples]
        keys = [_key(self.model, prompt, options) for prompt in asked]
        new = [(key, prompt) for key, prompt in dict(zip(keys, asked, strict=True)).items() if key not in self._known]
        bar = tqdm(range(0, len(new), self.batch_size), desc=f"Tagging {name}", disable=not self.progress)
        for start in bar:
            self._ask(new[start : start + self.batch_size], options)
        return [None if self._known[key] == NOTHING else category.read(self._known[key]) for key in keys]

    def _ask(self, questions: Sequence[tuple[str, str]], options: Sequence[str]) -> None:
        written = [[f" {option}" for option in options]] * len(questions)
        scores = self.lm.option_logprobs([prompt for _, prompt in questions], written)
        found = {key: options[int(each.log_probs.argmax())] for (key, _), each in zip(questions, scores, strict=True)}
        self._known |= found
        if self.cache is not None:
            append_lines(self.cache, ({"key": key, "value": value} for key, value in found.items()))


def tag_rows(rows: Dataset, tagger: Tagger, names: Sequence[str] = TAGGED) -> Dataset:
    """Annotated rows in which ``names`` have a value from ``tagger`` where they had none."""
    markers = list(rows[COLUMN])
    for name in names:
        missing = [index for index, found in enumerate(markers) if found[name] is None]
        examples = [(rows[index]["prompt"], rows[index]["completion"]) for index in missing]
        for index, value in zip(missing, tagger.tag(name, examples), strict=True):
            markers[index] = markers[index] | {name: value}
    place, feature = rows.column_names.index(COLUMN), rows.features[COLUMN]
    order = [*rows.column_names[:place], COLUMN, *rows.column_names[place + 1 :]]
    return rows.remove_columns(COLUMN).add_column(COLUMN, markers, feature=feature).select_columns(order)


def question(category: Category, prompt: str, completion: str) -> str:
    """What a model is asked: the values and what they mean, solved examples, and the example itself."""
    values = [f"- {value}: {category.meanings.get(str(value), value)}" for value in category.values]
    if category.name in OPTIONAL:
        values.append(f"- {NOTHING}: plain text or a program, in none of these forms")
    lines = [
        f"For each request and its answer, name the {category.name} ({category.about}). It is one of:",
        *values,
        "",
    ]
    for shot in SHOTS:
        if category.name in shot.tags:
            lines += [_example(shot.prompt, shot.completion), f"{category.name}: {shot.tags[category.name]}", ""]
    return "\n".join([*lines, _example(prompt, completion), f"{category.name}:"])


def _example(prompt: str, completion: str) -> str:
    return f"request: {_shortened(prompt)}\nanswer: {_shortened(completion)}"


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[: MAX_CHARACTERS // 2]} [...] {text[-MAX_CHARACTERS // 2 :]}"


def _key(model: str, prompt: str, options: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps([model, prompt, *options]).encode()).hexdigest()
