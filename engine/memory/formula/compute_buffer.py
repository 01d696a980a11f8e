"""The compute buffer: the largest moment of the largest graph, in F32 elements for each token of a micro-batch.

llama.cpp lays the graph out once for the worst case and reuses memory as results are no longer needed, so the size is a
maximum over moments: while logits are made, in the widest feed-forward, inside attention (without flash attention the
scores of all heads), in a state-space layer. Each formula counts what is alive then: E the hidden state, Q and O the
width of all queries and of what attention gives, F the feed-forward's width, u the experts of a token, V the vocabulary.

Checked against the dry run: to the byte for the llama family on the CPU, within 15 % for all others that tests lay out
(tests/engine/memory/formula).

Beside a GPU there are two buffers. The inputs and the first hidden states stand in pinned RAM. On the GPU, where all layers
are on it, is what the CPU would have without them. Where layers are in RAM, large batches are computed on the first GPU all
the same (`op_offload`, llama.cpp's default): one weight after another is copied there, and the cache of one layer; the gaps
between such copies are `GAPS`, the one figure here that is fitted and not derived. Compared with dry runs on Mesa's software
Vulkan device: dense models wholly on it to some bytes, the partly filled device within a fifth (tests/gpu).
Source: ggml-alloc.c, llama-graph.cpp, src/models/<architecture>.cpp; measured by varying one width at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.gguf.types import TensorType
from engine.memory.formula.architecture import Architecture
from engine.memory.formula.context import Context

LLAMA_FAMILY = frozenset({"llama", "qwen2", "qwen3", "mistral3", "internlm2", "minicpm", "arcee"})
HADAMARD = 64
ALIGNMENT = 32
LEAST_OFFLOADED = 32  # tokens: smaller batches of host weights stay on the CPU (GGML_OP_OFFLOAD_MIN_BATCH)
GAPS = 1.1


@dataclass(frozen=True, slots=True)
class ComputeParts:
    """What a graph takes.

    Attributes:
        n_tokens: in the graph, at most a micro-batch.
        peak_bytes: the whole buffer when everything is on the CPU.
        pinned_bytes: what stands in pinned RAM beside a GPU that computes.
        device_bytes: on a GPU that has its layers and their cache.
        attention_bytes, gate_bytes: moments of it when a GPU computes with what is in RAM, without what is copied for them.
        is_exact: whether `peak_bytes` is to the byte.
    """

    n_tokens: int
    peak_bytes: int
    pinned_bytes: int
    device_bytes: int
    attention_bytes: int
    gate_bytes: int
    is_exact: bool

    def offloaded_bytes(self, weight_bytes: int, cache_bytes: int | None) -> int:
        """On a GPU that computes large batches with weights in RAM.

        Args:
            weight_bytes: the largest of these weights.
            cache_bytes: the largest cache of a layer that is in RAM; None where only some tensors of layers are there.
        """
        gate = self.gate_bytes + weight_bytes
        if cache_bytes is None:
            return max(self.device_bytes, gate)
        return round(GAPS * max(self.peak_bytes, self.attention_bytes + cache_bytes, gate))


def compute_of(architecture: Architecture, context: Context) -> ComputeParts:
    """The compute buffer of a context."""
    a, n_tokens = architecture, context.n_tokens
    masks = _mask_bytes(a, context)
    indices = sum(-(-size * n_tokens // ALIGNMENT) * ALIGNMENT for size in _input_sizes(a, context))
    is_rotated = _rotation_bytes(a, context) > 0
    logits = 4 * context.n_outputs * a.n_vocab + 4 * n_tokens * (a.n_embd * (3 if is_rotated else 2) + 1)
    tail = -(-4 * context.n_outputs // ALIGNMENT) * ALIGNMENT + _rotation_bytes(a, context)
    inner = masks + indices + tail
    # Behind the last attention the masks are free, and only tokens with an output go on; with one layer that is before
    # its feed-forward.
    hidden = 4 * n_tokens * a.n_embd
    feed_forward = 4 * n_tokens * _feed_forward_width(a, context) + inner
    if a.n_layer == 1:
        feed_forward = 4 * context.n_outputs * _feed_forward_width(a, context) + indices + tail
    moments = [feed_forward]
    attention = _attention_bytes(a, context) + inner if any(a.has_cache) else 0
    if attention:
        moments.append(attention)
    if any(a.is_recurrent):
        moments.append(4 * n_tokens * _state_space_width(a) + _state_bytes(a) + inner)
    is_exact = (
        a.name in LLAMA_FAMILY
        and not a.n_expert
        and a.n_layer > 1
        and context.n_seq_max == 1  # with three, the dry run has 2,336 bytes more
        and a.n_head[0] * a.head_v[0] == a.n_embd
        and (context.n_outputs == 1 or (context.n_outputs == n_tokens and context.flash_attn and not is_rotated))
    )
    kept = 0 if a.windows.is_used else 4 * n_tokens * _kept_width(a, context)
    return ComputeParts(
        n_tokens=n_tokens,
        peak_bytes=max(logits, *moments),
        pinned_bytes=inner + 2 * hidden,
        # The embedding is looked up in RAM, so its result and the tokens' ids are not there.
        device_bytes=max(logits, feed_forward - kept, *moments[1:]) - hidden - 4 * n_tokens,
        attention_bytes=attention,
        gate_bytes=inner + 4 * n_tokens * 2 * max(*a.n_ff, a.n_expert_used * a.n_ff_expert) + 2 * hidden,
        is_exact=is_exact,
    )


def _mask_bytes(a: Architecture, context: Context) -> int:
    """The masks of what each token may see: F16 with flash attention, else F32; two where layers have a window."""
    if not any(a.has_cache):
        return 0
    cells = context.n_ctx_seq + (context.n_cells_windowed if a.windows.is_used else 0)
    return (2 if context.flash_attn else 4) * context.n_tokens * cells


def _input_sizes(a: Architecture, context: Context) -> tuple[int, ...]:
    """Bytes a token of each input: the token, its place, and in which cells its keys and values go.

    Values that lie transposed, as without flash attention, need a place for each of their elements.
    """
    if not any(a.has_cache):
        return (4,)
    n_places = 1 if context.flash_attn else a.widest_value
    cells = (8,) if a.is_mla else (8, 8 * n_places)
    return (4, 4 * a.n_pos, *cells, *((8,) * len(cells) if a.windows.is_used else ()))


def _rotation_bytes(a: Architecture, context: Context) -> int:
    """The Hadamard matrices that spread outliers before keys and values are quantized (llama-kv-cache.cpp)."""
    if not any(a.has_cache) or a.is_mla:
        return 0
    found = 0
    for windowed in {False, a.windows.is_used}:
        for kind, sizes in ((context.type_k, a.head_k), (context.type_v, a.head_v)):
            heads = {
                n
                for n, cached, there in zip(sizes, a.has_cache, a.windows.is_windowed, strict=True)
                if cached and there is windowed
            }
            head = heads.pop() if len(heads) == 1 else 0
            if kind.block_size == 1 or head <= 0 or head % HADAMARD:
                continue
            side = HADAMARD
            while kind is context.type_k and sizes is a.head_k and head % (2 * side) == 0:
                side *= 2
            found += 4 * side * side
    return found


def _feed_forward_width(a: Architecture, context: Context) -> int:
    e = a.n_embd
    out = a.widest_output
    if a.is_mla:
        out = a.n_head[0] * a.mla_head_v
    if a.windows.is_used:
        kept = 2 * out if _rotation_bytes(a, context) and out < e else out
    else:
        kept = _kept_width(a, context)
    dense = 3 * max(a.n_ff) + 3 * e + kept
    if not a.n_expert:
        if a.n_embd_per_layer and a.name == "gemma3n":
            return 3 * max(a.n_ff) + 13 * e + out
        return max(dense, 3 * e + 4 * a.n_layer * a.n_embd_per_layer)
    used, wide = a.n_expert_used, a.n_ff_expert
    experts = 3 * used * wide + 3 * e + kept
    if used * e > 2 * used * wide:
        # What the experts give does not fit where gate and up were, so it stands behind them.
        experts = 3 * used * wide + used * e + 4 * e
    if a.name == "llama4":
        experts = 3 * used * wide + 5 * e + 3 * a.n_expert
    return max(experts, dense if _has_dense_layers(a) else 0)


def _kept_width(a: Architecture, context: Context) -> int:
    """What attention gave, where it is still there during the feed-forward of a model without windows."""
    out = a.n_head[0] * a.mla_head_v if a.is_mla else a.widest_output
    return min(out, a.n_embd) if _keeps_attention(a, context) and not any(a.is_recurrent) else 0


def _keeps_attention(a: Architecture, context: Context) -> bool:
    """Whether what attention gave lies where the feed-forward could have begun; so it is with values in 16 bits."""
    if context.type_v is TensorType.F32 or not context.flash_attn:
        return False
    return context.type_v.block_size == 1 or not _rotation_bytes(a, context)


def _has_dense_layers(a: Architecture) -> bool:
    return a.name in ("deepseek2", "glm4moe", "lfm2moe", "bailingmoe2", "dots1", "kimi-linear")


def scores_bytes(a: Architecture, context: Context) -> tuple[int, int]:
    """The matrix of attention's scores in bytes, and how many heads it is of; none with flash attention or no cache."""
    if context.flash_attn or not any(a.has_cache):
        return 0, 0
    heads = a.n_head[_widest_layer(a)]
    return 4 * context.n_tokens * heads * context.n_ctx_seq, heads


def work_bytes(a: Architecture, context: Context) -> int:
    """ggml's work buffer on the CPU, where it is worth a word: the scores as 16-bit numbers, to multiply values with.

    Source: ggml-cpu.c, `ggml_graph_plan` (GGML_OP_MUL_MAT: the second matrix in the type that the first is multiplied in).
    """
    return 0 if context.type_v is TensorType.F32 else scores_bytes(a, context)[0] // 2


def _widest_layer(a: Architecture) -> int:
    return max(range(a.n_layer_all), key=lambda il: a.n_head[il] * a.head_k[il] if a.has_cache[il] else -1)


def _attention_bytes(a: Architecture, context: Context) -> int:
    """While attention is computed, without the inputs: queries, what they give, and the scores or copies of the cache."""
    e, n_tokens = a.n_embd, context.n_tokens
    widest = _widest_layer(a)
    heads = a.n_head[widest]
    query = heads * a.head_k[widest]
    scores, _ = scores_bytes(a, context)
    if a.is_mla:
        nope = a.mla_head_k - a.n_rot
        return 4 * n_tokens * (heads * (a.head_k[widest] + a.kv_lora_rank + a.mla_head_k + nope) + 4 * e) + scores
    if context.flash_attn:
        casts = _cast_bytes(a, context, widest)
        keys = 0 if casts else a.n_head_kv[widest] * a.head_k[widest]
        return 4 * n_tokens * (3 * e + 2 * query + keys) + casts
    width = 3 * e + (3 if a.windows.is_used else 2) * query
    if context.type_k.block_size > 1 and _rotation_bytes(a, context):
        width -= e
    if a.n_embd_per_layer:
        width += 2 * a.n_layer * a.n_embd_per_layer if a.name == "gemma4" else 8 * e
    return 4 * n_tokens * width + scores


def _cast_bytes(a: Architecture, context: Context, layer: int) -> int:
    """Flash attention works on 16 bits: of a cache in F32 it gets a copy of one layer."""
    found = 0
    for kind, head in ((context.type_k, a.head_k[layer]), (context.type_v, a.head_v[layer])):
        if kind is TensorType.F32:
            found += 2 * context.n_ctx_seq * head * a.n_head_kv[layer]
    return found


def _state_space_width(a: Architecture) -> int:
    e = a.n_embd
    if a.n_decay or a.name.startswith(("rwkv", "arwkv")):
        return 19 * e + a.n_decay
    if not a.n_inner:
        return 3 * e
    if a.name in ("mamba", "jamba"):
        return 6 * a.n_inner + e
    if a.name in ("qwen3next", "qwen35", "qwen35moe"):
        return 3 * e + 4 * a.n_inner + 4 * a.n_group * a.n_state
    out = a.widest_output
    return 3 * e + (out if a.name == "falcon-h1" else 0) + 5 * a.n_inner + 6 * a.n_group * a.n_state + a.n_dt


def _state_bytes(a: Architecture) -> int:
    """The state of a layer as it is read, and the convolution's part as it is written back."""
    return 4 * (2 * a.state.n_shift + a.state.n_state) + ALIGNMENT
