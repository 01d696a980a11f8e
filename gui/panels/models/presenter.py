"""The Models page's decisions: which files are listed in which order, which one is looked at, whether it fits.

The library is the workbench's; here it is filtered, sorted and joined with what was opened by hand and with what a
missing folder held when it was last seen (a drive that is away must not empty the list). It knows no Qt.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.gguf.card import ModelKind
from engine.models.library import LibraryEntry
from engine.runtime.supervisor import Phase
from engine.workbench import Workbench
from engine.workbench.events import EngineChanged, Estimate, LibraryChanged, LibraryScanned, SettingsChanged

ASKER = "models"
STARTER = "starter"


class State(enum.Enum):
    """What can be said of a file in the list."""

    READY = "ready"
    LOADED = "loaded"
    LOADING = "loading"
    OTHER = "other"  # a GGUF file that is no model by itself
    BROKEN = "broken"
    MISSING = "missing"  # its folder is away


class Order(enum.Enum):
    """By what the list is sorted."""

    NAME = "name"
    SIZE = "size"
    PARAMS = "parameters"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Row:
    """One file of the list."""

    entry: LibraryEntry
    state: State
    is_opened: bool = False

    @property
    def path(self) -> Path:
        return self.entry.path


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is searched. `is_own`: the program's own, which cannot be removed."""

    path: str
    n_files: int
    is_missing: bool
    is_own: bool


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page shows.

    Attributes:
        rows, n_all: what the filter leaves, and how many files there are without it.
        selected: the row that is looked at; it stays when the filter hides it.
        estimate, refusal: whether the selected model fits with the present load options, or why nobody can say.
        is_estimating: the engine is being asked.
        folders: what is searched.
        is_scanning, n_scanned: a scan is going on, and how many files it has read.
        load_fraction: 0 to 1 while the selected model is being loaded, else None.
    """

    rows: tuple[Row, ...] = ()
    n_all: int = 0
    selected: Row | None = None
    estimate: Estimate | None = None
    refusal: Trouble | None = None
    is_estimating: bool = False
    folders: tuple[Folder, ...] = ()
    is_scanning: bool = False
    n_scanned: int = 0
    filter_text: str = ""
    order: Order = Order.NAME
    load_fraction: float | None = None


class ModelsSurface(Protocol):
    """What the presenter has of the view."""

    def show_page(self, page: Page) -> None: ...

    def estimate_soon(self) -> None:
        """Call `estimate` in a moment, counted from the last of these calls."""
        ...

    def offer_undo(self, folder: str, undo: Callable[[], None]) -> None:
        """Say that a folder is searched no more, and how to take it back."""
        ...

    def go(self, page: str) -> None: ...

    def open_folder(self, folder: str) -> None: ...

    def show_trouble(self, trouble: Trouble) -> None: ...


class ModelsPresenter:
    """One Models page."""

    def __init__(self, workbench: Workbench, surface: ModelsSurface) -> None:
        self._workbench, self._surface = workbench, surface
        self._opened: dict[Path, LibraryEntry] = {}
        self._seen: dict[str, tuple[LibraryEntry, ...]] = {}
        self._is_active = False
        self._wanted: Path | None = None
        self.page = Page()
        self._ends = [
            workbench.subscribe(LibraryChanged, self._library_changed),
            workbench.subscribe(LibraryScanned, self._scanned),
            workbench.subscribe(EngineChanged, lambda _event: self._refresh()),
            workbench.subscribe(SettingsChanged, lambda _event: self._refresh()),
        ]

    def start(self) -> None:
        """Show the library as it is known now, and in it the loaded model."""
        self._remember()
        facts = self._workbench.state.facts
        self._wanted = Path(facts.path) if facts is not None else None
        self._refresh()
        self._surface.show_page(self.page)

    def close(self) -> None:
        """Hear nothing any more."""
        for end in self._ends:
            end()

    def activated(self) -> None:
        """The page came on screen: now it is worth asking whether the selected model fits."""
        self._is_active = True
        if self.page.selected is not None and self.page.estimate is None:
            self._surface.estimate_soon()

    def deactivated(self) -> None:
        self._is_active = False

    # ---- the list

    def set_filter(self, text: str) -> None:
        """Only files that have all these words in their name, architecture, quantization or folder."""
        self._set(filter_text=text)
        self._refresh()

    def set_order(self, order: Order) -> None:
        """Sort the list another way."""
        self._set(order=order)
        self._refresh()

    def select(self, path: Path) -> None:
        """Look at this file."""
        if self.page.selected is None or self.page.selected.path != path:
            self._wanted = path
            self._refresh()

    def rescan(self) -> None:
        """Read the folders again."""
        self._workbench.scan_library()

    def add(self, paths: Iterable[Path]) -> None:
        """Folders are searched from now on; files are opened and looked at."""
        for path in paths:
            if path.is_dir():
                self._workbench.add_model_folder(path)
            else:
                self._wanted = path
                self._workbench.look_into(path, self._looked_into)

    def remove_folder(self, folder: str) -> None:
        """Search this folder no more; its files stay, and so does the way back."""
        self._seen.pop(folder, None)
        self._workbench.remove_model_folder(folder)
        self._surface.offer_undo(folder, lambda: self._workbench.add_model_folder(Path(folder)))

    # ---- the selected file

    def load(self) -> None:
        """Load it with the present load options."""
        if self.page.selected is not None:
            self._workbench.open_model(self.page.selected.path)

    def unload(self) -> None:
        """Give its memory back."""
        self._workbench.unload_model()

    def cancel_load(self) -> None:
        """Stop loading."""
        self._workbench.cancel()

    def ask_whether_it_fits(self) -> None:
        """Go to the Memory page with it."""
        if self.page.selected is not None:
            self._workbench.consider(self.page.selected.path)
            self._surface.go("memory")

    def show_in_folder(self) -> None:
        """Show the file's folder in the desktop's file manager."""
        if self.page.selected is not None:
            self._surface.open_folder(str(self.page.selected.path.parent))

    def remedy(self, remedy: Remedy) -> None:
        """Do what a button of a notice says."""
        match remedy.kind:
            case RemedyKind.OPEN_FOLDER:
                self._surface.open_folder(remedy.argument)
            case RemedyKind.OPEN_PAGE:
                self._surface.go(remedy.argument)
            case _:
                self.rescan()

    def estimate(self) -> None:
        """Ask the engine whether the selected model fits with the present load options."""
        selected = self.page.selected
        if selected is None or not self._can_load(selected) or not self._is_active:
            return
        path, options = selected.path, dict(self._workbench.load_options)
        self._set(is_estimating=True)

        def is_still_wanted() -> bool:
            return self.page.selected is not None and self.page.selected.path == path

        def then(estimate: Estimate) -> None:
            if is_still_wanted():
                self._set(estimate=estimate, refusal=None, is_estimating=False)

        def failed(trouble: Trouble) -> None:
            if is_still_wanted():
                self._set(estimate=None, refusal=trouble, is_estimating=False)

        try:
            self._workbench.estimate(path, options, then, failed, asker=ASKER)
        except KnownError as error:
            failed(error.trouble)

    # ---- inside

    def _library_changed(self, event: LibraryChanged) -> None:
        self._set(is_scanning=event.scanning, n_scanned=0 if event.scanning else self.page.n_scanned)
        self._remember()
        self._refresh()

    def _scanned(self, event: LibraryScanned) -> None:
        self._set(n_scanned=event.n_files)

    def _looked_into(self, entry: LibraryEntry) -> None:
        known = any(each.path == entry.path for each in self._workbench.library)
        if not known:
            self._opened[entry.path] = entry
        self._wanted = entry.path
        self._refresh()

    def _remember(self) -> None:
        """What each folder held, for the time when it is away."""
        found: dict[str, list[LibraryEntry]] = {}
        for each in self._workbench.library:
            found.setdefault(each.origin, []).append(each)
        for origin, entries in found.items():
            self._seen[origin] = tuple(entries)

    def _all_rows(self) -> list[Row]:
        missing = set(self._workbench.missing_folders)
        rows = [Row(each, self._state_of(each)) for each in self._workbench.library]
        known = {row.path for row in rows}
        for folder in self._workbench.missing_folders:
            rows += [Row(each, State.MISSING) for each in self._seen.get(folder, ()) if each.path not in known]
        for path, entry in self._opened.items():
            if path not in known:
                rows.append(Row(entry, self._state_of(entry), is_opened=True))
        return [replace(row, state=State.MISSING) if row.entry.origin in missing else row for row in rows]

    def _refresh(self) -> None:
        page = self.page
        everything = self._all_rows()
        words = page.filter_text.casefold().split()
        rows = [row for row in everything if all(word in _haystack(row) for word in words)]
        rows.sort(key=lambda row: _sort_key(row, page.order))
        wanted = self._wanted or (page.selected.path if page.selected is not None else None)
        selected = next((row for row in everything if row.path == wanted), None)
        if selected is None and rows:
            loadable = [row for row in rows if row.state in (State.LOADED, State.LOADING)]
            selected = (loadable or rows)[0]
        if selected is not None and selected.path == self._wanted:
            self._wanted = None
        is_other = (selected.path if selected else None) != (page.selected.path if page.selected else None)
        changes: dict[str, object] = {}
        if is_other:
            changes = {"estimate": None, "refusal": None, "is_estimating": False}
        state = self._workbench.state
        is_loading = selected is not None and selected.state is State.LOADING
        self._set(
            rows=tuple(rows),
            n_all=len(everything),
            selected=selected,
            folders=self._folders(),
            load_fraction=state.load_fraction if is_loading else None,
            **changes,
        )
        if is_other and selected is not None and self._is_active:
            self._surface.estimate_soon()

    def _folders(self) -> tuple[Folder, ...]:
        counts: dict[str, int] = {}
        for each in self._workbench.library:
            counts[each.origin] = counts.get(each.origin, 0) + 1
        own = str(self._workbench.paths.models)
        given = self._workbench.settings["model_folders"]
        folders = [Folder(own, counts.get(own, 0), False, True)]
        missing = self._workbench.missing_folders
        for path in given if isinstance(given, tuple) else ():
            folders.append(Folder(path, counts.get(path, 0), path in missing, False))
        return tuple(folders)

    def _state_of(self, entry: LibraryEntry) -> State:
        if entry.card is None:
            return State.BROKEN
        if entry.card.kind is not ModelKind.MODEL:
            return State.OTHER
        state = self._workbench.state
        if state.facts is not None and Path(state.facts.path) == entry.path:
            return State.LOADED
        if state.phase in (Phase.LOADING, Phase.PLANNING) and Path(state.model_path) == entry.path:
            return State.LOADING
        return State.READY

    @staticmethod
    def _can_load(row: Row) -> bool:
        return row.state in (State.READY, State.LOADED, State.LOADING)

    def _set(self, **changes: object) -> None:
        page = replace(self.page, **changes)  # type: ignore[arg-type]
        if page != self.page:
            self.page = page
            self._surface.show_page(page)


def _haystack(row: Row) -> str:
    card = row.entry.card
    facts = [row.entry.label, row.entry.origin, row.state.value]
    if card is not None:
        facts += [card.name, card.architecture or "", card.quantization or "", card.size_label or "", card.kind.value]
    return " ".join(facts).casefold()


def _sort_key(row: Row, order: Order) -> tuple[float, str]:
    card, name = row.entry.card, row.entry.label.casefold()
    match order:
        case Order.NAME:
            return 0.0, name
        case Order.SIZE:
            return -(card.size_bytes if card is not None else 0), name
        case Order.PARAMS:
            return -((card.n_params or 0) if card is not None else 0), name
        case Order.CONTEXT:
            return -((card.n_ctx_train or 0) if card is not None else 0), name
