"""A model of which only the header is here is planned like the whole file, to the byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.gguf.header import GgufError
from engine.gguf.reader import read_header
from engine.models import header_files
from engine.models.header_files import HeaderFile, Part, card_at, folder_of, keep, laid_out, source_of
from engine.models.labels import model_label
from engine.models.library import entry_of
from engine.runtime.dry_run import plan_load
from engine.wire.messages import Planned


def kept(cache: Path, model: Path) -> Path:
    """The header file of a model that is here, as the hub would have given it."""
    header = read_header(model)
    with model.open("rb") as file:
        head = file.read(header.data_offset)
    part = Part(model.name, header.file_size, head)
    return keep(folder_of(cache, model.name), HeaderFile("hf:a/b/c.gguf", (part,)))


def figures(planned: Planned) -> object:
    """All that a plan says of the model and its memory, without what the process itself takes."""
    memory, facts = planned.memory, planned.facts
    sizes = (memory.buffers, memory.output_bytes, memory.mapped_bytes, memory.n_ctx)
    return sizes, (
        facts.size_bytes,
        facts.n_params,
        facts.n_layer,
        facts.n_vocab,
        facts.chat_template,
        facts.n_ctx_train,
    )


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("smollm2", {}),
        ("smollm2", {"n_ctx": 8192, "type_k": "q8_0", "type_v": "q8_0", "mmap": False}),
        ("gemma3", {}),
        ("gemma3", {"n_ctx": 2048, "swa_full": True}),
    ],
)
def test_a_header_alone_is_planned_as_the_whole_file_is(
    request: pytest.FixtureRequest, tmp_path: Path, model: str, options: dict[str, Value]
) -> None:
    whole: Path = request.getfixturevalue(model)
    path = kept(tmp_path, whole)
    with laid_out(path) as file:
        assert file.stat().st_size == whole.stat().st_size
        assert file.stat().st_blocks * 512 < whole.stat().st_size // 10
        planned = plan_load(str(file), options)[0]
    assert figures(planned) == figures(plan_load(str(whole), options)[0])


def test_the_stand_in_goes_whatever_happens(tmp_path: Path, smollm2: Path) -> None:
    path = kept(tmp_path, smollm2)
    before = set(tmp_path.rglob("*"))
    read_at = path.stat().st_mtime_ns
    with laid_out(path) as file:
        assert file.name == smollm2.name
    assert not file.exists()
    assert path.stat().st_mtime_ns == read_at  # plans are remembered for as long as it stays the same
    with pytest.raises(GgufError, match="not there"), laid_out(path) as file:
        read_header(file.with_name("another.gguf"))
    assert set(tmp_path.rglob("*")) == before
    left_behind = path.parent / "stand-in-dead"
    left_behind.mkdir()
    os.utime(left_behind, (0, 0))
    with laid_out(path):
        assert not left_behind.exists()


def test_an_ordinary_file_stands_for_itself(smollm2: Path) -> None:
    with laid_out(smollm2) as file:
        assert file == smollm2
    assert source_of(smollm2) == ""


def test_a_header_file_is_an_entry_like_others(tmp_path: Path, smollm2: Path) -> None:
    path = kept(tmp_path, smollm2)
    entry = entry_of(path, "hub")
    assert entry.is_model
    assert entry.label == model_label(smollm2)
    assert entry.card is not None
    assert entry.card.rows() == card_at(smollm2).rows()
    assert source_of(path) == "hf:a/b/c.gguf"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[]",
        b'{"format": 9}',
        b'{"format": 1, "source": "", "parts": [{"name": "../x", "size": 1, "n_bytes": 0}]}',
    ],
)
def test_a_damaged_header_file_is_the_known_error(tmp_path: Path, smollm2: Path, damage: bytes) -> None:
    path = kept(tmp_path, smollm2)
    path.write_bytes(damage)
    assert entry_of(path, "hub").trouble is not None
    with pytest.raises(GgufError, match="gone or damaged"), laid_out(path):
        pass


def test_a_disk_that_is_full_or_too_simple_is_said(tmp_path: Path, smollm2: Path) -> None:
    part = Part("huge.gguf", 1 << 62, smollm2.read_bytes()[:100])
    path = keep(folder_of(tmp_path, "huge"), HeaderFile("", (part,)))
    with pytest.raises(KnownError, match="cannot be kept as a file of the model's size") as caught, laid_out(path):
        pass
    assert "--data-dir" in caught.value.trouble.next_step
    assert [each.name for each in path.parent.iterdir() if each.is_dir()] == []


def test_the_headers_that_were_not_used_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_files, "MOST_KEPT_BYTES", 25_000)
    paths = []
    for number in range(4):
        part = Part("m.gguf", 1 << 20, bytes(10_000))
        paths.append(keep(folder_of(tmp_path, str(number)), HeaderFile("", (part,))))
        for each in paths[-1].parent.iterdir():
            os.utime(each, (number, number))
    assert [each.exists() for each in paths] == [False, False, True, True]
