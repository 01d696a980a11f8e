"""Reading correct headers: the real models, and small files with everything the format has."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.gguf.cursor import ShortRead
from engine.gguf.reader import GgufError, SkippedArray, SkippedText, TensorInfo, parse_header, read_header, read_strings
from engine.gguf.types import TensorType, ValueType, tensor_bytes
from tests.support.gguf_writer import Entry, Tensor, array, entry, gguf
from tests.support.native_gguf import NativeGguf


def written(folder: Path, raw: bytes, name: str = "model.gguf") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("model", ["smollm2", "gemma3"])
def test_a_real_header_is_what_the_engine_reads(model: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(model)
    ours, native = read_header(path), NativeGguf().read(path)
    assert (ours.version, ours.alignment, ours.data_offset) == (native.version, native.alignment, native.data_offset)
    assert tuple(ours.metadata) == native.keys
    assert [(t.name, t.type.type_id, t.offset, t.size_bytes) for t in ours.tensors] == [
        (t.name, t.type_id, t.offset, t.size_bytes) for t in native.tensors
    ]
    assert ours.file_size == path.stat().st_size


def test_real_metadata_has_its_values(smollm2: Path) -> None:
    header = read_header(smollm2)
    assert header.architecture == "llama"
    assert header.whole("llama.block_count") == 30
    assert header.real("llama.rope.freq_base") == 100_000
    assert header.flag("tokenizer.ggml.add_bos_token") is False
    assert header.texts("general.languages") == ("en",)
    template = header.text("tokenizer.chat_template")
    assert template is not None
    assert "<|im_start|>" in template


def test_a_vocabulary_is_counted_and_not_kept(gemma3: Path) -> None:
    header = read_header(gemma3)
    assert header.metadata["tokenizer.ggml.tokens"] == SkippedArray(ValueType.STRING, 262_144)
    assert header.metadata["tokenizer.ggml.scores"] == SkippedArray(ValueType.FLOAT32, 262_144)
    assert header.length("tokenizer.ggml.tokens") == 262_144


def test_a_header_with_262144_tokens_takes_little_memory(gemma3: Path) -> None:
    read_header(gemma3)
    tracemalloc.start()
    try:
        read_header(gemma3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20


def test_a_skipped_list_is_read_when_it_is_wanted(smollm2: Path) -> None:
    tokens = read_strings(smollm2, "tokenizer.ggml.tokens")
    assert len(tokens) == 49_152
    assert tokens[1] == "<|im_start|>"
    merges = read_strings(smollm2, "tokenizer.ggml.merges")
    assert all(" " in merge for merge in merges)


@pytest.mark.parametrize("key", ["tokenizer.ggml.no_such_key", "general.name", "tokenizer.ggml.token_type"])
def test_what_is_no_list_of_texts_is_refused_by_name(smollm2: Path, key: str) -> None:
    with pytest.raises(GgufError, match=key):
        read_strings(smollm2, key)


def test_a_wanted_list_may_be_empty(tmp_path: Path) -> None:
    path = written(tmp_path, gguf([array("k", ValueType.STRING, [])]))
    assert read_strings(path, "k") == ()


def test_every_value_type_comes_back(tmp_path: Path) -> None:
    values: dict[ValueType, object] = {
        ValueType.UINT8: 255,
        ValueType.INT8: -128,
        ValueType.UINT16: 65_535,
        ValueType.INT16: -32_768,
        ValueType.UINT32: 2**32 - 1,
        ValueType.INT32: -(2**31),
        ValueType.FLOAT32: 1.5,
        ValueType.BOOL: True,
        ValueType.STRING: "Größe 模型",
        ValueType.UINT64: 2**64 - 1,
        ValueType.INT64: -(2**63),
        ValueType.FLOAT64: 0.1,
    }
    entries = [entry(kind.name, kind, value) for kind, value in values.items()]
    entries += [array(f"{kind.name}[]", kind, [value, value]) for kind, value in values.items()]
    header = read_header(written(tmp_path, gguf(entries)))
    for kind, value in values.items():
        assert header.metadata[kind.name] == value
        assert type(header.metadata[kind.name]) is type(value)
        assert header.metadata[f"{kind.name}[]"] == (value, value)


def test_every_tensor_type_comes_back(tmp_path: Path) -> None:
    tensors = [Tensor(kind.name.encode(), (kind.block_size * 2, 3), kind) for kind in TensorType]
    header = read_header(written(tmp_path, gguf(tensors=tensors)))
    assert [tensor.type for tensor in header.tensors] == list(TensorType)
    assert [tensor.size_bytes for tensor in header.tensors] == [kind.block_bytes * 6 for kind in TensorType]
    assert all(tensor.offset % 32 == 0 for tensor in header.tensors)


@pytest.mark.parametrize("version", [2, 3])
def test_versions_2_and_3_read_the_same(tmp_path: Path, version: int) -> None:
    header = read_header(written(tmp_path, gguf([entry("k", ValueType.UINT8, 7)], [Tensor()], version=version)))
    assert (header.version, header.whole("k"), len(header.tensors)) == (version, 7, 1)


@pytest.mark.parametrize("alignment", [1, 8, 64, 4096])
def test_the_stated_alignment_places_the_data(tmp_path: Path, alignment: int) -> None:
    entries = [entry("general.alignment", ValueType.UINT32, alignment)]
    path = written(tmp_path, gguf(entries, [Tensor(b"a", (3,)), Tensor(b"b", (5,))], alignment=alignment))
    header = read_header(path)
    assert header.alignment == alignment
    assert header.data_offset % alignment == 0
    assert header.tensors[1].offset == -(-12 // alignment) * alignment
    assert header.data_offset == NativeGguf().read(path).data_offset


def test_a_header_with_nothing_in_it_is_a_header(tmp_path: Path) -> None:
    header = read_header(written(tmp_path, gguf()))
    assert (dict(header.metadata), header.tensors, header.data_offset) == ({}, (), 24)


def test_the_file_may_end_without_the_last_padding_or_with_more_behind_it(tmp_path: Path) -> None:
    raw = gguf(tensors=[Tensor(shape=(3,))])
    assert read_header(written(tmp_path, raw)).tensors == read_header(written(tmp_path, raw + bytes(1000))).tensors


def test_a_tensor_without_elements_or_dimensions_is_taken_like_the_engine_takes_it(tmp_path: Path) -> None:
    raw = gguf(tensors=[Tensor(b"none", (0, 4)), Tensor(b"one", ())])
    assert NativeGguf().accepts(raw)
    none, one = read_header(written(tmp_path, raw)).tensors
    assert (none.n_elements, none.size_bytes) == (0, 0)
    assert (one.n_elements, one.size_bytes) == (1, 4)


def test_bad_utf8_in_a_value_is_shown_as_replacement_marks(tmp_path: Path) -> None:
    header = read_header(written(tmp_path, gguf([entry("k", ValueType.STRING, b"ab\xff")])))
    assert header.text("k") == "ab\ufffd"


def test_long_things_are_named_and_not_kept(tmp_path: Path) -> None:
    entries = [
        array("few", ValueType.STRING, ["x"] * 1024),
        array("many", ValueType.STRING, ["x"] * 1025),
        array("flags", ValueType.BOOL, [True] * 65_536),
        array("more flags", ValueType.BOOL, [True] * 65_537),
        entry("text", ValueType.STRING, "x" * (1 << 20)),
        entry("long text", ValueType.STRING, "x" * ((1 << 20) + 1)),
        entry("last", ValueType.UINT8, 9),
    ]
    header = read_header(written(tmp_path, gguf(entries)))
    assert header.length("few") == 1024
    assert isinstance(header.metadata["few"], tuple)
    assert header.metadata["many"] == SkippedArray(ValueType.STRING, 1025)
    assert header.metadata["flags"] == (True,) * 65_536
    assert header.metadata["more flags"] == SkippedArray(ValueType.BOOL, 65_537)
    assert header.metadata["text"] == "x" * (1 << 20)
    assert header.metadata["long text"] == SkippedText((1 << 20) + 1)
    assert header.metadata["last"] == 9


def test_strings_longer_than_the_reading_window_are_stepped_over(tmp_path: Path) -> None:
    texts = ["a" * (3 << 20), "", "b" * (2 << 20), *["c" * n for n in range(2000)]]
    path = written(tmp_path, gguf([array("k", ValueType.STRING, texts), entry("last", ValueType.UINT8, 9)]))
    header = read_header(path)
    assert header.metadata["k"] == SkippedArray(ValueType.STRING, len(texts))
    assert header.whole("last") == 9


def test_a_wanted_list_crosses_the_reading_window(tmp_path: Path) -> None:
    texts = ["c" * n for n in range(3000)]
    path = written(tmp_path, gguf([array("k", ValueType.STRING, texts)]))
    assert read_strings(path, "k") == tuple(texts)


def test_a_value_of_another_type_reads_as_missing(tmp_path: Path) -> None:
    entries = [entry("text", ValueType.STRING, "7"), entry("yes", ValueType.BOOL, True), entry("n", ValueType.INT8, 7)]
    header = read_header(written(tmp_path, gguf(entries)))
    assert header.whole("text") is None
    assert header.whole("yes") is None
    assert header.real("yes") is None
    assert header.text("n") is None
    assert header.flag("n") is None
    assert header.real("n") == 7.0
    assert header.length("n") is None
    assert header.texts("text") is None


def test_a_number_may_be_one_or_one_a_layer(tmp_path: Path) -> None:
    entries = [
        entry("one", ValueType.UINT32, 4),
        array("each", ValueType.INT32, [0, 4, 0]),
        array("flags", ValueType.BOOL, [True, False]),
        array("words", ValueType.STRING, ["4"]),
    ]
    header = read_header(written(tmp_path, gguf(entries)))
    assert header.whole_or_per_layer("one") == 4
    assert header.whole_or_per_layer("each") == (0, 4, 0)
    assert header.whole_or_per_layer("flags") == (1, 0)
    assert header.whole_or_per_layer("words") is None


def test_metadata_cannot_be_changed(tmp_path: Path) -> None:
    header = read_header(written(tmp_path, gguf([entry("k", ValueType.UINT8, 7)])))
    with pytest.raises(TypeError):
        header.metadata["k"] = 8  # type: ignore[index]


def test_the_file_is_closed_again(tmp_path: Path) -> None:
    path = written(tmp_path, gguf(tensors=[Tensor()]))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for _ in range(20):
        read_header(path)
        with pytest.raises(GgufError):
            read_strings(path, "none")
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before
    path.unlink()
    assert not path.exists()


WHOLE = {
    ValueType.UINT8: (0, 2**8 - 1),
    ValueType.INT8: (-(2**7), 2**7 - 1),
    ValueType.UINT16: (0, 2**16 - 1),
    ValueType.INT16: (-(2**15), 2**15 - 1),
    ValueType.UINT32: (0, 2**32 - 1),
    ValueType.INT32: (-(2**31), 2**31 - 1),
    ValueType.UINT64: (0, 2**64 - 1),
    ValueType.INT64: (-(2**63), 2**63 - 1),
}


def values_of(kind: ValueType) -> st.SearchStrategy[object]:
    if kind in WHOLE:
        return st.integers(*WHOLE[kind])
    if kind is ValueType.BOOL:
        return st.booleans()
    if kind is ValueType.STRING:
        return st.text(max_size=30)
    return st.floats(width=32 if kind is ValueType.FLOAT32 else 64, allow_nan=False)


KINDS = st.sampled_from([kind for kind in ValueType if kind is not ValueType.ARRAY])
KEYS = st.text(min_size=1, max_size=20).filter(lambda key: key != "general.alignment")
VALUES = KINDS.flatmap(
    lambda kind: st.tuples(st.just(kind), st.one_of(values_of(kind), st.lists(values_of(kind), max_size=5)))
)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=15)
SHAPES = st.lists(st.integers(0, 4), max_size=3)
TENSORS = st.dictionaries(NAMES, st.tuples(st.sampled_from(list(TensorType)), SHAPES), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(KEYS, VALUES, max_size=8), tensors=TENSORS, version=st.sampled_from([2, 3]))
def test_what_is_written_is_read(
    tmp_path: Path,
    metadata: dict[str, tuple[ValueType, object]],
    tensors: dict[str, tuple[TensorType, list[int]]],
    version: int,
) -> None:
    entries: list[Entry] = []
    expected: dict[str, object] = {}
    for key, (kind, value) in metadata.items():
        is_list = isinstance(value, list)
        entries.append(array(key, kind, value) if isinstance(value, list) else entry(key, kind, value))
        expected[key] = tuple(value) if is_list else value  # type: ignore[arg-type]
    shaped = {
        name: (kind, (kind.block_size * shape[0], *shape[1:]) if shape else (kind.block_size,))
        for name, (kind, shape) in tensors.items()
    }
    raw = gguf(entries, [Tensor(name.encode(), shape, kind) for name, (kind, shape) in shaped.items()], version=version)
    header = read_header(written(tmp_path, raw))
    assert dict(header.metadata) == expected
    assert [(t.name, t.type, t.shape, t.size_bytes) for t in header.tensors] == [
        (name, kind, shape, tensor_bytes(kind, shape)) for name, (kind, shape) in shaped.items()
    ]
    assert all(isinstance(tensor, TensorInfo) for tensor in header.tensors)
    assert NativeGguf().accepts(raw)


def test_the_beginning_of_a_file_is_enough_or_says_that_it_is_not() -> None:
    entries = [
        entry("general.architecture", ValueType.STRING, "llama"),
        array("tokenizer.ggml.tokens", ValueType.STRING, [f"token {number}" for number in range(1100)]),
        array("llama.numbers", ValueType.UINT32, list(range(70_000))),
    ]
    raw = gguf(entries, [Tensor(b"a", (64, 4)), Tensor(b"b", (32,))])
    whole = parse_header(io.BytesIO(raw), len(raw))
    table = raw.rindex(b"a" + struct.pack("<I", 2))  # the first tensor's name; everything before it can be missing
    for n_bytes in (*range(0, 200), *range(200, table, 997), *range(table, whole.data_offset - 31)):
        with pytest.raises(ShortRead) as caught:
            parse_header(io.BytesIO(raw[:n_bytes]), len(raw))
        assert n_bytes < caught.value.n_needed <= whole.data_offset
    assert parse_header(io.BytesIO(raw[: whole.data_offset]), len(raw)) == whole


def test_the_beginning_of_another_file_is_refused_at_once() -> None:
    with pytest.raises(GgufError, match="Safetensors"):
        parse_header(io.BytesIO(struct.pack("<Q", 300) + b'{"__metadata__":{}' + bytes(400)), 1 << 40)
