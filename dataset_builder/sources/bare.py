"""Tables that language models wrote, for six domains: a base model's drafts, refined by an instruction-tuned one.

Upstream: https://github.com/pgasawa/BARE. Licence: MIT. A raw line (made up) of the table of mathematics problems:

    {"question": "Ida cuts 12 m of rope into 4 parts. How long is one?", "answer": "12 / 4 = 3. It is 3 m long."}

The table of e-mails has {"spam": true, "email": {"email": "..."}}, where ``email`` may also be bare text.

The whole tables have 500 or 1,000 rows, as their names say, and no ids; some rows are repeated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import UnionType

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

BARE = Source(
    name="bare",
    title="BARE sample generations (data written by language models for six domains)",
    homepage="https://github.com/pgasawa/BARE",
    license="mit",
    redistributable="yes",
    notices=("Copyright (c) 2025 Parth Asawa",),
    citation="Zhu, Asawa et al. 2025, BARE, https://github.com/pgasawa/BARE",
    folder="bare",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """What is given, what is wanted, and the sentence that says so."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wanted: str

    @property
    def name(self) -> str:
        """E.g. ``answer_from_question``."""
        return "_from_".join("_".join(names) for names in (self.outputs, self.inputs) if names)

    def draw(self, texts: dict[str, str]) -> Draw:
        """A row of the table as a draw."""
        return Draw(_text(texts, self.inputs) if self.inputs else None, _text(texts, self.outputs))


def _text(texts: dict[str, str], names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return texts[names[0]]
    return json.dumps({name: texts[name] for name in names}, ensure_ascii=False)


def read(
    raw_files: RawFiles,
    path: str,
    fields: Mapping[str, type | UnionType],
    about: tuple[str, ...],
    variants: tuple[Variant, ...],
) -> Iterator[Example | Dropped]:
    """One process per variant, each of them the whole table in upstream order."""
    rows = []
    for number, row in raw.read_json_lines(raw_files[path], fields):
        with raw.at_row(raw_files[path], number):
            texts = {name: _plain(row[name]) for name in fields}
        if all(texts.values()):
            rows.append(texts)
        else:
            yield Dropped("row with an empty field")
    for variant in variants if rows else ():
        descriptions = (*(f"{text} {variant.wanted}" for text in about), f"{variant.wanted} {about[0]}")
        yield Example(variant.name, descriptions, tuple(variant.draw(texts) for texts in rows))


def _plain(value: str | bool | dict[str, str] | None) -> str:
    if isinstance(value, dict):
        return "\n".join(map(str.strip, value.values())).strip()
    return "" if value is None else str(value).strip()


def task(
    name: str,
    table: str,
    fields: Mapping[str, type | UnionType],
    about: tuple[str, ...],
    variants: tuple[Variant, ...],
    *,
    summary: str,
    domain: str,
    verbatim: str = "",
) -> TaskSpec:
    """The training task of one table.

    Args:
        name: The task's id.
        table: The file, without its ending, below ``bare/sample_generated_data``.
        fields: Field -> type of its value.
        about: Sentences, any of which says what the table is.
        variants: What is given and wanted, for each process.
        summary: One sentence for the card.
        domain: What the texts are about.
        verbatim: Why the texts are left as they are, if they are.
    """
    path = f"bare/sample_generated_data/{table}.jsonl"
    return TaskSpec(
        name=name,
        kind="icl",
        split="train",
        source=replace(BARE, files=(SourceFile(path),)),
        group="text_collections",
        summary=summary,
        process="the whole table, and which fields are given and wanted",
        inputs=tuple(dict.fromkeys(field for variant in variants for field in variant.inputs)),
        outputs=tuple(dict.fromkeys(field for variant in variants for field in variant.outputs)),
        sequences=Sequences("partition", Mix(32)),
        read=partial(read, path=path, fields=fields, about=about, variants=variants),
        domain=domain,
        verbatim=verbatim,
        version="1.1.0",
        quirks="Rows that the models wrote more than once are kept as separate draws.",
    )


_QUESTION, _ANSWER, _CONTEXT = ("question",), ("answer",), ("context",)
_PROBLEMS = (
    Variant((), _QUESTION + _ANSWER, "Each output is a problem and its solution, as JSON with question and answer."),
    Variant(_QUESTION, _ANSWER, "The input is a problem, the output its solution."),
    Variant(_ANSWER, _QUESTION, "The input is a solution, the output the problem that it solves."),
    Variant((), _QUESTION, "Each output is a problem without its solution."),
)
_READING = (
    Variant(
        (),
        _CONTEXT + _QUESTION + _ANSWER,
        "Each output is a text, a question about it and the answer, as JSON with context, question and answer.",
    ),
    Variant(_CONTEXT + _QUESTION, _ANSWER, "The input is a text and a question about it, the output is the answer."),
    Variant(
        _CONTEXT + _ANSWER, _QUESTION, "The input is a text and an answer, the output is the question that asks for it."
    ),
    Variant((), _CONTEXT, "Each output is a text on which a question can be asked."),
)
_FIELDS = dict.fromkeys(("question", "answer"), str | None)


TASKS = [
    task(
        "bare_gsm8k",
        "gsm8k/gsm8k_gpt_4o_refine_llama_70b_base_n=1000",
        _FIELDS,
        (
            "School mathematics problems that language models made up.",
            "Synthetic word problems in the mathematics of elementary school.",
        ),
        _PROBLEMS,
        summary="Synthetic word problems in school mathematics and their solutions.",
        domain="Math",
    ),
    task(
        "bare_enron",
        "enron/enron_gpt_4o_refine_llama_70b_base_n=500",
        {"spam": bool, "email": str | dict | None},
        (
            "Business e-mails that language models made up, some of them spam.",
            "Synthetic e-mails in the style of a company's mailboxes, each flagged as spam or not.",
        ),
        (
            Variant((), ("spam", "email"), "Each output is JSON with spam (True or False) and the e-mail."),
            Variant(
                ("email",), ("spam",), "The input is an e-mail, the output says whether it is spam: True or False."
            ),
            Variant(("spam",), ("email",), "The input says whether the e-mail is spam (True or False)."),
            Variant((), ("email",), "Each output is an e-mail."),
        ),
        summary="Synthetic business e-mails with a spam flag.",
        domain="Conversation",
    ),
    task(
        "bare_hotpot",
        "hotpot/hotpot_gpt_4o_refine_llama_70b_base_n=1000",
        {"context": str | None, **_FIELDS},
        (
            "Synthetic reading comprehension in several hops: the answer joins facts from more than one place.",
            "Language models made up these texts and questions; to answer one, pieces of the text must be combined.",
        ),
        _READING,
        summary="Synthetic texts with questions that need several facts, and their answers.",
        domain="Culture",
    ),
    task(
        "bare_lcb",
        "lcb/lcb_gpt_4o_refine_70b_base_n=1000",
        _FIELDS,
        (
            "Problems in programming and logic that language models made up.",
            "Synthetic exercises: what does a described program give for an input?",
        ),
        _PROBLEMS,
        summary="Synthetic problems in programming and logic, and their solutions.",
        domain="Code",
        verbatim="programs, their inputs and outputs, in which every sign and blank counts",
    ),
    task(
        "newsgroups",
        "newsgroups/newsgroups_gpt_4o_refine_llama_70b_base_n=500",
        {"newsgroup": str | None, "message": str | None},
        (
            "Messages to newsgroups that language models made up.",
            "Synthetic posts in the style of Usenet, each with the group it is for.",
        ),
        (
            Variant((), ("newsgroup", "message"), "Each output is JSON with the newsgroup and the message."),
            Variant(("message",), ("newsgroup",), "The input is a message, the output the group it was posted to."),
            Variant(("newsgroup",), ("message",), "The input is a newsgroup, the output a message to it."),
            Variant((), ("message",), "Each output is a message."),
        ),
        summary="Synthetic newsgroup messages with their group.",
        domain="Conversation",
    ),
    task(
        "pubmed",
        "pubmed/pubmed_gpt_4o_refine_llama_70b_base_n=1000",
        {"context": str | None, **_FIELDS},
        (
            "Biomedical questions on research abstracts, made up by language models.",
            "Synthetic biomedical question answering: a passage about a study, a question and its answer.",
        ),
        _READING,
        summary="Synthetic biomedical passages with questions and answers.",
        domain="Medical",
    ),
]
