"""The card of a GGUF file: what a person wants to know before choosing it, from its header alone.

Sizes are counted from the tensors; the file's own labels (`general.size_label`, the file name) are never trusted, and
`general.file_type` is shown only next to the mix of types that is really there. What is not in the file is None and
reads "unknown". Rejected: opening the model to ask it (seconds instead of milliseconds, and a bad file can abort).
Source: gguf-py's key names; llama-model.cpp load_hparams for the defaults of missing keys.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from engine.gguf.header import Header
from engine.gguf.splits import read_model
from engine.gguf.types import FILE_TYPE_LABELS, TensorType

PerLayer: TypeAlias = int | tuple[int, ...]
Known = TypeVar("Known")

UNKNOWN = "unknown"
MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_EXPERTS = 1024  # LLAMA_MAX_EXPERTS
_GUESSED = 1024  # LLAMA_FTYPE_GUESSED


class ModelKind(enum.Enum):
    """What a GGUF file is. Only MODEL can be loaded by itself."""

    MODEL = "model"
    ADAPTER = "LoRA adapter"
    PROJECTOR = "projector"
    IMATRIX = "importance matrix"
    CONTROL_VECTOR = "control vector"
    VOCAB_ONLY = "vocabulary only"
    METADATA_ONLY = "metadata only"
    OTHER_SHARD = "later part of a split model"
    UNKNOWN = "not a language model"

    @property
    def refusal(self) -> tuple[str, str] | None:
        """What such a file is instead of a model, and the next step; None where it is one, or a part of one."""
        return _REFUSALS.get(self)


_REFUSALS = {
    ModelKind.ADAPTER: ("This file is a LoRA adapter, not a model", "load the model that it was made for"),
    ModelKind.CONTROL_VECTOR: ("This file is a control vector, not a model", "load the model that it was made for"),
    ModelKind.PROJECTOR: ("This file is a projector for images, not a model", "load the model that it belongs to"),
    ModelKind.IMATRIX: ("This file is an importance matrix for quantizing, not a model", "load a model"),
    ModelKind.VOCAB_ONLY: ("This file holds only a vocabulary, no weights", "load the model's full file"),
    ModelKind.METADATA_ONLY: ("This file holds only metadata, no weights", "load the model's full file"),
    ModelKind.UNKNOWN: ("This GGUF file holds no language model", "choose the .gguf file of a model"),
}


@dataclass(frozen=True, slots=True)
class TypeShare:
    """The tensors of one type: how many, their elements, their bytes without padding."""

    type: TensorType
    n_tensors: int
    n_params: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary position encoding: base frequency, rotated dimensions of a head, and how a longer context is reached.

    `scaling` is "linear", "yarn", "longrope" or None; `n_ctx_orig` is the context in tokens before scaling.
    """

    freq_base: float | None
    n_dims: int | None
    scaling: str | None
    factor: float | None
    n_ctx_orig: int | None


@dataclass(frozen=True, slots=True)
class Card:
    """What a GGUF file (or all parts of a split one) holds. None means that the file does not say.

    Attributes:
        path: the file it was made from.
        kind: what the file is.
        name: the model's own name, else the file's.
        architecture: llama.cpp's name of it ("llama", "gemma3").
        n_params: elements of all tensors.
        size_label: `n_params` in short ("135M").
        quantization: `general.file_type` as a label ("Q4_K_M"), else the type with most bytes.
        mix: what the tensors are really stored as, most bytes first.
        bits_per_weight: bits of all tensors for each element.
        n_layer, n_embd: blocks, and width of the hidden state.
        n_head, n_head_kv, n_ff: heads, key/value heads and feed-forward width; one number, or one for each layer.
        head_k, head_v: width of one head's key and value.
        n_vocab: tokens.
        n_ctx_train: context in tokens that the model was trained for.
        rope: position encoding.
        sliding_window: tokens that windowed layers look back on.
        n_expert, n_expert_used: experts of a layer, and how many of them one token uses.
        tokenizer: the kind of tokenizer ("gpt2", "llama").
        chat_template: the Jinja text.
        licence, languages: as the file states them.
        size_bytes: of all files on disk.
        weights_bytes: of all tensors without padding.
        n_files: parts of the model.
        problems: why this engine would refuse the model, as sentences; empty when nothing is known against it.
    """

    path: Path
    kind: ModelKind
    name: str
    architecture: str | None
    n_params: int | None
    size_label: str | None
    quantization: str | None
    mix: tuple[TypeShare, ...]
    bits_per_weight: float | None
    n_layer: int | None
    n_embd: int | None
    n_head: PerLayer | None
    n_head_kv: PerLayer | None
    head_k: int | None
    head_v: int | None
    n_ff: PerLayer | None
    n_vocab: int | None
    n_ctx_train: int | None
    rope: Rope
    sliding_window: int | None
    n_expert: int | None
    n_expert_used: int | None
    tokenizer: str | None
    chat_template: str | None
    licence: str | None
    languages: tuple[str, ...]
    size_bytes: int
    weights_bytes: int
    n_files: int
    problems: tuple[str, ...]

    def rows(self) -> tuple[tuple[str, str], ...]:
        """The card as (label, text) pairs in reading order, with units; "unknown" where the file does not say."""
        return _rows(self)


def read_card(path: Path) -> Card:
    """The card of the model at `path`, with all its parts when it is split. Errors: `GgufError`."""
    first, *rest = read_model(path)
    return card_of(first, path, tuple(rest))


def card_of(header: Header, path: Path, rest: tuple[Header, ...] = ()) -> Card:
    """The card of one header; `rest` are the headers of a split model's other parts, whose tensors count too."""
    headers = (header, *rest)
    arch = header.architecture
    prefix = arch or ""
    mix = _mix(headers)
    n_params = sum(share.n_params for share in mix) or None
    weights_bytes = sum(share.size_bytes for share in mix)
    n_head = header.whole_or_per_layer(f"{prefix}.attention.head_count")
    n_embd = header.whole(f"{prefix}.embedding_length")
    n_head_kv = header.whole_or_per_layer(f"{prefix}.attention.head_count_kv")
    head_default = _head_size(n_embd, n_head)
    return Card(
        path=path,
        kind=kind_of(header, whole_model=bool(rest)),
        name=header.text("general.name") or header.text("general.basename") or path.stem,
        architecture=arch,
        n_params=n_params,
        size_label=size_label(n_params) if n_params else None,
        quantization=_quantization(header, mix),
        mix=mix,
        bits_per_weight=8 * weights_bytes / n_params if n_params else None,
        n_layer=header.whole(f"{prefix}.block_count"),
        n_embd=n_embd,
        n_head=n_head,
        n_head_kv=n_head if n_head_kv is None else n_head_kv,
        head_k=_or(header.whole(f"{prefix}.attention.key_length"), head_default),
        head_v=_or(header.whole(f"{prefix}.attention.value_length"), head_default),
        n_ff=header.whole_or_per_layer(f"{prefix}.feed_forward_length"),
        n_vocab=_or(header.whole(f"{prefix}.vocab_size"), header.length("tokenizer.ggml.tokens")),
        n_ctx_train=header.whole(f"{prefix}.context_length"),
        rope=_rope(header, prefix),
        sliding_window=header.whole(f"{prefix}.attention.sliding_window"),
        n_expert=header.whole(f"{prefix}.expert_count"),
        n_expert_used=header.whole(f"{prefix}.expert_used_count"),
        tokenizer=header.text("tokenizer.ggml.model"),
        chat_template=header.text("tokenizer.chat_template"),
        licence=header.text("general.license"),
        languages=header.texts("general.languages") or (),
        size_bytes=sum(each.file_size for each in headers),
        weights_bytes=weights_bytes,
        n_files=len(headers),
        problems=_problems(header, prefix),
    )


def kind_of(header: Header, *, whole_model: bool = False) -> ModelKind:
    """What the file is, by `general.type`, the architecture and the tensors.

    `whole_model`: the other parts of a split model are at hand, so a first part without tensors is no vocabulary file.
    """
    if (header.whole("split.no") or 0) > 0:
        return ModelKind.OTHER_SHARD
    stated = header.text("general.type")
    arch = header.architecture
    if arch == "controlvector":
        return ModelKind.CONTROL_VECTOR
    if stated == "adapter":
        return ModelKind.ADAPTER
    if stated in ("mmproj", "clip-vision") or arch == "clip":
        return ModelKind.PROJECTOR
    if stated == "imatrix" or "imatrix.chunk_count" in header.metadata:
        return ModelKind.IMATRIX
    if arch is None:
        return ModelKind.UNKNOWN
    is_split = (header.whole("split.count") or 0) > 1
    if not header.tensors and not whole_model and not is_split:
        if header.length("tokenizer.ggml.tokens") is not None:
            return ModelKind.VOCAB_ONLY
        return ModelKind.METADATA_ONLY if f"{arch}.block_count" in header.metadata else ModelKind.UNKNOWN
    return ModelKind.MODEL


def size_label(n_params: int) -> str:
    """A number of parameters in short: 135M, 1.7B, 671B, 1.0T."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if n_params >= size * 0.9995:
            scaled = n_params / size
            # Millions are said without decimals (135M), billions below a hundred with one (1.7B).
            return f"{scaled:.0f}{unit}" if unit in "MK" or scaled >= 99.95 else f"{scaled:.1f}{unit}"
    return str(n_params)


def bytes_text(size_bytes: int) -> str:
    """A size in binary units with one decimal: 92.1 MiB."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _or(value: Known | None, default: Known | None) -> Known | None:
    return default if value is None else value


def _mix(headers: tuple[Header, ...]) -> tuple[TypeShare, ...]:
    counts: dict[TensorType, list[int]] = defaultdict(lambda: [0, 0, 0])
    for header in headers:
        for tensor in header.tensors:
            count = counts[tensor.type]
            count[0] += 1
            count[1] += tensor.n_elements
            count[2] += tensor.size_bytes
    shares = (TypeShare(kind, *count) for kind, count in counts.items())
    return tuple(sorted(shares, key=lambda share: (-share.size_bytes, share.type.type_id)))


def _quantization(header: Header, mix: tuple[TypeShare, ...]) -> str | None:
    file_type = header.whole("general.file_type")
    if file_type is not None and file_type & ~_GUESSED in FILE_TYPE_LABELS:
        return FILE_TYPE_LABELS[file_type & ~_GUESSED]
    return mix[0].type.name if mix else None


def _head_size(n_embd: int | None, n_head: PerLayer | None) -> int | None:
    first = n_head[0] if isinstance(n_head, tuple) else n_head
    return n_embd // first if n_embd is not None and first is not None and first > 0 else None


def _rope(header: Header, prefix: str) -> Rope:
    return Rope(
        freq_base=header.real(f"{prefix}.rope.freq_base"),
        n_dims=header.whole(f"{prefix}.rope.dimension_count"),
        scaling=header.text(f"{prefix}.rope.scaling.type"),
        factor=_or(header.real(f"{prefix}.rope.scaling.factor"), header.real(f"{prefix}.rope.scale_linear")),
        n_ctx_orig=header.whole(f"{prefix}.rope.scaling.original_context_length"),
    )


def _problems(header: Header, prefix: str) -> tuple[str, ...]:
    """What the engine asserts or throws on when it reads the architecture's numbers (load_hparams)."""
    found: list[str] = []
    n_layer = header.whole(f"{prefix}.block_count")
    n_expert = header.whole(f"{prefix}.expert_count") or 0
    n_used = header.whole(f"{prefix}.expert_used_count") or 0
    if n_layer is not None and not 0 <= n_layer <= MAX_LAYERS:
        found.append(f"{n_layer:,} layers; this engine takes at most {MAX_LAYERS}")
    if not 0 <= n_expert <= MAX_EXPERTS:
        found.append(f"{n_expert:,} experts; this engine takes at most {MAX_EXPERTS:,}")
    if n_used > n_expert or (n_expert > 0 and n_used <= 0):
        found.append(f"{n_used:,} of {n_expert:,} experts used, which cannot be right")
    for key in ("attention.head_count", "attention.head_count_kv", "feed_forward_length"):
        length = header.length(f"{prefix}.{key}")
        if length is not None and n_layer is not None and length != n_layer:
            found.append(f"{prefix}.{key} has {length:,} values for {n_layer:,} layers")
    return tuple(found)


def _rows(card: Card) -> tuple[tuple[str, str], ...]:
    head = f"key {_number(card.head_k)}, value {_number(card.head_v)}"
    rows = [
        ("Name", card.name),
        ("Kind", card.kind.value),
        ("Architecture", card.architecture or UNKNOWN),
        ("Parameters", UNKNOWN if card.n_params is None else f"{card.size_label} ({card.n_params:,})"),
        ("Quantization", _quantization_text(card)),
        ("Tensor types", ", ".join(_share_text(share, card.weights_bytes) for share in card.mix) or UNKNOWN),
        ("Size on disk", bytes_text(card.size_bytes) + (f" in {card.n_files} files" if card.n_files > 1 else "")),
        ("Weights", bytes_text(card.weights_bytes)),
        ("Layers", _number(card.n_layer)),
        ("Hidden size", _number(card.n_embd)),
        ("Heads", _number(card.n_head)),
        ("Key/value heads", _number(card.n_head_kv)),
        ("Head size", head if card.head_k != card.head_v else _number(card.head_k)),
        ("Feed-forward size", _number(card.n_ff)),
        ("Vocabulary", _number(card.n_vocab, "tokens")),
        ("Trained context", _number(card.n_ctx_train, "tokens")),
        ("Position encoding", _rope_text(card.rope)),
    ]
    if card.sliding_window is not None:
        rows.append(("Sliding window", _number(card.sliding_window, "tokens")))
    if card.n_expert:
        rows.append(("Experts", f"{card.n_expert:,}, {_number(card.n_expert_used)} used for each token"))
    rows += [
        ("Tokenizer", card.tokenizer or UNKNOWN),
        ("Chat template", f"{len(card.chat_template):,} characters" if card.chat_template else "none in the file"),
        ("Licence", card.licence or UNKNOWN),
        ("Languages", ", ".join(card.languages) or UNKNOWN),
    ]
    rows += [("Problem", problem) for problem in card.problems]
    return tuple(rows)


def _number(value: PerLayer | None, unit: str = "") -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, tuple):
        low, high = min(value), max(value)
        return f"{low:,}" if low == high else f"{low:,} to {high:,}, by layer"
    return f"{value:,} {unit}".rstrip()


def _quantization_text(card: Card) -> str:
    if card.quantization is None:
        return UNKNOWN
    if card.bits_per_weight is None:
        return card.quantization
    return f"{card.quantization}, {card.bits_per_weight:.2f} bits per weight"


def _share_text(share: TypeShare, weights_bytes: int) -> str:
    percent = 100 * share.size_bytes / weights_bytes if weights_bytes else 0.0
    shown = "under 0.1" if 0 < percent < 0.05 else f"{percent:.1f}"
    return f"{share.type.name} {shown} %"


def _rope_text(rope: Rope) -> str:
    if rope.freq_base is None and rope.n_dims is None:
        return UNKNOWN
    parts = [] if rope.freq_base is None else [f"base {rope.freq_base:,.0f}"]
    if rope.n_dims is not None:
        parts.append(f"{rope.n_dims:,} dimensions")
    if rope.scaling not in (None, "none"):
        parts.append(str(rope.scaling) + (f" x{rope.factor:g}" if rope.factor is not None else ""))
    if rope.n_ctx_orig is not None:
        parts.append(f"from {rope.n_ctx_orig:,} tokens")
    return "RoPE, " + ", ".join(parts)
