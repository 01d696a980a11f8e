"""The library: every GGUF model in the folders that the user named, in the models folder, and the starter.

Files stay where they are; a folder that is away for a while (a drive, a network) keeps its place in the list and its
models are shown as missing, not forgotten. Headers are read with our own reader, a tenth of a second at most each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.base.errors import Trouble
from engine.gguf.card import Card, ModelKind
from engine.gguf.header import GgufError
from engine.gguf.splits import shard_paths
from engine.models.header_files import card_at, is_header_file
from engine.models.labels import model_label

MAX_DEPTH = 6
SKIPPED = frozenset({".git", "node_modules", "__pycache__", ".cache"})


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """A GGUF file: its card, or why it has none.

    Attributes:
        path: the file; of a split model the first part.
        card: what its header says; None when it could not be read.
        trouble: why not.
        origin: "starter", or the folder it was found in.
        stamp: size in bytes, time of change in ns and inode of the file when it was read: as long as they are the same, so is
            the card. None where more files than this one count, or it could not be read.
    """

    path: Path
    card: Card | None
    trouble: Trouble | None
    origin: str
    stamp: tuple[int, int, int] | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        """The name on screen: the file's, which tells versions and quantizations apart, without its ending."""
        return model_label(self.path)

    @property
    def is_model(self) -> bool:
        return self.card is not None and self.card.kind is ModelKind.MODEL


def entry_of(path: Path, origin: str, known: LibraryEntry | None = None) -> LibraryEntry:
    """Read one file's header, unless `known`, an earlier entry of this path, still holds."""
    stamp = _stamp(path)  # before the header: what changes meanwhile is read again the next time
    if known is not None and known.card is not None and stamp is not None and stamp == known.stamp:
        return replace(known, origin=origin)
    try:
        return LibraryEntry(path, card_at(path), None, origin, stamp)
    except GgufError as error:
        return LibraryEntry(path, None, error.trouble, origin)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    if is_header_file(path) or len(shard_paths(path)) > 1:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def scan(
    folders: Iterable[Path],
    starter: Path | None,
    *,
    known: Iterable[LibraryEntry] = (),
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, str], None] = lambda _count, _name: None,
) -> tuple[tuple[LibraryEntry, ...], tuple[str, ...]]:
    """Every model in the folders, the starter first, the others by name; and the folders that could not be read.

    Args:
        known: of an earlier scan; a file that has not changed since then is not read again.
        check: called between files; may raise to end the scan.
        progress: takes the number of files read so far and the name of the last.
    """
    entries: list[LibraryEntry] = []
    missing: list[str] = []
    seen: set[Path] = set()
    before = {each.path: each for each in known}
    if starter is not None:
        entries.append(entry_of(starter, "starter", before.get(starter)))
        seen.add(starter.resolve())
    found: list[LibraryEntry] = []
    for folder in folders:
        if not folder.is_dir():
            missing.append(str(folder))
            continue
        for path in gguf_files(folder):
            check()
            real = path.resolve()
            if real in seen:
                continue
            seen.add(real)
            entry = entry_of(path, str(folder), before.get(path))
            if entry.card is None or entry.card.kind is not ModelKind.OTHER_SHARD:
                found.append(entry)
            progress(len(seen), path.name)
    entries += sorted(found, key=lambda each: each.label.casefold())
    return tuple(entries), tuple(missing)


def gguf_files(folder: Path) -> Iterator[Path]:
    """The GGUF files below a folder, to a depth of `MAX_DEPTH`; unreadable folders are passed over."""
    root_depth = len(folder.parts)
    for here, folders, files in os.walk(folder, onerror=lambda _error: None, followlinks=False):
        if len(Path(here).parts) - root_depth >= MAX_DEPTH:
            folders.clear()
        folders[:] = sorted(each for each in folders if each not in SKIPPED)
        for name in sorted(files):
            if name.endswith(".gguf"):
                yield Path(here) / name
