"""Files that are not what they say: each must become a `GgufError` with three parts, and nothing else.

The cases follow those that llama.cpp handcrafts for its own reader, and the CVEs that its readers have had. Each is also
given to the engine, so that a case says whether the refusal is the engine's or ours alone.
"""

from __future__ import annotations

import io
import os
import random
import stat
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.gguf.reader import GgufError, SkippedArray, SkippedText, parse_header, read_header, read_strings
from engine.gguf.types import TensorType, ValueType
from tests.support.gguf_writer import Entry, Tensor, array, entry, gguf, string, u64
from tests.support.native_gguf import NativeGguf

LIMIT_BYTES = 64 << 20
U32, STRING, ARRAY = ValueType.UINT32, ValueType.STRING, ValueType.ARRAY
GOOD = (entry("general.architecture", STRING, "llama"), entry("n", U32, 7))
HUGE_I8 = Tensor(b"a", (0x7FFFFFFFFFFFFFC0,), TensorType.I8)
HUGE_I8_TOO = Tensor(b"b", HUGE_I8.shape, TensorType.I8)


@dataclass(frozen=True)
class Case:
    """A file, what the message must say, and whether the engine refuses it too."""

    name: str
    raw: bytes
    says: str
    engine_refuses: bool = True


def alignment(payload: bytes, kind: ValueType = U32) -> tuple[Entry, ...]:
    return (*GOOD, Entry(b"general.alignment", kind.type_id, payload))


def with_tensor(*tensors: Tensor) -> bytes:
    return gguf(GOOD, tensors, with_data=False) + bytes(256)


CASES = (
    # -- the first bytes
    Case("bad magic", gguf(magic=b"FAIL"), "not a GGUF file"),
    Case("swapped magic", gguf(magic=b"FUGG"), "swapped"),
    Case("a web page", b"<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
    Case("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS"),
    Case("an error message", b'{"error": "Access to this model is gated"}', "JSON"),
    Case("a PyTorch archive", b"PK\x03\x04" + bytes(60), "PyTorch"),
    Case("one byte", b"G", "not a GGUF file"),
    Case("version 0", gguf(version=0), "version 0"),
    Case("version 1", gguf(version=1), "version 1"),
    Case("a future version", gguf(version=4), "version 4"),
    Case("a very future version", gguf(version=0x12345), "newer GGUF version"),
    Case("big-endian", gguf([entry("k", U32, 7, ">")], [Tensor()], order=">"), "big-endian"),
    Case("minus one tensors", gguf(GOOD, n_tensors=-1), "number of tensors"),
    Case("2^62 tensors", gguf(GOOD, n_tensors=1 << 62), "number of tensors"),
    Case("more tensors than bytes", gguf(GOOD, n_tensors=60_000), "number of tensors"),
    Case("one tensor too many", gguf(GOOD, [Tensor()], n_tensors=2), "."),
    Case("minus one entries", gguf(GOOD, n_entries=-1), "number of metadata entries"),
    Case("2^62 entries", gguf(GOOD, n_entries=1 << 62), "number of metadata entries"),
    Case("more entries than bytes", gguf(GOOD, n_entries=60_000), "number of metadata entries"),
    Case("one entry too many", gguf(GOOD, n_entries=3), "."),
    # -- metadata
    Case("key length minus one", gguf([Entry(b"key", 4, bytes(4), key_length=-1 % 2**64)]), "metadata key 0"),
    Case("key longer than the file", gguf([Entry(b"key", 4, bytes(4), key_length=1 << 20)]), "metadata key 0"),
    Case("key length over the engine's limit", gguf([Entry(b"key", 4, bytes(4), key_length=2**30 + 1)]), "key 0"),
    Case("key over 65,535 bytes", gguf([entry("k" * 65_536, U32, 1)]), "metadata key", engine_refuses=False),
    Case("empty key", gguf([*GOOD, entry("", U32, 1)]), "metadata key"),
    Case("key that is no UTF-8", gguf([Entry(b"\xff\xfe", 4, bytes(4))]), "UTF-8", engine_refuses=False),
    Case("duplicate key", gguf([*GOOD, entry("n", U32, 8)]), "twice"),
    Case("value type 13", gguf([Entry(b"k", 13, bytes(8))]), "unknown type"),
    Case("value type minus one", gguf([Entry(b"k", 2**32 - 1, bytes(8))]), "unknown type"),
    Case("text longer than the file", gguf([Entry(b"k", STRING.type_id, u64(1 << 20))]), "the value of 'k'"),
    Case("text of minus one bytes", gguf([Entry(b"k", STRING.type_id, u64(-1))]), "the value of 'k'"),
    Case("value cut off", gguf([Entry(b"k", ValueType.UINT64.type_id, bytes(7))]), "ends inside"),
    Case("alignment 0", gguf(alignment(bytes(4))), "power of two"),
    Case("alignment 13", gguf(alignment(b"\x0d\0\0\0")), "power of two"),
    Case("alignment of a signed type", gguf(alignment(b" \0\0\0", ValueType.INT32)), "wrong type"),
    Case("alignment of 64 bits", gguf(alignment(b" \0\0\0\0\0\0\0", ValueType.UINT64)), "wrong type"),
    Case("alignment as text", gguf(alignment(string("32"), STRING)), "wrong type"),
    # The engine asserts on this one, so it is not asked.
    Case(
        "alignment past the file", gguf([*GOOD, entry("general.alignment", U32, 1 << 31)], [Tensor()]), "not complete"
    ),
    # -- arrays
    Case("array of arrays", gguf([array("k", U32, [1], type_id=ARRAY.type_id)]), "holds arrays"),
    Case("array of an unknown type", gguf([array("k", U32, [1], type_id=77)]), "unknown type"),
    Case("array of minus one elements", gguf([array("k", U32, [1], length=-1)]), "length of a metadata array"),
    Case("array whose size overflows", gguf([array("k", U32, [1], length=1 << 62)]), "length of a metadata array"),
    Case("array over the engine's limit", gguf([array("k", U32, [1], length=2**30 + 1)]), "length of a metadata array"),
    Case("array longer than the file", gguf([array("k", U32, [1], length=2)]), "length of a metadata array"),
    Case("texts longer than the file", gguf([array("k", STRING, ["a"], length=3)]), "length of a metadata array"),
    Case("many texts longer than the file", gguf([array("k", STRING, ["a"] * 2000, length=2100)]), "'k'"),
    Case("a text in a short list too long", gguf([Entry(b"k", 9, b"\x08\0\0\0" + u64(1) + u64(1 << 40))]), "'k'"),
    Case(
        "a text in a long list too long",
        gguf([Entry(b"k", 9, b"\x08\0\0\0" + u64(2000) + string("a") * 1000 + u64(-9) + string("a") * 999)]),
        "string 1,000",
    ),
    # -- tensors
    Case("name length minus one", with_tensor(Tensor(name_length=-1)), "name of tensor 0"),
    Case("name of 64 bytes", with_tensor(Tensor(b"n" * 64)), "name is too long"),
    Case("name that is no UTF-8", with_tensor(Tensor(b"\xff")), "UTF-8", engine_refuses=False),
    Case("name with a zero byte", with_tensor(Tensor(b"a\0b")), "zero byte", engine_refuses=False),
    Case("duplicate name", with_tensor(Tensor(b"a"), Tensor(b"a")), "twice"),
    Case("five dimensions", with_tensor(Tensor(shape=(1, 1, 1, 1, 1))), "dimensions"),
    Case("2^32-1 dimensions", with_tensor(Tensor(n_dims=2**32 - 1)), "dimensions"),
    Case("a negative dimension", with_tensor(Tensor(shape=(-8,))), "shape"),
    Case("a negative second dimension", with_tensor(Tensor(shape=(8, -1))), "shape"),
    Case("elements over 2^63", with_tensor(Tensor(shape=(1 << 32, 1 << 31))), "shape"),
    Case("elements that wrap to zero", with_tensor(Tensor(shape=(1 << 32, 1 << 32))), "shape"),
    Case("zero elements beside a huge dimension", with_tensor(Tensor(shape=(0, 1 << 62, 4))), "shape", False),
    Case("bytes over 2^64", with_tensor(Tensor(shape=(1 << 62,), type=TensorType.I64)), "."),
    Case("sizes that overflow when added", with_tensor(HUGE_I8, HUGE_I8_TOO), "not complete", engine_refuses=False),
    Case("tensor type 43", with_tensor(Tensor(type_id=43)), "does not know"),
    Case("tensor type minus one", with_tensor(Tensor(type_id=-1)), "type cannot be right"),
    Case("removed type Q4_2", with_tensor(Tensor(type_id=4)), "Q4_2"),
    Case("removed type Q4_0_8_8", with_tensor(Tensor(type_id=33)), "Q4_0_8_8"),
    Case("rows that are no whole blocks", with_tensor(Tensor(shape=(48,), type=TensorType.Q4_0)), "whole blocks"),
    Case("first offset not zero", with_tensor(Tensor(offset=32)), "not where it must be"),
    Case("offset not aligned", with_tensor(Tensor(), Tensor(b"b", offset=33)), "not where it must be"),
    Case("a gap between tensors", with_tensor(Tensor(), Tensor(b"b", offset=64)), "not where it must be"),
    Case("tensors that overlap", with_tensor(Tensor(), Tensor(b"b", offset=0)), "not where it must be"),
    Case("offset minus one", with_tensor(Tensor(offset=-1)), "not where it must be"),
    Case(
        "offsets of another alignment",
        gguf([entry("general.alignment", U32, 64)], [Tensor(b"a"), Tensor(b"b")], alignment=32),
        "not where it must be",
    ),
    Case(
        "offsets without the alignment that is not stated",
        gguf(GOOD, [Tensor(b"a", (3,)), Tensor(b"b", (3,))], alignment=1),
        "not where it must be",
    ),
    Case("tensors behind alignment 13", gguf(alignment(b"\x0d\0\0\0"), [Tensor()], alignment=13), "power of two"),
    Case("two dimensions of 2^33 elements", with_tensor(Tensor(shape=(4 * (2**31 - 1),) * 2)), "shape"),
    Case(
        "bytes over 2^64 in two dimensions",
        with_tensor(Tensor(shape=(0x60000000, 0x60000000), type=TensorType.I64)),
        "not complete",
    ),
    Case("no data at all", gguf(GOOD, [Tensor()], with_data=False), "not complete"),
    Case("data one byte short", gguf(GOOD, [Tensor()], data_bytes=31), "not complete", engine_refuses=False),
    Case(
        "data of a later tensor missing",
        gguf(GOOD, [Tensor(b"a"), Tensor(b"b", (1 << 40,))], with_data=False) + bytes(500),
        "from tensor 'b' on",
        engine_refuses=False,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_file_is_refused_with_what_value_and_next_step(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(case.raw)
    with pytest.raises(GgufError) as caught:
        read_header(path)
    trouble = caught.value.trouble
    if case.says != ".":
        assert case.says in trouble.sentence()
    assert trouble.what
    assert trouble.value
    assert trouble.next_step
    assert trouble.sentence().isprintable()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_refused_by_the_engine_too_where_it_says_so(case: Case) -> None:
    assert NativeGguf().accepts(case.raw) is not case.engine_refuses


SMALL = gguf(
    [
        *GOOD,
        array("numbers", ValueType.FLOAT32, [1.0, 2.0]),
        array("words", STRING, ["a", "bc", ""]),
        array("many words", STRING, ["x"] * 1030),
        entry("yes", ValueType.BOOL, True),
    ],
    [Tensor(b"token_embd.weight", (64, 2), TensorType.Q4_1), Tensor(b"output_norm.weight", (3,))],
)


def test_every_prefix_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(SMALL)
    assert len(read_header(path).tensors) == 2
    with open(path, "r+b") as file:
        for n_bytes in range(len(SMALL) - 1, -1, -1):
            file.truncate(n_bytes)
            with pytest.raises(GgufError):
                read_header(path)
            with pytest.raises(GgufError):
                read_strings(path, "no such key")


def test_a_real_file_cut_anywhere_is_refused(smollm2: Path, tmp_path: Path) -> None:
    whole = read_header(smollm2)
    path = tmp_path / "model.gguf"
    with open(smollm2, "rb") as source:
        path.write_bytes(source.read(whole.data_offset))
    # A sparse file stands for the weights, which are not looked at.
    os.truncate(path, whole.file_size)
    assert read_header(path).tensors == whole.tensors
    last = whole.tensors[-1]
    cuts = [whole.data_offset + last.offset + last.size_bytes - 1, whole.data_offset, whole.data_offset - 1]
    cuts += sorted(random.Random(5).sample(range(whole.data_offset), 60), reverse=True)
    for n_bytes in cuts:
        os.truncate(path, n_bytes)
        with pytest.raises(GgufError, match="download the file again"):
            read_header(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match=r"none\.gguf"):
        read_header(tmp_path / "none.gguf")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="folder"):
        read_header(tmp_path)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.gguf"
    path.touch()
    with pytest.raises(GgufError, match="empty"):
        read_header(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_block_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(GgufError, match="ordinary file"):
        read_header(tmp_path / "pipe.gguf")


def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = tmp_path / "closed.gguf"
    path.write_bytes(SMALL)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(GgufError, match="permission"):
        read_header(path)
    path.chmod(stat.S_IRUSR)


@pytest.mark.parametrize("name", ["nul\0byte.gguf", "a" * 5000, "half\udcffname.gguf", "\ud800", "a/b/c"])
def test_an_impossible_path_is_refused_and_can_be_shown(name: str, tmp_path: Path) -> None:
    with pytest.raises(GgufError) as caught:
        read_header(tmp_path / name)
    caught.value.trouble.sentence().encode("utf-8")


def peak_bytes_of(read: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        read()
    except GgufError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_hostile_file_makes_the_reader_allocate_what_it_announces(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(case.raw)
    assert peak_bytes_of(lambda: read_header(path)) < LIMIT_BYTES
    assert peak_bytes_of(lambda: read_strings(path, "k")) < LIMIT_BYTES


def test_a_name_of_63_bytes_is_the_longest() -> None:
    """GGML_MAX_NAME counts the zero byte at the end."""
    raw = with_tensor(Tensor(b"n" * 63))
    assert parse_header(io.BytesIO(raw), len(raw)).tensors[0].name == "n" * 63
    assert NativeGguf().accepts(raw)


def test_the_most_tensors_that_are_taken_fit_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    tensors = [Tensor(b"%060d" % index, (0, 2**30, 2**20, 1)) for index in range(65_536)]
    raw = gguf(tensors=tensors)
    path.write_bytes(raw)
    n_read: list[int] = []
    assert peak_bytes_of(lambda: n_read.append(len(read_header(path).tensors))) < LIMIT_BYTES
    assert n_read == [65_536]
    path.write_bytes(raw[:8] + u64(65_537) + raw[16:] + bytes(100))
    with pytest.raises(GgufError, match="number of tensors"):
        read_header(path)


def test_much_metadata_is_kept_only_as_far_as_it_fits(tmp_path: Path) -> None:
    numbers = [2**63 + n for n in range(65_536)]
    wide = "\U0001f999" + "a" * ((1 << 20) - 4)  # one wide character makes each of the others four bytes
    entries = [array(f"numbers {n}", ValueType.UINT64, numbers) for n in range(6)]
    entries += [entry(f"text {n}", STRING, wide) for n in range(8)]
    entries += [array(f"list {n}", STRING, [wide] * 2) for n in range(4)]
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf([*entries, entry("last", U32, 9)], [Tensor()]))
    header = read_header(path)
    assert header.metadata["numbers 0"] == tuple(numbers)
    assert header.metadata["numbers 5"] == SkippedArray(ValueType.UINT64, 65_536)
    assert header.metadata["text 7"] == SkippedText(1 << 20)
    assert header.metadata["list 3"] == SkippedArray(STRING, 2)
    assert header.whole("last") == 9
    del header
    assert peak_bytes_of(lambda: read_header(path)) < LIMIT_BYTES


def test_the_most_entries_that_are_taken_fit_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf([entry(f"key number {n:06d}", ValueType.UINT64, 2**63 + n) for n in range(65_536)]))
    assert len(read_header(path).metadata) == 65_536
    assert peak_bytes_of(lambda: read_header(path)) < LIMIT_BYTES
    path.write_bytes(gguf([entry(f"{n:06d}" + "k" * 600, U32, n) for n in range(25_000)]))
    with pytest.raises(GgufError, match="metadata keys are too large"):
        read_header(path)


def test_a_wanted_list_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf([array("k", STRING, ["\u6a21" * 200] * 100_000)]))
    with pytest.raises(GgufError, match="too large"):
        read_strings(path, "k")
    assert peak_bytes_of(lambda: read_strings(path, "k")) < LIMIT_BYTES


def test_one_long_text_in_a_wanted_list_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf([array("k", STRING, ["\U0001f999" + "a" * (20 << 20)])]))
    with pytest.raises(GgufError, match="too large"):
        read_strings(path, "k")
    assert peak_bytes_of(lambda: read_strings(path, "k")) < LIMIT_BYTES
