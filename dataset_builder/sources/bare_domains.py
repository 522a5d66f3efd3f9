"""The six tables of BARE as tasks: what each holds, and which of its fields are given and wanted.

Upstream: https://github.com/pgasawa/BARE. Licence: MIT. A raw row: see ``bare.py``.
"""

from __future__ import annotations

from dataset_builder.sources.bare import Variant, task

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
