"""Whether weights can be loaded at all: header, sizes and finiteness of safetensors, before anything is sent.

The file is read once, a piece at a time; what is not a finite number is found by its bits, whatever its type.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.hub.local_files import LocalFile

SAFETENSORS = ".safetensors"

_LONGEST_HEADER = 100_000_000  # bytes, as `safetensors` itself has it
_PIECE = 2**23
_METADATA = "__metadata__"
_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8, "C64": 8,
}  # fmt: skip
"""Type -> bytes of an element; of types that pack several into a byte, only the place in the file is checked."""

_EXPONENTS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000), "F32": ("<u4", 0x7F80_0000), "C64": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F8_E5M2": ("u1", 0x7C), "F8_E4M3": ("u1", 0x7F),
    "F8_E8M0": ("u1", 0xFF),
}  # fmt: skip
"""Type -> (integers to read it as, bits that are all set in what is not a finite number)."""


@dataclass(frozen=True)
class _Tensor:
    name: str
    dtype: str
    elements: int
    begin: int
    end: int


def check_weights(file: LocalFile) -> None:
    """See that the tensors of a file are there, whole and finite.

    Raises:
        UserError: They are not; the file, the tensor and the fault are named.
    """
    header = read_header(file)
    tensors = _tensors(file, header)
    start = 8 + len(header)
    _check_places(file, tensors, file.size - start)
    for tensor in tensors:
        if tensor.dtype in _EXPONENTS:
            _check_finite(file, tensor, start)


def read_header(file: LocalFile) -> bytes:
    """The JSON at the start of a safetensors file.

    Raises:
        UserError: There is none.
    """
    begin = file.read(0, 8)
    length = struct.unpack("<Q", begin)[0] if len(begin) == 8 else 0  # noqa: PLR2004
    if not 0 < length <= min(_LONGEST_HEADER, file.size - 8):
        raise _broken(file, "it is empty" if not file.size else "it has no header")
    return file.read(8, length)


def _tensors(file: LocalFile, header: bytes) -> list[_Tensor]:
    """What the header lists, in the order of the file."""
    try:
        listed: dict[str, Any] = json.loads(header)
        found = [
            _Tensor(name, str(entry["dtype"]), math.prod(map(int, entry["shape"])), *map(int, entry["data_offsets"]))
            for name, entry in listed.items()
            if name != _METADATA
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(file, "its header cannot be read") from error
    if not found:
        raise _broken(file, "it has no tensors")
    return sorted(found, key=lambda tensor: tensor.begin)


def _check_places(file: LocalFile, tensors: list[_Tensor], there: int) -> None:
    """The tensors fill the file: no gap, no end that is missing or too much, and bytes for every element."""
    for tensor in tensors:
        if not tensor.elements:
            raise _broken(file, f"tensor {tensor.name!r} is empty")
        if tensor.end - tensor.begin != tensor.elements * _BYTES.get(tensor.dtype, 0) and tensor.dtype in _BYTES:
            raise _broken(file, f"tensor {tensor.name!r} has {tensor.end - tensor.begin:,} bytes for its shape")
    gaps = [later.name for earlier, later in pairwise(tensors) if earlier.end != later.begin]
    if gaps or tensors[0].begin:
        raise _broken(file, f"tensor {(gaps or [tensors[0].name])[0]!r} does not begin where the one before ends")
    if there != tensors[-1].end:
        raise _broken(file, f"it has {there:,} bytes of weights where its header lists {tensors[-1].end:,}")


def _check_finite(file: LocalFile, tensor: _Tensor, start: int) -> None:
    kind, bits = _EXPONENTS[tensor.dtype]
    mask = np.dtype(kind).type(bits)
    for place in range(tensor.begin, tensor.end, _PIECE):
        numbers = np.frombuffer(file.read(start + place, min(_PIECE, tensor.end - place)), kind)
        if ((numbers & mask) == mask).any():
            raise _broken(file, f"tensor {tensor.name!r} has NaN or infinity in it")


def _broken(file: LocalFile, why: str) -> UserError:
    return UserError(f"weights {file.name!r} are broken ({why}): save or train them again; nothing was sent")
