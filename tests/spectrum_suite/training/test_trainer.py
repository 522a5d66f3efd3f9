"""The loss is plain cross-entropy of the outputs, whatever the batches, the branches and the head's short cut."""

import os

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import TrainerCallback

from spectrum_suite.formats.render import get_format
from spectrum_suite.freed_memory import FreedMemory
from spectrum_suite.lm_head import scored_positions
from spectrum_suite.training import checkpoints
from spectrum_suite.training.adaptation import AdaptationConfig, keep_adapter_precision, load_model
from spectrum_suite.training.arguments import TuningConfig, for_our_collator
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.tokens import turn_token_ids
from spectrum_suite.training.trainer import SpectrumTrainer, in_one_line
from tests.squares import Squares

TOLERANCE = 1e-5
"""Relative difference of losses that float32 sums in another order may have."""


@pytest.fixture
def trainer_on(chatml, tokenized_rows, tmp_path):
    """``trainer_on(model, collator options, groups, training options)``."""

    def make(model, collator=(), groups=("all",), **options):
        settings = {
            "output_dir": str(tmp_path), "report_to": "none", "use_cpu": True, "bf16": False, "logging_steps": 1,
            "save_strategy": "no", "disable_tqdm": True, "learning_rate": 1e-2, "per_device_train_batch_size": 8,
        }  # fmt: skip
        text_format = get_format("spectrum", chatml)
        return SpectrumTrainer(
            model=model,
            args=for_our_collator(TuningConfig(**settings | options)),
            data_collator=SpectrumCollator.for_format(text_format, chatml, **{"max_length": 200} | dict(collator)),
            groups=groups,
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
        settings = {"lora_r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "dtype": "float32", "load_in_4bit": False}
        settings = AdaptationConfig(**settings | options)
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


@pytest.mark.parametrize("architecture", ["gemma3", "llama"])
@pytest.mark.parametrize("branching", [0.0, 1.0])
def test_without_logits_the_loss_and_its_gradients_are_the_same(adapted, trainer_on, architecture, branching):
    found = []
    for plain in (True, False):
        trainer = trainer_on(adapted(architecture), collator={"branching": branching}, optim="sgd")
        assert trainer._frozen_head(trainer.model) is not None
        trainer._logits_are_plain = plain
        found.append((losses(trainer), weights(trainer.model)))
    torch.testing.assert_close(*found, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_batch_of_eight_is_eight_batches_of_one(adapted, trainer_on):
    found = {}
    for size, accumulate in ((8, 1), (1, 8), (2, 4)):
        trainer = trainer_on(
            adapted("gemma3"), per_device_train_batch_size=size, gradient_accumulation_steps=accumulate
        )
        found[size] = losses(trainer), weights(trainer.model), trainer.counts.totals()
    curve, parameters, counts = found[8]
    assert len(curve) == 4
    assert curve[-1] < curve[0] - 0.2
    for size in (1, 2):
        assert found[size][0] == pytest.approx(curve, rel=TOLERANCE)
        for name in ("trained_tokens", "seen_tokens"):
            assert found[size][2][name] == counts[name]
        for name, value in found[size][1].items():
            torch.testing.assert_close(value, parameters[name], rtol=1e-3, atol=1e-4, msg=name)


def test_equal_configurations_give_equal_curves_and_seeds_matter(adapted, trainer_on):
    first, second = (losses(trainer_on(adapted("llama"))) for _ in range(2))
    assert first == second
    assert losses(trainer_on(adapted("llama"), seed=7)) != first
    assert losses(trainer_on(adapted("llama"), collator={"seed": 7})) != first


@pytest.mark.parametrize("architecture", ["gemma3", "gemma3_vision", "llama", "qwen2"])
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
    totals = trainer.counts.totals()
    assert totals["trained_tokens"] == trained
    assert totals["seen_tokens"] == sum(len(sequence.ids) for sequence in sequences)
    assert [e for e in trainer.state.log_history if "loss" in e][-1]["trained_tokens"] == trained


def test_what_steps_have_freed_is_given_back_after_each(adapted, trainer_on, monkeypatch):
    steps = []
    monkeypatch.setattr(FreedMemory, "after_batch", lambda self: steps.append(trainer.state.global_step))
    trainer = trainer_on(adapted("llama"), max_steps=3)
    trainer.train()
    assert steps == [1, 2, 3]


def test_epochs_reach_the_collator(adapted, trainer_on):
    trainer = trainer_on(adapted("llama"), num_train_epochs=2)
    epochs = []
    plain = trainer.data_collator._choices
    trainer.data_collator._choices = lambda row: (epochs.append(trainer.data_collator.epoch), plain(row))[1]
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


@pytest.mark.parametrize("architecture", ["gemma3", "gemma3_vision", "llama", "qwen2"])
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


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("branching", [0.0, 1.0])
def test_plain_rows_are_trained_without_a_mask_of_the_square_of_their_length(
    adapted, trainer_on, tokenized_rows, architecture, branching
):
    """With branching, too, a row without a description is one sequence."""
    trainer = trainer_on(adapted(architecture), collator={"branching": branching})
    rows = [row for row in tokenized_rows if not row["description"]][-1:] if branching else list(tokenized_rows)[:8]
    batch = trainer.data_collator(rows)
    assert "parents" not in batch
    trainer.compute_loss(trainer.model, dict(batch))  # finds out first what the model can do
    with Squares(batch["input_ids"].shape[1]) as squares:
        found = trainer.compute_loss(trainer.model, dict(batch))
        found.backward()
    assert not squares.made
    plain = SpectrumCollator(trainer.data_collator.start, trainer.data_collator.separator, 0, 200)(rows)
    assert branching or not plain["attention_mask"].all()
    expected = plain_loss(trainer.model.eval(), plain).item()
    assert found.item() == pytest.approx(expected, rel=TOLERANCE)


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


@pytest.mark.parametrize("branching", [0.0, 1.0])
@pytest.mark.parametrize("architecture", ["gemma3", "llama", "qwen2"])
def test_packed_rows_have_the_loss_of_separate_rows(adapted, trainer_on, tokenized_rows, architecture, branching):
    options = {"branching": branching, "description_dropout": 0.5, "max_length": 90}
    trainer = trainer_on(adapted(architecture), collator=options)
    rows = list(tokenized_rows)[:12]
    plain = trainer.data_collator(rows)
    trainer.data_collator.packing = True
    packed = trainer.data_collator(rows)
    assert len(packed["input_ids"]) <= len(rows) / 2
    model = trainer.model.eval()
    expected = trainer.compute_loss(model, plain).item()
    assert trainer.compute_loss(model, packed).item() == pytest.approx(expected, rel=TOLERANCE)


def test_gradients_of_packed_rows_are_those_of_separate_rows(adapted, trainer_on):
    found = []
    for packing in (False, True):
        trainer = trainer_on(adapted("gemma3"), collator={"packing": packing, "max_length": 90}, max_steps=2)
        found.append((losses(trainer), weights(trainer.model)))
    assert found[1][0] == pytest.approx(found[0][0], rel=TOLERANCE)
    for name, value in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_a_packed_batch_in_one_line_has_no_padding():
    batch = {"attention_mask": torch.tensor([[1, 1, 0], [1, 1, 1]]), "input_ids": torch.tensor([[1, 2, 0], [3, 4, 5]])}
    assert in_one_line(batch)["input_ids"].tolist() == [[1, 2, 3, 4, 5]]


def test_the_log_has_the_loss_of_every_group_and_what_it_cost(adapted, trainer_on, tokenized_rows):
    trainer = trainer_on(adapted("llama"), groups=("even", "odd", "unused"), logging_steps=2)
    trainer.train_dataset = tokenized_rows.map(lambda row: {"group": row["row"] % 2})
    trainer.train()
    lines = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(lines) == 2
    assert "loss/unused" not in lines[0]
    assert lines[-1]["trained_tokens"] == trainer.counts.totals()["trained_tokens"]
    for line in lines:
        low, high = sorted((line["loss/even"], line["loss/odd"]))
        assert low < line["loss"] < high
        assert 0 <= line["padding_share"] < 0.5
        assert line["tokens_per_second"] > 0
        assert line["memory_gib"] > 0.1


class KilledError(Exception):
    """In place of a signal."""


class KillAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step:
            raise KilledError


def run_killed_at(adapted, trainer_on, folder, steps, **options):
    """A run with dropout that dies at the end of each of ``steps``, and is taken up from its last checkpoint."""
    settings = {
        "save_strategy": "steps", "save_steps": 2, "num_train_epochs": 2, "output_dir": str(folder),
        "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2, "logging_steps": 3,
    }  # fmt: skip
    for step in [*steps, None]:
        trainer = trainer_on(adapted("llama", lora_dropout=0.2), **settings | options)
        if step:
            trainer.add_callback(KillAt(step))
        last = checkpoints.find(folder, "auto", {})
        try:
            trainer.train(resume_from_checkpoint=last and str(last))
        except KilledError:
            continue
    return trainer


def test_a_run_that_dies_goes_on_to_the_same_weights_and_losses(adapted, trainer_on, tmp_path):
    straight = run_killed_at(adapted, trainer_on, tmp_path / "straight", [])
    killed = run_killed_at(adapted, trainer_on, tmp_path / "killed", [1, 5, 8, 11])
    assert straight.state.global_step == killed.state.global_step == 16
    found = weights(killed.model)
    for name, value in weights(straight.model).items():
        assert torch.equal(found[name], value), name
    curves = [
        [
            (entry["step"], entry["loss"], entry["trained_tokens"])
            for entry in trainer.state.log_history
            if "loss" in entry
        ]
        for trainer in (straight, killed)
    ]
    assert curves[0] == curves[1]
    assert straight.counts.totals() == killed.counts.totals()


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(adapted, trainer_on, tmp_path, monkeypatch, caplog):
    plain, writes = torch.save, []

    def full_disk(data, path, *arguments, **options):
        writes.append(path)
        plain(data, path, *arguments, **options)
        if "checkpoint-4" in str(path):
            raise RuntimeError("PytorchStreamWriter failed writing file: no space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    trainer = run_killed_at(adapted, trainer_on, tmp_path, [], max_steps=5)
    assert trainer.state.global_step == 5
    assert any("checkpoint-4" in str(path) for path in writes)
    assert "checkpoint-4 could not be written, training continues without it" in caplog.text
    assert [path.name for path in tmp_path.glob("checkpoint*")] in (["checkpoint-2"], ["checkpoint-2", "checkpoint-5"])
    assert checkpoints.read(tmp_path / "checkpoint-2")["files"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("form", [{"branching": 0.5}, {"packing": True}, {}], ids=["trees", "packed", "plain"])
def test_a_row_is_put_together_once_whoever_does_it(adapted, trainer_on, monkeypatch, tmp_path, form, workers):
    """Workers are processes of their own, so that a file counts."""
    name, file = ("_grown" if "branching" in form else "_chain"), tmp_path / "made"
    put_together = getattr(SpectrumCollator, name)

    def counted(collator, row):
        with file.open("a") as made:
            made.write(f"{collator.epoch} {row['row']} {os.getpid()}\n")
        return put_together(collator, row)

    monkeypatch.setattr(SpectrumCollator, name, counted)
    of_workers = {"dataloader_prefetch_factor": 1, "dataloader_multiprocessing_context": "fork"} if workers else {}
    options = of_workers | {"dataloader_num_workers": workers, "num_train_epochs": 2}
    trainer = trainer_on(adapted("llama"), collator=form, **options)
    found = losses(trainer)
    made = [line.split() for line in file.read_text().splitlines()]
    assert sorted((int(epoch), int(row)) for epoch, row, _ in made) == [
        (epoch, row) for epoch in range(2) for row in range(len(trainer.train_dataset))
    ]
    assert (str(os.getpid()) in {process for _, _, process in made}) == (workers == 0)
    assert trainer.args.dataloader_num_workers == workers
    monkeypatch.undo()
    assert found == losses(trainer_on(adapted("llama"), collator=form, num_train_epochs=2))
