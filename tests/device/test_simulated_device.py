"""The simulated accelerator is as strict as a GPU: every planted mistake is caught."""

import pytest
import torch
from torch import nn

from tests.device.simulated_device import NAME, DeviceTensor, simulated_device


def test_it_computes_what_the_cpu_computes_gradients_too(device):
    torch.manual_seed(0)
    layer, x = nn.Linear(4, 3), torch.randn(5, 4)
    expected = layer(x).pow(2).mean()
    expected.backward()
    gradient = layer.weight.grad.clone()
    layer.weight.grad = None
    there = layer.to(NAME)
    loss = there(x.to(NAME)).pow(2).mean()
    loss.backward()
    assert isinstance(loss, DeviceTensor)
    assert loss.device.type == NAME
    assert loss.item() == expected.item()
    assert torch.equal(there.weight.grad.cpu(), gradient)


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda x: x + torch.ones(3), "same device"),
        (lambda x: torch.cat([x, torch.ones(3)]), "same device"),
        (lambda x: torch.ones(3)[x.long()], "same device"),
        (lambda x: torch.where(x > 0, x, torch.zeros(3)), "same device"),
        (lambda x: x.gather(0, torch.tensor([0])), "same device"),
        (lambda x: nn.functional.embedding(torch.tensor([0]), x[:, None]), "same device"),
        (lambda x: x.double(), "float64"),
        (lambda x: x.sum(dtype=torch.float64), "float64"),
        (lambda x: torch.zeros(2, dtype=torch.float64, device=x.device), "float64"),
        (lambda x: x.numpy(), "numpy"),
        (lambda x: __import__("numpy").asarray(x), "numpy"),
    ],
    ids=["plus", "cat", "indexed", "where", "gather", "embedding", "double", "sum", "zeros", "numpy", "asarray"],
)
def test_a_mistake_raises_as_on_a_gpu(device, mistake, said):
    with pytest.raises((RuntimeError, TypeError), match=said):
        mistake(torch.ones(3, device=NAME))


def test_what_cuda_allows_is_allowed(device):
    x = torch.arange(3.0, device=NAME)
    assert (x * torch.tensor(2.0)).tolist() == [0, 2, 4]
    assert x[torch.tensor([2, 0])].tolist() == [2, 0]
    x[torch.tensor([1])] = 7.0
    x[:1].copy_(torch.tensor([5.0]))
    assert x.tolist() == [5, 7, 2]
    view = x.view(3, 1)
    view += 1
    assert x.tolist() == [6, 8, 3]


@pytest.mark.parametrize("inference", [False, True])
def test_every_wait_for_the_device_is_counted(device, inference):
    with torch.inference_mode(inference):
        every_wait_is_counted(device)


def every_wait_is_counted(device):
    x = torch.arange(3.0, device=NAME)
    device.clear()
    x.sum().item()
    bool(x.any())
    x.cpu()
    x.nonzero()
    x.tolist()
    assert (device["item"], device["to_host"], device["shape"]) == (2, 2, 1)
    x + 1
    torch.tensor([1.0, 2.0]).to(NAME)
    assert device.waits == 5
    assert device["to_device"] == 1


def test_outside_there_is_no_accelerator(device):
    assert torch.accelerator.is_available()
    with simulated_device(float64=True):
        assert torch.ones(1, device=NAME).double().item() == 1
    with simulated_device(available=False):
        assert not torch.accelerator.is_available()
        assert torch.accelerator.current_accelerator(check_available=True) is None
