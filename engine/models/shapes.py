"""A model that exists only as numbers: layers, width, heads … and the header of the GGUF file that it would be.

What is not given is filled in as today's llamas are built (grouped heads of 128, a feed-forward width near 3.5 times the
model's), so that a number of parameters alone is enough. The engine then plans the header like any other file.
Source: gguf-py's key names and tensor names of the llama architecture; the shapes of Llama 3 for what is filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.base.fields import Field, FieldKind, FieldSet, Value
from engine.gguf.card import MAX_LAYERS, size_label
from engine.gguf.header import Scalar
from engine.gguf.writing import TensorPlan, header_bytes
from engine.models.quantizing import FILE_TYPES, QuantizedModel, tensor_type

MODEL_OWN = 0
_MOST = 10_000_000

SHAPE = FieldSet(
    (
        Field(
            "params", FieldKind.TEXT, "", "Parameters",
            "How many parameters the model has, such as 8B or 350M; what else is not given is made to fit it.",
            pattern=r"|\s*[0-9][0-9.,_]*\s*[KkMmBbTt]?\s*", pattern_hint="use a number such as 8B, 350M or 1500000000",
        ),
        Field(
            "layers", FieldKind.INT, MODEL_OWN, "Layers", "Blocks of the model.", "llama.block_count",
            minimum=0, maximum=MAX_LAYERS, soft_maximum=128, step=1, unit="layers", special=((MODEL_OWN, "typical"),),
        ),
        Field(
            "width", FieldKind.INT, MODEL_OWN, "Width", "Numbers of the hidden state of one token.",
            "llama.embedding_length", minimum=0, maximum=1 << 20, soft_maximum=16_384, step=64, special=((MODEL_OWN, "typical"),),
        ),
        Field(
            "heads", FieldKind.INT, MODEL_OWN, "Heads", "Attention heads of a layer; they share the width evenly.",
            "llama.attention.head_count", minimum=0, maximum=1 << 16, soft_maximum=128, step=1, special=((MODEL_OWN, "typical"),),
        ),
        Field(
            "kv_heads", FieldKind.INT, MODEL_OWN, "Key/value heads",
            "Heads of keys and values, which groups of heads share; the KV cache grows with them.",
            "llama.attention.head_count_kv", minimum=0, maximum=1 << 16, soft_maximum=32, step=1, special=((MODEL_OWN, "typical"),),
        ),
        Field(
            "ff", FieldKind.INT, MODEL_OWN, "Feed-forward", "Width of the feed-forward part of a layer.",
            "llama.feed_forward_length", minimum=0, maximum=1 << 22, soft_maximum=65_536, step=256, special=((MODEL_OWN, "typical"),),
        ),
        Field(
            "vocab", FieldKind.INT, MODEL_OWN, "Vocabulary", "How many tokens the model knows.", "llama.vocab_size",
            minimum=0, maximum=_MOST, soft_maximum=262_144, step=256, special=((MODEL_OWN, "typical"),), unit="tokens",
        ),
        Field(
            "type", FieldKind.CHOICE, "Q4_K_M", "Quantization",
            "The format of the weights, mixed as llama-quantize mixes it.", "llama_ftype", choices=tuple(FILE_TYPES),
        ),
    )
)  # fmt: skip
"""What can be said of a model that is not there; 0 and "" leave it to the others."""

TYPICAL_VOCAB = 128_256
SMALL_VOCAB = 49_152  # of models below a billion parameters
TYPICAL_CONTEXT = 131_072
_HEAD = 128
_SAME_WITHIN = 0.05
"""How far the stated number of parameters may be from the shape's own."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A complete shape: every number of `SHAPE`, none left open.

    Attributes:
        n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab: as the names of llama.h.
        file_type: the label of the quantization ("Q4_K_M").
        n_ctx_train: the context that it was trained for, tokens.
        n_embd_head: the width of one head, where the heads do not share the model's width; 0 where they do.
        is_tied: output and embedding are one matrix.
        title: what the model is called; "" for a name made of its size.
    """

    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_ff: int
    n_vocab: int
    file_type: str
    n_ctx_train: int = TYPICAL_CONTEXT
    n_embd_head: int = 0
    is_tied: bool = False
    title: str = ""

    @property
    def n_params(self) -> int:
        """Elements of all tensors."""
        attention = 2 * self.n_embd * (self._head * self.n_head + self._kv_width)
        per_layer = attention + 3 * self.n_embd * self.n_ff + 2 * self.n_embd
        return self.n_layer * per_layer + (1 if self.is_tied else 2) * self.n_embd * self.n_vocab + self.n_embd

    @property
    def name(self) -> str:
        """A name that tells such models apart: described-8.0B-Q4_K_M."""
        return f"{self.title or f'described-{size_label(self.n_params)}'}-{self.file_type}"

    @property
    def _head(self) -> int:
        return self.n_embd_head or self.n_embd // self.n_head

    @property
    def _kv_width(self) -> int:
        return self._head * self.n_head_kv

    def header(self) -> tuple[bytes, int]:
        """The GGUF header of this model (architecture llama), and the size in bytes of the whole file."""
        metadata: dict[str, Scalar] = {
            "general.architecture": "llama",
            "general.name": self.name,
            "general.file_type": FILE_TYPES[self.file_type].file_type,
            "llama.block_count": self.n_layer,
            "llama.context_length": self.n_ctx_train,
            "llama.embedding_length": self.n_embd,
            "llama.feed_forward_length": self.n_ff,
            "llama.attention.head_count": self.n_head,
            "llama.attention.head_count_kv": self.n_head_kv,
            "llama.attention.layer_norm_rms_epsilon": 1e-5,
            "llama.attention.key_length": self._head,
            "llama.attention.value_length": self._head,
            "llama.rope.dimension_count": self._head,
            "llama.vocab_size": self.n_vocab,
            "tokenizer.ggml.model": "no_vocab",
        }
        return header_bytes(metadata, tuple(self._tensors()))

    def _tensors(self) -> Iterator[TensorPlan]:
        model = QuantizedModel(FILE_TYPES[self.file_type], self.n_layer, self.n_head // self.n_head_kv)
        wide, kv, heads = self.n_embd, self._kv_width, self._head * self.n_head

        def plan(name: str, *shape: int, layer: int = 0) -> TensorPlan:
            role = name.rpartition(".")[2]
            if self.is_tied and role == "token_embd":
                role = "output"  # it stands for both, and llama-quantize treats it as the output
            return TensorPlan(f"{name}.weight", shape, tensor_type(model, role, shape, layer))

        yield plan("token_embd", wide, self.n_vocab)
        yield plan("output_norm", wide)
        if not self.is_tied:
            yield plan("output", wide, self.n_vocab)
        for layer in range(self.n_layer):
            shapes = {
                "attn_norm": (wide,), "attn_q": (wide, heads), "attn_k": (wide, kv), "attn_v": (wide, kv),
                "attn_output": (heads, wide), "ffn_norm": (wide,), "ffn_gate": (wide, self.n_ff),
                "ffn_up": (wide, self.n_ff), "ffn_down": (self.n_ff, wide),
            }  # fmt: skip
            for name, shape in shapes.items():
                yield plan(f"blk.{layer}.{name}", *shape, layer=layer)


def shape_of(given: Mapping[str, Value]) -> Shape:
    """The complete shape of what was said.

    Args:
        given: values of `SHAPE`; at least the parameters, or layers and width.

    Raises:
        KnownError: too little was said, or there can be no such model.
    """
    said = SHAPE.checked(given)
    wanted = parameters(str(said["params"]))
    n_layer, n_embd = int(str(said["layers"])), int(str(said["width"]))
    if wanted is None and not (n_layer and n_embd):
        raise KnownError(
            "This is too little to describe a model",
            value=f"layers {n_layer or 'not given'}, width {n_embd or 'not given'}",
            next_step="give the parameters (--params 8B), or layers and width",
        )
    if wanted is None:
        return _filled(said, n_layer, n_embd)
    depths = (n_layer,) if n_layer else range(1, MAX_LAYERS + 1)
    shape = min(
        (_filled(said, depth, width, wanted) for depth in depths for width in _widths(n_embd, said, depth, wanted)),
        key=lambda each: abs(each.n_params - wanted) / wanted + _oddity(each),
    )
    if abs(shape.n_params - wanted) > _SAME_WITHIN * wanted:
        raise KnownError(
            "This shape does not have that many parameters",
            value=f"{size_label(shape.n_params)} against {size_label(wanted)}",
            next_step="leave out --params, or the numbers that are not sure",
        )
    return shape


def _widths(n_embd: int, said: Mapping[str, Value], n_layer: int, wanted: int) -> tuple[int, ...]:
    """The given width, else the one that fits so many layers and parameters best and those beside it."""
    if n_embd:
        return (n_embd,)
    step = int(str(said["heads"])) * 8 if said["heads"] else (512 if wanted >= 10**9 else 256)
    low, high = 1, (1 << 20) // step
    while low < high:  # the first width with as many parameters as wanted
        middle = (low + high) // 2
        if _filled(said, n_layer, middle * step).n_params < wanted:
            low = middle + 1
        else:
            high = middle
    return tuple(each * step for each in (low - 1, low) if each > 0)


def _oddity(shape: Shape) -> float:
    """How far a shape is from a width of 128 for each layer and a feed-forward of 3.5 widths: a tie-breaker, small."""
    return 0.02 * (abs(shape.n_embd / (128 * shape.n_layer) - 1) + abs(shape.n_ff / (3.5 * shape.n_embd) - 1))


def _filled(said: Mapping[str, Value], n_layer: int, n_embd: int, wanted: int | None = None) -> Shape:
    """The shape with what is missing filled in; a feed-forward width that nobody gave makes up for `wanted`."""
    n_head = int(str(said["heads"])) or _typical_heads(n_embd)
    if n_embd % n_head:
        raise _impossible("The width must be a multiple of the heads", f"{n_embd:,} over {n_head:,} heads")
    head = n_embd // n_head
    if head % 2:
        raise _impossible("A head must have an even width", f"{n_embd:,} over {n_head:,} heads is {head:,}")
    n_head_kv = int(str(said["kv_heads"])) or _typical_kv_heads(n_head)
    if n_head_kv > n_head or n_head % n_head_kv:
        raise _impossible("The heads must be a multiple of the key/value heads", f"{n_head:,} over {n_head_kv:,}")
    n_vocab = int(str(said["vocab"])) or (SMALL_VOCAB if wanted is not None and wanted < 10**9 else TYPICAL_VOCAB)
    n_ff = int(str(said["ff"])) or max(256, round(3.5 * n_embd / 256) * 256)
    shape = Shape(n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab, str(said["type"]))
    if wanted is None or said["ff"]:
        return shape
    missing = (wanted - shape.n_params) / (3 * n_embd * n_layer)
    n_ff = max(n_embd, min(6 * n_embd, round((n_ff + missing) / 256) * 256))
    return Shape(n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab, str(said["type"]))


def _typical_heads(n_embd: int) -> int:
    """Heads of 128, of 64 for small models, else of the largest even width that divides the model's."""
    wanted = _HEAD if n_embd >= 2048 else 64
    head = next((each for each in range(wanted, 1, -1) if n_embd % each == 0 and each % 2 == 0), n_embd)
    return n_embd // head


def _typical_kv_heads(n_head: int) -> int:
    return n_head // 4 if n_head % 4 == 0 else n_head


def parameters(text: str) -> int | None:
    """The number that "8B" or "350M" spells."""
    match = re.fullmatch(r"([0-9][0-9.,_]*)\s*([KMBT]?)", text.strip().upper())
    if match is None:
        return None
    try:
        number = float(match[1].replace(",", "").replace("_", ""))
    except ValueError:
        number = 0.0
    n_params = round(number * {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}[match[2]])
    if not 0 < n_params <= 100 * 10**12:
        raise KnownError("This number of parameters cannot be", value=text.strip(), next_step="give one such as 8B")
    return n_params


def _impossible(what: str, value: str) -> KnownError:
    return KnownError(f"There can be no such model: {what[0].lower()}{what[1:]}", value=value, next_step="change one")
