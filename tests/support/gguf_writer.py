"""Writes GGUF files byte by byte, correct ones and hostile ones: every number can be told to lie."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from engine.gguf.types import TensorType, ValueType, tensor_bytes


@dataclass(frozen=True)
class Entry:
    """One metadata entry as bytes. `key_length` overrides the length that the file states."""

    key: bytes
    type_id: int
    payload: bytes
    key_length: int | None = None

    def to_bytes(self, order: str) -> bytes:
        length = len(self.key) if self.key_length is None else self.key_length
        return struct.pack(order + "Q", length) + self.key + struct.pack(order + "I", self.type_id) + self.payload


@dataclass(frozen=True)
class Tensor:
    """One tensor. What is None is made correctly: the offset behind the tensor before, the number of dimensions."""

    name: bytes = b"a"
    shape: tuple[int, ...] = (8,)
    type: TensorType = TensorType.F32
    offset: int | None = None
    type_id: int | None = None
    n_dims: int | None = None
    name_length: int | None = None


def u64(value: int) -> bytes:
    """Eight bytes; negative numbers in two's complement."""
    return struct.pack("<Q", value % (1 << 64))


def string(text: bytes | str, order: str = "<") -> bytes:
    """A string as the file holds it: its length, then its bytes."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack(order + "Q", len(raw)) + raw


def entry(key: str, kind: ValueType, value: object, order: str = "<") -> Entry:
    """A correct entry with a single value."""
    if kind is ValueType.STRING:
        assert isinstance(value, str | bytes)
        return Entry(key.encode(), kind.type_id, string(value, order))
    return Entry(key.encode(), kind.type_id, struct.pack(order + kind.letter, value))


def array(
    key: str, kind: ValueType, values: Sequence[object], *, length: int | None = None, type_id: int | None = None
) -> Entry:
    """An entry with an array; `length` and `type_id` override what the file states about it."""
    if kind is ValueType.STRING:
        body = b"".join(string(value) for value in values if isinstance(value, str | bytes))
    else:
        body = struct.pack(f"<{len(values)}{kind.letter}", *values)
    stated = struct.pack("<I", kind.type_id if type_id is None else type_id) + u64(
        len(values) if length is None else length
    )
    return Entry(key.encode(), ValueType.ARRAY.type_id, stated + body)


def gguf(
    entries: Sequence[Entry] = (),
    tensors: Sequence[Tensor] = (),
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    n_entries: int | None = None,
    n_tensors: int | None = None,
    alignment: int = 32,
    order: str = "<",
    with_data: bool = True,
    data_bytes: int | None = None,
) -> bytes:
    """A whole file. `alignment` is what the offsets follow, whatever the entries say.

    The last tensor's data is not padded, so no byte of a correct file with tensors can be spared. `data_bytes` overrides
    how much data follows.
    """
    out = bytearray(magic + struct.pack(order + "I", version))
    out += struct.pack(order + "Q", (len(tensors) if n_tensors is None else n_tensors) % (1 << 64))
    out += struct.pack(order + "Q", (len(entries) if n_entries is None else n_entries) % (1 << 64))
    for each in entries:
        out += each.to_bytes(order)
    end = 0
    for tensor in tensors:
        start = -(-end // alignment) * alignment
        out += struct.pack(
            order + "Q", (len(tensor.name) if tensor.name_length is None else tensor.name_length) % 2**64
        )
        out += tensor.name
        out += struct.pack(order + "I", len(tensor.shape) if tensor.n_dims is None else tensor.n_dims)
        out += b"".join(struct.pack(order + "Q", n % (1 << 64)) for n in tensor.shape)
        out += struct.pack(order + "I", (tensor.type.type_id if tensor.type_id is None else tensor.type_id) % (1 << 32))
        out += struct.pack(order + "Q", (start if tensor.offset is None else tensor.offset) % (1 << 64))
        end = start + tensor_bytes(tensor.type, tensor.shape)
    if tensors and with_data:
        out += bytes(-len(out) % alignment)
        out += bytes(end if data_bytes is None else data_bytes)
    return bytes(out)
