"""A simulated accelerator for every test here, and models that are on it and on the CPU with the same weights.

Registering a backend is for the whole process, and has to come before its first backward pass: `tests/test_device.py`
runs the tests of this folder in a process of their own.
"""

import copy
import os

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from tests.device.simulated_device import NAME, simulated_device
from tests.tiny_models import tiny_model

collect_ignore_glob = [] if os.environ.get("SIMULATED_DEVICE") else ["test_*.py"]


MISTAKES = {
    "left on the CPU": (lambda found: found + torch.zeros(found.shape[-1]), "same device"),
    "float64": (lambda found: found + 0 * found.sum(dtype=torch.float64).float(), "float64"),
    "numpy": (lambda found: found + 0 * float(found.detach().numpy().sum()), "numpy"),
}
"""What changes no number on a CPU and cannot run on a GPU, and what is said there."""


def forget_the_device():
    """Let accelerate look again which device there is."""
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()


@pytest.fixture
def device(monkeypatch):
    """The device's count of transfers; accelerate takes it for the process's own, as it would take a GPU."""
    forget_the_device()
    with simulated_device() as transfers:
        monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", f"{NAME}:0")
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *_: tensor)  # there is no such allocator
        yield transfers
    forget_the_device()


@pytest.fixture
def pair(device, tokenizer_of):
    """``pair(architecture)``: a tiny model on the CPU, and the same on the device."""

    def make(architecture, vocabulary=None, **options):
        model = tiny_model(architecture, vocabulary or len(tokenizer_of("chatml")), **options)
        return model, copy.deepcopy(model).to(NAME)

    return make
