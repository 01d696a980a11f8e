"""A model's file name as a person reads it: the name, and the quantization apart from it.

Source: the endings that llama.cpp's tools give their files (Q4_K_M, IQ2_XXS, MXFP4_MOE, bf16).
"""

from __future__ import annotations

import re

DOT = "\N{MIDDLE DOT}"
_QUANT = re.compile(
    r"^(.+?)[.\-_]((?:UD-)?(?:I?Q\d(?:_[0-9A-Z]+)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|F16|F32))$", re.IGNORECASE
)


def split_name(label: str) -> tuple[str, str]:
    """Name and quantization, "" where the name does not end in one: (“SmolLM2-135M-Instruct”, “Q4_1”)."""
    match = _QUANT.match(label)
    return (match[1], match[2].upper()) if match else (label, "")


def spoken_name(label: str) -> str:
    """Both again, with a dot between them: SmolLM2-135M-Instruct · Q4_1."""
    name, quant = split_name(label)
    return f"{name} {DOT} {quant}" if quant else name
