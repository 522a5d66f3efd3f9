"""Collective Alignment 1 (now CoVal): four replies each to delicate prompts, and what people say of them (the tables).

Upstream: https://huggingface.co/datasets/openai/coval (formerly openai/collective-alignment-1). Licence: unstated. Raw
lines (made up) of comparisons.jsonl and merged_comparisons_annotators.jsonl, shortened:

    {"prompt_id": "p1", "prompt": {"messages": [{"role": "user", "content": "Is it fair?"}]}, "responses":
     [{"response_index": "A", "messages": [{"role": "assistant", "content": "No."}]}, ...]}
    {"annotator_id": "n1", "prompt_id": "p1", "importance": "Very", "representativeness": null, "subjectivity": "Some",
     "ranking_blocks": {"personal": [], "world": [{"ranking": "A>B=C>D", "rationale": "Kind."}], "unacceptable":
     [{"rating": ["D is unacceptable"], "rationale": "Rude."}]}, "demographics": {"age": "25-34"}}

The whole files: a line for each prompt, and one for each assessment of a prompt by a person. Should a prompt come again
with other texts, its assessments are left out, since nothing tells what people saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import RawFiles, Source, SourceFile

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
        # Of an id that comes again with other texts, nothing tells which of them people saw.
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
