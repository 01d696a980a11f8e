"""The parts that grow with shapes, as products a reader can follow: layers × cells × rows, layers × states, what peaks.

The numbers are those of the formula, so each product is the part's bytes wherever the formula is exact; the sum over all
groups of layers is `layer_cache_bytes` over all layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from engine.base.fields import Value
from engine.gguf.card import bytes_text
from engine.gguf.types import TensorType
from engine.memory.formula.architecture import Architecture
from engine.memory.formula.compute_buffer import scores_bytes
from engine.memory.formula.context import Context, context_of
from engine.memory.formula.kv_cache import value_width
from engine.memory.formula.recurrent_state import layer_state_bytes
from engine.memory.ledger import Part


@dataclass(frozen=True, slots=True)
class CacheGroup:
    """Layers whose caches are alike: cells of one sequence or of all, and elements of a row of keys and of values.

    `head_k` and `head_v` are elements of one of the `n_head_kv` heads; `n_value` is a whole row of values, 0 with MLA.
    """

    n_layers: int
    n_cells: int
    n_stream: int
    is_windowed: bool
    n_head_kv: int
    head_k: int
    head_v: int
    n_value: int
    type_k: TensorType
    type_v: TensorType

    @property
    def size_bytes(self) -> int:
        row = self.type_k.row_bytes(self.head_k * self.n_head_kv)
        row += self.type_v.row_bytes(self.n_value) if self.n_value else 0
        return self.n_layers * self.n_cells * self.n_stream * row


def cache_groups(architecture: Architecture, context: Context) -> tuple[CacheGroup, ...]:
    """The layers with a cache by what theirs looks like, those with a window last."""
    a, found = architecture, Counter[tuple[bool, int, int, int, int]]()
    for layer in range(a.n_layer_all):
        if a.has_cache[layer]:
            width = 0 if a.is_mla else value_width(a, context, layer)
            found[a.windows.is_windowed[layer], a.n_head_kv[layer], a.head_k[layer], a.head_v[layer], width] += 1
    return tuple(
        CacheGroup(
            n_layers=n_layers,
            n_cells=context.n_cells_windowed if is_windowed else context.n_ctx_seq,
            n_stream=context.n_stream,
            is_windowed=is_windowed,
            n_head_kv=n_head_kv,
            head_k=head_k,
            head_v=head_v,
            n_value=width,
            type_k=context.type_k,
            type_v=context.type_v,
        )
        for (is_windowed, n_head_kv, head_k, head_v, width), n_layers in sorted(found.items())
    )


def shape_texts(architecture: Architecture, options: Mapping[str, Value]) -> dict[Part, str]:
    """Of each part that has shapes, the product that it is; parts that the model does not have are left out.

    Args:
        options: every load option, checked.

    Raises:
        KnownError: what the engine would refuse.
    """
    context, found = context_of(architecture, options), {}
    if groups := cache_groups(architecture, context):
        found[Part.KV] = " + ".join(_group_text(each, architecture) for each in groups)
    if n_layers := sum(architecture.is_recurrent):
        found[Part.RECURRENT] = _states_text(architecture, context, n_layers)
    found[Part.COMPUTE] = _compute_text(architecture, context)
    return found


def _group_text(group: CacheGroup, architecture: Architecture) -> str:
    window = f" (window of {architecture.windows.n_window:,})" if group.is_windowed else ""
    streams = f" × {group.n_stream} sequences" if group.n_stream > 1 else ""
    keys = _row_text(group.n_head_kv, group.head_k, group.type_k)
    if architecture.is_mla:
        row = f"{keys} for keys and values"
    elif group.n_value == group.head_v * group.n_head_kv:
        row = f"keys {keys} + values {_row_text(group.n_head_kv, group.head_v, group.type_v)}"
    else:  # transposed values are as wide in every layer as in the widest
        row = f"keys {keys} + values {group.n_value:,} × {_type_text(group.type_v)}"
    layers = f"{group.n_layers} layer{'s' if group.n_layers > 1 else ''}"
    return f"{layers} × {group.n_cells:,} cells{window}{streams} × ({row})"


def _row_text(n_heads: int, width: int, kind: TensorType) -> str:
    heads = f"{n_heads} heads × " if n_heads > 1 else ""
    return f"{heads}{width:,} × {_type_text(kind)}"


def _type_text(kind: TensorType) -> str:
    """Bytes of one element: "2 bytes", "34/32 bytes" where a block of 32 takes 34."""
    size = kind.row_bytes(kind.block_size)
    return f"{size} bytes" if kind.block_size == 1 else f"{size}/{kind.block_size} bytes"


def _states_text(a: Architecture, context: Context, n_layers: int) -> str:
    sequences = f" × {context.n_seq_max} sequences" if context.n_seq_max > 1 else ""
    parts = " + ".join(f"{each:,}" for each in (a.state.n_shift, a.state.n_state) if each)
    text = f"{n_layers} layers{sequences} × ({parts}) × 4 bytes"
    exact = n_layers * context.n_seq_max * a.state.row_bytes
    return text if exact == n_layers * layer_state_bytes(a.state, context.n_seq_max) else f"{text}, padded to 32 bytes"


def _compute_text(a: Architecture, context: Context) -> str:
    text = f"{context.n_tokens:,} tokens at once, hidden state of {a.n_embd:,}"
    scores, n_heads = scores_bytes(a, context)
    if scores:
        shape = f"{context.n_tokens:,} tokens × {n_heads} heads × {context.n_ctx_seq:,} cells × 4 bytes"
        return f"{text}; attention's scores are {shape} = {bytes_text(scores)}"
    logits = f"{context.n_outputs:,} × {a.n_vocab:,} logits × 4 bytes = {bytes_text(4 * context.n_outputs * a.n_vocab)}"
    return f"{text}; {logits}" if context.n_outputs > 1 else text
