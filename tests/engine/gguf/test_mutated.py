"""Ten thousand damaged headers: only `GgufError` may come out, nothing over 64 MiB may be allocated.

What we take, the engine must take too: otherwise a file that looks right on the Models page would fail in the worker.
"""

from __future__ import annotations

import io
import os
import random
import struct
import sys
from pathlib import Path

import pytest

from engine.gguf.card import card_of
from engine.gguf.reader import GgufError, parse_header, read_header
from engine.gguf.types import TensorType, ValueType
from tests.support.gguf_writer import Tensor, array, entry, gguf
from tests.support.memory_limit import at_most
from tests.support.native_gguf import NativeGguf

N_SMALL = 9_500
N_REAL = 500
LIMIT_BYTES = 64 << 20
NUMBERS = (0, 1, 2, 4, 8, 9, 13, 31, 43, 64, 255, 256, 1024, 65_536, 2**20, 2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**32)
LARGE_NUMBERS = (2**40, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 9, 2**64 - 1)

SEEDS = (
    gguf(
        [
            entry("general.architecture", ValueType.STRING, "llama"),
            entry("general.alignment", ValueType.UINT32, 32),
            entry("llama.block_count", ValueType.UINT32, 2),
            entry("llama.embedding_length", ValueType.UINT32, 64),
            array("llama.attention.head_count", ValueType.UINT32, [4, 4]),
            entry("llama.rope.freq_base", ValueType.FLOAT32, 10_000.0),
            array("tokenizer.ggml.tokens", ValueType.STRING, ["a", "b", "<s>"]),
            array("tokenizer.ggml.scores", ValueType.FLOAT32, [0.0, -1.0, -2.0]),
        ],
        [
            Tensor(b"token_embd.weight", (64, 3), TensorType.Q4_0),
            Tensor(b"blk.0.attn_q.weight", (64, 64), TensorType.Q8_0),
            Tensor(b"output_norm.weight", (64,)),
        ],
    ),
    gguf([entry(kind.name, kind, 1) for kind in ValueType if kind.letter], [Tensor()], version=2),
    gguf([array("many", ValueType.STRING, ["word"] * 1100)], [Tensor(b"a", (256, 2), TensorType.Q4_K), Tensor(b"b")]),
    gguf(tensors=[Tensor(kind.name.encode(), (kind.block_size,), kind) for kind in TensorType]),
)


def mutated(rng: random.Random, seed: bytes) -> bytes:
    raw = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # Most of a seed's bytes at its front are structure, so that is where most of the damage goes.
        at = rng.randrange(len(raw)) if rng.random() < 0.5 else rng.randrange(min(len(raw), 300))
        match rng.randrange(7):
            case 0:
                raw[at] ^= 1 << rng.randrange(8)
            case 1:
                raw[at] = rng.randrange(256)
            case 2:
                raw[at : at + 8] = struct.pack("<Q", rng.choice(NUMBERS + LARGE_NUMBERS))
            case 3:
                raw[at : at + 4] = struct.pack("<I", rng.choice(NUMBERS) % 2**32)
            case 4:
                del raw[at : at + rng.choice((1, 4, 8, 30))]
            case 5:
                raw[at:at] = rng.randbytes(rng.choice((1, 4, 8)))
            case _:
                other = rng.randrange(len(raw))
                raw[at : at + 16] = raw[other : other + 16]
        if not raw:
            return bytes(raw)
    return bytes(raw)


def test_the_memory_limit_is_one() -> None:
    if sys.platform != "linux":
        pytest.skip("this system has no limit on a program's memory")
    with pytest.raises(MemoryError), at_most(LIMIT_BYTES):
        bytearray(64 * LIMIT_BYTES)  # far above: a heap that shrank may still hold free blocks of some size


def test_mutated_small_headers_give_a_header_or_the_known_error(tmp_path: Path) -> None:
    rng = random.Random(20261123)
    native = NativeGguf()
    path = tmp_path / "model.gguf"
    n_taken = n_refused = 0
    # Written over and over in place: making ten thousand new files takes most of a minute on some disks.
    with at_most(LIMIT_BYTES), open(path, "wb", buffering=0) as file:
        for _ in range(N_SMALL):
            raw = mutated(rng, rng.choice(SEEDS))
            file.seek(0)
            file.write(raw)
            file.truncate()
            part = raw[: rng.randrange(len(raw) + 1)]
            try:  # of a file on the hub only the beginning is there
                beginning = parse_header(io.BytesIO(part), len(raw))
            except GgufError:
                beginning = None
            try:
                header = read_header(path)
            except GgufError:
                n_refused += 1
                assert beginning is None, raw
                continue
            if beginning is not None:  # values may be NaN, which is unlike itself
                assert (beginning.tensors, list(beginning.metadata)) == (header.tensors, list(header.metadata))
            n_taken += 1
            card_of(header, path).rows()
            assert native.accepts(raw), raw
    # Damage that hits a name or a value is still a header; damage to structure is not.
    assert n_taken > N_SMALL // 20
    assert n_refused > N_SMALL // 4


def test_mutations_of_a_real_header_give_a_header_or_the_known_error(smollm2: Path, tmp_path: Path) -> None:
    rng = random.Random(20261124)
    whole = read_header(smollm2)
    with open(smollm2, "rb") as source:
        prefix = source.read(whole.data_offset)
    path = tmp_path / "model.gguf"
    path.write_bytes(prefix)
    os.truncate(path, whole.file_size)
    n_refused = 0
    with open(path, "r+b", buffering=0) as file, at_most(LIMIT_BYTES):
        for _ in range(N_REAL):
            # Structure is dense in the first metadata and in the list of tensors at the end.
            low, high = rng.choice(((0, 1_500), (len(prefix) - 18_000, len(prefix) - 8), (0, len(prefix) - 8)))
            at = rng.randrange(low, high)
            damage = rng.choice((struct.pack("<Q", rng.choice(NUMBERS + LARGE_NUMBERS)), rng.randbytes(1)))
            file.seek(at)
            file.write(damage)
            try:
                card_of(read_header(path), path).rows()
            except GgufError:
                n_refused += 1
            file.seek(at)
            file.write(prefix[at : at + len(damage)])
    assert n_refused > N_REAL // 5
    assert read_header(path).tensors == whole.tensors


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seeds_themselves_are_correct(seed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(seed)
    assert read_header(path).tensors
    assert NativeGguf().accepts(seed)
