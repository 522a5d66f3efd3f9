"""The memory of a model's passes, counted before there are weights: its operations run on tensors without content.

`torch`'s fake tensors have shapes, a dtype and a device, and choose the kernels of that device, so that what is
allocated is what a real pass allocates. What a system needs besides the tensors is not counted.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from spectrum_suite.devices import GIB
from spectrum_suite.freed_memory import malloc_trim
from spectrum_suite.tree_attention import masks_for_model

logger = logging.getLogger(__name__)

NF4_BYTES = 0.5 + 1 / 64 * (1 + 4 / 256)
"""Of a weight in four bits, with a doubly quantized scale for each block of 64."""


FIRST_USE = 0.2
"""GiB that a process on a CPU grows by when it first trains or makes 4 bits: kernels, threads, what allocators keep."""

FIRST_SCORING = 0.05
"""The same of scoring with whole weights."""

HOLES = 1.25
"""Times the tensors of a step, what glibc's heap takes of them on a CPU: tensors of many sizes leave holes."""

HOLES_IN_4BIT = 1.5
"""The same of a model in 4 bits: its matrices, made whole one by one, come and go between the tensors of a step."""


@dataclass(frozen=True)
class MemoryEstimate:
    """The most memory that a run takes at once, in GiB.

    Attributes:
        process: What the process has without the model; 0 on an accelerator.
        loading: What is converted while weights are loaded, whose memory is free again before the first step.
        weights: The model, adapter included.
        optimizer: What the optimizer keeps of each trained weight.
        step: Activations, gradients, logits and all else that lives at the peak of a step, with the heap's holes.
    """

    process: float
    loading: float
    weights: float
    optimizer: float
    step: float

    @classmethod
    def of(
        cls,
        device: torch.device,
        *,
        converting: float,
        weights: float,
        optimizer: float = 0,
        step: float,
        in_4bit: bool = False,
        first_use: float = FIRST_USE,
    ) -> MemoryEstimate:
        """From the bytes of what loading converts, of the weights, of the optimizer and of a step's tensors."""
        on_cpu = device.type == "cpu"
        if on_cpu and malloc_trim():
            step *= HOLES_IN_4BIT if in_4bit else HOLES
        process = psutil.Process().memory_info().rss + first_use * GIB if on_cpu else 0
        parts = process, converting if on_cpu else 0, weights, optimizer, step
        return cls(*(part / GIB for part in parts))

    @property
    def total(self) -> float:
        """At the peak of a step, or of loading where that takes more."""
        return self.process + self.weights + max(self.loading, self.optimizer + self.step)

    def say(self, device: torch.device, doing: str, remedy: str) -> None:
        """Log the estimate, and as a warning that there is less memory than that.

        Args:
            device: Where it runs.
            doing: What does, with the size of its batches.
            remedy: What to change.
        """
        free = free_gib(device) + self.process
        parts = {"process": self.process, "weights": self.weights, "optimizer": self.optimizer, "step": self.step}
        shown = ", ".join(f"{name} {size:.2f}" for name, size in parts.items() if size)
        logger.info("%s takes about %.1f GiB of memory at its peak (%s)", doing, self.total, shown)
        if self.total > free:
            logger.warning("%s has %.1f GiB free, which may be too little: %s", device.type, free, remedy)


class LiveMemory(TorchDispatchMode):
    """Within, the bytes of all tensors that operations make are counted as long as they live.

    Attributes:
        now: Bytes that are alive.
        peak: The most that were.
    """

    def __init__(self, known: Sequence[torch.Tensor] = ()) -> None:
        """``known`` are tensors from before, which do not count."""
        super().__init__()
        self.now = self.peak = 0
        self._seen = weakref.WeakSet(tensor.untyped_storage() for tensor in known)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage not in self._seen:
                    self._seen.add(storage)
                    self._add(storage.nbytes())
                    weakref.finalize(storage, self._add, -storage.nbytes())
        return made

    def _add(self, size: int) -> None:
        self.now += size
        self.peak = max(self.peak, self.now)


def shapes_of(config: PreTrainedConfig, dtype: torch.dtype, attention: str | None = None) -> PreTrainedModel:
    """A causal language model whose weights have shapes alone, on the device ``meta``."""
    options = {"attn_implementation": attention} if attention else {}
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, **options)


def converted_bytes(
    config: PreTrainedConfig, weights: Iterable[torch.Tensor], loaded: torch.dtype, *, in_4bit: bool = False
) -> int:
    """Bytes that loading has beside the weights at most: the largest one as it is in the files, until it is converted.

    There are none where weights are loaded in the precision of the files, as they lie there; of a checkpoint that does
    not name one, that is assumed. Those that become 4 bits are there as a whole before.
    """
    said = config.dtype or loaded
    kept = getattr(torch, said) if isinstance(said, str) else said
    counts = [weight.numel() for weight in weights]
    converted = sum(counts) if in_4bit else max(counts) if kept != loaded else 0
    return converted * kept.itemsize


def make_fake(model: nn.Module, device: torch.device) -> FakeTensorMode:
    """Give a model of :func:`shapes_of` fake weights on a device; the mode is to be entered wherever it runs."""
    logging.getLogger(FakeTensorMode.__module__).setLevel(logging.CRITICAL)  # an error is enough; it adds a traceback
    mode, made = FakeTensorMode(), {}
    with mode:
        for module in model.modules():
            for kept in (module._parameters, module._buffers):
                for name, old in kept.items():
                    if old is not None and id(old) not in made:
                        new = torch.empty(old.shape, dtype=old.dtype, device=device)
                        made[id(old)] = nn.Parameter(new, old.requires_grad) if kept is module._parameters else new
                    kept[name] = old if old is None else made[id(old)]
    return mode


def inputs_of(model: PreTrainedModel, rows: int, length: int) -> Mapping[str, Any]:
    """What a model is called with for a full batch whose mask is spelled out, as fake as the model is."""
    device = next(model.parameters()).device
    positions = torch.zeros(rows, length, dtype=torch.long, device=device)
    mask = torch.ones(rows, length, length, dtype=torch.bool, device=device)
    return {
        "input_ids": positions,
        "position_ids": positions,
        "attention_mask": masks_for_model(mask, positions, model),
        "use_cache": False,
    }


def tensor_bytes(tensors: Sequence[torch.Tensor]) -> int:
    """Bytes of tensors, each counted once."""
    return sum(tensor.nbytes for tensor in {id(tensor): tensor for tensor in tensors}.values())


def free_gib(device: torch.device) -> float:
    """Memory that can still be had: of the accelerator where it reports it, else of the machine."""
    told = getattr(torch.get_device_module(device), "mem_get_info", None) if device.type != "cpu" else None
    return (told(device)[0] if told else psutil.virtual_memory().available) / GIB
