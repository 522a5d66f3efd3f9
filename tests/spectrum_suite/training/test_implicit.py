"""Three views of instruction data: what stands in them, and that a loss falls on responses alone."""

import json

import pytest
import torch
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.formats.tags import tagged_format
from spectrum_suite.generation.output_logprobs import tokenize_sequences
from spectrum_suite.training.arguments import TuningConfig, for_our_collator
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.implicit import OBJECTIVES, load_objective, tokenize_conversations
from spectrum_suite.training.trainer import SpectrumTrainer

INSTRUCTIONS = [f"Zebra question {'xylophone ' * number}please?" for number in range(8)]
RESPONSES = [f"The answer\nis {number} {'today ' * number}." for number in range(8)]
FORMATS = ["chat", "spectrum", "colon", "tags", "meaningless_tags"]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"instruction": asked, "output": answer} for asked, answer in zip(INSTRUCTIONS, RESPONSES, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def format_of(name, tokenizer):
    return tagged_format(name, tokenizer) if "tags" in name else get_format(name, tokenizer)


def batch_of(objective, data, tokenizer, text_format, **options):
    rows, _ = load_objective(objective, [data])
    tokenized, too_long = tokenize_conversations(rows, tokenizer, text_format, max_length=400)
    assert too_long == 0
    collator = SpectrumCollator.for_format(text_format, tokenizer, max_length=400, **options)
    return collator(list(tokenized))


def pieces(batch, row):
    """(ids without a loss, ids with one), padding aside."""
    length = int(batch["attention_mask"][row].sum())
    ids, labels = batch["input_ids"][row, :length].tolist(), batch["labels"][row, :length].tolist()
    trained = [token for token, label in zip(ids, labels, strict=True) if label != IGNORED]
    assert ids[length - len(trained) :] == trained
    return ids[: length - len(trained)], trained


@pytest.mark.parametrize("name", FORMATS)
def test_the_response_view_holds_responses_alone(tokenizer, data, name):
    text_format = format_of(name, tokenizer)
    batch = batch_of("response", data, tokenizer, text_format, description_dropout=1.0)
    for row, response in enumerate(RESPONSES):
        before, trained = pieces(batch, row)
        assert tokenizer.decode(before) == text_format.bos + text_format.context("")
        assert tokenizer.decode(trained).removesuffix("\n") == text_format.output(response).removesuffix("\n")
    text = tokenizer.decode(batch["input_ids"].flatten())
    assert "Zebra" not in text
    assert "xylophone" not in text


@pytest.mark.parametrize(("name", "objective"), [*((name, "instruction") for name in FORMATS), ("tags", "single_task")])
def test_the_loss_falls_on_responses_alone(tokenizer, data, name, objective):
    text_format = format_of(name, tokenizer)
    batch = batch_of(objective, data, tokenizer, text_format)
    for row, (instruction, response) in enumerate(zip(INSTRUCTIONS, RESPONSES, strict=True)):
        before, trained = pieces(batch, row)
        messages = [{"role": "input", "content": instruction}, {"role": "output", "content": response}]
        (scored,) = tokenize_sequences(tokenizer, [messages], text_format)
        start, end = scored.outputs[0]
        assert (before, trained) == (list(scored.ids[:start]), list(scored.ids[start:end]))


def test_what_precedes_a_response_is_what_generation_starts_from(tokenizer):
    text_format = get_format("chat", tokenizer)
    dialogue = [
        {"role": "description", "content": "Be brief."},
        {"role": "input", "content": "One?"},
        {"role": "output", "content": "1"},
        {"role": "input", "content": "Two?"},
        {"role": "output", "content": "2"},
    ]
    rows = Dataset.from_list([{"id": "d", "messages": dialogue}])
    (row,), _ = tokenize_conversations(rows, tokenizer, text_format, max_length=200)
    collator = SpectrumCollator.for_format(text_format, tokenizer, max_length=200)
    before, trained = pieces(collator([row]), 0)
    assert before == tokenizer.apply_chat_template(
        dialogue[:-1], chat_template=text_format.chat_template(), add_generation_prompt=True, return_dict=False
    )
    assert tokenizer.decode(trained) == text_format.output("2")


def test_trees_train_on_the_same_tokens(tokenizer_of, data):
    tokenizer = tokenizer_of("chatml")
    text_format = get_format("chat", tokenizer)
    trees = batch_of("response", data, tokenizer, text_format, branching=1.0)
    chains = batch_of("response", data, tokenizer, text_format)
    found = [labels[labels != IGNORED].tolist() for labels in (trees["labels"], chains["labels"])]
    assert sorted(found[0]) == sorted(found[1])


@pytest.fixture
def losses(data, tmp_path, tiny_model, chatml):
    """``losses(objective, seed)``: the loss of each step of a short run on a tiny model."""

    def run(objective, seed=42):
        text_format = get_format("chat", chatml)
        rows, _ = load_objective(objective, [data], seed=seed)
        tokenized, _ = tokenize_conversations(rows, chatml, text_format, max_length=400)
        settings = TuningConfig(
            output_dir=str(tmp_path), report_to="none", use_cpu=True, bf16=False, logging_steps=1, save_strategy="no",
            disable_tqdm=True, learning_rate=1e-2, per_device_train_batch_size=2, num_train_epochs=2, seed=seed,
        )  # fmt: skip
        trainer = SpectrumTrainer(
            model=tiny_model("llama"),
            args=for_our_collator(settings),
            data_collator=SpectrumCollator.for_format(text_format, chatml, max_length=400, seed=seed),
            train_dataset=tokenized,
            processing_class=chatml,
        )
        trainer.train()
        curve = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        return curve, trainer.counts.totals()["trained_tokens"], trainer.model

    return run


def test_equal_seeds_give_equal_runs_and_responses_are_learned(losses):
    curve, trained, model = losses("response")
    again, _, same = losses("response")
    assert len(curve) == 8
    assert curve == again
    for one, other in zip(model.parameters(), same.parameters(), strict=True):
        assert torch.equal(one, other)
    assert curve[-1] < curve[0] - 0.5
    assert losses("response", seed=7)[0] != curve
    shown, counted, _ = losses("instruction")
    assert counted == trained
    assert shown != curve


def test_a_row_that_is_too_long_is_counted(tokenizer_of, data):
    tokenizer = tokenizer_of("chatml")
    rows, counts = load_objective("instruction", [data])
    assert counts == {"pairs": 8}
    kept, too_long = tokenize_conversations(rows, tokenizer, get_format("chat", tokenizer), max_length=60)
    assert 0 < too_long < 8
    assert len(kept) == 8 - too_long


def test_mistakes_are_named(data):
    assert OBJECTIVES == ("instruction", "response", "single_task")
    for objective, sets, message in (
        ("responses", [data], "no objective 'responses', did you mean 'response'"),
        ("single_task", [data, "b"], "is one narrow task but has 2 datasets: give one of them"),
        ("instruction", [data, "b/pairs.jsonl"], "have the same name: rename one of the files"),
        ("response", [], "needs instruction data: give a file"),
    ):
        with pytest.raises(UserError, match=message):
            load_objective(objective, sets)
