"""How much of a mapped file stays in memory beside copies of its weights.

With mmap one span of each file, from the first tensor that stays in RAM as it is to the last, is mapped. Tensors between
the two that were copied elsewhere (rearranged for the processor, or to a GPU) are there twice. Which tensor is where only
the engine knows, so it is asked tensor by tensor. Sums cannot say: an embedding that is the output too is counted once in
the file, and lies in RAM and on the GPU.
Source: llama-model-loader.cpp get_mapping_range, create_tensor; llama-model.cpp load_tensors.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama

from engine.gguf.card import Card
from engine.gguf.header import span_bytes
from engine.gguf.splits import read_model
from engine.wire.messages import BufferUse
from engine.worker.binding import Ggml

_SYMBOL = "_Z29llama_internal_get_tensor_mapB5cxx11PK11llama_model"  # "cxx11" is in the names of libstdc++ alone
_PAIR_WORDS = 5  # std::pair<std::string, ggml_tensor *> of libstdc++: text, length, 16 bytes of short text, tensor
_MOST_TENSORS = 1 << 20
_ALIGNMENT = 32
_MAPPED = "_Mapped"
_RPC = "RPC"
STREAMED_BYTES = 4 << 20
"""Four pinned buffers of 1 MiB: what a load without mmap takes to stream weights to a device."""


@dataclass(frozen=True, slots=True)
class PlacedTensor:
    """One tensor of a loaded or planned model: its size in bytes without padding, and its buffer type.

    `is_streamed`: without mmap it goes there in small pieces.
    """

    name: str
    size_bytes: int
    buffer: str
    is_host: bool
    is_streamed: bool = False


def placed_tensors(model: Any, ggml: Ggml) -> tuple[PlacedTensor, ...] | None:
    """Where the engine put each tensor; one that is in two buffers is there twice. None where it cannot be asked."""
    function = getattr(llama._lib, _SYMBOL, None)
    if function is None:
        return None
    function.argtypes, function.restype = [ctypes.c_void_p], ctypes.POINTER(ctypes.c_size_t)
    begin, end = function(model)[:2]
    n_tensors, rest = divmod(end - begin, _PAIR_WORDS * ctypes.sizeof(ctypes.c_size_t))
    if rest or not 0 < n_tensors <= _MOST_TENSORS:
        return None
    words = (ctypes.c_size_t * (n_tensors * _PAIR_WORDS)).from_address(begin)
    found = []
    for at in range(0, len(words), _PAIR_WORDS):
        text, length, tensor = words[at], words[at + 1], words[at + _PAIR_WORDS - 1]
        name = ggml.tensor_name(tensor)
        if length != len(name.encode()) or ctypes.string_at(text, length) != name.encode():
            return None
        buffer = ggml.tensor_buffer(tensor)
        is_host, is_streamed = ggml.buffer_is_host(buffer), ggml.buffer_is_streamed(buffer)
        found.append(
            PlacedTensor(name, ggml.tensor_bytes(tensor), ggml.buffer_name(buffer), is_host, is_streamed=is_streamed)
        )
    return tuple(found)


def staged_bytes(placed: Iterable[PlacedTensor] | None, uses_mmap: bool) -> int | None:
    """The largest copy of a tensor, in bytes, that the load holds in RAM for a moment on its way to where it stays.

    With mmap it comes right from the file's pages. Without, a tensor that stays in RAM as it is is read to its place; one
    that is rearranged for the processor or goes to a device is read whole first, one at a time, or in pieces where the
    device takes such. What goes to an RPC server is copied into the message to it, with mmap or without, unless the server
    has it already. None where the tensors are not known.
    Source: llama-model-loader.cpp, `load_all_data`; ggml-rpc.cpp, `ggml_backend_rpc_buffer_set_tensor`.
    """
    if placed is None:
        return None
    return max((_staged(each, uses_mmap) for each in placed if not each.is_host), default=0)


def _staged(tensor: PlacedTensor, uses_mmap: bool) -> int:
    message = tensor.size_bytes if tensor.buffer.startswith(_RPC) else 0
    if uses_mmap:
        return message
    return message + (STREAMED_BYTES if tensor.is_streamed else tensor.size_bytes)


def mapped_extra(
    buffers: Sequence[BufferUse],
    placed: Iterable[PlacedTensor] | None,
    card: Card,
    path: Path,
    uses_mmap: bool,
    *,
    is_dry: bool,
) -> int:
    """Bytes of the files that stay mapped beside copies of them, 0 without mmap.

    Args:
        buffers: the engine's breakdown. That of a dry run has no mapped part: what is mapped when really loaded is in
            buffers in RAM, pinned ones beside a GPU among them.
        placed: where each tensor is; without it, everything that has left RAM counts as mapped.
        card, path: the model.
    """
    if not uses_mmap:
        return 0
    if is_dry:
        kept_bytes = sum(each.model_bytes for each in buffers if each.is_host)
        if not kept_bytes:
            return 0
        if placed is None:
            return max(0, card.weights_bytes - kept_bytes)
        kept = {each.name for each in placed if each.is_host}
        span = sum(span_bytes(each for each in header.tensors if each.name in kept) for header in read_model(path))
        return max(0, span - kept_bytes)
    span = sum(each.model_bytes for each in buffers if each.buffer.endswith(_MAPPED))
    if placed is None:
        copied = sum(each.model_bytes for each in buffers if not each.buffer.endswith(_MAPPED))
        kept_bytes = max(0, card.weights_bytes - copied)
    else:
        sizes = [each.size_bytes for each in placed if each.buffer.endswith(_MAPPED)]
        kept_bytes = sum(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes)
    return max(0, span - kept_bytes)
