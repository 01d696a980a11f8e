"""Models in several files: whole ones, and every way in which parts fail to fit together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.gguf.card import ModelKind, read_card
from engine.gguf.reader import GgufError
from engine.gguf.splits import model_file_bytes, model_n_params, model_weights_bytes, read_model, shard_paths
from engine.gguf.types import ValueType
from tests.support.gguf_writer import Tensor, entry, gguf

U16, I32 = ValueType.UINT16, ValueType.INT32


def shard(
    folder: Path,
    index: int,
    tensors: Sequence[str],
    *,
    count: int = 3,
    no: int | None = None,
    stated_count: int | None = None,
    n_tensors: int = 4,
) -> Path:
    """Part `index` of a model with 4 tensors of 8 numbers each, in a file named as llama.cpp names it."""
    entries = [] if index else [entry("general.architecture", ValueType.STRING, "llama")]
    entries += [
        entry("split.no", U16, index if no is None else no),
        entry("split.count", U16, count if stated_count is None else stated_count),
        entry("split.tensors.count", I32, n_tensors),
    ]
    path = folder / f"m-{index + 1:05d}-of-{count:05d}.gguf"
    path.write_bytes(gguf(entries, [Tensor(name.encode()) for name in tensors]))
    return path


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """A correct model in three parts; the first has no tensors, as `--no-tensor-first-split` makes it."""
    return [shard(tmp_path, 0, []), shard(tmp_path, 1, ["a", "b"]), shard(tmp_path, 2, ["c", "d"])]


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_any_part_finds_the_whole_model(parts: list[Path], chosen: int) -> None:
    headers = read_model(parts[chosen])
    assert [header.whole("split.no") for header in headers] == [0, 1, 2]
    assert headers[0].architecture == "llama"
    assert model_n_params(headers) == 32
    assert model_weights_bytes(headers) == 128
    assert model_file_bytes(headers) == sum(part.stat().st_size for part in parts)


def test_the_card_of_a_split_model_counts_all_parts(parts: list[Path]) -> None:
    card = read_card(parts[1])
    assert (card.kind, card.n_files, card.n_params, card.weights_bytes) == (ModelKind.MODEL, 3, 32, 128)
    assert card.size_bytes == sum(part.stat().st_size for part in parts)
    assert dict(card.rows())["Size on disk"].endswith("in 3 files")


def test_a_model_in_one_file_is_one_header(smollm2: Path) -> None:
    assert len(read_model(smollm2)) == 1
    assert shard_paths(smollm2) == (smollm2,)


def test_the_names_of_all_parts_follow_from_one(tmp_path: Path) -> None:
    names = [path.name for path in shard_paths(tmp_path / "x-00002-of-00003.gguf")]
    assert names == ["x-00001-of-00003.gguf", "x-00002-of-00003.gguf", "x-00003-of-00003.gguf"]
    for name in ("x-00004-of-00003.gguf", "x-00000-of-00003.gguf", "x-2-of-3.gguf", "x-00001-of-00003.gguf.part"):
        assert shard_paths(tmp_path / name) == (tmp_path / name,)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_part_is_named(parts: list[Path], missing: int) -> None:
    parts[missing].unlink()
    with pytest.raises(GgufError, match=parts[missing].name):
        read_model(parts[(missing + 1) % 3])


def test_more_than_one_missing_part_is_counted(parts: list[Path]) -> None:
    parts[1].unlink()
    parts[2].unlink()
    with pytest.raises(GgufError, match=rf"{parts[1].name} and 1 more"):
        read_model(parts[0])


def test_a_damaged_part_is_refused(parts: list[Path]) -> None:
    parts[2].write_bytes(parts[2].read_bytes()[:-1])
    with pytest.raises(GgufError, match="not complete"):
        read_model(parts[0])


def test_parts_with_swapped_names_are_refused(parts: list[Path]) -> None:
    shard(parts[0].parent, 1, ["a", "b"], no=2)
    with pytest.raises(GgufError, match=r"00002-of-00003\.gguf holds part 3 of 3"):
        read_model(parts[0])


def test_a_part_of_another_split_is_refused(parts: list[Path]) -> None:
    shard(parts[0].parent, 2, ["c", "d"], stated_count=4)
    with pytest.raises(GgufError, match="part 3 of 4"):
        read_model(parts[0])


def test_a_later_part_without_a_number_is_refused(parts: list[Path]) -> None:
    parts[1].write_bytes(gguf([], [Tensor(b"a"), Tensor(b"b")]))
    with pytest.raises(GgufError, match="holds no number"):
        read_model(parts[0])


def test_parts_that_repeat_a_tensor_are_refused(parts: list[Path]) -> None:
    shard(parts[0].parent, 2, ["c", "a"])
    with pytest.raises(GgufError, match="same tensor"):
        read_model(parts[0])


@pytest.mark.parametrize("stated", [3, 5, -1])
def test_parts_that_do_not_add_up_are_refused(parts: list[Path], stated: int) -> None:
    shard(parts[0].parent, 0, [], n_tensors=stated)
    with pytest.raises(GgufError, match="4 tensors found"):
        read_model(parts[0])


def test_a_renamed_part_is_told_its_name(parts: list[Path]) -> None:
    renamed = parts[0].rename(parts[0].with_name("renamed.gguf"))
    with pytest.raises(GgufError, match=r"part 1 of 3.*00001-of-00003"):
        read_model(renamed)
