"""A training step on an accelerator has the CPU's loss and gradients, and waits for the device a few times a step."""

import pytest
import torch

from spectrum_suite.devices import best_device, has_4bit_kernels, has_dtype, trains_in_bfloat16, widest_float
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.suite import task_rows
from spectrum_suite.training import adaptation
from spectrum_suite.training import trainer as trainer_module
from spectrum_suite.training.adaptation import AdaptationConfig, load_model
from spectrum_suite.training.arguments import TuningConfig, for_our_collator
from spectrum_suite.training.collator import SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows
from spectrum_suite.training.tokens import turn_token_ids
from spectrum_suite.training.trainer import SpectrumTrainer
from tests.device.conftest import MISTAKES, forget_the_device
from tests.device.simulated_device import NAME
from tests.tiny_models import tiny_model

WAITS_OF_A_STEP = 9
"""Where values decide a shape: the trained positions, and what the trainer asks of the loss and the gradient's norm."""

COLLATORS = {"plain": {}, "packed": {"packing": True}, "branched": {"branching": 1.0}}


@pytest.fixture
def rows(tokenizer_of, small_suite):
    tokenizer = tokenizer_of("chatml")
    return tokenize_rows(
        task_rows(str(small_suite), "coinflip"), tokenizer, get_format("spectrum", tokenizer), max_length=200
    )[0]


@pytest.fixture
def trained(tokenizer_of, rows, tmp_path):
    """``trained(architecture, collator, steps, on_device)``: (losses, trained weights, transfers)"""

    def run(architecture, collator, *, steps, on_device, in_4bit=False, **options):
        tokenizer = tokenizer_of("chatml")
        text_format = get_format("spectrum", tokenizer)
        folder = tmp_path / architecture
        if not folder.is_dir():
            tiny_model(architecture, len(tokenizer)).save_pretrained(folder)
        torch.manual_seed(3)
        settings = AdaptationConfig(lora_r=4, lora_dropout=0.0, dtype="float32", load_in_4bit=in_4bit)
        settings_of_run = {
            "output_dir": str(tmp_path), "report_to": "none", "use_cpu": not on_device, "bf16": False,
            "save_strategy": "no", "disable_tqdm": True, "learning_rate": 1e-2, "per_device_train_batch_size": 4,
            "logging_steps": 1, "max_steps": steps, "optim": "sgd",
        }  # fmt: skip
        trainer = SpectrumTrainer(
            model=load_model(str(folder), settings, turn_token_ids(tokenizer, text_format)),
            args=for_our_collator(TuningConfig(**settings_of_run | options)),
            data_collator=SpectrumCollator.for_format(text_format, tokenizer, max_length=200, **collator),
            groups=("all",),
            train_dataset=rows,
            processing_class=tokenizer,
        )
        trainer.train()
        weights = {
            name: weight.detach().cpu() for name, weight in trainer.model.named_parameters() if weight.requires_grad
        }
        return [line["loss"] for line in trainer.state.log_history if "loss" in line], weights, trainer

    return run


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
@pytest.mark.parametrize("collator", COLLATORS)
def test_losses_and_weights_are_those_of_the_cpu(device, trained, architecture, collator, monkeypatch):
    options = COLLATORS[collator]
    losses, weights, trainer = trained(architecture, options, steps=2, on_device=True)
    assert trainer.args.device.type == NAME
    assert next(trainer.model.parameters()).device.type == NAME
    forget_the_device()
    monkeypatch.delenv("ACCELERATE_TORCH_DEVICE")
    expected, expected_weights, _ = trained(architecture, options, steps=2, on_device=False)
    assert losses == pytest.approx(expected, rel=5e-5)
    assert weights.keys() == expected_weights.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected_weights[name], atol=1e-4, rtol=1e-3)


def waits_of_two_steps(trained, device, collator):
    """How often the host waits in two steps, of two rows and of four."""
    waits = []
    for size, steps in ((2, 1), (2, 3), (4, 1), (4, 3)):
        device.clear()
        trained(
            "llama",
            COLLATORS[collator],
            steps=steps,
            on_device=True,
            per_device_train_batch_size=size,
            logging_steps=50,
        )
        waits.append(device.waits)
    return waits[1] - waits[0], waits[3] - waits[2]


@pytest.mark.parametrize("collator", COLLATORS)
def test_a_step_waits_for_the_device_a_few_times_whatever_its_tokens(device, trained, collator):
    waits = waits_of_two_steps(trained, device, collator)
    assert max(waits) <= 2 * WAITS_OF_A_STEP, (waits, device)


def plant(monkeypatch, mistake):
    """The loss of each token goes through a mistake."""
    plain = trainer_module.token_nll
    monkeypatch.setattr(trainer_module, "token_nll", lambda *given: mistake(plain(*given)))


def test_a_wait_for_each_token_would_show(device, trained, monkeypatch):
    plant(monkeypatch, lambda nats: nats + 0 * sum(each.item() for each in nats.detach()))
    assert max(waits_of_two_steps(trained, device, "plain")) > 2 * WAITS_OF_A_STEP


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_step_would_show(device, trained, monkeypatch, name):
    mistake, said = MISTAKES[name]
    plant(monkeypatch, mistake)
    with pytest.raises((RuntimeError, TypeError), match=said):
        trained("llama", {}, steps=1, on_device=True)


def test_weights_in_4_bits_are_refused_where_there_are_no_kernels(device, trained, monkeypatch):
    monkeypatch.setattr(adaptation, "has_4bit_kernels", lambda _: False)
    with pytest.raises(UserError, match=f"no kernels for weights in 4 bits on {NAME}: use --load_in_4bit false"):
        trained("llama", {}, steps=1, on_device=True, in_4bit=True)


def test_the_cpu_has_kernels_and_a_device_without_any_is_found_out():
    assert has_4bit_kernels(torch.device("cpu"))
    assert not has_4bit_kernels(torch.device("meta"))


def test_what_a_device_can_is_asked_of_it(device):
    there = torch.device(NAME, 0)
    assert best_device().type == NAME
    assert not has_dtype(there, torch.float64)
    assert has_dtype(there, torch.bfloat16)
    assert widest_float(there) == torch.float32
    assert widest_float(torch.device("cpu")) == torch.float64
    assert trains_in_bfloat16()
