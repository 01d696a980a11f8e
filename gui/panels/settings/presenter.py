"""The Settings page's decisions: which setting stands in which section, and what a change does.

Every change is kept at once; a value that a field does not take is explained under it and changes nothing. Models'
folders are the Models page's, the last model is the program's own note. It knows no Qt.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.base.errors import KnownError
from engine.base.fields import Field, FieldError, Value
from engine.settings import SETTINGS
from engine.workbench import Workbench
from engine.workbench.events import EngineChanged, SettingsChanged

ELSEWHERE = frozenset({"last_model", "model_folders", "compared_devices"})
"""Settings that are not edited here."""


class Section(enum.Enum):
    """The parts of the page, in their order."""

    GENERAL = "general"
    CHATS = "chats"
    HARDWARE = "hardware"
    FILES = "files"
    KEYBOARD = "keyboard"
    ABOUT = "about"


KEYS: Mapping[Section, tuple[str, ...]] = {
    Section.GENERAL: ("theme", "open_last_model", "show_memory_verdict", "memory_margin"),
    Section.CHATS: ("system_prompt",),
    Section.HARDWARE: ("samples_per_second", "plot_minutes", "patient_threads", "rpc_servers"),
}


class Place(enum.Enum):
    """A folder or file of this installation."""

    CHATS = "chats"
    SETTINGS = "settings"
    MODELS = "models"
    LOGS = "logs"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """Where something is kept. `folder` is what opens."""

    place: Place
    path: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class EngineLine:
    """What the engine says of itself; "" while it has not started."""

    name: str
    build: str


class SettingsSurface(Protocol):
    """What the presenter has of the view."""

    def show_values(self, values: Mapping[str, Value]) -> None: ...

    def show_error(self, key: str, text: str) -> None:
        """Explain under a field; "" takes the explanation away."""
        ...

    def show_engine(self, engine: EngineLine) -> None: ...


def fields_of(section: Section) -> tuple[Field, ...]:
    """The fields of a section, in their order; a setting that nobody placed comes with the general ones."""
    placed = {key for keys in KEYS.values() for key in keys} | ELSEWHERE
    keys = list(KEYS.get(section, ()))
    if section is Section.GENERAL:
        keys += [each.key for each in SETTINGS if each.key not in placed]
    return tuple(SETTINGS[key] for key in keys)


class SettingsPresenter:
    """One Settings page."""

    def __init__(self, workbench: Workbench, surface: SettingsSurface) -> None:
        self._workbench, self._surface = workbench, surface
        self._engine = EngineLine("", "")
        self._ends = [
            workbench.subscribe(SettingsChanged, lambda event: self._surface.show_values(event.settings.values)),
            workbench.subscribe(EngineChanged, lambda _event: self._engine_changed()),
        ]

    def start(self) -> None:
        """Show the settings as they are."""
        self._surface.show_values(self._workbench.settings.values)
        self._engine_changed()

    def close(self) -> None:
        """Hear nothing any more."""
        for end in self._ends:
            end()

    def change(self, key: str, value: object) -> None:
        """Keep a value, or say why it cannot be kept."""
        try:
            self._workbench.set_setting(key, value)
        except FieldError as error:
            self._surface.show_error(error.key, error.trouble.sentence())
        except KnownError as error:
            self._surface.show_error(key, error.trouble.sentence())
        else:
            self._surface.show_error(key, "")

    def places(self) -> tuple[PlaceRow, ...]:
        """Where everything is kept."""
        paths = self._workbench.paths
        return (
            PlaceRow(Place.CHATS, paths.database, paths.database.parent),
            PlaceRow(Place.SETTINGS, paths.settings, paths.settings.parent),
            PlaceRow(Place.MODELS, paths.models, paths.models),
            PlaceRow(Place.LOGS, paths.logs, paths.logs),
            PlaceRow(Place.CACHE, paths.cache, paths.cache),
        )

    def _engine_changed(self) -> None:
        state = self._workbench.state
        engine = EngineLine(state.engine, " ".join(state.build.split()))
        if engine.name and engine != self._engine:
            self._engine = engine
            self._surface.show_engine(engine)
