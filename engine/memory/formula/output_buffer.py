"""The output buffer: the logits that a call gives back, one row of the vocabulary in F32 for each token that was asked for.

Source: llama_context::output_reserve (llama-context.cpp). The engine's own breakdown leaves it out.
"""

from __future__ import annotations

from engine.memory.formula.architecture import Architecture
from engine.memory.formula.context import Context


def output_bytes(architecture: Architecture, context: Context) -> int:
    """Bytes, always in RAM."""
    return 4 * architecture.n_vocab * context.n_outputs_max
