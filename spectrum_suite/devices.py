"""What the machine computes on, and what that can do: asked of the device at hand, whichever maker's it is."""

from __future__ import annotations

import sys
from functools import cache

import psutil
import torch

GIB = 2**30


def best_device() -> torch.device:
    """The accelerator (CUDA, ROCm, MPS, XPU or another that PyTorch knows) where there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def device_count(device: torch.device) -> int:
    """How many devices of that kind there are here."""
    if device.type == "cpu":
        return 1
    try:
        module = torch.get_device_module(device)
    except RuntimeError:  # a kind that this build of PyTorch does not know
        return 0
    return module.device_count() if module.is_available() else 0


def device_name(device: torch.device) -> str:
    """The name that its maker gave an accelerator (``NVIDIA H200``), where it reports one, else the kind of device."""
    told = getattr(torch.get_device_module(device), "get_device_name", None) if device.type != "cpu" else None
    return told(device) if told else device.type


@cache
def has_dtype(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the device computes in this dtype: a small product says so, or the lack of it."""
    if device.type == "cuda" and dtype == torch.bfloat16:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        ones = torch.ones(2, 2, dtype=dtype, device=device)
        return bool((ones @ ones == ones + ones).all())
    except (RuntimeError, TypeError):
        return False


@cache
def has_4bit_kernels(device: torch.device) -> bool:
    """Whether bitsandbytes can make weights of 4 bits on the device, and read them: a small matrix says so."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit  # noqa: PLC0415  it takes a while to import

    try:
        ones = torch.ones(64, 64, device=device)
        return bool((dequantize_4bit(*quantize_4bit(ones, quant_type="nf4")) == ones).all())
    except (AssertionError, AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return False


def trains_in_bfloat16() -> bool:
    """Whether mixed precision is what training begins with: on an accelerator that has bfloat16."""
    device = best_device()
    return device.type != "cpu" and has_dtype(device, torch.bfloat16)


def widest_float(device: torch.device) -> torch.dtype:
    """The float with the most digits that a sum on the device can have; Apple's GPUs have no float64."""
    return torch.float64 if has_dtype(device, torch.float64) else torch.float32


def peak_memory_gib(device: torch.device) -> float:
    """The most memory that was in use so far, in GiB: of the accelerator where it counts, else of the process."""
    if device.type != "cpu":
        counted = getattr(torch.get_device_module(device), "max_memory_allocated", None)
        if counted:
            return round(counted(device) / GIB, 2)
    return peak_process_gib()


def peak_process_gib(*, children: bool = False) -> float:
    """The largest resident memory that this process had so far, in GiB; what it has now where the system reports none.

    Args:
        children: Also look at processes that it ran and that have ended; Windows does not report them.
    """
    info = psutil.Process().memory_info()
    if hasattr(info, "peak_wset"):  # Windows
        return round(info.peak_wset / GIB, 2)
    try:
        import resource  # noqa: PLC0415  only Unix has it
    except ModuleNotFoundError:
        return round(info.rss / GIB, 2)
    whose = [resource.RUSAGE_SELF, *([resource.RUSAGE_CHILDREN] if children else [])]
    unit = 1 if sys.platform == "darwin" else 1024
    return round(max(resource.getrusage(who).ru_maxrss for who in whose) * unit / GIB, 2)
