"""What is counted before a model is loaded is what a step on its weights allocates."""

import logging

import pytest
import torch
from transformers import LlamaConfig, Qwen3MoeConfig

from spectrum_suite import live_memory
from spectrum_suite.devices import GIB
from spectrum_suite.formats.render import get_format
from spectrum_suite.freed_memory import malloc_trim
from spectrum_suite.live_memory import LiveMemory, MemoryEstimate, converted_bytes, make_fake, shapes_of
from spectrum_suite.training.adaptation import AdaptationConfig, load_model
from spectrum_suite.training.arguments import TuningConfig, for_our_collator
from spectrum_suite.training.collator import SpectrumCollator
from spectrum_suite.training.step_memory import LargestBatch, count_step
from spectrum_suite.training.trainer import SpectrumTrainer

LORA = {"lora_r": 4, "lora_dropout": 0.0, "load_in_4bit": False}


@pytest.mark.parametrize("architecture", ["gemma3", "llama"])
@pytest.mark.parametrize("options", [LORA, {"use_peft": False}], ids=["lora", "full"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_step_takes_what_was_counted(
    tiny_model, chatml, tokenized_rows, tmp_path, architecture, options, checkpointing
):
    model, settings = tiny_model(architecture), AdaptationConfig(**options, dtype="float32")
    model.save_pretrained(tmp_path / "model")
    config = TuningConfig(
        output_dir=str(tmp_path), report_to="none", use_cpu=True, bf16=False, disable_tqdm=True,
        gradient_checkpointing=checkpointing,
    )  # fmt: skip
    collator = SpectrumCollator.for_format(get_format("spectrum", chatml), chatml, max_length=200, branching=1.0)
    shape = LargestBatch.of(tokenized_rows, collator, config)
    holes = live_memory.HOLES if malloc_trim() else 1
    counted = count_step(model.config, settings, config, shape)
    trainer = SpectrumTrainer(
        model=load_model(str(tmp_path / "model"), settings),
        args=for_our_collator(config), data_collator=collator, train_dataset=tokenized_rows, processing_class=chatml,
    )  # fmt: skip
    weights = list(trainer.model.parameters())
    assert counted.weights * GIB == pytest.approx(sum(weight.nbytes for weight in weights), rel=0.01)
    trained = sum(weight.nbytes for weight in weights if weight.requires_grad)
    assert counted.optimizer * GIB == pytest.approx(2 * trained)
    if checkpointing:
        trainer.model.gradient_checkpointing_enable({"use_reentrant": False})
    batch = next(iter(trainer.get_train_dataloader()))
    assert tuple(batch["input_ids"].shape) == (shape.lines, shape.length)
    trainer.compute_loss(trainer.model.train(), dict(batch)).detach()  # finds out first what the model can do
    with LiveMemory([*weights, *trainer.model.buffers()]) as live:
        trainer.compute_loss(trainer.model, dict(batch)).backward()
    assert live.peak * holes == pytest.approx(counted.step * GIB, rel=0.15 if checkpointing else 0.1)


def test_tensors_count_while_they_live():
    given = torch.ones(8)
    with LiveMemory([given]) as live:
        kept = given + 1
        _ = (kept * 2).view(2, 4) + 1
        assert live.now == kept.nbytes + _.nbytes
    assert live.peak == 3 * given.nbytes


@pytest.mark.parametrize(("free", "warns"), [(2.0, True), (8.0, False)])
def test_too_little_memory_is_told_with_what_to_change(monkeypatch, caplog, free, warns):
    monkeypatch.setattr(live_memory, "free_gib", lambda _: free)
    estimate = MemoryEstimate(process=0.5, loading=0.5, weights=1.0, optimizer=0.5, step=3.0)
    with caplog.at_level(logging.INFO, logger="spectrum_suite"):
        estimate.say(torch.device("cpu"), "training", "take fewer rows")
    first, *more = caplog.messages
    assert "5.0 GiB" in first
    assert ["take fewer rows" in line and "2.5 GiB" in line for line in more] == [True] * warns


def test_a_model_that_cannot_run_without_content_fails_with_its_error_alone(chatml, caplog, monkeypatch):
    """`torch` has no shapes for a mixture of experts in float32; what it writes of that by itself is a traceback."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    logger.addHandler(caplog.handler)
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    config = Qwen3MoeConfig(
        vocab_size=len(chatml), hidden_size=32, moe_intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, num_experts=4, num_experts_per_tok=2,
    )  # fmt: skip
    model = shapes_of(config, torch.float32)
    with pytest.raises(RuntimeError, match="BF16"), make_fake(model, torch.device("cpu")):
        model(input_ids=torch.zeros(1, 8, dtype=torch.long))
    logger.removeHandler(caplog.handler)
    assert not caplog.messages


def test_the_largest_weight_is_twice_in_memory_where_it_is_converted():
    config, weights = LlamaConfig(dtype="bfloat16"), [torch.zeros(10, 10), torch.zeros(100, 10)]
    assert converted_bytes(config, weights, torch.bfloat16) == 0
    assert converted_bytes(config, weights, torch.float32) == 2000
    assert converted_bytes(config, weights, torch.bfloat16, in_4bit=True) == 2200
    assert converted_bytes(LlamaConfig(), weights, torch.float32) == 0  # taken to be of what they are loaded in
