"""Which model a file holds, told cheaply: its size, its beginning with the header, and samples of its weights.

A hash of the whole file is the sure way and takes minutes for a large one, at every load. Fine-tuning, merging and
another quantization change weights everywhere or change the size, so 64 KiB at each of sixteen places tell two models
apart; tokenizer and chat template stand in the first megabytes, which are read whole. A file in which somebody changed
a few weights by hand is not told from its original. It takes about ten milliseconds.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.gguf.card import Card
from engine.gguf.splits import shard_paths

N_SAMPLES = 16
SAMPLE_BYTES = 64 * 1024
HEADER_BYTES = 16 * 1024 * 1024
"""More than the header of a vocabulary of 262,144 tokens takes."""


def fingerprint(path: Path, card: Card) -> str:
    """Tells one model from another, wherever it is kept: 32 hexadecimal digits. Of a split model every part is looked at.

    Args:
        path: the file, of a split model the first part.
        card: what its header says.

    Raises:
        OSError: a part cannot be read.
    """
    digest = hashlib.sha256()
    digest.update(f"{card.architecture}:{card.weights_bytes}".encode())
    parts = shard_paths(path)
    for number_of_part, part in enumerate(parts):
        size = part.stat().st_size
        digest.update(f":{size}:".encode())
        with part.open("rb") as file:
            if number_of_part == 0:
                n_header = max(size - card.weights_bytes, SAMPLE_BYTES) if len(parts) == 1 else HEADER_BYTES
                digest.update(file.read(min(n_header, HEADER_BYTES)))
            for number in range(N_SAMPLES):  # the last one is the file's end
                file.seek(max(0, size - SAMPLE_BYTES) * number // (N_SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:32]
