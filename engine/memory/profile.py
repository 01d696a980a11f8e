"""What one token moves and computes, layer by layer: read off a model's tensor list, for placing it on other devices.

The header gives the weights of each layer and which of them one token reads; the engine's own plan gives the size of the
cache, which is dealt out here in the proportions of the header's heads and windows. So the sums are the engine's, and
only the shares are ours. Source: llama-model-loader.cpp (which tensors are loaded), llama-hparams.cpp (windows).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.gguf.header import Header, TensorInfo
from engine.memory.ledger import Ledger, Part

_LAYER = re.compile(r"blk\.(\d+)\.")
_EXPERTS = re.compile(r"_exps\.")
_INPUT = ("token_embd.", "position_embd.", "per_layer_token_embd.", "token_types.")

WINDOW_PERIODS: Mapping[str, int] = MappingProxyType(
    {
        **{"gemma2": 2, "gpt-oss": 2, "gemma3": 6, "gemma-embedding": 6, "gemma3n": 5, "cohere2": 4},
        **{"llama4": 4, "exaone4": 4, "exaone-moe": 4, "olmo2": 4, "afmoe": 4, "mellum": 4, "plamo3": 8},
    }
)
"""Every n-th layer sees everything, the others a window, where the file does not say which (llama-model.cpp)."""


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """One layer, or the output. Sizes in bytes.

    Attributes:
        weights_bytes: all of it.
        read_bytes: what one token reads of it; less than all where there are experts.
        n_active: numbers that one token is multiplied with.
        kv_width: keys and values of one token, in elements; 0 without a cache.
        window: tokens that it looks back on, None for all.
    """

    weights_bytes: int
    read_bytes: float
    n_active: float
    kv_width: int = 0
    window: int | None = None


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """A model as placement and speed see it.

    Attributes:
        layers: in order.
        output: the last matrix and its norm; of a model with tied embeddings, the embedding once more.
        input_bytes: the embedding tables, which stay with the processor and are only looked up.
        n_head, head_size: for the operations of attention, elements.
        is_tied: the output is the embedding, and no second copy where both lie in one memory.
    """

    layers: tuple[LayerProfile, ...]
    output: LayerProfile
    input_bytes: int
    n_head: int
    head_size: int
    is_tied: bool = False

    @property
    def weights_bytes(self) -> int:
        """Layers and output."""
        return sum(each.weights_bytes for each in self.layers) + self.output.weights_bytes

    @property
    def read_bytes(self) -> float:
        """Weights that one token reads."""
        return sum(each.read_bytes for each in self.layers) + self.output.read_bytes

    @property
    def n_active(self) -> float:
        """Parameters that one token uses."""
        return sum(each.n_active for each in self.layers) + self.output.n_active


@dataclass(frozen=True, slots=True)
class Need:
    """What the engine's plan says a load takes beside the weights, in bytes.

    Attributes:
        n_ctx: context, tokens.
        kv_bytes: cache and recurrent state of all layers.
        compute_bytes: the largest compute buffer, which every device that computes needs.
        host_bytes: what stays with the processor: output rows, process, tokenizer, a draft model.
    """

    n_ctx: int
    kv_bytes: int
    compute_bytes: int
    host_bytes: int


def need_of(ledger: Ledger) -> Need:
    """What a planned load takes beside the weights."""

    def all_of(*parts: Part) -> int:
        return sum(ledger.size_of(each) or 0 for each in parts)

    computes = [each.size_of(Part.COMPUTE) or 0 for each in ledger.devices]
    return Need(
        n_ctx=ledger.n_ctx,
        kv_bytes=all_of(Part.KV, Part.RECURRENT),
        compute_bytes=max(computes),
        host_bytes=all_of(Part.OUTPUT, Part.OVERHEAD, Part.DRAFT, Part.BESIDE),
    )


def profile_of(headers: Sequence[Header]) -> ModelProfile:
    """The profile of a model from the headers of all its parts; metadata is the first one's."""
    first = headers[0]
    arch = first.architecture or ""
    n_layer = first.whole(f"{arch}.block_count") or 0
    n_layer -= first.whole(f"{arch}.nextn_predict_layers") or 0  # in the file, not loaded
    n_expert = first.whole(f"{arch}.expert_count") or 0
    used = (first.whole(f"{arch}.expert_used_count") or 0) / n_expert if n_expert else 1.0
    by_layer: dict[int, list[TensorInfo]] = {}
    inputs: list[TensorInfo] = []
    outputs: list[TensorInfo] = []
    for tensor in (each for header in headers for each in header.tensors):
        match = _LAYER.match(tensor.name)
        if match is not None:
            by_layer.setdefault(int(match[1]), []).append(tensor)
        elif tensor.name.startswith(_INPUT):
            inputs.append(tensor)
        else:
            outputs.append(tensor)
    is_tied = not any(each.name == "output.weight" for each in outputs)
    if is_tied:
        outputs += [each for each in inputs if each.name == "token_embd.weight"]
    widths, windows = _kv_widths(first, arch, n_layer), _windows(first, arch, n_layer)
    layers = tuple(
        _layer(by_layer.get(place, ()), used, widths[place], windows[place]) for place in range(max(0, n_layer))
    )
    n_head = _at(first.whole_or_per_layer(f"{arch}.attention.head_count"), 0) or 0
    return ModelProfile(
        layers=layers,
        output=_layer(outputs, 1.0, 0, None),
        input_bytes=sum(each.size_bytes for each in inputs),
        n_head=n_head,
        head_size=_head_size(first, arch, n_head),
        is_tied=is_tied,
    )


def kv_bytes_by_layer(profile: ModelProfile, need: Need) -> list[float]:
    """How the cache's bytes lie on the layers; without any known width they are dealt out evenly."""
    sizes = [float(each.kv_width * _cells(each, need.n_ctx)) for each in profile.layers]
    if not sum(sizes):
        sizes = [1.0] * len(profile.layers)
    total = sum(sizes)
    return [need.kv_bytes * each / total for each in sizes] if total else []


def kv_read_by_layer(profile: ModelProfile, need: Need, depth: int) -> list[float]:
    """Bytes of the cache that one token reads of each layer, `depth` tokens into the context."""
    found = []
    for each, size in zip(profile.layers, kv_bytes_by_layer(profile, need), strict=True):
        seen = depth if each.window is None else min(depth, each.window)
        found.append(size * min(1.0, seen / max(1, _cells(each, need.n_ctx))))
    return found


def flops_by_layer(profile: ModelProfile, n_tokens: int) -> list[float]:
    """Operations to read a prompt of `n_tokens` into an empty context, of each layer and, last, of the output.

    2 for each active parameter and token, and attention's 4 · heads · head size · tokens · mean depth. The output is
    computed for one token only, as nothing but the last one's logits is asked for.
    """
    attention = 4.0 * profile.n_head * profile.head_size * n_tokens * (n_tokens / 2)
    found = [2 * each.n_active * n_tokens + (attention if each.kv_width else 0.0) for each in profile.layers]
    return [*found, 2 * profile.output.n_active]


def _cells(layer: LayerProfile, n_ctx: int) -> int:
    if layer.window is None:
        return n_ctx
    return min(n_ctx, -(-(layer.window + 512) // 256) * 256)  # window and one micro-batch (llama-kv-cache-iswa.cpp)


def _layer(tensors: Iterable[TensorInfo], used: float, kv_width: int, window: int | None) -> LayerProfile:
    size, read, active = 0, 0.0, 0.0
    for each in tensors:
        share = used if _EXPERTS.search(each.name) else 1.0
        size += each.size_bytes
        read += each.size_bytes * share
        # Norms and biases are added or multiplied element by element: nothing beside the matrices.
        active += each.n_elements * share if len(each.shape) > 1 else 0.0
    return LayerProfile(size, read, active, kv_width, window)


def _kv_widths(header: Header, arch: str, n_layer: int) -> list[int]:
    heads = header.whole_or_per_layer(f"{arch}.attention.head_count")
    kv = header.whole_or_per_layer(f"{arch}.attention.head_count_kv")
    size_k = header.whole(f"{arch}.attention.key_length")
    size_v = header.whole(f"{arch}.attention.value_length")
    is_mla = header.whole(f"{arch}.attention.key_length_mla") is not None
    found = []
    for place in range(n_layer):
        n_head = _at(heads, place) or 0
        n_kv = _at(kv, place)
        default = _head_size(header, arch, n_head)
        width_k = size_k if size_k is not None else default
        width_v = 0 if is_mla else size_v if size_v is not None else default
        found.append((n_head if n_kv is None else n_kv) * (width_k + width_v))
    return found


def _windows(header: Header, arch: str, n_layer: int) -> list[int | None]:
    window = header.whole(f"{arch}.attention.sliding_window")
    pattern = header.whole_or_per_layer(f"{arch}.attention.sliding_window_pattern")
    period = WINDOW_PERIODS.get(arch)
    if not window or (pattern is None and period is None):
        return [None] * n_layer
    if isinstance(pattern, tuple):
        return [window if _at(pattern, place) else None for place in range(n_layer)]
    every = pattern or period or 1
    return [window if place % every < every - 1 else None for place in range(n_layer)]


def _head_size(header: Header, arch: str, n_head: int) -> int:
    n_embd = header.whole(f"{arch}.embedding_length") or 0
    known = header.whole(f"{arch}.attention.key_length")
    return known if known is not None else n_embd // n_head if n_head else 0


def _at(value: int | tuple[int, ...] | None, place: int) -> int | None:
    if isinstance(value, tuple):
        return value[place] if place < len(value) else None
    return value
