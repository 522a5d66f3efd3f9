"""The categories of markers, their values, and what is valid: ours (arXiv 2506.14702, section 2), and a user's own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.yaml_entries import Entries, read_entries

Value = str | int | float
Markers = dict[str, Value]
"""Category -> its value for one example; a category that does not apply or is not known is left out."""

Kind = Literal["choice", "integer", "number", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_EXAMPLE = "e.g. 'audience: {values: [children, adults]}'"


@dataclass(frozen=True)
class Category:
    """One characteristic of an example.

    Attributes:
        name: What it is called in the marker list: lower case letters, digits and underscores.
        kind: ``choice`` (one of ``values``), ``integer`` (0 or more), ``number`` (finite) or ``text`` (anything).
        values: The choices, all strings or all integers.
        about: What it says, for people and for a model that tags.
        meanings: Choice -> what it means, where its name does not say it.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] | tuple[int, ...] = ()
    about: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    _texts: Mapping[str, Value] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_texts", {str(value): value for value in self.values})
        if not _NAME.fullmatch(self.name):
            raise UserError(f"category {self.name!r}: a name has lower case letters, digits and underscores")
        if (self.kind == "choice") != bool(self.values):
            raise UserError(f"category {self.name!r}: a choice has values, and nothing else has")

    def check(self, value: Value) -> Value:
        """``value`` if it is valid.

        Raises:
            UserError: It is not.
        """
        if self._valid(value):
            return value
        raise UserError(f"marker {self.name!r} is {value!r}{did_you_mean(str(value), self._texts)}: {self._wanted}")

    def read(self, text: str) -> Value:
        """The value that is written as ``text``.

        Raises:
            UserError: It is not a valid one.
        """
        try:
            value = {"integer": int, "number": float}.get(self.kind, str)(text)
        except ValueError:
            value = text
        return self.check(self._texts.get(text, value))

    @property
    def _wanted(self) -> str:
        return {
            "choice": f"give one of {', '.join(self._texts)}",
            "integer": "give a whole number, 0 or more",
            "number": "give a finite number",
            "text": "give text",
        }[self.kind]

    def _valid(self, value: Value) -> bool:
        if isinstance(value, bool):
            return False
        if self.kind == "choice":
            return self._texts.get(str(value)) == value
        if self.kind == "integer":
            return isinstance(value, int) and value >= 0
        if self.kind == "number":
            return isinstance(value, int | float) and math.isfinite(value)
        return isinstance(value, str)


@dataclass(frozen=True)
class Taxonomy:
    """Categories in the order in which their markers are written."""

    categories: tuple[Category, ...]
    _by_name: Mapping[str, Category] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {category.name: category for category in self.categories})
        names = [category.name for category in self.categories]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"category {name!r} occurs twice: give each a name of its own")

    def __getitem__(self, name: str) -> Category:
        """The category called ``name``.

        Raises:
            UserError: There is none.
        """
        if name not in self._by_name:
            known = ", ".join(self._by_name)
            raise UserError(f"no marker {name!r}{did_you_mean(name, self._by_name)}: there are {known}")
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @property
    def names(self) -> tuple[str, ...]:
        """The categories' names."""
        return tuple(self._by_name)

    def check(self, markers: Mapping[str, Value | None]) -> Markers:
        """Valid markers in the taxonomy's order; those that are None are left out.

        Raises:
            UserError: There is no such category, or a value is not valid.
        """
        given = {name: self[name].check(value) for name, value in markers.items() if value is not None}
        return {name: given[name] for name in self.names if name in given}


TASKS = {
    "OpenEnded": "talk, opinions, advice or lists of ideas, where no single answer is right",
    "Explanation": "says how or why something is so",
    "Translation": "carries a text over into another language",
    "Classification": "puts something into one of several given classes",
    "CreativeWriting": "a story, poem, song, joke or scene",
    "QuestionAnswering": "a fact that was asked for, from memory or from a given text",
    "InformationExtraction": "picks names, numbers or passages out of a given text",
    "Summarization": "makes a given text shorter",
    "Rewrite": "the same content in another form, tone or wording",
    "Reasoning": "works out an answer step by step, as in mathematics, logic and puzzles",
    "CodeGeneration": "writes a program",
    "CodeFix": "finds or repairs a fault in a given program",
    "CodeTranslation": "carries a program over into another programming language",
    "CodeExplanation": "says what a given program does",
}
DOMAINS = {
    "Sciences": "natural sciences: physics, chemistry, biology, earth and space",
    "Technology": "devices, engineering, computers and the internet, without programs",
    "SocialSciences": "society, politics, history, economics, psychology and education",
    "Culture": "arts, literature, music, film, sport, food, religion and travel",
    "Medical": "illness, treatment, health and the body",
    "Finance": "money, banking, investing, taxes and business",
    "Legal": "laws, contracts, courts and rights",
    "Conversation": "everyday talk and personal matters",
    "Code": "programs and programming",
    "Math": "calculation, proofs and word problems",
    "Unspecified": "none of the others",
}
FORMATS = {
    "MCQAnswer": "names one of the given options, by letter or in its words",
    "ChainOfThought": "reasons step by step towards an answer",
    "XML": "an XML document",
    "JSON": "a JSON document",
    "Enumeration": "a list of points, numbered or not",
    "Tabular": "a table",
    "Markdown": "prose with headings, emphasis, links or code blocks",
    "Latex": "LaTeX source or formulas",
}
CODE_TYPES = (
    "python", "javascript", "cpp", "cobol", "java", "go", "rust", "swift", "csharp", "php", "typescript", "shell", "c",
    "kotlin", "ruby", "haskell", "sql",
)  # fmt: skip
LANGUAGES = {
    "English": "en", "French": "fr", "Spanish": "es", "Italian": "it", "German": "de", "Portuguese": "pt",
    "Japanese": "ja", "Korean": "ko", "Arabic": "ar", "Chinese": "zh", "Russian": "ru", "Polish": "pl",
    "Turkish": "tr", "Vietnamese": "vi", "Dutch": "nl", "Czech": "cs", "Indonesian": "id", "Ukrainian": "uk",
    "Romanian": "ro", "Greek": "el", "Hindi": "hi", "Hebrew": "he", "Persian": "fa",
}  # fmt: skip
"""Name of a language -> its ISO 639-1 code."""

TAXONOMY = Taxonomy(
    (
        Category("quality", "number", about="how good the example is, higher is better"),
        Category("quality_bucket", "choice", (1, 2, 3, 4), "quartile of the quality within its language, 1 is best"),
        Category("length_tokens", "integer", about="tokens of the completion"),
        Category("length_sentences", "integer", about="sentences of the completion"),
        Category("length_paragraphs", "integer", about="paragraphs of the completion, between blank lines"),
        Category(
            "length_bucket", "choice", ("concise", "medium", "long"), "under 300 tokens, up to 1,000, and over 1,000"
        ),
        Category("task", "choice", tuple(TASKS), "what is to be done", TASKS),
        Category("domain", "choice", tuple(DOMAINS), "what it is about", DOMAINS),
        Category("code_type", "choice", CODE_TYPES, "the programming language of the completion"),
        Category("format", "choice", tuple(FORMATS), "the form of the completion", FORMATS),
        Category("source", "choice", ("Human", "Translation", "Synthetic", "Others"), "where the completion is from"),
        Category("style", "choice", ("Formal", "Informal", "Custom"), "the tone of the completion"),
        Category("lang", "choice", tuple(LANGUAGES), "the language of the completion"),
    )
)
"""The 13 categories of arXiv 2506.14702."""


def load_taxonomy(path: Path, base: Taxonomy = TAXONOMY) -> Taxonomy:
    """``base`` with a user's own categories, which are written after it; one with a name of ours takes its place.

    The file has the categories by name, each with ``values`` (a list, or value: meaning) or a ``kind``::

        audience:
          about: who is meant to read it
          values: {children: up to 12 years, adults: anyone else}
        reading_age: {kind: integer}

    Raises:
        UserError: There is no such file, it is not YAML, or a category is not well formed.
    """
    found = read_entries(path, "file of categories", f"give each category by its name, {_EXAMPLE}")
    own = {name: _category(found.at(name), name, entry) for name, entry in found.items()}
    kept = tuple(own.pop(category.name, category) for category in base.categories)
    return Taxonomy(kept + tuple(own.values()))


def _category(place: str, name: Any, entry: Any) -> Category:
    if not isinstance(name, str) or not isinstance(entry, Entries):
        raise UserError(f"{place}: category {name!r}: give it a name, and values or a kind, {_EXAMPLE}")
    entry.check({"values": list | dict, "kind": str, "about": str})
    where = f"{place}: category {name!r}"
    values, about = entry.get("values", []), entry.get("about", "")
    kind = entry.get("kind", "choice" if values else None)
    if kind not in KINDS:
        raise UserError(f"{where} is of kind {kind!r}: give it values, or one of the kinds {', '.join(KINDS)}")
    meanings = {str(value): str(meaning) for value, meaning in values.items()} if isinstance(values, dict) else {}
    choices = tuple(values)
    kinds = {type(value) for value in choices}
    if kinds and kinds not in ({str}, {int}):
        raise UserError(f"{where}: values are all text or all whole numbers (put 'yes' and 'no' in quotes)")
    if len(set(choices)) < len(choices):
        raise UserError(f"{where} has a value twice")
    return Category(name, kind, choices, about, meanings)
