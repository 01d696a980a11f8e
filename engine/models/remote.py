"""A model on the hub, sized without downloading it: the headers of its files are fetched, never the weights.

A header's length stands nowhere, so two mebibytes are asked for, then as many again until it parses. What was fetched is
kept for the ETag that the hub gave it, so the same file is asked for its state and not for its bytes the next time.
Source: the scheme of llama.cpp's tests/gguf-model-data.cpp; split files are named by llama_split_path.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from engine.base.errors import KnownError
from engine.gguf.card import ModelKind
from engine.gguf.cursor import ShortRead
from engine.gguf.header import GgufError, Header
from engine.gguf.reader import parse_header
from engine.gguf.splits import shard_paths
from engine.models.address import HubAddress
from engine.models.header_files import (
    HeaderFile,
    Part,
    folder_of,
    headers_of,
    keep,
    kept_path,
    read_header_file,
    safe_name,
)
from engine.models.hub import Hub, ListedFile, RemoteFile

FIRST_BYTES = 2 << 20
LATER_PART_BYTES = 256 << 10
MAX_HEADER_BYTES = 64 << 20
MAX_PARTS = 512
_QUANT = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d(?:_[0-9A-Z]+)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|F16|F32))(?![A-Za-z0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A GGUF model in a repository: a file, or all parts of a split one.

    Attributes:
        address: of its first part.
        size_bytes: of all parts.
        n_files: parts.
        quant: the quantization that its name says, "" where it says none.
    """

    address: HubAddress
    size_bytes: int
    n_files: int
    quant: str

    @property
    def kind(self) -> ModelKind:
        """What the file is by its name alone: a model, or a projector or importance matrix that lies beside one."""
        name = self.address.file.rpartition("/")[2].casefold()
        if name.startswith("mmproj"):
            return ModelKind.PROJECTOR
        return ModelKind.IMATRIX if "imatrix" in name else ModelKind.MODEL


def remote_models(address: HubAddress, files: tuple[ListedFile, ...]) -> tuple[RemoteModel, ...]:
    """The GGUF files of a repository's list, each split model once, smallest first."""
    sizes = {each.path: each.size_bytes for each in files if each.path.endswith(".gguf")}
    found = []
    for path in sizes:
        parts = [each.as_posix() for each in shard_paths(Path(path))]
        if path != parts[0]:
            continue
        size = sum(sizes.get(each, 0) for each in parts)
        found.append(RemoteModel(HubAddress(address.repo, path, address.revision), size, len(parts), quant_of(path)))
    return tuple(sorted(found, key=lambda each: (each.size_bytes, each.address.file)))


def quant_of(path: str) -> str:
    """The quantization that a file's name says ("Q4_K_M"), else its folder's, else ""."""
    for each in reversed(path.removesuffix(".gguf").split("/")):
        found = _QUANT.findall(each)
        if found:
            return str(found[-1]).upper()
    return ""


def fetch_headers(
    hub: Hub,
    address: HubAddress,
    cache: Path,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[float | None, str], None] = lambda _fraction, _text: None,
) -> Path:
    """The header file of a model on the hub, from the cache where its ETag is known.

    Args:
        address: a GGUF file; of a split model any part.
        stop: set from another thread to give up (`Cancelled`).
        progress: takes the share of parts that are here (None while nobody knows) and what is going on.

    Raises:
        KnownError: the hub refuses or cannot be reached, or the file is no GGUF model.
    """
    paths = [each.as_posix() for each in shard_paths(Path(address.file))]
    if len(paths) > MAX_PARTS:
        raise KnownError("The model has too many parts", value=f"{len(paths):,}", next_step="choose another file")
    progress(None, "Asking the hub")
    first = hub.look(HubAddress(address.repo, paths[0], address.revision))
    # Of a split model the ETag of the first part says nothing of the others; the commit does.
    commit = first.address.revision if len(paths) > 1 else ""
    folder = folder_of(cache, "\n".join((hub.endpoint, address.repo, paths[0], commit, first.etag)))
    path = kept_path(folder, safe_name(paths[0]))
    if first.etag and path.exists():
        try:
            headers_of(read_header_file(path))
            return path
        except GgufError:
            pass  # damaged: fetched again
    parts = []
    for index, name in enumerate(paths):
        where = HubAddress(address.repo, name, first.address.revision)
        text = "Reading the header" if len(paths) == 1 else f"Reading the header of part {index + 1} of {len(paths)}"
        progress(index / len(paths) if index else None, text)
        parts.append(_fetch_part(hub, first if index == 0 else RemoteFile(where, "", None), index, stop))
    kept = HeaderFile(str(HubAddress(address.repo, paths[0], address.revision)), tuple(parts))
    first_header, *_rest = headers_of(kept)
    stated = first_header.whole("split.count") or 1
    if stated != len(parts):
        raise GgufError(
            "The file is one part of a split model, but its name does not say so",
            value=f"{address}: {stated:,} parts stated",
            next_step="choose the first part (…-00001-of-…) of this model",
        )
    return keep(folder, kept)


def _fetch_part(hub: Hub, file: RemoteFile, index: int, stop: threading.Event | None) -> Part:
    """The header of one file: asked for in pieces that double, until it parses."""
    name = safe_name(file.address.file)
    data, size = b"", file.size_bytes
    wanted = LATER_PART_BYTES if index else FIRST_BYTES
    while True:
        more, told = hub.read(file.address, len(data), wanted, stop=stop)
        if told is not None and size is not None and told != size:
            raise KnownError(
                "The file changed on the hub while it was read",
                value=f"{file.address}: {size:,} bytes, then {told:,}",
                next_step="try again",
            )
        size = told if told is not None else size
        if size is None:
            raise KnownError(
                "The server does not say how large the file is",
                value=str(file.address),
                next_step="download the file, then open it",
            )
        data += more
        header = _parsed(data, size)
        if header is not None:
            return Part(name, size, data[: min(header.data_offset, len(data))])
        if len(data) < wanted:
            raise KnownError(
                "The hub sent less of the file than there is",
                value=f"{file.address}: {len(data):,} of {size:,} bytes",
                next_step="try again",
            )
        if wanted >= MAX_HEADER_BYTES:
            raise KnownError(
                "The header of this file is larger than any known one",
                value=f"{file.address}: over {MAX_HEADER_BYTES >> 20} MiB",
                next_step="download the file, then open it",
            )
        wanted = min(2 * wanted, MAX_HEADER_BYTES)


def _parsed(data: bytes, size: int) -> Header | None:
    """The header, or None when more bytes are needed for it."""
    try:
        header = parse_header(BytesIO(data), size)
    except ShortRead:
        return None
    return header if len(data) >= min(header.data_offset, size) else None
