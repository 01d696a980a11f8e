"""Files that are used beside SmolLM2, written here: a LoRA adapter, a projector."""

from __future__ import annotations

from pathlib import Path

from engine.gguf.types import TensorType, ValueType
from tests.support.gguf_writer import Tensor, entry, gguf

RANK, WIDTH = 8, 576
ADAPTER_BYTES = 10 * 2 * 2 * 4 * WIDTH * RANK


def adapter(path: Path, architecture: str = "llama") -> Path:
    """A LoRA adapter of rank 8 for the queries and outputs of SmolLM2's first ten layers."""
    entries = [
        entry("general.architecture", ValueType.STRING, architecture),
        entry("general.type", ValueType.STRING, "adapter"),
        entry("adapter.type", ValueType.STRING, "lora"),
        entry("adapter.lora.alpha", ValueType.FLOAT32, 16.0),
    ]
    tensors = []
    for layer in range(10):
        for name in ("attn_q", "attn_output"):
            for part, shape in (("lora_a", (WIDTH, RANK)), ("lora_b", (RANK, WIDTH))):
                tensors.append(Tensor(f"blk.{layer}.{name}.weight.{part}".encode(), shape, TensorType.F32))
    path.write_bytes(gguf(entries, tensors))
    return path


def projector(path: Path) -> Path:
    """A projector of one small tensor."""
    clip = [entry("general.architecture", ValueType.STRING, "clip"), entry("general.type", ValueType.STRING, "mmproj")]
    path.write_bytes(gguf(clip, [Tensor(b"v.patch_embd.weight", (64, 64), TensorType.F32)]))
    return path
