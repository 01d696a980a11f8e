"""What llama.cpp allocated, buffer by buffer: its own breakdown, read out of a C++ map.

`llama_get_memory_breakdown` is exported and not bound; it returns a `std::map` by value. The layout below is
libstdc++'s. On another C++ library the self-test fails and the numbers come from the engine's log instead, rounded as
it prints them.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable
from typing import Any

import llama_cpp.llama_cpp as llama

from engine.wire.messages import BufferUse
from engine.worker.binding import Ggml

_SYMBOLS = ("llama_get_memory_breakdown", "_Z26llama_get_memory_breakdownPK13llama_context")
_MOST_BUFFERS = 256
_LOG_LINE = re.compile(r"(\S+)\s+(model|KV|RS|compute) buffer size(?: is|\s*=)\s*([0-9.]+) MiB")


class _StdMap(ctypes.Structure):
    _fields_ = (
        ("compare", ctypes.c_size_t),
        ("color", ctypes.c_size_t),
        ("parent", ctypes.c_void_p),
        ("left", ctypes.c_void_p),
        ("right", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
    )


def read_breakdown(context: Any, ggml: Ggml, log_lines: Iterable[str]) -> tuple[BufferUse, ...]:
    """The buffers of a context, by buffer type, sizes in bytes; from the log where the map cannot be read."""
    buffers = _from_map(context, ggml)
    return buffers if buffers is not None else _from_log(log_lines)


def _from_map(context: Any, ggml: Ggml) -> tuple[BufferUse, ...] | None:
    function = next((getattr(llama._lib, name) for name in _SYMBOLS if hasattr(llama._lib, name)), None)
    if function is None:
        return None
    function.argtypes, function.restype = [ctypes.c_void_p], _StdMap
    plan = function(context)
    if not 0 < plan.count <= _MOST_BUFFERS:
        return None
    found: list[BufferUse] = []
    nodes = [plan.parent]
    while nodes and len(found) <= plan.count:
        node = nodes.pop()
        if not node:
            continue
        # A node: color, parent, left, right, then the key (the buffer type) and three sizes.
        left, right, buffer_type, model, cache, compute = (_word(node, 8 * place) for place in range(2, 8))
        nodes += [left, right]
        found.append(
            BufferUse(
                buffer=ggml.buffer_name(buffer_type),
                device=ggml.buffer_device(buffer_type),
                is_host=ggml.buffer_is_host(buffer_type),
                model_bytes=model,
                context_bytes=cache,
                compute_bytes=compute,
            )
        )
    if len(found) != plan.count or any(not each.buffer for each in found):
        return None
    return tuple(sorted(found, key=lambda each: (each.device, each.buffer)))


def _from_log(lines: Iterable[str]) -> tuple[BufferUse, ...]:
    sizes: dict[str, dict[str, int]] = {}
    for line in lines:
        match = _LOG_LINE.search(line)
        if match:
            name, part, mib = match.groups()
            parts = sizes.setdefault(name, {})
            parts[part] = parts.get(part, 0) + round(float(mib) * 1024 * 1024)
    return tuple(
        BufferUse(
            buffer=name,
            device="CPU" if name.startswith("CPU") else name,
            is_host=name.startswith("CPU") or name.endswith("_Host"),
            model_bytes=parts.get("model", 0),
            context_bytes=parts.get("KV", 0) + parts.get("RS", 0),
            compute_bytes=parts.get("compute", 0),
        )
        for name, parts in sorted(sizes.items())
    )


def _word(address: int, offset: int) -> int:
    return ctypes.c_size_t.from_address(address + offset).value
