"""A model's numbers that decide memory, read from its header as llama.cpp reads them (`llama_hparams`).

One value for every layer, so that the formulas need not know which architectures have arrays, periods or defaults.
Source: llama-model.cpp load_hparams, llama-hparams.cpp, src/models/<architecture>.cpp load_arch_hparams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.gguf.header import Header
from engine.memory.formula.recurrent_state import HYBRID, RECURRENT, StateSizes, recurrent_layers, state_sizes
from engine.memory.formula.windows import Windows, windows_of

NEEDS_DRY_RUN = frozenset(
    {
        "minimax-m3", "glm-dsa", "deepseek32", "deepseek4", "glm5-next", "qwen4exp", "hy-v4", "dots3note", "dflash",
        "eagle3", "gemma4-assistant", "graniteswitch", "nanbeige", "hrm_text", "t5", "t5encoder", "qwen3tts", "pockettts",
        "wavtokenizer-dec", "clip",
    }
)  # fmt: skip
"""Caches with an indexer or a compressor, shared with another model, or of layers that are gone through several times."""

NO_CACHE = frozenset(
    {
        "bert", "jina-bert-v2", "jina-bert-v3", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert", "modern-bert",
        "gemma-embedding", "dream", "llada", "llada-moe", "rnd1",
    }
)  # fmt: skip
"""Encoders and diffusion models, which compute every token anew (llama_model::create_memory)."""

MLA = frozenset({"deepseek2", "deepseek2-ocr", "mistral4", "bailingmoe3", "kimi-linear", "kimi-k3"})
GEMMA_3N_LAYERS_WITH_CACHE = 20
MAX_LAYERS = 512  # LLAMA_MAX_LAYERS


class FormulaUnknown(KnownError):
    """The formula does not cover this model; the dry run does."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers of one model. Tuples have one value for each of the `n_layer_all` layers.

    Attributes:
        name: llama.cpp's name of the architecture.
        n_layer_all: layers in the file; the last `n_layer_all - n_layer` predict further tokens (NextN) and stay unused.
        n_layer: layers that the model computes with.
        n_embd, n_vocab: width of the hidden state; tokens.
        n_head, n_head_kv: heads, and heads that have keys and values of their own.
        head_k, head_v: width of one head's key and value, elements.
        n_ff: feed-forward width of each layer, 0 where it has experts only or none.
        has_cache: whether the layer keeps keys and values.
        is_recurrent: whether the layer keeps a state of fixed size.
        state: that size, of one layer and sequence.
        n_inner, n_state, n_group, n_dt, n_decay: widths of a state-space layer (RWKV has only the last), elements.
        windows: the layers with a sliding window.
        is_mla: the cache holds one compressed row for keys and values together.
        mla_head_k, mla_head_v, kv_lora_rank, n_rot: of such a model, elements.
        n_expert, n_expert_used, n_ff_expert: experts of a layer, used for a token, and width of one.
        n_ctx_train: context that the model was trained for, tokens.
        is_causal: false for encoders.
        n_pos: numbers that say the place of a token (4 with M-RoPE).
        n_embd_per_layer: width of the embedding that each layer has of its own (gemma3n, gemma4), else 0.
    """

    name: str
    n_layer_all: int
    n_layer: int
    n_embd: int
    n_vocab: int
    n_head: tuple[int, ...]
    n_head_kv: tuple[int, ...]
    head_k: tuple[int, ...]
    head_v: tuple[int, ...]
    n_ff: tuple[int, ...]
    has_cache: tuple[bool, ...]
    is_recurrent: tuple[bool, ...]
    state: StateSizes
    n_inner: int
    n_state: int
    n_group: int
    n_dt: int
    n_decay: int
    windows: Windows
    is_mla: bool
    mla_head_k: int
    mla_head_v: int
    kv_lora_rank: int
    n_rot: int
    n_expert: int
    n_expert_used: int
    n_ff_expert: int
    n_ctx_train: int
    is_causal: bool
    n_pos: int
    n_embd_per_layer: int

    @property
    def widest_value(self) -> int:
        """Elements of the values of one token in the layer that has most of them."""
        return max(head * n for head, n in zip(self.head_v, self.n_head_kv, strict=True))

    @property
    def widest_output(self) -> int:
        """Elements that attention gives for one token in the layer that has most heads."""
        return max(head * n for head, n in zip(self.head_v, self.n_head, strict=True))


def architecture_of(header: Header) -> Architecture:
    """The numbers of a model's header (the first part's, where it is split).

    Raises:
        FormulaUnknown: a number is missing, or the architecture needs the dry run.
    """
    name = header.architecture or ""
    if not name or name in NEEDS_DRY_RUN:
        raise FormulaUnknown(
            "The formula does not know this architecture",
            value=name or "none",
            next_step="ask the engine: --method dry-run",
        )
    n_layer_all = _number(header, name, "block_count")
    if not 0 < n_layer_all <= MAX_LAYERS:
        raise FormulaUnknown(
            "The number of layers cannot be right", value=f"{n_layer_all:,}", next_step="ask the engine"
        )
    n_layer = max(0, n_layer_all - _number(header, name, "nextn_predict_layers", 0))
    n_embd = _number(header, name, "embedding_length")
    n_head = _per_layer(header, f"{name}.attention.head_count", n_layer_all, (0,) * n_layer_all)
    n_head_kv = _per_layer(header, f"{name}.attention.head_count_kv", n_layer_all, n_head)
    n_ff = _per_layer(header, f"{name}.feed_forward_length", n_layer_all, (0,) * n_layer_all)
    n_expert_used = max(_per_layer(header, f"{name}.expert_used_count", n_layer_all, (0,)))
    n_ff_expert = max(_per_layer(header, f"{name}.expert_feed_forward_length", n_layer_all, (max(n_ff),)))
    windows = windows_of(header, name, n_layer_all, n_layer, n_head_kv)
    head_k, head_v = (_head_sizes(header, name, f"{what}_length", n_embd, n_head, windows) for what in ("key", "value"))
    mla_head_k = _number(header, name, "attention.key_length_mla", 0)
    mla_head_v = _number(header, name, "attention.value_length_mla", 0)
    is_recurrent = recurrent_layers(header, name, n_layer_all, n_layer, n_head_kv, n_ff)
    return Architecture(
        name=name,
        n_layer_all=n_layer_all,
        n_layer=n_layer,
        n_embd=n_embd,
        n_vocab=header.length("tokenizer.ggml.tokens") or _number(header, name, "vocab_size", 0),
        n_head=n_head,
        n_head_kv=n_head_kv,
        head_k=head_k,
        head_v=head_v,
        n_ff=n_ff,
        has_cache=_cached_layers(header, name, n_layer_all, n_layer, n_ff, is_recurrent),
        is_recurrent=is_recurrent,
        state=state_sizes(header, name, n_embd, n_head[0], head_k[0]),
        n_inner=_number(header, name, "ssm.inner_size", 0),
        n_state=_number(header, name, "ssm.state_size", 0),
        n_group=_number(header, name, "ssm.group_count", 0),
        n_dt=_number(header, name, "ssm.time_step_rank", 0),
        n_decay=_number(header, name, "attention.decay_lora_rank", 0),
        windows=windows,
        is_mla=name in MLA and mla_head_k > 0 and mla_head_v > 0,
        mla_head_k=mla_head_k,
        mla_head_v=mla_head_v,
        kv_lora_rank=_number(header, name, "attention.kv_lora_rank", 0),
        n_rot=_number(header, name, "rope.dimension_count", max(head_k)),
        n_expert=_number(header, name, "expert_count", 0),
        n_expert_used=n_expert_used,
        n_ff_expert=n_ff_expert,
        n_ctx_train=_number(header, name, "context_length"),
        is_causal=header.flag(f"{name}.attention.causal") is not False,
        n_pos=4 if header.length(f"{name}.rope.dimension_sections") is not None else 1,
        n_embd_per_layer=_number(header, name, "embedding_length_per_layer_input", 0),
    )


def _cached_layers(
    header: Header, name: str, n_layer_all: int, n_layer: int, n_ff: Sequence[int], is_recurrent: Sequence[bool]
) -> tuple[bool, ...]:
    """Which layers keep keys and values: the filters of llama_model::create_memory."""
    layers = range(n_layer_all)
    if name in NO_CACHE or name in RECURRENT:
        return (False,) * n_layer_all
    if name == "falcon-h1":
        return (True,) * n_layer_all
    if name in ("nemotron_h", "nemotron_h_moe"):
        return tuple(not is_recurrent[il] and n_ff[il] == 0 for il in layers)
    if name in HYBRID:
        ends = n_layer if name in ("qwen3next", "qwen35", "qwen35moe", "minimax-01") else n_layer_all
        return tuple(il < ends and not is_recurrent[il] for il in layers)
    n_own = n_layer if n_layer else n_layer_all
    if name == "gemma3n":
        n_own = min(n_own, GEMMA_3N_LAYERS_WITH_CACHE)
    elif name == "gemma4":
        n_own = min(n_own, n_layer_all - _number(header, name, "attention.shared_kv_layers", 0))
    return tuple(il < n_own for il in layers)


def _head_sizes(
    header: Header, name: str, what: str, n_embd: int, n_head: Sequence[int], windows: Windows
) -> tuple[int, ...]:
    """Width of one head in each layer; layers with a window may have another one."""
    full = header.whole(f"{name}.attention.{what}")
    if full is None or not n_head[0]:
        full = n_embd // n_head[0] if n_head[0] else 0
    windowed = header.whole(f"{name}.attention.{what}_swa")
    narrow = full if windowed is None else windowed
    return tuple(narrow if is_windowed else full for is_windowed in windows.is_windowed)


def _number(header: Header, name: str, key: str, default: int | None = None) -> int:
    found = header.whole(f"{name}.{key}")
    if found is not None:
        return found
    if default is None:
        raise FormulaUnknown(
            "The header lacks a number that the formula needs",
            value=f"{name}.{key}",
            next_step="ask the engine: --method dry-run",
        )
    return default


def _per_layer(header: Header, key: str, n_layer: int, default: Sequence[int]) -> tuple[int, ...]:
    found = header.whole_or_per_layer(key)
    if found is None:
        return tuple(default)
    if isinstance(found, int):
        return (found,) * n_layer
    if len(found) < n_layer:
        raise FormulaUnknown("An array has too few values for the layers", value=key, next_step="choose another file")
    return found[:n_layer]
