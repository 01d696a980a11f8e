"""The KV cache: one row of keys and one of values for every cell and layer, written as it is made.

    bytes = sum over layers with a cache of (row(type_k, head_k · n_head_kv) + row(type_v, head_v · n_head_kv)) · cells · streams

MLA keeps the compressed row alone. Without flash attention values lie transposed and every layer is as wide as the widest.
Source: llama-kv-cache.cpp, llama-kv-cache-iswa.cpp.
"""

from __future__ import annotations

from engine.memory.formula.architecture import Architecture
from engine.memory.formula.context import Context


def layer_cache_bytes(architecture: Architecture, context: Context, layer: int) -> int:
    """Bytes of the cache of one layer, 0 where it has none."""
    if not architecture.has_cache[layer]:
        return 0
    cells = context.n_cells_windowed if architecture.windows.is_windowed[layer] else context.n_ctx_seq
    k_bytes = context.type_k.row_bytes(architecture.head_k[layer] * architecture.n_head_kv[layer])
    v_bytes = 0 if architecture.is_mla else context.type_v.row_bytes(value_width(architecture, context, layer))
    return (k_bytes + v_bytes) * cells * context.n_stream


def value_width(architecture: Architecture, context: Context, layer: int) -> int:
    """Elements of a row of values in the cache of one layer."""
    if context.flash_attn:
        return architecture.head_v[layer] * architecture.n_head_kv[layer]
    return architecture.widest_value
