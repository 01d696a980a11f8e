"""Which part of the context's memory is recurrent state, by buffer: the engine's breakdown counts it with the cache.

A layer has a state of fixed size for each sequence, whatever the context, so the header says how large it is; where it is
says the engine, by the weights of the same layer.
Source: llama-memory-recurrent.cpp, llama-memory-hybrid.cpp.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from engine.base.fields import Value
from engine.gguf.splits import read_model
from engine.memory.formula.architecture import FormulaUnknown, architecture_of
from engine.memory.formula.recurrent_state import layer_state_bytes
from engine.wire.messages import BufferUse
from engine.worker.mapped import PlacedTensor

_LAYER = re.compile(r"blk\.(\d+)\.")


def with_states(
    buffers: Sequence[BufferUse],
    placed: Iterable[PlacedTensor] | None,
    path: Path,
    options: Mapping[str, Value],
    *,
    is_recurrent: bool,
    is_hybrid: bool,
) -> tuple[BufferUse, ...]:
    """The breakdown with `recurrent_bytes`, for a model that has such states; else as it is.

    Of a model without any attention all of the context is state. Where the header's architecture is not known, or the
    engine cannot be asked where tensors are, the states of a hybrid stay counted with its cache.
    """
    if is_recurrent:
        return tuple(msgspec.structs.replace(each, recurrent_bytes=each.context_bytes) for each in buffers)
    if not is_hybrid:
        return tuple(buffers)
    holding = [each for each in buffers if each.context_bytes]
    try:
        architecture = architecture_of(read_model(path)[0])
    except FormulaUnknown:
        return tuple(buffers)
    state = layer_state_bytes(architecture.state, int(str(options["n_seq_max"])))
    layers = [layer for layer, has_state in enumerate(architecture.is_recurrent) if has_state]
    found: dict[str, int] = defaultdict(int)
    if len(holding) == 1:
        found[holding[0].buffer] = state * len(layers)
    elif placed is not None:
        host = next((each.buffer for each in holding if each.is_host), "")
        names = {each.buffer for each in holding}
        homes = {int(match[1]): each.buffer for each in placed if (match := _LAYER.match(each.name))}
        for layer in layers:
            home = homes.get(layer, host)
            found[home if home in names else host] += state
    return tuple(
        msgspec.structs.replace(each, recurrent_bytes=min(found.get(each.buffer, 0), each.context_bytes))
        for each in buffers
    )
