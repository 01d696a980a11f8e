"""The user's own presets: one JSON file each in a folder of the data directory, read and written on a lane.

What is shown changes at once and the file follows; a file that cannot be written is told as a trouble. A preset is
known by its file's name, so a new label renames nothing, and a copied file is another preset. Deleting puts the file
aside until the undo is over. Rejected: one file for all of them (a damaged one would lose all, and nobody could copy a
single one), the settings file (presets are exchanged, settings are not).
"""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from engine.base.bus import Bus
from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.base.jobs import Jobs, Task
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS, Preset
from engine.workbench.events import PresetsChanged, TroubleShown

LARGEST_FILE_BYTES = 1 << 20  # a grammar of a megabyte is no preset
LONGEST_LABEL = 60  # characters
LANE = "presets"
_ASIDE = ".deleted"
Result = TypeVar("Result")


class OwnPresets:
    """The user's presets, by label. Every method is for the pumping thread and returns at once.

    Attributes:
        presets: those that are there, ordered by label; empty until `read` is answered.
    """

    def __init__(self, folder: Path, bus: Bus, jobs: Jobs) -> None:
        self._folder, self._bus, self._jobs = folder, bus, jobs
        self.presets: tuple[Preset, ...] = ()

    def read(self) -> None:
        """Read the folder; posts `PresetsChanged`. A file that is no preset is told and left alone."""
        folder = self._folder

        def then(found: tuple[tuple[Preset, ...], tuple[Trouble, ...]]) -> None:
            presets, troubles = found
            kept = {each.key for each in self.presets}  # saved since
            self._show([*self.presets, *(each for each in presets if each.key not in kept)])
            for trouble in troubles:
                self._bus.post(TroubleShown(trouble))

        self._run(lambda _task: read_folder(folder), "Reading the presets", then=then)

    def named(self, key: str) -> Preset | None:
        """The preset of that key, built in or the user's own; None when there is none (any more)."""
        return next((each for each in (*PRESETS, *self.presets) if each.key == key), None)

    def save(self, label: str, chain: Chain) -> Preset:
        """Keep a chain under a new name.

        Raises:
            KnownError: the name says nothing, is too long or taken. Nothing was saved.
        """
        name = self._free_label(label)
        return self._add(name, "", chain, None)

    def overwrite(self, key: str, chain: Chain) -> Preset:
        """Keep another chain under the name of one of the user's own presets; returns what was there."""
        old = self._own(key)
        self._change(replace(old, chain=chain))
        return old

    def rename(self, key: str, label: str) -> None:
        """Give one of the user's own presets another name. Raises `KnownError` as `save` does."""
        old = self._own(key)
        if label.strip() != old.label:
            self._change(replace(old, label=self._free_label(label, except_key=key)))

    def delete(self, key: str) -> Preset:
        """Take one of the user's own presets away; `restore` brings it back, `forget` makes it final."""
        gone = self._own(key)
        self._show(each for each in self.presets if each.key != key)
        path = self._path(key)
        self._write(lambda: os.replace(path, _aside(path)), "Deleting the preset")
        return gone

    def restore(self, preset: Preset) -> None:
        """Undo `delete`, and undo `overwrite` with what it returned."""
        self._show([*(each for each in self.presets if each.key != preset.key), preset])
        path, text = self._path(preset.key), preset.to_json()
        self._write(lambda: _write_text(path, text), "Saving the preset")
        self.forget(preset)

    def forget(self, preset: Preset) -> None:
        """The undo of a delete is over: its file goes."""
        aside = _aside(self._path(preset.key))
        self._write(lambda: aside.unlink(missing_ok=True), "Deleting the preset")

    def export(self, preset: Preset, path: Path, then: Callable[[Path], object]) -> None:
        """Write a preset to a file anywhere; `then` takes its path. Posts `TroubleShown` when it cannot be written."""
        text = preset.to_json() + "\n"

        def work(_task: Task) -> Path:
            _write_text(path, text)
            return path

        self._run(work, "Exporting the preset", then=then)

    def import_file(self, path: Path, then: Callable[[Preset], object]) -> None:
        """Add the preset of a file; `then` takes it, under a name that was free. Posts `TroubleShown` for a bad file."""

        def added(found: Preset) -> None:
            label = free_label(found.label, {each.label for each in (*PRESETS, *self.presets)})
            then(self._add(label, found.help, found.chain, found.seed))

        self._run(lambda _task: read_file(path), "Importing the preset", then=added)

    # ---- inside

    def _own(self, key: str) -> Preset:
        found = next((each for each in self.presets if each.key == key), None)
        if found is None:
            raise KnownError("This preset is not one of yours", value=key, next_step="save it under a name of your own")
        return found

    def _free_label(self, label: str, *, except_key: str = "") -> str:
        name = " ".join(label.split())
        if not name:
            raise KnownError("A preset needs a name", next_step="type one")
        if len(name) > LONGEST_LABEL:
            value = f"{len(name)} characters"
            raise KnownError("This name is too long", value=value, next_step=f"use at most {LONGEST_LABEL}")
        for each in (*PRESETS, *self.presets):
            if each.label.casefold() == name.casefold() and each.key != except_key:
                raise KnownError("A preset has this name already", value=each.label, next_step="use another name")
        return name

    def _add(self, label: str, text: str, chain: Chain, seed: int | None) -> Preset:
        taken = {each.key for each in (*PRESETS, *self.presets)}
        added = Preset(key_for(label, taken), label, text, chain, seed)
        path, contents = self._path(added.key), added.to_json()
        self._show([*self.presets, added])
        self._write(lambda: _write_text(path, contents), "Saving the preset")
        return added

    def _change(self, preset: Preset) -> None:
        self._show(preset if each.key == preset.key else each for each in self.presets)
        path, text = self._path(preset.key), preset.to_json()
        self._write(lambda: _write_text(path, text), "Saving the preset")

    def _show(self, presets: Iterable[Preset]) -> None:
        self.presets = tuple(sorted(presets, key=lambda each: each.label.casefold()))
        self._bus.post(PresetsChanged(self.presets))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _write(self, work: Callable[[], object], title: str) -> None:
        folder = self._folder

        def run(_task: Task) -> None:
            try:
                work()
            except FileNotFoundError:
                raise _cannot_write(folder, "the file is gone") from None
            except OSError as error:
                raise _cannot_write(folder, error.strerror or str(error)) from error

        self._run(run, title, must_finish=True)

    def _run(
        self,
        work: Callable[[Task], Result],
        title: str,
        *,
        then: Callable[[Result], object] | None = None,
        must_finish: bool = False,
    ) -> None:
        def done(result: Result) -> None:
            if then is not None:
                then(result)

        def failed(trouble: Trouble) -> None:
            self._bus.post(TroubleShown(trouble))

        self._jobs.run(work, title=title, lane=LANE, then=done, failed=failed, must_finish=must_finish)


def read_folder(folder: Path) -> tuple[tuple[Preset, ...], tuple[Trouble, ...]]:
    """The presets in a folder, each under its file's name, and what is wrong with the other files. Blocks."""
    presets: list[Preset] = []
    troubles: list[Trouble] = []
    built_in = {each.key for each in PRESETS}
    with contextlib.suppress(OSError):  # no folder, no presets
        for path in folder.glob(f"*.json{_ASIDE}"):  # a window that died before its undo was over
            path.unlink(missing_ok=True)
        for path in sorted(folder.glob("*.json")):
            try:
                found = replace(read_file(path), key=path.stem)
            except KnownError as error:
                troubles.append(error.trouble)
                continue
            if found.key in built_in:
                what = "A preset's file has the name of a built-in one"
                troubles.append(Trouble(what, str(path), "give the file another name"))
            else:
                presets.append(found)
    return tuple(presets), tuple(troubles)


def read_file(path: Path) -> Preset:
    """The preset in a file. Blocks.

    Raises:
        KnownError: it cannot be read, is too large, is no text, or holds no preset; the file is named.
    """
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise KnownError("This file is too large for a preset", value=str(path), next_step="choose a preset file")
        return Preset.from_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise KnownError(
            "The preset cannot be read", value=f"{path}: {reason}", next_step="choose a preset file"
        ) from error
    except KnownError as error:
        told = error.trouble
        value = f"{path}: {told.value}" if told.value and str(path) not in told.value else told.value or str(path)
        raise KnownError(told.what, value=value, next_step=told.next_step) from error


def key_for(label: str, taken: Collection[str]) -> str:
    """A file's name made from a label: letters and digits of ASCII with dashes, not one of `taken`.

    A label of another script gives “preset”; “own-” stands in front so that a built-in one of a later version is free.
    """
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    stem = "own-" + (re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "preset")
    n, key = 1, stem
    while key in taken:
        n += 1
        key = f"{stem}-{n}"
    return key


def free_label(label: str, taken: Collection[str]) -> str:
    """The label, with a number behind it when it is taken."""
    folded = {each.casefold() for each in taken}
    label = " ".join(label.split())[:LONGEST_LABEL]
    n, free = 1, label
    while free.casefold() in folded:
        n += 1
        free = f"{label[: LONGEST_LABEL - 5]} ({n})"
    return free


def _aside(path: Path) -> Path:
    return path.with_name(path.name + _ASIDE)


def _write_text(path: Path, text: str) -> None:
    """Write a file in one step: the old one or the new one is there, never half of one."""
    import tempfile

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise _cannot_write(path, error.strerror or str(error)) from error


def _cannot_write(path: Path, reason: str) -> KnownError:
    folder = path.parent if path.suffix else path
    return KnownError(
        "The preset could not be saved",
        value=f"{path}: {reason}",
        next_step="make room or allow writing there",
        remedies=(Remedy(RemedyKind.OPEN_FOLDER, "Open folder", str(folder)),),
    )
