"""The numbers of the GGUF format: value types, tensor types with their block layout, file-type labels.

They exist as tables of our own because a header must be readable without loading the engine's library. Rejected:
gguf-py's tables (0.19.0 lacks type 42, which this engine reads) and parameters times nominal bits (a "Q4_K_M" file
mixes types). A test compares every row with the installed libggml-base and libllama.
Source: ggml.h (`enum ggml_type`), gguf.h (`enum gguf_type`), llama.h (`enum llama_ftype`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType

N_TENSOR_TYPE_IDS = 43
"""GGML_TYPE_COUNT of the engine: ids from here on belong to a newer engine."""


class ValueType(enum.Enum):
    """The type of a metadata value: its number in the file, bytes of one value (0: varies), struct letter."""

    UINT8 = (0, 1, "B")
    INT8 = (1, 1, "b")
    UINT16 = (2, 2, "H")
    INT16 = (3, 2, "h")
    UINT32 = (4, 4, "I")
    INT32 = (5, 4, "i")
    FLOAT32 = (6, 4, "f")
    BOOL = (7, 1, "?")
    STRING = (8, 0, "")
    ARRAY = (9, 0, "")
    UINT64 = (10, 8, "Q")
    INT64 = (11, 8, "q")
    FLOAT64 = (12, 8, "d")

    def __init__(self, type_id: int, size_bytes: int, letter: str) -> None:
        self.type_id = type_id
        self.size_bytes = size_bytes
        self.letter = letter


class TensorType(enum.Enum):
    """How a tensor's numbers are stored: its number in the file, elements a block, bytes a block."""

    F32 = (0, 1, 4)
    F16 = (1, 1, 2)
    Q4_0 = (2, 32, 18)
    Q4_1 = (3, 32, 20)
    Q5_0 = (6, 32, 22)
    Q5_1 = (7, 32, 24)
    Q8_0 = (8, 32, 34)
    Q8_1 = (9, 32, 36)
    Q2_K = (10, 256, 84)
    Q3_K = (11, 256, 110)
    Q4_K = (12, 256, 144)
    Q5_K = (13, 256, 176)
    Q6_K = (14, 256, 210)
    Q8_K = (15, 256, 292)
    IQ2_XXS = (16, 256, 66)
    IQ2_XS = (17, 256, 74)
    IQ3_XXS = (18, 256, 98)
    IQ1_S = (19, 256, 50)
    IQ4_NL = (20, 32, 18)
    IQ3_S = (21, 256, 110)
    IQ2_S = (22, 256, 82)
    IQ4_XS = (23, 256, 136)
    I8 = (24, 1, 1)
    I16 = (25, 1, 2)
    I32 = (26, 1, 4)
    I64 = (27, 1, 8)
    F64 = (28, 1, 8)
    IQ1_M = (29, 256, 56)
    BF16 = (30, 1, 2)
    TQ1_0 = (34, 256, 54)
    TQ2_0 = (35, 256, 66)
    MXFP4 = (39, 32, 17)
    NVFP4 = (40, 64, 36)
    Q1_0 = (41, 128, 18)
    Q2_0 = (42, 64, 18)

    def __init__(self, type_id: int, block_size: int, block_bytes: int) -> None:
        self.type_id = type_id
        self.block_size = block_size
        self.block_bytes = block_bytes

    @property
    def bits_per_weight(self) -> float:
        """Bits that one element takes, scales included: 4.5 for Q4_0."""
        return 8 * self.block_bytes / self.block_size

    def row_bytes(self, n_elements: int) -> int:
        """Bytes of a row of `n_elements`, which must be whole blocks (ggml_row_size)."""
        return n_elements // self.block_size * self.block_bytes


REMOVED_TENSOR_TYPES: Mapping[int, str] = MappingProxyType(
    {
        4: "Q4_2",
        5: "Q4_3",
        31: "Q4_0_4_4",
        32: "Q4_0_4_8",
        33: "Q4_0_8_8",
        36: "IQ4_NL_4_4",
        37: "IQ4_NL_4_8",
        38: "IQ4_NL_8_8",
    }
)
"""Ids that llama.cpp once wrote and no longer reads, with the names they had."""

VALUE_TYPES: Mapping[int, ValueType] = MappingProxyType({each.type_id: each for each in ValueType})
"""Every metadata value type by its number in the file."""

TENSOR_TYPES: Mapping[int, TensorType] = MappingProxyType({each.type_id: each for each in TensorType})
"""Every tensor type this engine reads by its number in the file."""

FILE_TYPE_LABELS: Mapping[int, str] = MappingProxyType(
    {
        0: "F32",
        1: "F16",
        2: "Q4_0",
        3: "Q4_1",
        7: "Q8_0",
        8: "Q5_0",
        9: "Q5_1",
        10: "Q2_K",
        11: "Q3_K_S",
        12: "Q3_K_M",
        13: "Q3_K_L",
        14: "Q4_K_S",
        15: "Q4_K_M",
        16: "Q5_K_S",
        17: "Q5_K_M",
        18: "Q6_K",
        19: "IQ2_XXS",
        20: "IQ2_XS",
        21: "Q2_K_S",
        22: "IQ3_XS",
        23: "IQ3_XXS",
        24: "IQ1_S",
        25: "IQ4_NL",
        26: "IQ3_S",
        27: "IQ3_M",
        28: "IQ2_S",
        29: "IQ2_M",
        30: "IQ4_XS",
        31: "IQ1_M",
        32: "BF16",
        36: "TQ1_0",
        37: "TQ2_0",
        38: "MXFP4_MOE",
        39: "NVFP4",
        40: "Q1_0",
        41: "Q2_0",
    }
)
"""`general.file_type` to the label people know. Only a label: the tensors say what is in the file."""


def tensor_bytes(kind: TensorType, shape: Sequence[int]) -> int:
    """Bytes of a tensor's data without padding (ggml_nbytes); `shape[0]` is the row and must be whole blocks."""
    if not shape:
        return kind.row_bytes(1)
    return kind.row_bytes(shape[0]) * prod(shape[1:])
