"""Headers that are kept here of models that are not: what the hub gave of a file, or a shape that was described.

A *header file* is a small JSON text at `cache/headers/<key>/<NAME>.gguf.header` that names the parts of a model, their sizes
and where the bytes of their headers lie beside it. Its path stands for the model wherever a path is wanted; `laid_out`
turns it into sparse files of full size for as long as the engine looks at them, which is as exact as the whole files.
Rejected: keeping the sparse files (a copy or a backup would write out every zero), headers in memory alone.
Source: the engine reads headers and never weights for a plan (`llama_model_params.no_alloc`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.gguf.card import Card, card_of, read_card
from engine.gguf.header import GgufError, Header
from engine.gguf.reader import parse_header
from engine.gguf.splits import check_parts

SUFFIX = ".header"
FORMAT = 1
MOST_KEPT_BYTES = 512 << 20
"""Of all kept headers together; the ones that were not used for longest go first."""
_STALE_S = 3600.0
_STAND_IN = "stand-in-"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a model that is not here: its name, its whole size in bytes, and the bytes of its header."""

    name: str
    size_bytes: int
    head: bytes


@dataclass(frozen=True, slots=True)
class HeaderFile:
    """What a header file says.

    Attributes:
        source: the model's address on the hub, or "" for one that was described.
        parts: its files, first part first.
    """

    source: str
    parts: tuple[Part, ...]


def is_header_file(path: Path) -> bool:
    """Whether a path stands for a model of which only the header is here."""
    return path.name.endswith(f".gguf{SUFFIX}")


def folder_of(cache: Path, key: str) -> Path:
    """Where the header of this key is kept: the same key, the same folder."""
    return cache / "headers" / hashlib.sha256(key.encode()).hexdigest()[:40]


def kept_path(folder: Path, first_name: str) -> Path:
    """The header file in its folder. `first_name` is the name of the first part."""
    return folder / f"{first_name}{SUFFIX}"


def keep(folder: Path, kept: HeaderFile) -> Path:
    """Write a header file; whole or not at all. Raises `KnownError`."""
    path = kept_path(folder, kept.parts[0].name)
    entries = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for index, part in enumerate(kept.parts):
            _write(folder / f"{index:05d}.bytes", part.head)
            entries.append({"name": part.name, "size": part.size_bytes, "n_bytes": len(part.head)})
        document = {"format": FORMAT, "source": kept.source, "parts": entries}
        _write(path, json.dumps(document, indent=1).encode())
        _forget_oldest(folder)
    except OSError as error:
        raise _no_room(folder, error) from error
    return path


def read_header_file(path: Path) -> HeaderFile:
    """What was kept. Raises `GgufError` when it is gone or damaged."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ValueError("another format")
        parts = []
        for index, each in enumerate(document["parts"]):
            head = (path.parent / f"{index:05d}.bytes").read_bytes()
            name, size = str(each["name"]), int(each["size"])
            if len(head) != each["n_bytes"] or len(head) > size or Path(name).name != name:
                raise ValueError("a part is damaged")
            parts.append(Part(name, size, head))
        return HeaderFile(str(document["source"]), tuple(parts))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise GgufError(
            "The kept header of this model is gone or damaged",
            value=f"{path.name}: {error}",
            next_step="ask the hub for it again",
        ) from error


def headers_of(kept: HeaderFile) -> tuple[Header, ...]:
    """The headers of all parts. Raises `GgufError`."""
    headers = tuple(parse_header(BytesIO(each.head), each.size_bytes) for each in kept.parts)
    if len(headers) > 1:
        check_parts(tuple(Path(each.name) for each in kept.parts), headers)
    return headers


def card_at(path: Path) -> Card:
    """The card of a model file, or of a header file. Raises `GgufError`."""
    if not is_header_file(path):
        return read_card(path)
    first, *rest = headers_of(read_header_file(path))
    return card_of(first, path, tuple(rest))


@contextmanager
def laid_out(path: Path) -> Iterator[Path]:
    """A file for the engine to plan with: the file itself, or sparse ones of full size made from a header file.

    The sparse files are removed afterwards. Raises `KnownError` when the file system cannot hold them.
    """
    if not is_header_file(path):
        yield path
        return
    kept = read_header_file(path)
    _remove_stale(path.parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_STAND_IN, dir=path.parent))
    except OSError as error:
        raise _no_room(path.parent, error) from error
    try:
        try:
            for part in kept.parts:
                with (folder / part.name).open("wb") as file:
                    file.write(part.head)
                    file.truncate(part.size_bytes)
            os.utime(path.parent / f"{0:05d}.bytes")  # used just now; the header file's own time says when it was read
        except OSError as error:
            raise _no_room(folder, error) from error
        yield folder / kept.parts[0].name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def source_of(path: Path) -> str:
    """Where a header file's model is: its address on the hub, "" for a described one and for files that are here."""
    return read_header_file(path).source if is_header_file(path) else ""


def not_here(path: Path) -> Trouble:
    """What to tell where a header file's weights are wanted."""
    return Trouble(
        "Only the header of this model is here, so it can be sized and not loaded",
        path.name.removesuffix(SUFFIX),
        "download the model, then open its file",
        (Remedy(RemedyKind.CHOOSE_MODEL, "Choose another model"),),
    )


def safe_name(name: str) -> str:
    """A file name for the disk from one of the hub's: its last part, without signs that a disk does not take."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name.rpartition("/")[2])[-200:]


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def _no_room(folder: Path, error: OSError) -> KnownError:
    return KnownError(
        "The header cannot be kept as a file of the model's size",
        value=f"{folder}: {error.strerror or error}",
        next_step="make room there, or keep the data on another disk with --data-dir",
    )


def _remove_stale(folder: Path) -> None:
    """Remove stand-ins that a process left behind when it was killed."""
    for each in folder.glob(f"{_STAND_IN}*"):
        try:
            if time.time() - each.stat().st_mtime > _STALE_S:
                shutil.rmtree(each, ignore_errors=True)
        except OSError:
            continue


def _forget_oldest(newest: Path) -> None:
    """Remove the folders that were not used for longest, until the rest is small enough."""
    folders: list[tuple[float, int, Path]] = []
    for each in newest.parent.iterdir():
        files: Sequence[os.stat_result] = [file.stat() for file in each.glob("*") if file.is_file()]
        folders.append((max((file.st_mtime for file in files), default=0.0), sum(file.st_size for file in files), each))
    kept_bytes = 0
    for _time, size, folder in sorted(folders, key=lambda each: (each[2] != newest, -each[0])):
        kept_bytes += size
        if kept_bytes > MOST_KEPT_BYTES and folder != newest:
            shutil.rmtree(folder, ignore_errors=True)
