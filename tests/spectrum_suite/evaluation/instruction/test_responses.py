"""Format measures and similarity by hand, and greedy responses."""

import math

import numpy as np
import pytest
import torch
from transformers import LogitsProcessorList

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.instruction.score_instruction import format_measures, repetition, summarize_formats
from spectrum_suite.evaluation.instruction.similarity import Similarity, similarity_to_task
from spectrum_suite.formats.render import get_format
from spectrum_suite.formats.tags import tagged_format
from spectrum_suite.generation.respond import Response, respond
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter, Rules
from spectrum_suite.generation.sample import rule_adapter
from tests.tiny_models import tiny_model

PROMPTS = ["What should I do?", "I", "Name a day of the week, please.", "We sing!", "x"]
CONVERSATIONS = [
    [{"role": "input", "content": asked}, {"role": "output", "content": f"Answer {n}"}]
    for n, asked in enumerate(PROMPTS)
]


@pytest.fixture(scope="module")
def tiny(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    return tiny_model("gemma3", len(tokenizer)), tokenizer


@pytest.mark.parametrize("rules", [None, Rules(ending_length=5, ending=40)])
@pytest.mark.parametrize("name", ["chat", "tags", "colon"])
def test_responses_are_those_of_generate_one_by_one(tiny, name, rules):
    model, tokenizer = tiny
    text_format = tagged_format(name, tokenizer) if name == "tags" else get_format(name, tokenizer)
    prompts = [conversation[:1] for conversation in CONVERSATIONS]
    mine = None if rules is None else rule_adapter(model, tokenizer, text_format, rules)
    found = respond(model, tokenizer, prompts, text_format=text_format, max_new_tokens=8, rules=mine, batch_size=3)
    ends = sorted(
        {1, tokenizer.eos_token_id} | ({tokenizer.convert_tokens_to_ids("<|eot_id|>")} if name == "chat" else set())
    )
    for messages, response in zip(prompts, found, strict=True):
        ids = tokenizer(text_format.prompt(messages), add_special_tokens=False, return_tensors="pt").input_ids
        adapter = [] if rules is None else [RuleBasedAdapter(tokenizer, rules, eos_token_id=ends)]
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8, eos_token_id=ends,
            pad_token_id=0, logits_processor=LogitsProcessorList(adapter),
        )[0, ids.shape[1] :].tolist()  # fmt: skip
        ended = out[-1] in ends
        if name != "colon":
            assert (response.tokens, response.ended) == (len(out), ended)
        text = tokenizer.decode(out[:-1] if ended else out, skip_special_tokens=True)
        prefix = text_format.output_prefix
        assert response.text == text.partition("\n\n" if name == "colon" else "\0")[0].removeprefix(prefix)
    if rules is not None and name != "colon":
        assert any(response.ended for response in found)


@pytest.mark.parametrize(
    ("text", "measure", "expected"),
    [
        ("You asked: Name a   DAY. Monday", "repeats_instruction", 1),
        ("A day is Monday", "repeats_instruction", 0),
        ("Monday\n<|user|>\nAnd a month?", "new_instruction", 1),
        ("Monday\n### Instruction: sing", "new_instruction", 1),
        ("Monday\nQuestion 2: sing", "new_instruction", 1),
        ("Monday\nuser\nsing", "new_instruction", 1),
        ("A user asks a question: is input needed?", "new_instruction", 0),
        ("Monday\nQuestions are welcome.", "new_instruction", 0),
        ("a b c d a b c d", "words", 8),
        ("a b c d a b c d", "repetition", 0.2),
    ],
)
def test_format_measures_by_hand(text, measure, expected):
    found = format_measures("Name a day.", Response(text, 9, ended=True))
    assert found[measure] == pytest.approx(expected)
    assert (found["ends"], found["tokens"]) == (1, 9)


def test_repetition_and_its_mean():
    assert repetition(["a", "b", "c", "d", "e"]) == 0
    assert repetition(["a"] * 13) == pytest.approx(0.9)
    assert math.isnan(repetition(["a"] * 3))
    rows = [format_measures("q", Response(text, 3, ended=bool(text))) for text in ("", "a a a a a", "a b c d")]
    found = summarize_formats(rows)
    assert found["ends"]["mean"] == pytest.approx(2 / 3)
    assert (found["repetition"]["mean"], found["repetition"]["n"]) == (0.25, 2)


TASK = [
    (f"Write a python function to {what} a list.", f"def {what}(items):\n    return {what}ed(items)")
    for what in ("sort", "filter", "merge", "split")
]


def test_similarity_tells_near_from_far():
    instructions = [
        "Write a python function to reverse a list.",
        "Write a function for me.",
        "Is honey sweet?",
        "Sing.",
    ]
    task_like = ["def reverse(items):\n    return items", "def f(items): return", "Honey is sweet.", "La la la"]
    found = similarity_to_task(instructions, task_like, TASK)
    assert found.nearness[0] == found.nearness.max() > 0.5
    assert found.likeness[:2].min() > found.likeness[2:].max()
    assert found.correlation > 0.5
    assert similarity_to_task([TASK[0][0]], [TASK[0][1]], TASK[:1]).nearness[0] == pytest.approx(1)
    assert similarity_to_task([TASK[0][0]], [TASK[0][1]], TASK[:1]).likeness[0] == pytest.approx(1)
    with pytest.raises(UserError, match="1 instructions, 0 responses and 4 pairs"):
        similarity_to_task(["a"], [], TASK)


def test_similarity_by_quarters():
    found = Similarity(np.array([0.1, 0.9, 0.2, 0.8]), np.array([1.0, 4, 2, 3]))
    section = found.section()
    assert section["correlation"] == pytest.approx(1)
    assert section["nearness_by_quarter"] == [0.1, 0.2, 0.8, 0.9]
    assert section["likeness_by_quarter"] == [1, 2, 3, 4]
    assert math.isnan(Similarity(np.ones(4), np.arange(4)).correlation)
