"""Which model a file holds, told cheaply: its size, what its header says, and samples of its bytes.

A hash of the whole file is the sure way and takes minutes for a large one, at every load. Fine-tuning, merging and
another quantization change weights everywhere or change the size, so 64 KiB at each of sixteen places tell two models
apart; a file in which somebody changed a few bytes elsewhere by hand is not told from its original.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.gguf.card import Card
from engine.gguf.splits import shard_paths

N_SAMPLES = 16
SAMPLE_BYTES = 64 * 1024


def fingerprint(path: Path, card: Card) -> str:
    """Tells one model from another, wherever it is kept: 32 hexadecimal digits. Of a split model every part is looked at.

    Args:
        path: the file, of a split model the first part.
        card: what its header says.

    Raises:
        OSError: a part cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{card.architecture}:{card.weights_bytes}".encode())
    for part in shard_paths(path):
        size = part.stat().st_size
        digest.update(f":{size}:".encode())
        with part.open("rb") as file:
            for number in range(N_SAMPLES):
                # The first sample is the header's beginning, the last one the file's end.
                file.seek(max(0, size - SAMPLE_BYTES) * number // (N_SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
