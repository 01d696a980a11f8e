"""What a model's weights take in each number format: the course's four steps, and every GGUF type with its real bits.

“4 bits” is what a type's numbers have; with the scales of its blocks a weight takes more. Taken from the block layouts
that the engine reads (`engine/gguf/types.py`, tested against libggml), not from a list of nominal bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.gguf.types import TensorType

STEPS: tuple[tuple[str, float], ...] = (("FP32", 32.0), ("FP16, BF16", 16.0), ("INT8", 8.0), ("INT4", 4.0))
"""The course's steps, with the bits that their names say."""

NOT_FOR_WEIGHTS = ("Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64")
"""GGUF types in which no model's matrices are stored: intermediate results, indices, double precision."""

_STEP_OF = {"F32": "FP32", "F16": "FP16, BF16", "BF16": "FP16, BF16", "Q8_0": "INT8"}


@dataclass(frozen=True, slots=True)
class Format:
    """A number format.

    Attributes:
        name: as GGUF spells it, or the step's name.
        step: the course's step that it belongs to, "" for what lies between.
        bits: what a weight really takes, scales included.
        size_bytes: all weights in it.
        is_step: a step by its nominal bits, no type.
    """

    name: str
    step: str
    bits: float
    size_bytes: int
    is_step: bool


def formats_of(n_params: int) -> tuple[Format, ...]:
    """The four steps, then every type for weights, most bits first."""
    steps = [Format(name, name, bits, round(n_params * bits / 8), True) for name, bits in STEPS]
    types = [
        Format(each.name, _step_of(each), each.bits_per_weight, round(n_params * each.bits_per_weight / 8), False)
        for each in TensorType
        if each.name not in NOT_FOR_WEIGHTS
    ]
    return (*steps, *sorted(types, key=lambda each: (-each.bits, each.name)))


def _step_of(kind: TensorType) -> str:
    if kind.name in _STEP_OF:
        return _STEP_OF[kind.name]
    return "INT4" if "4" in kind.name.partition("_")[0] else ""
