"""Collective Alignment 1 (now CoVal): how people rank four replies to delicate prompts.

Upstream: https://huggingface.co/datasets/openai/coval (formerly openai/collective-alignment-1). Licence: unstated. Raw
lines (made up) of comparisons.jsonl and merged_comparisons_annotators.jsonl, shortened:

    {"prompt_id": "p1", "prompt": {"messages": [{"role": "user", "content": "Is it fair?"}]}, "responses":
     [{"response_index": "A", "messages": [{"role": "assistant", "content": "No."}]}, ...]}
    {"annotator_id": "n1", "prompt_id": "p1", "importance": "Very", "representativeness": null, "subjectivity": "Some",
     "ranking_blocks": {"personal": [], "world": [{"ranking": "A>B=C>D", "rationale": "Kind."}], "unacceptable":
     [{"rating": ["D is unacceptable"], "rationale": "Rude."}]}, "demographics": {"age": "25-34"}}

The whole files: a line for each prompt, and one for each assessment of a prompt by a person. If a prompt id appears
again with other texts, its assessments are left out, since it is unknown which text people saw.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dataset_builder import raw
from dataset_builder.sources.shared.people import choose, known
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

_PROMPTS, _ASSESSMENTS = "comparisons.jsonl", "merged_comparisons_annotators.jsonl"

COLLECTIVE_ALIGNMENT = Source(
    name="collective_alignment",
    title="Collective Alignment 1",
    homepage="https://huggingface.co/datasets/openai/coval",
    license="unstated",
    redistributable="unknown",
    citation="OpenAI 2025, Collective alignment: public input on our Model Spec",
    folder="collective_alignment",
    revision="f0f45eacea13be9c71b4b85c489ca01e174c86c1",
    files=(SourceFile(_PROMPTS), SourceFile(_ASSESSMENTS)),
    hub="openai/coval",
)

LETTERS = "ABCD"
LABELS = ("importance", "representativeness", "subjectivity")
_FIELDS = {
    "annotator_id": str,
    "prompt_id": str,
    "ranking_blocks": dict,
    "demographics": dict | None,
    **dict.fromkeys(LABELS, str | None),
}


def read_prompts(raw_files: RawFiles) -> dict[str, dict[str, str]]:
    """Prompt id -> the conversation and its four replies, by name; nothing for an id with several of them."""
    path = raw_files[_PROMPTS]
    prompts: dict[str, dict[str, str]] = {}
    for number, row in raw.read_json_lines(path, {"prompt_id": str, "prompt": dict, "responses": list}):
        with raw.at_row(path, number):
            replies = {reply["response_index"]: _said(reply["messages"], "assistant") for reply in row["responses"]}
            texts = {
                "conversation": _said(row["prompt"]["messages"], "user"),
                **{f"response_{letter.lower()}": replies[letter] for letter in LETTERS},
            }
        # Of an id repeated with other texts, it is unknown which of them people saw.
        same = prompts.get(row["prompt_id"], texts) == texts
        prompts[row["prompt_id"]] = texts if same else {}
    return prompts


def _said(messages: list[dict[str, str]], role: str) -> str:
    return "\n\n".join(str.strip(message["content"]) for message in messages if message["role"] == role).strip()


def read_assessments(raw_files: RawFiles) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield (row, answers by name) in upstream order; what the person left open is left out of the answers."""
    path = raw_files[_ASSESSMENTS]
    for number, row in raw.read_json_lines(path, _FIELDS):
        with raw.at_row(path, number):
            answers = _answers(row)
        yield row, answers


def _answers(row: Mapping[str, Any]) -> dict[str, str]:
    personal, world, unacceptable = (
        _block(row["ranking_blocks"], name) for name in ("personal", "world", "unacceptable")
    )
    answers = {
        "personal_ranking": personal.get("ranking"),
        "world_ranking": world.get("ranking"),
        "personal_rationale": personal.get("rationale"),
        "world_rationale": world.get("rationale"),
        "unacceptable_responses": "|".join(unacceptable.get("rating") or ()),
        "unacceptable_rationale": unacceptable.get("rationale"),
        **{name: row[name] for name in LABELS},
    }
    if not all(isinstance(text, str | None) for text in answers.values()):
        raise TypeError(f"an answer is not text: {answers!r}")
    return {name: text.strip() for name, text in answers.items() if text and text.strip()}


def _block(blocks: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the person answered to one of the questions, or nothing: some were only asked now and then."""
    block = next(iter(blocks.get(name) or ()), {})
    if not isinstance(block, dict) or not isinstance(block.get("rating"), list | None):
        raise TypeError(f"the answer to {name!r} is not a JSON object with a ranking or a list of ratings")
    return block


_MIN_ROWS = 3
_OUTPUTS = (
    "personal_ranking",
    "world_ranking",
    "personal_rationale",
    "world_rationale",
    "unacceptable_responses",
    "unacceptable_rationale",
    *LABELS,
)
_MEANINGS = (
    "personal_ranking orders the replies A to D by what the person likes (A>B=C>D: A is best, B and C are level, D is "
    "worst) and personal_rationale says why; world_ranking and world_rationale do so for what is best for the world; "
    "unacceptable_responses names replies that no model should give, separated by |, and unacceptable_rationale says "
    "why; importance, representativeness and subjectivity are the person's labels for the prompt: how much it matters, "
    "how typical it is of what people ask, and how far the best reply is a matter of opinion. What the person left "
    "open is left out."
)
_TEXTS = (
    f"One person judges four replies to what a user says to a language model. The output is JSON: {_MEANINGS}",
    f"The same annotator assesses every conversation and its four candidate replies. In the JSON output, {_MEANINGS}",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per annotator with at least three assessments, in the order of their first one."""
    prompts = read_prompts(raw_files)
    draws: dict[str, list[Draw]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for row, answers in read_assessments(raw_files):
        given = prompts.get(row["prompt_id"])
        if given is None:
            yield Dropped("assessment of an unknown prompt")
        elif not given:
            yield Dropped("assessment of a prompt whose id has several texts")
        elif not all(given.values()):
            yield Dropped("assessment of a prompt or a reply without text")
        elif not answers:
            yield Dropped("assessment without an answer")
        else:
            draw = Draw(*(json.dumps(fields, ensure_ascii=False) for fields in (given, answers)))
            draws.setdefault(row["annotator_id"], []).append(draw)
            facts.setdefault(row["annotator_id"], _known(row["demographics"] or {}))
    people, dropped = choose(draws, "collective_alignment", at_least=_MIN_ROWS)
    yield from dropped
    for person in people:
        about = f" The person: {json.dumps(facts[person], ensure_ascii=False)}" if facts[person] else ""
        yield Example(person, tuple(f"{text}{about}" for text in _TEXTS), tuple(draws[person]))


def _known(demographics: dict[str, Any]) -> dict[str, Any]:
    """The facts that a person gave; some are lists."""
    listed = {name: value for name, value in demographics.items() if value and not isinstance(value, str)}
    told = known({name: value for name, value in demographics.items() if isinstance(value, str)})
    return {name: told.get(name, listed.get(name)) for name in demographics if name in told or name in listed}


TASKS = [
    TaskSpec(
        name="collective_alignment_individual",
        kind="icl",
        split="train",
        source=COLLECTIVE_ALIGNMENT,
        group="human_variation",
        summary="How one person ranks four replies to delicate prompts, and why.",
        process="one annotator",
        inputs=("conversation", *(f"response_{letter.lower()}" for letter in LETTERS)),
        outputs=_OUTPUTS,
        sequences=Sequences("one"),
        read=read,
        domain="Conversation",
        quirks=(
            "Whether and how the person is described differs between people. Answers that the person left open are "
            "left out."
        ),
    ),
]
