"""Reads a GGUF header: any bytes become either a `Header` or a `GgufError`, in milliseconds and little memory.

It refuses what the engine refuses, so that a bad file is a sentence in the window and not an abort in the worker; the
order and the limits follow gguf.cpp and llama-model-loader. Ours on top: fewer metadata entries and tensors than fit in
memory, keys of valid UTF-8. Rejected: gguf-py's GGUFReader (25 s and 700 MB for Gemma-3-270m, no bounds checks), and
the engine's own gguf_init_from_file (only the worker may load that library).
Source: the GGUF specification; ggml/src/gguf.cpp; CVE-2024-21802, CVE-2025-53630, CVE-2026-27940, CVE-2026-7482.
"""

from __future__ import annotations

import os
import struct
import sys
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from engine.gguf.cursor import DOWNLOAD_AGAIN, Cursor
from engine.gguf.header import GgufError, Header, MetaValue, SkippedArray, SkippedText, TensorInfo
from engine.gguf.opening import not_gguf, open_file, unreadable
from engine.gguf.types import (
    N_TENSOR_TYPE_IDS,
    REMOVED_TENSOR_TYPES,
    TENSOR_TYPES,
    VALUE_TYPES,
    TensorType,
    ValueType,
    tensor_bytes,
)

__all__ = [
    "GgufError",
    "Header",
    "MetaValue",
    "SkippedArray",
    "SkippedText",
    "TensorInfo",
    "parse_header",
    "read_header",
    "read_strings",
]

MAX_ENTRIES = 1 << 16
MAX_TENSORS = 1 << 16  # the largest published models have some thousands; each costs about 450 bytes here
MAX_KEY_BYTES = (1 << 16) - 1
MAX_NAME_BYTES = 63  # GGML_MAX_NAME - 1
MAX_DIMENSIONS = 4
MAX_ELEMENTS = (1 << 63) - 1
MAX_ARRAY_LENGTH = 1 << 30  # GGUF_MAX_ARRAY_ELEMENTS
DEFAULT_ALIGNMENT = 32

KEPT_TEXT_BYTES = 1 << 20
KEPT_NUMBERS = 1 << 16
KEPT_STRINGS = 1 << 10
KEPT_MEMORY_BYTES = 12 << 20
"""All kept values of one file; what comes after is skipped like a long array."""
KEYS_MEMORY_BYTES = 16 << 20
"""All keys of one file with the values that are single numbers; a file with more is refused."""
WANTED_MEMORY_BYTES = 40 << 20
"""The list that `read_strings` returns."""

_ENTRY_COST_BYTES = 160  # a key's place in the dict while it grows, a small value
_TEXT_COST_BYTES = 72  # an empty Python text, its place in a list and in the tuple made from it
_NUMBER_COST_BYTES = 40  # a Python number and its place in a tuple
_UPDATE = "update Llamarium, or choose another quantization of this model"


def read_header(path: Path) -> Header:
    """The header of the file at `path`, checked against every limit of the engine.

    Errors: `GgufError` when the file is missing, unreadable, not GGUF, of another version or byte order, damaged,
    truncated (also in the weights), or made to do harm. Takes about 1 ms, plus 0.08 µs for each token of the
    vocabulary; allocates under 64 MiB whatever the file says.
    """
    with open_file(path) as file:
        return _Parser(Cursor(file, os.fstat(file.fileno()).st_size)).header()


def parse_header(file: BinaryIO, file_size: int) -> Header:
    """The header of a file of `file_size` bytes of which `file` holds the beginning.

    Errors: `ShortRead` when more of it is needed; `GgufError` as `read_header`.
    """
    return _Parser(Cursor(file, file_size)).header()


def read_strings(path: Path, key: str) -> tuple[str, ...]:
    """The whole array of strings under `key` (`tokenizer.ggml.tokens`), however long; bad UTF-8 shows as U+FFFD.

    Errors: `GgufError` as `read_header`, and when the key is missing, is no array of strings, or needs over 40 MiB.
    """
    with open_file(path) as file:
        return _Parser(Cursor(file, os.fstat(file.fileno()).st_size)).strings_of(key)


class _Parser:
    """One walk over one header."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._kept_bytes = 0
        self._keys_bytes = 0
        self._version = 0

    def header(self) -> Header:
        try:
            n_tensors, n_entries = self._preamble()
            metadata = self._metadata(n_entries)
            alignment = self._alignment(metadata)
            tensors = self._tensors(n_tensors)
            data_offset = self._cursor.offset
            if tensors:
                data_offset = _padded(data_offset, alignment)
                self._check_data(tensors, alignment, data_offset)
        except OSError as error:
            raise unreadable(error) from error
        return Header(
            version=self._version,
            alignment=alignment,
            metadata=MappingProxyType(metadata),
            tensors=tensors,
            data_offset=data_offset,
            file_size=self._cursor.file_size,
        )

    def strings_of(self, wanted: str) -> tuple[str, ...]:
        try:
            _, n_entries = self._preamble()
            for index in range(n_entries):
                key = self._key(index)
                kind = self._value_type(key)
                if key != wanted or kind is not ValueType.ARRAY:
                    self._any_value(key, kind)
                    continue
                element, length = self._array_head(key)
                if element is ValueType.STRING:
                    return self._wanted_strings(length, f"the array {_shown(key)}")
                self._array(key, element, length)
        except OSError as error:
            raise unreadable(error) from error
        raise GgufError(
            "The file has no list of texts of this name",
            value=_shown(wanted),
            next_step="choose a file with a vocabulary",
        )

    def _preamble(self) -> tuple[int, int]:
        cursor = self._cursor
        if cursor.file_size == 0:
            raise GgufError("The file is empty", value="0 bytes", next_step=DOWNLOAD_AGAIN)
        start = cursor.take(min(cursor.file_size, 32), "the first bytes")
        if start[:4] != b"GGUF":
            raise not_gguf(start)
        cursor.offset = 4
        self._version = cursor.u32("the format version")
        _check_version(self._version)
        n_tensors = cursor.u64("the number of tensors")
        n_entries = cursor.u64("the number of metadata entries")
        # The smallest tensor takes 24 bytes (an empty name, no dimensions), the smallest entry 14.
        if n_tensors > MAX_TENSORS or n_tensors * 24 > cursor.n_left:
            raise _bad("The number of tensors cannot be right", f"{n_tensors:,} in {cursor.file_size:,} bytes")
        if n_entries > MAX_ENTRIES or n_entries * 14 > cursor.n_left:
            raise _bad("The number of metadata entries cannot be right", f"{n_entries:,} in {cursor.file_size:,} bytes")
        return n_tensors, n_entries

    def _metadata(self, n_entries: int) -> dict[str, MetaValue]:
        metadata: dict[str, MetaValue] = {}
        for index in range(n_entries):
            key = self._key(index)
            if key in metadata:
                raise _bad("A metadata key stands twice in the file", f"{_shown(key)} at byte {self._cursor.offset:,}")
            kind = self._value_type(key)
            if key == "general.alignment" and kind is not ValueType.UINT32:
                raise _bad("general.alignment has the wrong type", f"{kind.name}, must be UINT32")
            metadata[key] = self._any_value(key, kind)
        return metadata

    def _key(self, index: int) -> str:
        cursor = self._cursor
        start = cursor.offset
        n_bytes = cursor.string_length(f"metadata key {index:,}")
        if not 0 < n_bytes <= MAX_KEY_BYTES:
            raise _bad("The length of a metadata key cannot be right", f"{n_bytes:,} bytes at byte {start:,}")
        raw = cursor.take(n_bytes, f"metadata key {index:,}")
        try:
            key = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise _bad("A metadata key is not valid UTF-8", f"{raw[:40]!r} at byte {start:,}") from None
        self._keys_bytes += _ENTRY_COST_BYTES + sys.getsizeof(key)
        if self._keys_bytes > KEYS_MEMORY_BYTES:
            raise _bad("The metadata keys are too large", f"over {KEYS_MEMORY_BYTES >> 20} MiB at byte {start:,}")
        return key

    def _value_type(self, key: str) -> ValueType:
        type_id = self._cursor.u32(f"the type of {_shown(key)}")
        kind = VALUE_TYPES.get(type_id)
        if kind is None:
            raise _bad("A metadata value has an unknown type", f"type {type_id} of {_shown(key)}")
        return kind

    def _any_value(self, key: str, kind: ValueType) -> MetaValue:
        if kind is ValueType.ARRAY:
            return self._array(key, *self._array_head(key))
        cursor = self._cursor
        what = f"the value of {_shown(key)}"
        if kind is not ValueType.STRING:
            number: bool | int | float = struct.unpack("<" + kind.letter, cursor.take(kind.size_bytes, what))[0]
            return number
        n_bytes = cursor.string_length(what)
        text = self._kept_text(n_bytes, what)
        return SkippedText(n_bytes) if text is None else text

    def _array_head(self, key: str) -> tuple[ValueType, int]:
        cursor = self._cursor
        kind = self._value_type(key)
        length = cursor.u64(f"the length of {_shown(key)}")
        if kind is ValueType.ARRAY:
            raise _bad("A metadata array holds arrays, which the format does not have", _shown(key))
        if length > MAX_ARRAY_LENGTH or length * (kind.size_bytes or 8) > cursor.n_left:
            raise _bad(
                "The length of a metadata array cannot be right",
                f"{length:,} elements of {_shown(key)} at byte {cursor.offset:,} of {cursor.file_size:,}",
            )
        return kind, length

    def _array(self, key: str, kind: ValueType, length: int) -> MetaValue:
        cursor = self._cursor
        what = f"the array {_shown(key)}"
        if kind is ValueType.STRING:
            return self._strings(length, what)
        if length > KEPT_NUMBERS or not self._keep(length * _NUMBER_COST_BYTES):
            cursor.skip(length * kind.size_bytes, what)
            return SkippedArray(kind, length)
        numbers: tuple[int, ...] | tuple[float, ...]
        numbers = struct.unpack(f"<{length}{kind.letter}", cursor.take(length * kind.size_bytes, what))
        return numbers

    def _strings(self, length: int, what: str) -> MetaValue:
        cursor = self._cursor
        if length > KEPT_STRINGS:
            cursor.skip_strings(length, what)
            return SkippedArray(ValueType.STRING, length)
        start = cursor.offset
        kept: list[str] = []
        for _ in range(length):
            text = self._kept_text(cursor.string_length(what), what)
            if text is None:
                cursor.offset = start
                cursor.skip_strings(length, what)
                return SkippedArray(ValueType.STRING, length)
            kept.append(text)
        return tuple(kept)

    def _wanted_strings(self, length: int, what: str) -> tuple[str, ...]:
        cursor = self._cursor
        kept: list[str] = []
        n_memory = 0
        for _ in range(length):
            n_bytes = cursor.string_length(what)
            n_memory += _TEXT_COST_BYTES + n_bytes
            if n_bytes > KEPT_TEXT_BYTES or n_memory > WANTED_MEMORY_BYTES:
                raise GgufError(
                    f"{what[0].upper()}{what[1:]} is too large to show",
                    value=f"{length:,} texts; they may take 1 MiB each and {WANTED_MEMORY_BYTES >> 20} MiB together",
                    next_step="choose a file with a smaller vocabulary",
                )
            text = cursor.take(n_bytes, what).decode("utf-8", errors="replace")
            n_memory += max(0, sys.getsizeof(text) - _TEXT_COST_BYTES - n_bytes)
            kept.append(text)
        return tuple(kept)

    def _kept_text(self, n_bytes: int, what: str) -> str | None:
        """The text that starts here, None when it is too long to keep; the cursor then stands behind it all the same."""
        if n_bytes > KEPT_TEXT_BYTES:
            self._cursor.skip(n_bytes, what)
            return None
        raw = self._cursor.take(n_bytes, what)
        # One wide character makes all of a Python text wide: four bytes each.
        if not self._keep(_TEXT_COST_BYTES + (n_bytes if raw.isascii() else 4 * n_bytes)):
            return None
        return raw.decode("utf-8", errors="replace")

    def _keep(self, n_bytes: int) -> bool:
        if self._kept_bytes + n_bytes > KEPT_MEMORY_BYTES:
            return False
        self._kept_bytes += n_bytes
        return True

    def _alignment(self, metadata: dict[str, MetaValue]) -> int:
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
            raise _bad("general.alignment is not a power of two", str(alignment))
        return alignment

    def _tensors(self, n_tensors: int) -> tuple[TensorInfo, ...]:
        tensors: list[TensorInfo] = []
        names: set[str] = set()
        for index in range(n_tensors):
            tensor = self._tensor(index)
            if tensor.name in names:
                raise _bad("A tensor name stands twice in the file", f"{_shown(tensor.name)}, tensor {index:,}")
            names.add(tensor.name)
            tensors.append(tensor)
        return tuple(tensors)

    def _tensor(self, index: int) -> TensorInfo:
        cursor = self._cursor
        start = cursor.offset
        n_bytes = cursor.string_length(f"the name of tensor {index:,}")
        if n_bytes > MAX_NAME_BYTES:
            raise _bad("A tensor name is too long", f"{n_bytes:,} bytes at byte {start:,}, at most {MAX_NAME_BYTES}")
        raw = cursor.take(n_bytes, f"the name of tensor {index:,}")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise _bad("A tensor name is not valid UTF-8", f"{raw!r} at byte {start:,}") from None
        if "\0" in name:
            raise _bad("A tensor name holds a zero byte", f"{raw!r} at byte {start:,}")
        what = f"tensor {_shown(name)}"
        n_dims = cursor.u32(f"the dimensions of {what}")
        if n_dims > MAX_DIMENSIONS:
            raise _bad("A tensor has too many dimensions", f"{n_dims:,} in {what}, at most {MAX_DIMENSIONS}")
        shape = struct.unpack(f"<{n_dims}Q", cursor.take(8 * n_dims, f"the shape of {what}"))
        if any(n > MAX_ELEMENTS for n in shape) or prod(n or 1 for n in shape) >= MAX_ELEMENTS:
            raise _bad("The shape of a tensor cannot be right", f"{'x'.join(map(str, shape))} in {what}")
        kind = _tensor_type(cursor.u32(f"the type of {what}"), what)
        row = shape[0] if shape else 1
        if row % kind.block_size:
            raise _bad(
                "A tensor's rows are not whole blocks of its type",
                f"{row:,} elements in {what}, {kind.name} has blocks of {kind.block_size}",
            )
        offset = cursor.u64(f"the offset of {what}")
        return TensorInfo(name, shape, kind, offset, tensor_bytes(kind, shape))

    def _check_data(self, tensors: tuple[TensorInfo, ...], alignment: int, data_offset: int) -> None:
        expected = 0
        for tensor in tensors:
            if tensor.offset != expected:
                raise _bad(
                    "A tensor's data is not where it must be",
                    f"tensor {_shown(tensor.name)} at offset {tensor.offset:,}, expected {expected:,}",
                )
            expected += _padded(tensor.size_bytes, alignment)
        # What counts is the last byte that is read; the padding behind it may be missing.
        needed = max(data_offset + max(tensor.offset + tensor.size_bytes for tensor in tensors), data_offset)
        if needed > self._cursor.file_size:
            first = next(t for t in tensors if data_offset + t.offset + t.size_bytes > self._cursor.file_size)
            raise GgufError(
                "The file is not complete: it ends before the weights do",
                value=f"{self._cursor.file_size:,} of {needed:,} bytes, from tensor {_shown(first.name)} on",
                next_step=DOWNLOAD_AGAIN,
            )


def _check_version(version: int) -> None:
    if version in (2, 3):
        return
    if version == 1:
        raise GgufError(
            "This file has GGUF version 1, which llama.cpp no longer reads",
            value="version 1",
            next_step="download a newer file of this model, or convert it again",
        )
    if version != 0 and version & 0xFFFF == 0:
        raise GgufError(
            "This file is big-endian and cannot be loaded on this computer",
            value=f"version reads 0x{version:08x}",
            next_step="download the little-endian file, or convert it with gguf-py's gguf_convert_endian.py",
        )
    if version == 0:
        raise _bad("The format version cannot be right", "version 0")
    raise GgufError(
        "This file has a newer GGUF version than this engine reads",
        value=f"version {version}, at most 3",
        next_step="update Llamarium, or download an older file of this model",
    )


def _tensor_type(type_id: int, what: str) -> TensorType:
    kind = TENSOR_TYPES.get(type_id)
    if kind is not None:
        return kind
    if type_id in REMOVED_TENSOR_TYPES:
        name = REMOVED_TENSOR_TYPES[type_id]
        raise GgufError(
            "This quantization was removed from llama.cpp",
            value=f"{name} in {what}",
            next_step=f"download the {'IQ4_NL' if name.startswith('IQ4_NL') else 'Q4_0'} file of this model",
        )
    if type_id < N_TENSOR_TYPE_IDS + 64:
        raise GgufError(
            "This engine does not know a tensor's type", value=f"type {type_id} of {what}", next_step=_UPDATE
        )
    raise _bad("A tensor's type cannot be right", f"type {type_id:,} of {what}")


def _bad(what: str, value: str) -> GgufError:
    return GgufError(what, value=value, next_step=f"{DOWNLOAD_AGAIN}; if it stays so, it is damaged at its source")


def _shown(name: str) -> str:
    """A name from the file for a message: short and printable, whatever it is made of."""
    return ascii(name if len(name) <= 64 else name[:61] + "...")


def _padded(n_bytes: int, alignment: int) -> int:
    return (n_bytes + alignment - 1) // alignment * alignment
