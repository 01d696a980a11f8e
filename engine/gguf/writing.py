"""Writes the header of a GGUF file, without data: a model that is only described, so that the engine can plan it.

Rejected: gguf-py's writer (a second of import, and it wants the weights).
Source: the GGUF specification (ggml/docs/gguf.md), version 3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.gguf.header import Scalar
from engine.gguf.types import TensorType, ValueType, tensor_bytes

ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """A tensor to be: its name, elements along each dimension (row length first), and its type."""

    name: str
    shape: tuple[int, ...]
    type: TensorType


def header_bytes(metadata: Mapping[str, Scalar], tensors: Sequence[TensorPlan]) -> tuple[bytes, int]:
    """The header's bytes, and the size in bytes that the file would have with its data.

    Whole numbers are written as UINT32, others as FLOAT32. Rows must be whole blocks of their type.
    """
    out = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        out += _string(key) + _value(value)
    offset = 0
    for each in tensors:
        out += _string(each.name)
        out += struct.pack(f"<I{len(each.shape)}QIQ", len(each.shape), *each.shape, each.type.type_id, offset)
        offset += _padded(tensor_bytes(each.type, each.shape))
    return bytes(out), _padded(len(out)) + offset


def _value(value: Scalar) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", ValueType.BOOL.type_id, value)
    if isinstance(value, int):
        return struct.pack("<II", ValueType.UINT32.type_id, value)
    if isinstance(value, float):
        return struct.pack("<If", ValueType.FLOAT32.type_id, value)
    return struct.pack("<I", ValueType.STRING.type_id) + _string(value)


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
