"""The loss is plain cross-entropy of the outputs, whatever the batches, the branches and the head's short cut."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from trl import ModelConfig

from spectrum.formats.render import get_format
from spectrum.lm_head import scored_positions
from spectrum.training.collator import IGNORED, SpectrumCollator
from spectrum.training.tokens import turn_token_ids
from spectrum.training.trainer import SpectrumTrainer
from train_sft import TuningConfig, for_our_collator, keep_adapter_precision, load_model

TOLERANCE = 1e-5
"""Relative difference of losses that float32 sums in another order may have."""


@pytest.fixture
def trainer_on(chatml, tokenized_rows, tmp_path):
    """``trainer_on(model, collator options, training options)``."""

    def make(model, collator=(), **options):
        settings = {
            "output_dir": str(tmp_path), "report_to": "none", "use_cpu": True, "bf16": False, "logging_steps": 1,
            "save_strategy": "no", "disable_tqdm": True, "learning_rate": 1e-2, "per_device_train_batch_size": 8,
        }  # fmt: skip
        text_format = get_format("spectrum", chatml)
        return SpectrumTrainer(
            model=model,
            args=for_our_collator(TuningConfig(**settings | options)),
            data_collator=SpectrumCollator.for_format(text_format, chatml, **{"max_length": 200} | dict(collator)),
            train_dataset=tokenized_rows,
            processing_class=chatml,
        )

    return make


@pytest.fixture
def adapted(tiny_model, chatml, tmp_path):
    """A tiny model in a folder, loaded as `train_sft.py` loads one."""

    def make(architecture, **options):
        folder = tmp_path / architecture
        tiny_model(architecture).save_pretrained(folder)
        torch.manual_seed(3)
        settings = ModelConfig(lora_r=4, lora_alpha=8, lora_dropout=0.0, dtype="float32", **options)
        return load_model(str(folder), settings, turn_token_ids(chatml, get_format("spectrum", chatml)))

    return make


def losses(trainer):
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters() if parameter.requires_grad}


def plain_loss(model, batch):
    """Cross-entropy of the labels, by the book: all logits, shifted by one."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.float()
    return cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=IGNORED)


def test_a_batch_of_eight_is_eight_batches_of_one(adapted, trainer_on):
    found = {}
    for size, accumulate in ((8, 1), (1, 8), (2, 4)):
        trainer = trainer_on(
            adapted("gemma3"), per_device_train_batch_size=size, gradient_accumulation_steps=accumulate
        )
        found[size] = losses(trainer), weights(trainer.model), trainer.trained_tokens, trainer.seen_tokens
    curve, parameters, *counts = found[8]
    assert len(curve) == 4
    assert curve[-1] < curve[0] - 0.2
    for size in (1, 2):
        assert found[size][0] == pytest.approx(curve, rel=TOLERANCE)
        assert list(found[size][2:]) == counts
        for name, value in found[size][1].items():
            torch.testing.assert_close(value, parameters[name], rtol=1e-3, atol=1e-4, msg=name)


def test_equal_configurations_give_equal_curves_and_seeds_matter(adapted, trainer_on):
    first, second = (losses(trainer_on(adapted("llama"))) for _ in range(2))
    assert first == second
    assert losses(trainer_on(adapted("llama"), seed=7)) != first
    assert losses(trainer_on(adapted("llama"), collator={"seed": 7})) != first


@pytest.mark.parametrize("architecture", ["gemma3", "llama", "qwen2"])
def test_the_loss_is_plain_cross_entropy(adapted, trainer_on, tokenized_rows, architecture):
    trainer = trainer_on(adapted(architecture))
    model = trainer.model.eval()
    batch = trainer.data_collator(list(tokenized_rows)[:8])
    expected = plain_loss(model, batch).item()
    assert trainer.compute_loss(model, dict(batch)).item() == pytest.approx(expected, rel=TOLERANCE)
    halved = trainer.compute_loss(model, dict(batch), num_items_in_batch=torch.tensor(17)).item()
    assert halved == pytest.approx(expected * (batch["labels"] != IGNORED).sum().item() / 17, rel=TOLERANCE)


def test_trained_and_seen_tokens_are_counted(adapted, trainer_on, tokenized_rows):
    trainer = trainer_on(adapted("llama"))
    trainer.train()
    sequences = [trainer.data_collator.sequence(row) for row in tokenized_rows]
    trained = sum(label != IGNORED for sequence in sequences for label in sequence.labels)
    assert trainer.trained_tokens == trained
    assert trainer.seen_tokens == sum(len(sequence.ids) for sequence in sequences)
    assert [e for e in trainer.state.log_history if "loss" in e][-1]["trained_tokens"] == trained


def test_epochs_reach_the_collator(adapted, trainer_on):
    trainer = trainer_on(adapted("llama"), num_train_epochs=2)
    epochs = []
    plain = trainer.data_collator.sequence
    trainer.data_collator.sequence = lambda row: (epochs.append(trainer.data_collator.epoch), plain(row))[1]
    trainer.train()
    assert epochs == [0] * 64 + [1] * 64  # each row once for its length, once for its batch


@pytest.mark.parametrize("architecture", ["gemma3", "llama"])
def test_scored_positions_give_the_logits_of_all_positions(adapted, tokenized_rows, trainer_on, architecture):
    model = adapted(architecture).eval()
    batch = trainer_on(model).data_collator(list(tokenized_rows)[:4])
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    positions = batch["labels"] != IGNORED
    full = model(**inputs).logits
    with scored_positions(model, positions):
        some = model(**inputs).logits
    torch.testing.assert_close(some, full[positions])
    assert model(**inputs).logits.shape == full.shape


@pytest.mark.parametrize("architecture", ["gemma3", "llama", "qwen2"])
def test_branches_have_the_loss_of_separate_rows(adapted, trainer_on, tokenized_rows, architecture):
    """Every draw in a branch of its own: as if each were a row with the description and nothing else."""
    trainer = trainer_on(adapted(architecture), collator={"branching": 1.0, "description_dropout": 0.0})
    model = trainer.model.eval()
    rows = [row for row in tokenized_rows if row["description"]][:6]
    apart = [
        row | {"contexts": [context], "outputs": [output]}
        for row in rows
        for context, output in zip(row["contexts"], row["outputs"], strict=True)
    ]
    assert len(apart) > 2 * len(rows)
    one_by_one = SpectrumCollator(
        trainer.data_collator.start, trainer.data_collator.separator, 0, 200, description_dropout=0.0
    )
    expected = plain_loss(model, one_by_one(apart)).item()
    assert trainer.compute_loss(model, trainer.data_collator(rows)).item() == pytest.approx(expected, rel=TOLERANCE)


def test_four_bit_trains_on_a_processor(adapted, trainer_on, tokenized_rows):
    quantized = adapted("llama", load_in_4bit=True, use_bnb_nested_quant=True)
    layer = quantized.base_model.model.model.layers[0].mlp.up_proj.base_layer
    assert type(layer).__name__ == "Linear4bit"
    assert layer.weight.quant_state.quant_type == "nf4"
    trainer = trainer_on(quantized, max_steps=1)
    keep_adapter_precision(trainer.model)
    batch = trainer.data_collator(list(tokenized_rows)[:8])
    plain = plain_loss(adapted("llama").eval(), batch).item()
    found = plain_loss(trainer.model.eval(), batch).item()
    assert found == pytest.approx(plain, rel=0.05)
    assert found != plain
    before, frozen = weights(trainer.model), layer.weight.detach().clone()
    assert {value.dtype for value in before.values()} == {torch.float32}
    trainer.train()
    after = weights(trainer.model)
    for part in ("lora_B", "trainable_tokens"):
        assert any(not torch.equal(after[name], before[name]) for name in before if part in name)
    assert torch.equal(layer.weight, frozen)
