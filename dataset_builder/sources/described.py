"""Draws from described distributions over named things, in many wordings: what the paper's parametric tasks lack.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    description "At a cafe there were 3 tea orders and 1 coffee order. Name the drink of one random order."
    output "tea"
"""

from __future__ import annotations

import re

import numpy as np

from dataset_builder.sources.everyday_topics import TOPICS, Topic
from dataset_builder.sources.share_phrasings import AFTER_A_COLON, clauses, in_words, listing, plural, with_unit
from dataset_builder.sources.synthetic import N_DRAWS, SYNTHETIC, pick, process_id
from dataset_builder.task_spec import Draw, Example, Sequences, TaskSpec

_BEFORE_A_COLON = (
    "{Units} {where} by {what}:", "{Where}, the {units} were:", "{What} of the {units} {where}:", "{Plural} {where}:",
    "How the {units} {where} split:", "The {units} {where} so far:", "Count of {units} {where}:", "Seen {where}:",
    "Log of {units} {where}:", "We asked about the {what}:", "Distribution of the {what} {where}:", "{What}:",
    "{Units}:", "Each {unit} {where} has a {what}:", "Weights of each {what}:", "The {what} is random:", "Tally:",
)  # fmt: skip
_WITH_UNIT = (
    "{Where} there were {shares}.", "There were {shares} {where}.", "{Where} we counted {shares}.", "I noted {shares}.",
    "The list {where} has {shares}.", "So far: {shares}.", "Last year brought {shares} {where}.", "They got {shares}.",
)  # fmt: skip
_OF_ALL = (
    "Of {total} {units} {where}, {shares}.", "{Where}, {shares}.", "Out of {total} {units}, {shares}.",
    "Among the {units} {where}, {shares}.", "In the last {total} {units} {where}, {shares}.",
)  # fmt: skip
_LISTED = (
    "The {units} {where}: {shares}.", "{What} of the last {total} {units}: {shares}.", "{Where}: {shares}.",
    "Record of {units} {where}, in no order: {shares}.",
)  # fmt: skip
REQUESTS = (
    "One {unit} is picked at random. Which {what} is it?", "Name the {what} of one random {unit}.",
    "Pick one {unit} at random and tell its {what}.", "What {what} does a random {unit} have?", "Which {what}?",
    "Say the {what} of the next {unit}.", "Draw one {unit} at random. Answer with the {what}.",
    "Take a {unit} at random. What is the {what}?", "Give the {what} only.", "Output one {what}.", "Sample one {what}.",
    "Choose a {unit} by chance and write its {what}.", "Simulate one {unit}: answer with the {what} and nothing else.",
    "Each output is the {what} of a {unit} drawn at random.", "Outputs are {plural} of {units} drawn with replacement.",
)  # fmt: skip
_CASES = (("lower case", str.lower), ("capitals", str.upper))


def described_shares(rng: np.random.Generator, index: int) -> Example:
    """A topic, some of its names, how often each comes up in one of many wordings, and draws."""
    description, request, names, probabilities = described(rng)
    outputs = rng.choice(names, size=N_DRAWS, p=probabilities).tolist()
    draws = tuple(Draw(request, output) for output in outputs)
    return Example(process_id(index), (description,), draws, options=(tuple(names),))


def described(rng: np.random.Generator) -> tuple[str, str | None, list[str], np.ndarray]:
    """A description, what is asked of each draw (or None), the names, and their probabilities, (names,)."""
    topic = TOPICS[rng.integers(len(TOPICS))]
    names, counts = shares(rng, topic)
    description = _sentence(rng, topic, names, counts)
    request = _fill(REQUESTS[rng.integers(len(REQUESTS))], topic)
    if rng.random() < 0.15:  # noqa: PLR2004
        case, change = _CASES[rng.integers(len(_CASES))]
        request, names = f"{request} Answer in {case}.", [change(name) for name in names]
    place = rng.choice(["input", "description", "nowhere"], p=[0.4, 0.35, 0.25])
    if place == "description" or ("Answer in" in request and place == "nowhere"):
        description += ("\n" if "\n" in description else " ") + request
    return description, request if place == "input" else None, names, np.array(counts) / sum(counts)


def shares(rng: np.random.Generator, topic: Topic) -> tuple[list[str], list[int]]:
    """2 to 8 names of the topic, most often few, and a count for each: even, small, large or skewed."""
    size = min(len(topic.names), 2 + int(rng.binomial(5, 0.25)))
    names = rng.choice(topic.names, size=size, replace=False).tolist()
    kind = rng.choice(["small", "large", "skewed", "even", "hundred"], p=[0.3, 0.1, 0.35, 0.05, 0.2])
    if kind == "small":
        counts = rng.integers(1, rng.integers(1, 12, size=size, endpoint=True), endpoint=True)
    elif kind == "large":
        counts = rng.integers(1, int(10 ** rng.uniform(1.5, 4)), size=size)
    elif kind == "skewed":
        counts = 1 + np.floor(rng.dirichlet(np.full(size, 0.3)) * rng.integers(8, 40)).astype(int)
    elif kind == "even":
        counts = np.full(size, rng.integers(1, 20))
    else:
        counts = 1 + rng.multinomial(100 - size, rng.dirichlet(np.ones(size)))
    return names, counts.tolist()


def _sentence(rng: np.random.Generator, topic: Topic, names: list[str], counts: list[int]) -> str:
    """How often each name comes up, said in one of the wordings that fit the counts."""
    total = sum(counts)
    style = rng.choice(["colon", "unit", "clauses", "list", "words"], p=[0.42, 0.35, 0.13, 0.05, 0.05])
    if style == "words" and (said := in_words(names, counts)):
        return f"{topic.units.capitalize()} {topic.where}: {said}."
    if style == "list" and total <= 12:  # noqa: PLR2004
        return _fill(pick(rng, _LISTED), topic, shares=listing(rng, names, counts), total=total)
    if style == "clauses":
        return _fill(pick(rng, _OF_ALL), topic, shares=clauses(rng, names, counts), total=total)
    if style == "unit":
        words = bool(rng.random() < 0.25)  # noqa: PLR2004
        return _fill(pick(rng, _WITH_UNIT), topic, shares=with_unit(names, counts, topic, words=words))
    said = pick(rng, AFTER_A_COLON)(names, counts)
    before = _fill(pick(rng, _BEFORE_A_COLON), topic)
    return f"{before}{said}" if said.startswith("\n") else f"{before} {said}{pick(rng, ('', '.', '.'))}"


def _fill(pattern: str, topic: Topic, **more: object) -> str:
    """The pattern with the topic's words; ``{Where}`` and the like start with a capital."""
    words = {"what": topic.what, "unit": topic.unit, "units": topic.units, "where": topic.where}
    words |= {word.capitalize(): text[0].upper() + text[1:] for word, text in words.items()}
    text = pattern.format(**words, plural=plural(topic.what), Plural=plural(topic.what).capitalize(), **more)
    return re.sub(r"\b([Aa]) (?=[aeo])", r"\1n ", text)


TASKS = [
    TaskSpec(
        name="described_shares",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Draws of named things whose shares are described in everyday words, counts, percentages or odds.",
        process="one described distribution over named options",
        inputs=("request",),
        outputs=("name",),
        sequences=Sequences("one"),
        generate=described_shares,
        n_processes=20_000,
        origin="ours",
        version="1.2.0",
    ),
]
