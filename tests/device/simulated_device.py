"""An accelerator that computes on the CPU, and is as strict as a GPU: what only shows on another device shows here.

PyTorch lets Python register a backend for its spare device type. A tensor of it is a wrapper around a tensor on the
CPU; every operation on it is computed there, after the checks that CUDA makes: tensors of two devices do not mix,
except where CUDA lets them (a 0-dimensional CPU tensor, CPU indices into a device tensor, ``copy_``), and NumPy cannot
look inside. As on Apple's GPUs, there is no float64. Every wait of the host for the device is counted, so that a
hidden one shows.

Registering is for the whole process and cannot be undone, so :func:`simulated_device` switches availability on and off.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _DummyPrivateUse1Hook,
    _setup_privateuseone_for_python_backend,
)

NAME = "sim"
aten = torch.ops.aten

_MAY_MIX = {aten.copy_.default, aten._foreach_copy_.default}
_INDEXES = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
    aten._unsafe_index.Tensor,
}
_WAITS = {
    aten._local_scalar_dense.default: "item",
    aten.item.default: "item",  # in inference mode operations come as they were called, not as what they are made of
    aten.is_nonzero.default: "item",
    aten.equal.default: "equal",
}
_SIZE_DEPENDS_ON_VALUES = {
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_consecutive",
    "unique_dim",
    "repeat_interleave",
}


class Transfers(Counter):
    """How often the host waited for the device (``item``, ``to_host``, ``shape``) or sent to it (``to_device``)."""

    @property
    def waits(self) -> int:
        """How often the host waited for the device."""
        return self.total() - self["to_device"]


class _Switch:
    """What can be asked about the device, and whether there is one now."""

    available = False
    float64 = False
    transfers = Transfers()


class _Module(_DummyBackendModule):
    def is_available(self) -> bool:
        return _Switch.available

    def device_count(self) -> int:
        return int(_Switch.available)

    def is_initialized(self) -> bool:
        return _Switch.available

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def is_bf16_supported(self) -> bool:
        return True

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None:
        torch.set_rng_state(state)

    def synchronize(self, device: Any = None) -> None:
        _Switch.transfers["synchronize"] += 1

    def set_device(self, device: Any) -> None: ...

    def empty_cache(self) -> None: ...

    def manual_seed(self, seed: int) -> None: ...


class _Hook(_DummyPrivateUse1Hook):
    def is_available(self) -> bool:
        return _Switch.available


class DeviceTensor(torch.Tensor):
    """A tensor of the simulated device; ``on_cpu`` holds its values."""

    @staticmethod
    def __new__(cls, on_cpu: torch.Tensor) -> DeviceTensor:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            on_cpu.size(),
            strides=on_cpu.stride(),
            storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, on_cpu: torch.Tensor) -> None:
        self.on_cpu = on_cpu

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _compute(operation, args, kwargs or {})

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"DeviceTensor({self.on_cpu!r})"

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() first")
        return self.cpu().numpy(force=True)

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        copied = memo[id(self)] = DeviceTensor(self.on_cpu.detach().clone()).requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            copied._is_param = True
        return copied

    def tolist(self) -> Any:
        _Switch.transfers["to_host"] += 1
        return self.on_cpu.detach().tolist()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.on_cpu.untyped_storage()

    def data_ptr(self) -> int:
        return self.on_cpu.data_ptr()

    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        if not isinstance(value, DeviceTensor):
            raise TypeError("incompatible tensor type: the data of a device tensor is on the device")
        self.on_cpu = value.on_cpu
        torch.Tensor.data.__set__(self, value)


def _compute(operation: Any, args: tuple, kwargs: dict) -> Any:
    """An operation of which a tensor, or the device that is asked for, is the simulated one."""
    flat = [*_leaves((args, kwargs))]
    on_device = [value for value in flat if isinstance(value, DeviceTensor)]
    target = next((value for value in flat if isinstance(value, torch.device)), None)
    _check_mixture(operation, args, flat, on_device)
    _count(operation, on_device, target, flat)
    cpu_args, cpu_kwargs = _mapped(_on_cpu, (args, kwargs))
    result = operation(*cpu_args, **cpu_kwargs)
    if operation in _MAY_MIX:
        return args[0]
    if (target is None and not on_device) or (target is not None and target.type != NAME):
        return result
    known = {id(value.on_cpu): value for value in on_device}

    def on_device_again(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return known[id(value)] if id(value) in known else _to_device(value)

    return _mapped(on_device_again, result)


def _leaves(value: Any) -> Iterator[Any]:
    """What is in lists, tuples and dictionaries: all that operations take. (``torch.utils._pytree`` is slow at it.)"""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    else:
        yield value


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same with a function of every leaf in its place."""
    if isinstance(value, list):
        return [_mapped(function, part) for part in value]
    if isinstance(value, tuple):
        return tuple([_mapped(function, part) for part in value])
    if isinstance(value, dict):
        return {name: _mapped(function, part) for name, part in value.items()}
    return function(value)


def _to_device(tensor: torch.Tensor) -> DeviceTensor:
    if tensor.dtype == torch.float64 and not _Switch.float64:
        raise TypeError(f"Cannot convert to float64 on {NAME}: the device does not have it. Use float32 instead")
    return DeviceTensor(tensor)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, DeviceTensor):
        return value.on_cpu
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _check_mixture(operation: Any, args: tuple, flat: list, on_device: list) -> None:
    """Raise where CUDA would: a CPU tensor among the device's, unless it is one number or an index."""
    if not on_device or operation in _MAY_MIX:
        return
    if operation in _INDEXES and isinstance(args[0], DeviceTensor):
        others = [value for value in _leaves(args[2:]) if isinstance(value, torch.Tensor)]
    else:
        others = [value for value in flat if isinstance(value, torch.Tensor)]
    if any(not isinstance(value, DeviceTensor) and value.dim() for value in others):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {NAME}:0 and cpu! "
            f"(in {operation})"
        )


def _count(operation: Any, on_device: list, target: torch.device | None, flat: list) -> None:
    transfers = _Switch.transfers
    if operation in _WAITS:
        transfers[_WAITS[operation]] += 1
    elif operation.overloadpacket.__name__ in _SIZE_DEPENDS_ON_VALUES and on_device:
        transfers["shape"] += 1
    elif operation is aten.copy_.default:
        if not isinstance(flat[0], DeviceTensor):
            transfers["to_host"] += 1
        elif not isinstance(flat[1], DeviceTensor):
            transfers["to_device"] += 1
    elif on_device and target is not None and target.type != NAME:
        transfers["to_host"] += 1
    elif any(isinstance(value, DeviceTensor) for value in flat) and operation in _INDEXES:
        leaves = [value for value in flat if isinstance(value, torch.Tensor)]
        transfers["to_device"] += sum(not isinstance(value, DeviceTensor) for value in leaves)


def _registered() -> Callable[[], None]:
    """Register the backend once in this process."""
    done: list[torch.library.Library] = []

    def register() -> None:
        if done:
            return
        library = torch.library.Library("_", "IMPL")
        library.fallback(lambda operation, *args, **kwargs: _compute(operation, args, kwargs), "PrivateUse1")
        done.append(library)
        _setup_privateuseone_for_python_backend(NAME, backend_module=_Module(), hook=_Hook())
        torch._C._set_only_lift_cpu_tensors(True)

    return register


_register = _registered()


@contextlib.contextmanager
def simulated_device(*, available: bool = True, float64: bool = False) -> Iterator[Transfers]:
    """A process with one accelerator, called ``sim``; gives the count of transfers.

    Args:
        available: Whether there is one, or the process is one without.
        float64: Whether the device has it, as CUDA's have.
    """
    _register()
    kept = _Switch.available, _Switch.float64, _Switch.transfers
    _Switch.available, _Switch.float64, _Switch.transfers = available, float64, Transfers()
    try:
        yield _Switch.transfers
    finally:
        _Switch.available, _Switch.float64, _Switch.transfers = kept
