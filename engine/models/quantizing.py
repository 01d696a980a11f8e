"""Which type llama-quantize gives each tensor of a llama: what a quantization takes before anybody has made it.

A "Q4_K_M" file is a mixture, and the mixture depends on layers and heads, so parameters times a nominal number of bits
is wrong by several percent. A test quantizes a small model with the engine itself and compares every tensor.
Source: llama.cpp src/llama-quant.cpp (llama_tensor_get_type), without an importance matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.gguf.types import FILE_TYPE_LABELS, TensorType


@dataclass(frozen=True, slots=True)
class FileType:
    """A quantization by its label: its number (`llama_ftype`), and the type of most of its tensors."""

    label: str
    base: TensorType

    @property
    def file_type(self) -> int:
        return next(number for number, label in FILE_TYPE_LABELS.items() if label == self.label)


FILE_TYPES: Mapping[str, FileType] = MappingProxyType(
    {
        label: FileType(label, base)
        for label, base in (
            ("F32", TensorType.F32),
            ("F16", TensorType.F16),
            ("BF16", TensorType.BF16),
            ("Q8_0", TensorType.Q8_0),
            ("Q6_K", TensorType.Q6_K),
            ("Q5_K_M", TensorType.Q5_K),
            ("Q5_K_S", TensorType.Q5_K),
            ("Q5_1", TensorType.Q5_1),
            ("Q5_0", TensorType.Q5_0),
            ("Q4_K_M", TensorType.Q4_K),
            ("Q4_K_S", TensorType.Q4_K),
            ("Q4_1", TensorType.Q4_1),
            ("Q4_0", TensorType.Q4_0),
            ("IQ4_NL", TensorType.IQ4_NL),
            ("IQ4_XS", TensorType.IQ4_XS),
            ("Q3_K_L", TensorType.Q3_K),
            ("Q3_K_M", TensorType.Q3_K),
            ("Q3_K_S", TensorType.Q3_K),
            ("Q2_K", TensorType.Q2_K),
        )
    }
)
"""The quantizations that can be planned, largest first."""

_UNQUANTIZED = ("F32", "F16", "BF16")
_FALLBACK: Mapping[TensorType, TensorType] = MappingProxyType(
    {
        TensorType.Q2_K: TensorType.Q4_0,
        TensorType.Q3_K: TensorType.Q4_0,
        TensorType.IQ4_XS: TensorType.IQ4_NL,
        TensorType.Q4_K: TensorType.Q5_0,
        TensorType.Q5_K: TensorType.Q5_1,
        TensorType.Q6_K: TensorType.Q8_0,
    }
)
"""What a tensor gets whose rows are no whole blocks of 256."""


@dataclass(frozen=True, slots=True)
class QuantizedModel:
    """What the mixture depends on: the quantization, the layers, and how many heads share a key/value head."""

    file_type: FileType
    n_layer: int
    n_gqa: int


def tensor_type(model: QuantizedModel, role: str, shape: tuple[int, ...], layer: int) -> TensorType:
    """The type of one tensor.

    Args:
        role: the last part of its name without ".weight": "attn_v", "ffn_down", "output", "token_embd" …
        shape: elements, row length first; vectors stay F32.
        layer: its block, from 0.
    """
    label = model.file_type.label
    if len(shape) < 2:
        return TensorType.F32
    if label in _UNQUANTIZED:
        return model.file_type.base
    if role == "output":
        if shape[0] % TensorType.Q6_K.block_size:
            return _whole(TensorType.Q8_0, shape[0])
        return model.file_type.base if label == "Q8_0" else TensorType.Q6_K
    return _whole(_mixed(model, role, layer), shape[0])


def _mixed(model: QuantizedModel, role: str, layer: int) -> TensorType:
    label, base = model.file_type.label, model.file_type.base
    eighth = layer < model.n_layer // 8
    match role, label:
        case "attn_v", "Q2_K":
            return TensorType.Q4_K if model.n_gqa >= 4 else TensorType.Q3_K
        case "attn_v", "Q3_K_M":
            return TensorType.Q5_K if layer < 2 else TensorType.Q4_K
        case (("attn_v" | "ffn_down" | "attn_output"), "Q3_K_L"):
            return TensorType.Q5_K
        case "attn_v", ("IQ4_NL" | "IQ4_XS"):
            return TensorType.Q5_K if model.n_gqa >= 4 else base
        case (("attn_v" | "ffn_down"), ("Q4_K_M" | "Q5_K_M")):
            return TensorType.Q6_K if _more_bits(layer, model.n_layer) else base
        case "attn_v", "Q4_K_S":
            return TensorType.Q5_K if layer < 4 else base
        case (("ffn_down" | "attn_output"), "Q2_K"):
            return TensorType.Q3_K
        case "ffn_down", "Q3_K_M":
            return TensorType.Q5_K if layer < model.n_layer // 16 else TensorType.Q4_K
        case "ffn_down", ("IQ4_NL" | "IQ4_XS" | "Q4_K_S"):
            return TensorType.Q5_K if eighth else base
        case "attn_output", "Q3_K_M":
            return TensorType.Q4_K
        case _:
            return base


def _more_bits(layer: int, n_layer: int) -> bool:
    """llama.cpp's use_more_bits: the first and the last eighth, and every third between them."""
    eighth = n_layer // 8
    return layer < eighth or layer >= 7 * n_layer // 8 or (layer - eighth) % 3 == 2


def _whole(wanted: TensorType, row: int) -> TensorType:
    """The type, or the next one whose blocks the row fills."""
    while row % wanted.block_size:
        wanted = _FALLBACK.get(wanted, TensorType.F16)
    return wanted
