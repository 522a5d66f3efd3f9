"""How many people answered one question, as shares to train on: the answers of ``icl`` tasks, gathered by question.

Upstream: the sources of DICES, Polis, OpinionQA, Netflix, Kumar's comments and LeWiDi 2025, each with its own licence;
see the modules named below. None of them has a held-out task. A raw row is one of theirs; made up, as it comes out:

    description "Different people answer a question of a survey.", input "Do you swim?\\nA. Yes\\nB. No",
    options A, B at 3/4, 1/4, n_responses 4
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from dataset_builder.sources import (
    dices,
    hatespeech_kumar,
    lewidi_csc,
    lewidi_mp,
    lewidi_par,
    netflix,
    opinionqa_people,
    polis_votes,
)
from dataset_builder.sources.gathered_answers import FEWEST, read
from dataset_builder.task_spec import TaskSpec


def _task(name: str, module: object, task: str, summary: str, *descriptions: str) -> TaskSpec:
    (people,) = (spec for spec in module.TASKS if spec.name == task)
    return replace(
        people,
        name=f"dist_train_{name}",
        kind="distribution",
        split="train",
        summary=summary,
        process="one question put to several people",
        sequences=None,
        options=None,
        read=partial(read, people.read, people.options, descriptions),
        origin="ours",
        version="1.0.0",
        quirks=f"The answers of `{task}`, gathered by question; one with fewer than {FEWEST} is left out.",
    )


TASKS = [
    _task(
        "dices",
        dices,
        "dices",
        "Whether different raters find a chatbot's last turn unsafe.",
        "Different people judge conversations between a user and a chatbot: is the chatbot's last turn unsafe? Yes, No "
        "or Unsure. Each output is the answer of another person.",
    ),
    _task(
        "polis",
        polis_votes,
        "polis_vote",
        "How the participants of online town halls vote on a statement.",
        "In an online town hall, many people vote on statements: Agree, Disagree or Pass. Each output is the vote of "
        "another participant.",
    ),
    _task(
        "opinionqa",
        opinionqa_people,
        "opinionqa_individual",
        "How the respondents of an American opinion survey answer a question.",
        "Different people answer the questions of a survey. Each output is the letter of the option that one of them "
        "picked.",
        "An American opinion survey. Each output is the letter of another respondent's answer.",
    ),
    _task(
        "netflix",
        netflix,
        "netflix_individual_ratings",
        "How different customers rate a film.",
        "Customers of a film rental rate films from 1 to 5 stars. Each output is the rating of another customer.",
    ),
    _task(
        "hatespeech",
        hatespeech_kumar,
        "hatespeech_individual",
        "How toxic different raters find a comment.",
        "Different people rate how toxic comments from the internet are. Each output is the rating of another person.",
    ),
    _task(
        "sarcasm",
        lewidi_csc,
        "lewidi_csc_sarcasm_detection_individual",
        "How sarcastic different people find a response.",
        "Different people read a situation and what somebody said in it, and rate how sarcastic the response is, from "
        "1 (not at all) to 6 (completely). Each output is the rating of another person.",
    ),
    _task(
        "irony",
        lewidi_mp,
        "lewidi_mp_irony_detection_individual",
        "Whether different people find a reply ironic.",
        "Different people read a post and a reply to it and say whether the reply is ironic: 1 if it is, 0 if it is "
        "not. Each output is the answer of another person.",
    ),
    _task(
        "paraphrase",
        lewidi_par,
        "lewidi_par_paraphrase_detection_individual_categorical",
        "How far different people find a question to be a paraphrase of another.",
        "Different people compare two questions and rate how far the one paraphrases the other, as a whole number from "
        "-5 (they ask for different things) to 5 (they ask for the same). Each output is the rating of another person.",
    ),
]
