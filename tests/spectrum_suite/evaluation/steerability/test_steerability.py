"""Steerability of models whose distribution is known, on the same outputs in every format."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.steerability.closed_answers import closed_answers
from spectrum_suite.evaluation.steerability.score_steerability import (
    formats_of,
    score_sequences,
)
from spectrum_suite.evaluation.steerability.summarize_steerability import (
    CAPABILITY_TASKS,
    TaskSteerability,
    paired_steerability,
    summary_by_group,
)
from spectrum_suite.evaluation.work import messages_fingerprint
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.output_logprobs import output_logprobs, tokenize_sequences
from spectrum_suite.json_files import finite
from spectrum_suite.lm.local import LocalLM
from tests.tiny_models import ANSWERS, FAR, memoryless_model, tiny_model


def rows_of(*sequences, description="One letter.", given=None):
    def messages(outputs):
        head = [{"role": "description", "content": description}] if description else []
        inputs = [{"role": "input", "content": given}] if given else []
        return head + [turn for output in outputs for turn in (*inputs, {"role": "output", "content": output})]

    return Dataset.from_list(
        [{"id": f"letters/{n}", "messages": messages(outputs)} for n, outputs in enumerate(sequences)]
    )


MIXED = rows_of("BAAABAABA", "AAABAAAAB", "BBAAAAABA")  # behind the first: six of A, two of B in each
WORDS = rows_of(["one", "two or three", "one"], ["four", "one"], ["two or three"] * 5)


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


@pytest.fixture(scope="module")
def spectrum(tokenizer):
    return get_format("spectrum", tokenizer)


@pytest.fixture(scope="module")
def tiny(tokenizer):
    return tiny_model("gemma3", len(tokenizer))


def steered(model, tokenizer, rows, text_format, *, options=None, written=None, max_length=1024, task="letters"):
    ways = [(tokenizer, text_format)] if written is None else written
    lm = LocalLM.of(model, tokenizer, text_format)
    found = score_sequences(lm, rows, ways, options=options, max_length=max_length)
    sequences = tuple(sequence for sequence in found if sequence is not None)
    return TaskSteerability(
        task=task,
        capability=task in CAPABILITY_TASKS,
        options=options,
        max_length=max_length,
        n_available=len(rows),
        n_too_long=len(found) - len(sequences),
        sequences=sequences,
        rows_fingerprint=messages_fingerprint(rows),
        seconds=1.0,
    )


def scored(tokenizer, text_format, probabilities, rows=MIXED, options=ANSWERS):
    model = memoryless_model(tokenizer, text_format, probabilities)
    return steered(model, tokenizer, rows, text_format, options=options)


def test_a_model_that_knows_nothing(tokenizer, spectrum):
    model = tiny_model("llama", len(tokenizer))
    with torch.no_grad():
        model.lm_head.weight.zero_()  # every token has probability 1 / vocabulary
    summary = steered(model, tokenizer, MIXED, spectrum, options=ANSWERS).summary()
    assert summary["loss"] == pytest.approx(2 * math.log(len(tokenizer)), abs=1e-4)  # the letter and the end of turn
    assert summary["loss_per_token"] == pytest.approx(math.log(len(tokenizer)), abs=1e-4)
    assert summary["accuracy"] == 0.25
    assert summary["ece"] == pytest.approx(0, abs=1e-12)
    assert summary["loss_se"] == pytest.approx(0, abs=1e-6)
    assert (summary["n"], summary["n_scored"], summary["n_sequences"]) == (24, 24, 3)


def test_a_perfect_model(tokenizer, spectrum):
    summary = scored(tokenizer, spectrum, {"A": 1.0}, rows_of("AAAA", "AA")).summary()
    assert (summary["loss"], summary["accuracy"], summary["n"]) == (pytest.approx(0, abs=1e-6), 1, 4)
    assert summary["ece"] == pytest.approx(0, abs=1e-12)


def test_a_point_mass_is_as_wrong_as_it_is_sure(tokenizer, spectrum):
    result = scored(tokenizer, spectrum, {"A": 1.0})
    summary = result.summary()
    assert summary["loss"] == pytest.approx(FAR / 4, abs=1e-3)
    assert summary["loss_per_token"] == pytest.approx(FAR / 8, abs=1e-3)
    assert summary["accuracy"] == 0.75
    assert summary["ece"] == pytest.approx(0.25)
    last = result.at_largest_k()  # A, B, A at eight examples
    assert (last["mean_k"], last["n"], last["accuracy"]) == (8, 3, pytest.approx(2 / 3))
    assert last["loss"] == pytest.approx(FAR / 3, abs=1e-3)


def test_a_model_with_the_true_shares_has_the_loss_of_their_entropy_and_is_calibrated(tokenizer, spectrum):
    summary = scored(tokenizer, spectrum, {"A": 0.75, "B": 0.25}).summary()
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert summary["loss"] == pytest.approx(entropy, abs=1e-4)
    assert summary["accuracy"] == 0.75
    assert summary["ece"] == pytest.approx(0, abs=1e-5)


def test_mass_outside_the_options_costs_loss_but_no_confidence(tokenizer, spectrum):
    result = scored(tokenizer, spectrum, {"A": 0.3, "B": 0.1, "C": 0.6}, options=("A", "B"))
    summary = result.summary()
    assert summary["loss"] == pytest.approx(-0.75 * math.log(0.3) - 0.25 * math.log(0.1), abs=1e-4)
    assert summary["accuracy"] == 0.75
    assert summary["ece"] == pytest.approx(0, abs=1e-5)  # 0.3 / (0.3 + 0.1)


def test_the_table_by_number_of_examples(tokenizer, spectrum):
    table = scored(tokenizer, spectrum, {"A": 0.75, "B": 0.25}).by_k()
    assert table["k"] == list(range(9))
    assert table["n"] == [3] * 9
    a, b = -math.log(0.75), -math.log(0.25)
    assert table["loss"][:3] == pytest.approx([(2 * b + a) / 3, (2 * a + b) / 3, a], abs=1e-4)
    assert table["accuracy"][:3] == pytest.approx([1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("name", ["spectrum", "chat", "colon"])
def test_without_a_description_the_first_output_is_not_scored_in_any_format(name, tokenizer, tiny):
    rows = rows_of("ABC", "BA", description=None, given="x")
    result = steered(tiny, tokenizer, rows, get_format(name, tokenizer))
    assert [sequence.k for sequence in result.sequences] == [(1, 2), (1,)]
    assert result.by_k()["k"] == [1, 2]


def test_losses_and_tokens_are_those_of_the_sequence(tokenizer, tiny, spectrum):
    result = steered(tiny, tokenizer, WORDS, spectrum)
    found = output_logprobs(tiny, tokenizer, WORDS["messages"][:], text_format=spectrum)
    for sequence, scores in zip(result.sequences, found, strict=True):
        assert sequence.losses == pytest.approx((-scores.log_probs).tolist(), abs=1e-5)
        assert list(sequence.tokens) == scores.tokens.tolist()
        assert sequence.answers == sequence.log_probs == ()
    assert math.isnan(result.summary()["accuracy"])


def test_formats_are_compared_on_the_same_outputs(tokenizer, tiny):
    ways = formats_of(tokenizer)
    assert [text_format.name for _, text_format in ways] == ["spectrum", "colon", "chat"]
    results = [steered(tiny, tokenizer, WORDS, each, written=ways, max_length=45) for _, each in ways]
    kept = [[(sequence.id, sequence.k) for sequence in result.sequences] for result in results]
    assert kept[0] == kept[1] == kept[2]
    alone = [steered(tiny, tokenizer, WORDS, each, max_length=45) for _, each in ways]
    fitting = [sum(len(sequence.k) for sequence in result.sequences) for result in alone]
    assert sum(len(k) for _, k in kept[0]) == min(fitting) < max(fitting)


def test_what_does_not_fit_is_counted(tokenizer, tiny, spectrum):
    lengths = [sequence.outputs[0][1] for sequence in tokenize_sequences(tokenizer, WORDS["messages"][:], spectrum)]
    assert lengths[2] > max(lengths[:2])
    result = steered(tiny, tokenizer, WORDS, spectrum, max_length=max(lengths[:2]))
    assert (len(result.sequences), result.n_too_long, result.n_available) == (2, 1, 3)
    nothing = steered(tiny, tokenizer, WORDS, spectrum, max_length=3)
    assert (nothing.sequences, nothing.n_too_long) == ((), 3)


def test_the_fingerprint_of_sequences_follows_their_messages():
    assert messages_fingerprint(rows_of("AB")) == messages_fingerprint(rows_of("AB"))
    assert messages_fingerprint(rows_of("AB")) != messages_fingerprint(rows_of("BA"))


def test_a_result_survives_its_report(tokenizer, spectrum):
    result = scored(tokenizer, spectrum, {"A": 0.75, "B": 0.25})
    section = json.loads(json.dumps(finite(result.as_dict()), allow_nan=False))
    assert TaskSteerability.from_dict(section) == result
    assert section["summary"] == pytest.approx(result.summary())
    low, high = section["ci95"]["loss"]
    assert low <= section["summary"]["loss"] <= high
    assert section["n"] == 3


def test_differences_are_paired_by_output(tokenizer, spectrum):
    mine = scored(tokenizer, spectrum, {"A": 0.75, "B": 0.25})
    theirs = scored(tokenizer, spectrum, {"A": 0.5, "B": 0.5})
    found = paired_steerability(mine, theirs)
    differences = [
        a - b
        for ours, other in zip(mine.sequences, theirs.sequences, strict=True)
        for a, b in list(zip(ours.losses, other.losses, strict=True))[1:]
    ]
    assert found["loss"]["difference"] == pytest.approx(np.mean(differences))
    assert found["loss"]["ci95"] == pytest.approx([np.mean(differences)] * 2, abs=1e-6)  # alike in every sequence
    assert found["loss"]["n"] == 24
    assert found["accuracy"]["difference"] == pytest.approx(0.25)  # a tie counts half
    shorter = scored(tokenizer, spectrum, {"A": 0.5, "B": 0.5}, rows=MIXED.select([1]), options=None)
    on_shared = paired_steerability(mine, shorter)
    assert on_shared["loss"]["n"] == 8
    assert math.isnan(on_shared["accuracy"]["difference"])


def test_other_content_under_the_same_id_is_refused(tokenizer, spectrum):
    mine = scored(tokenizer, spectrum, {"A": 1.0})
    with pytest.raises(UserError, match="'letters/0' of task 'letters' is not the same in both"):
        paired_steerability(mine, scored(tokenizer, spectrum, {"A": 1.0}, rows=rows_of("ABAB")))
    other = scored(tokenizer, spectrum, {"A": 1.0}, rows=MIXED.select([1]))
    with pytest.raises(UserError, match="share no output"):
        paired_steerability(scored(tokenizer, spectrum, {"A": 1.0}, rows=MIXED.select([0])), other)


def test_an_output_that_is_none_of_the_options_is_named(tokenizer, tiny, spectrum):
    with pytest.raises(UserError, match="output 'B' of row 'letters/0' is none of the options"):
        steered(tiny, tokenizer, MIXED, spectrum, options=("A",))


def test_each_question_is_scored_among_its_own_answers(tokenizer, spectrum):
    model = memoryless_model(tokenizer, spectrum, {"A": 0.4, "B": 0.2, "C": 0.3, "D": 0.1})
    asked = [{"role": "input", "content": "first or second?"}, {"role": "input", "content": "third or fourth?"}]
    messages = [asked[0], {"role": "output", "content": "B"}, asked[1], {"role": "output", "content": "C"}] * 2
    rows = Dataset.from_list(
        [{"id": "letters/0", "messages": messages, "options": [["A", "B"], ["C", "D"], ["A", "B"], ["C", "D"]]}]
    )
    answers = closed_answers(rows)
    lm = LocalLM.of(model, tokenizer, spectrum)
    (sequence,) = score_sequences(lm, rows, [(tokenizer, spectrum)], options=answers, max_length=200)
    assert sequence.asked == (1, 0, 1)  # the first output has no example before it
    assert [list(np.exp(row).round(4)) for row in sequence.log_probs] == [[0.3, 0.1], [0.4, 0.2], [0.3, 0.1]]
    result = TaskSteerability("letters", False, answers.lists, 200, 1, 0, (sequence,), "", 1.0)
    assert result.summary()["accuracy"] == pytest.approx(2 / 3)
    confidence = (3 / 4 + 4 / 6 + 3 / 4) / 3
    assert result.summary()["ece"] == pytest.approx(abs(1 - 3 / 4) * 2 / 3 + abs(0 - 4 / 6) / 3)
    section = finite(result.as_dict())
    assert section["options"] == [["A", "B"], ["C", "D"]]
    assert sum(
        n * c for n, c in zip(section["reliability"]["n"], section["reliability"]["confidence"], strict=True) if n
    ) == pytest.approx(3 * confidence)
    assert TaskSteerability.from_dict(section) == result


def test_an_output_that_failed_is_counted_and_not_lost(tokenizer, tiny, spectrum, monkeypatch):
    lm = LocalLM.of(tiny, tokenizer, spectrum)

    def score(sequences, *, options=None):
        found = output_logprobs(tiny, tokenizer, sequences, options=options, text_format=spectrum)
        found = [
            replace(scores, log_probs=scores.log_probs.clone(), options=scores.options.clone()) for scores in found
        ]
        found[0].log_probs[3] = found[0].options[3] = found[1].options[2, 0] = math.nan
        return found

    monkeypatch.setattr(lm, "output_logprobs", score)
    rows = MIXED.select([0, 1])
    found = score_sequences(lm, rows, [(tokenizer, spectrum)], options=("A", "B"), max_length=200)
    assert [sequence.k for sequence in found] == [tuple(range(9))] * 2
    assert [sequence.failed for sequence in found] == [(3,), (2,)]
    result = TaskSteerability("letters", False, ("A", "B"), 200, 2, 0, found, "", 1.0)
    summary = result.summary()
    assert (summary["n"], summary["n_scored"]) == (16, 15)
    section = finite(result.as_dict())
    assert (section["n_outputs"], section["n_failed"]) == (18, 2)
    again = TaskSteerability.from_dict(section)
    assert finite(again.as_dict()) == section
    assert math.isnan(again.sequences[0].losses[3])
    assert again.sequences[1].losses == found[1].losses
    assert paired_steerability(again, again)["loss"]["n"] == 15


def test_capability_tasks_are_reported_apart(tokenizer, tiny, spectrum):
    assert {"mmlu", "gpqa", "hellaswag", "winogrande", "arc", "drop", "truthful_qa"} <= CAPABILITY_TASKS
    answers = {"mmlu": ("A", "B"), "letters": ("A", "B"), "words": None}
    found = {
        task: steered(tiny, tokenizer, WORDS if task == "words" else MIXED, spectrum, task=task, options=options)
        for task, options in answers.items()
    }
    groups = summary_by_group(finite(result.as_dict()) for result in found.values())
    mmlu, letters, words = (result.summary() for result in found.values())
    assert list(groups) == ["steerability", "capability"]
    assert groups["capability"]["loss"] == pytest.approx(mmlu["loss"])
    steerability = groups["steerability"]
    assert steerability["loss"] == pytest.approx((letters["loss"] + words["loss"]) / 2)
    assert steerability["loss_se"] == pytest.approx(math.hypot(letters["loss_se"], words["loss_se"]) / 2)
    assert (steerability["accuracy"], steerability["accuracy_tasks"]) == (letters["accuracy"], 1)
    assert "steerability" not in summary_by_group([found["mmlu"].as_dict()])
