"""The state of recurrent layers: of one size whatever the context, always in F32.

    bytes = sum over recurrent layers of (R + S) · 4 · sequences

R holds the last inputs of a convolution (or of RWKV's token shift), S the state itself.
Source: llama-hparams.cpp n_embd_r and n_embd_s, llama-memory-recurrent.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.gguf.header import Header

RECURRENT = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
HYBRID = frozenset(
    {
        "jamba", "falcon-h1", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe", "qwen3next",
        "kimi-linear", "bailingmoe3", "kimi-k3", "qwen35", "qwen35moe", "minimax-01",
    }
)  # fmt: skip
BY_INTERVAL = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "minimax-01": 8}
"""Every so many layers one has attention, where the file does not say."""

F32_BYTES = 4
TOKEN_SHIFTS = 2


@dataclass(frozen=True, slots=True)
class StateSizes:
    """The state of one layer and sequence, in elements: `n_shift` (R) and `n_state` (S)."""

    n_shift: int
    n_state: int

    @property
    def row_bytes(self) -> int:
        return F32_BYTES * (self.n_shift + self.n_state)


def recurrent_layers(
    header: Header, name: str, n_layer_all: int, n_layer: int, n_head_kv: Sequence[int], n_ff: Sequence[int]
) -> tuple[bool, ...]:
    """For every layer whether it keeps a state."""
    layers = range(n_layer_all)
    if name in RECURRENT or name == "falcon-h1":
        return (True,) * n_layer_all
    if name not in HYBRID:
        return (False,) * n_layer_all
    if name in BY_INTERVAL:
        stated = header.whole_or_per_layer(f"{name}.attention.recurrent_layers")
        if isinstance(stated, tuple):
            return tuple(il < n_layer and il < len(stated) and bool(stated[il]) for il in layers)
        interval = header.whole(f"{name}.full_attention_interval") or BY_INTERVAL[name]
        return tuple(il < n_layer and (il + 1) % interval != 0 for il in layers)
    if name in ("nemotron_h", "nemotron_h_moe"):
        return tuple(il < n_layer and n_head_kv[il] == 0 and n_ff[il] == 0 for il in layers)
    return tuple(il < n_layer and n_head_kv[il] == 0 for il in layers)


def state_sizes(header: Header, name: str, n_embd: int, n_head: int, head_k: int) -> StateSizes:
    """R and S of one layer, in elements.

    Args:
        n_head, head_k: heads of the first layer and the width of one key.
    """

    def number(key: str) -> int:
        return header.whole(f"{name}.{key}") or 0

    if head := number("wkv.head_size"):
        shifts = header.whole(f"{name}.token_shift_count")
        return StateSizes((TOKEN_SHIFTS if shifts is None else shifts) * n_embd, n_embd * head)
    if name in ("lfm2", "lfm2moe"):
        return StateSizes(n_embd * max(0, number("shortconv.l_cache") - 1), 0)
    n_conv = max(0, number("ssm.conv_kernel") - 1)
    if head := number("kda.head_dim"):
        return StateSizes(3 * (n_conv if number("ssm.conv_kernel") else 3) * n_head * head, head * head * n_head)
    n_inner, n_state, n_group = number("ssm.inner_size"), number("ssm.state_size"), number("ssm.group_count")
    n_shift = n_conv * (n_inner + 2 * n_group * n_state)
    if name == "minimax-01":
        return StateSizes(n_shift, head_k * head_k * n_head)
    return StateSizes(n_shift, n_state * n_inner)


def layer_state_bytes(sizes: StateSizes, n_seq_max: int) -> int:
    """Bytes of one layer's state for all sequences, as llama.cpp lays its two tensors out (each to whole 32 bytes)."""
    parts = (F32_BYTES * sizes.n_shift * n_seq_max, F32_BYTES * sizes.n_state * n_seq_max)
    return sum(-(-each // 32) * 32 for each in parts)
