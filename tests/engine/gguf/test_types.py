"""Our tables against the engine's own, row by row."""

from __future__ import annotations

import struct

import pytest

from engine.gguf.types import (
    FILE_TYPE_LABELS,
    N_TENSOR_TYPE_IDS,
    REMOVED_TENSOR_TYPES,
    TENSOR_TYPES,
    TensorType,
    ValueType,
    tensor_bytes,
)
from tests.support.native_gguf import NativeGguf, file_type_name

SIZE_WORDS = {"Small": "_S", "Medium": "_M", "Large": "_L"}
OTHER_NAMES = {"all F32": "F32", "Q2_K - Medium": "Q2_K", "IQ3_S mix - 3.66 bpw": "IQ3_M", "MXFP4 MoE": "MXFP4_MOE"}


@pytest.mark.parametrize("type_id", range(N_TENSOR_TYPE_IDS))
def test_a_tensor_type_is_what_the_engine_says(type_id: int) -> None:
    name, block_size, block_bytes = NativeGguf().type_row(type_id)
    kind = TENSOR_TYPES.get(type_id)
    if kind is None:
        assert block_size == 0
        assert type_id in REMOVED_TENSOR_TYPES
        return
    assert (kind.name, kind.block_size, kind.block_bytes) == (name.upper(), block_size, block_bytes)


def test_the_table_ends_where_the_engine_ends() -> None:
    assert max(TENSOR_TYPES) == N_TENSOR_TYPE_IDS - 1
    assert set(TENSOR_TYPES).isdisjoint(REMOVED_TENSOR_TYPES)
    assert set(TENSOR_TYPES) | set(REMOVED_TENSOR_TYPES) == set(range(N_TENSOR_TYPE_IDS))


def test_a_file_type_has_the_label_that_the_engine_gives_it() -> None:
    labels: dict[int, str] = {}
    for file_type in range(1024):
        native = file_type_name(file_type)
        if native.startswith("unknown"):
            continue
        stem, _, rest = native.partition(" - ")
        labels[file_type] = OTHER_NAMES.get(native, stem + SIZE_WORDS.get(rest, ""))
    assert labels == dict(FILE_TYPE_LABELS)


def test_value_sizes_are_those_of_their_letters() -> None:
    for kind in ValueType:
        if kind.letter:
            assert struct.calcsize("<" + kind.letter) == kind.size_bytes


def test_bits_per_weight_count_the_scales() -> None:
    assert TensorType.Q4_0.bits_per_weight == 4.5
    assert TensorType.Q6_K.bits_per_weight == 6.5625
    assert TensorType.F16.bits_per_weight == 16


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        (TensorType.F32, (), 4),
        (TensorType.F32, (3, 0, 2), 0),
        (TensorType.F16, (576, 49152), 576 * 49152 * 2),
        (TensorType.Q4_1, (64, 3), 2 * 20 * 3),
        (TensorType.Q6_K, (512, 2, 2, 2), 2 * 210 * 8),
    ],
)
def test_a_tensor_takes_its_blocks(kind: TensorType, shape: tuple[int, ...], expected: int) -> None:
    assert tensor_bytes(kind, shape) == expected
