"""The context as llama.cpp rounds it: how many cells the caches get and how many tokens are computed at once.

Source: the constructor of llama_context (llama-context.cpp), llama-kv-cache-iswa.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.base.fields import Value
from engine.gguf.types import TensorType
from engine.memory.formula.architecture import Architecture
from engine.wire.placing import n_outputs

CELLS = 256
"""A cache has a multiple of so many cells."""


@dataclass(frozen=True, slots=True)
class Context:
    """One context.

    Attributes:
        n_ctx: tokens of all sequences together, after rounding.
        n_ctx_seq: tokens of one sequence, which is what attention looks at.
        n_seq_max: sequences; `n_stream` of them have a cache of their own.
        n_cells_windowed: cells of the cache of layers with a window.
        n_tokens: tokens of the largest graph, at most one micro-batch.
        n_outputs: tokens of it whose logits are computed.
        n_outputs_max: tokens that the output buffer holds.
        flash_attn: whether attention is computed without the matrix of scores.
        type_k, type_v: of cached keys and values.
    """

    n_ctx: int
    n_ctx_seq: int
    n_seq_max: int
    n_stream: int
    n_cells_windowed: int
    n_tokens: int
    n_outputs: int
    n_outputs_max: int
    flash_attn: bool
    type_k: TensorType
    type_v: TensorType


def context_of(architecture: Architecture, options: Mapping[str, Value]) -> Context:
    """The context of these load options.

    Args:
        options: checked load options.

    Raises:
        KnownError: what the engine would refuse: a quantized V without flash attention, types whose blocks do not fit
            the heads, two types for a cache of one row.
    """
    type_k, type_v = _cache_type(options, "type_k"), _cache_type(options, "type_v")
    n_seq_max, kv_unified = _whole(options, "n_seq_max"), bool(options["kv_unified"])
    flash_attn = str(options["flash_attn"]) != "off"
    _refuse(architecture, type_k, type_v, flash_attn=flash_attn)
    n_ctx = _padded(_whole(options, "n_ctx") or architecture.n_ctx_train)
    n_ctx_seq = n_ctx if kv_unified else _padded(n_ctx // n_seq_max)
    if not kv_unified:
        n_ctx = n_ctx_seq * n_seq_max
    n_batch = _whole(options, "n_batch")
    n_ubatch = min(_whole(options, "n_ubatch"), n_batch)
    if architecture.is_causal:
        # The engine cuts the batch to the context before it rounds it.
        n_batch = min(_whole(options, "n_ctx") or architecture.n_ctx_train, n_batch)
    n_ubatch = min(n_ubatch, n_batch)
    n_sharing = n_seq_max if kv_unified else 1
    n_windowed = min(n_ctx_seq, architecture.windows.n_window * n_sharing + n_ubatch)
    n_outputs_max = n_outputs(options)
    n_tokens = min(n_ctx, n_ubatch)
    return Context(
        n_ctx=n_ctx,
        n_ctx_seq=n_ctx_seq,
        n_seq_max=n_seq_max,
        n_stream=1 if kv_unified else n_seq_max,
        n_cells_windowed=n_ctx_seq if options["swa_full"] else _padded(n_windowed),
        n_tokens=n_tokens,
        n_outputs=min(n_tokens, n_outputs_max),
        n_outputs_max=n_outputs_max,
        flash_attn=flash_attn,
        type_k=type_k,
        type_v=type_v,
    )


def _refuse(architecture: Architecture, type_k: TensorType, type_v: TensorType, *, flash_attn: bool) -> None:
    use_f16 = Remedy(RemedyKind.SET_OPTION, "Use f16", "type_k=f16,type_v=f16")
    if type_v.block_size > 1 and not flash_attn and not architecture.is_mla:
        raise KnownError(
            "A quantized V cache needs flash attention",
            value=f"type_v {type_v.name.lower()}, flash attention off",
            next_step="turn flash attention on, or use f16 for V",
            remedies=(Remedy(RemedyKind.SET_OPTION, "Turn it on", "flash_attn=on"), use_f16),
        )
    if architecture.is_mla and type_k is not type_v:
        raise KnownError(
            "This model keeps keys and values in one row, so both must have one type",
            value=f"{type_k.name.lower()} and {type_v.name.lower()}",
            next_step="choose the same type for K and V",
            remedies=(use_f16,),
        )
    for kind, sizes in ((type_k, architecture.head_k), (type_v, architecture.head_v)):
        wrong = [n for n, cached in zip(sizes, architecture.has_cache, strict=True) if cached and n % kind.block_size]
        if wrong:
            raise KnownError(
                "The heads of this model are not whole blocks of the cache's type",
                value=f"{wrong[0]} elements, {kind.name.lower()} has blocks of {kind.block_size}",
                next_step="use f16 for the KV cache",
                remedies=(use_f16,),
            )


def _padded(n_tokens: int) -> int:
    return -(-n_tokens // CELLS) * CELLS


def _whole(options: Mapping[str, Value], key: str) -> int:
    return int(str(options[key]))


def _cache_type(options: Mapping[str, Value], key: str) -> TensorType:
    return TensorType[str(options[key]).upper()]
