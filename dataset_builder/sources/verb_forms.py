"""Requests for an English gerund, held against a table of verb forms.

Upstream: https://github.com/gutfeeling/word_forms. Licence: the repository is under MIT, the file carries a permissive
notice of the University of Pennsylvania in its head, in lines that start with semicolons. A raw row (made up), whose
sixth field is the -ing form:

    blorp,,,blorps,,blorping,,,,,blorped,blorped,,,,,,,,,,,,

The whole file: 8,503 verbs, 35 of which are repeated; 20 have no -ing form, and three have one that ends in other
letters.
"""

from __future__ import annotations

from collections.abc import Iterator

from dataset_builder import raw
from dataset_builder.sources.shared.requests import coverage_task
from dataset_builder.task_spec import Dropped, RawFiles, Source, SourceFile

_REVISION = "1ad4b74a15093c0ab996b99639f7a963c5974f44"
_PATH = "word_forms/en-verbs.txt"
_N_FIELDS, _ING_FORM = 24, 5

_PENNSYLVANIA = """
Copyright (C) 1992, 1993 University of Pennsylvania

Permission to use, copy, modify, and distribute this software and
its documentation for any purpose and without fee is hereby
granted, provided that the above copyright notice appear in all
copies and that both that copyright notice and this permission
notice appear in supporting documentation, and that the name of
U. of Pennsylvania not be used in advertising or publicity pertaining
to distribution of the software without specific, written prior
permission.  U. of Pennsylvania makes no representations about
the suitability of this software for any purpose.  It is
provided 'as is' without express or implied warranty.
(11/15/93)

http://www.cis.upenn.edu/~xtag/
"""

VERB_FORMS = Source(
    name="verb_forms",
    title="English verb forms",
    homepage="https://github.com/gutfeeling/word_forms",
    license="MIT; the file carries a permissive notice of the University of Pennsylvania",
    redistributable="yes",
    notices=("Copyright (c) 2017 Dibya Chakravorty", _PENNSYLVANIA),
    citation="XTAG Project, Copyright (C) 1992, 1993 University of Pennsylvania; github.com/gutfeeling/word_forms",
    folder="word_forms",
    revision=_REVISION,
    files=(
        SourceFile(
            _PATH,
            f"https://raw.githubusercontent.com/gutfeeling/word_forms/{_REVISION}/{_PATH}",
            "d25628be9038b69c9821e55cf76798bba070e839408bacc598d2e2cca62c6597",
        ),
    ),
)


def read_gerunds(raw_files: RawFiles) -> Iterator[str | Dropped]:
    """The -ing form of each verb, in upstream order."""
    path = raw_files[_PATH]
    for number, line in enumerate(raw.read_text(path).split("\n"), start=1):
        if line.strip() and not line.startswith(";"):
            with raw.at_row(path, number):
                yield _gerund(line)


def _gerund(line: str) -> str | Dropped:
    fields = line.split(",")
    if len(fields) != _N_FIELDS:
        raise ValueError(f"it has {len(fields)} fields where {_N_FIELDS} are expected")
    if not (form := fields[_ING_FORM].strip()):
        return Dropped("verb without an -ing form")
    return form if form.endswith("ing") else Dropped("-ing form that does not end in -ing")


TASKS = [
    coverage_task(
        "cov_claude_gerunds",
        "Give an English gerund.",
        ("knitting", "wandering", "schmoozing"),
        summary="English gerunds: verbs in their -ing form.",
        validator="one_of",
        max_new_tokens=10,
        source=VERB_FORMS,
        valid_items=read_gerunds,
        domain="Culture",
        quirks="The table's first verb, which the release loses, is there; a form that does not end in -ing is not. 10 "
        "new tokens instead of 4, which cut long words.",
    ),
]
