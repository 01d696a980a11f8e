"""The Train side's decisions: which model, which recipe, what it takes, and whether that fits.

Everything is arithmetic of a header or of numbers, so each change is answered at once and nothing is planned or loaded.
It knows no Qt; the view shows a `TrainPage`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from engine.base.errors import KnownError, Trouble
from engine.base.fields import Value
from engine.memory.training.cost import training_cost
from engine.memory.training.formats import formats_of
from engine.memory.training.recipe import RECIPE, recipe_of
from engine.memory.training.shape import SHAPE, ModelShape, shape_of_card, shape_of_values
from engine.memory.training.verdict import Room, judge_training
from engine.models.labels import model_label
from engine.models.library import LibraryEntry
from engine.workbench import Workbench
from engine.workbench.events import LibraryChanged
from engine.workbench.training import rooms_of
from gui.panels.memory.training_values import DEVICE_MEMORY, GIB, TrainPage
from gui.panels.memory.values import Choice


class TrainingSurface(Protocol):
    """What the presenter has of the view."""

    def show_page(self, page: TrainPage) -> None: ...


class TrainingPresenter:
    """One Train side."""

    def __init__(self, workbench: Workbench, surface: TrainingSurface, path: Path | None) -> None:
        """`path` is the model to begin with, None for one that is described; nothing is shown before somebody asks."""
        self._workbench, self._surface = workbench, surface
        self._opened: dict[Path, LibraryEntry] = {}
        recipe = {**RECIPE.defaults(), DEVICE_MEMORY.key: DEVICE_MEMORY.default}
        self.page = TrainPage(self._choices(path), path, recipe, SHAPE.defaults())
        self._end: Callable[[], None] = workbench.subscribe(LibraryChanged, lambda _event: self._library_changed())

    def close(self) -> None:
        """Hear nothing any more."""
        self._end()

    def activated(self) -> None:
        """The side came on screen: what is free may have changed."""
        self._show()

    # ---- what a person does

    def choose(self, path: Path | None) -> None:
        """Look at this model, in the library or not; None for one that is described by its numbers."""
        self.page = replace(self.page, path=path)
        if path is not None and self._entry(path) is None:
            self._workbench.look_into(path, self._looked_into)
        self._show()

    def change(self, key: str, value: Value) -> None:
        """One field of the recipe or of the described model is another one."""
        if key in SHAPE:
            self.page = replace(self.page, shape={**self.page.shape, key: value})
        else:
            recipe = {**self.page.recipe, key: value}
            if key == "n_devices" and int(str(value)) % int(str(recipe["tensor_parallel"])):
                recipe["tensor_parallel"] = 1  # its field may be hidden with one device
            if recipe["offload"] == "all" and recipe["sharding"] not in ("zero3", "fsdp") and key == "offload":
                recipe["sharding"] = "zero3"  # the only way in which weights can be kept in RAM
            self.page = replace(self.page, recipe=recipe)
        self._show()

    # ---- inside

    def _show(self) -> None:
        page = replace(self.page, choices=self._choices(self.page.path))
        try:
            shape = self._shape()
            values = {key: value for key, value in page.recipe.items() if key in RECIPE}
            page = replace(page, formats=() if shape is None else formats_of(shape.n_params))
            cost = None if shape is None else training_cost(shape, recipe_of(values))
            verdict = None if cost is None else judge_training(cost, *self._rooms())
            page = replace(page, cost=cost, verdict=verdict, trouble=None if cost is not None else self._unread())
        except KnownError as error:
            page = replace(page, cost=None, verdict=None, trouble=error.trouble)
        self.page = page
        self._surface.show_page(page)

    def _shape(self) -> ModelShape | None:
        path = self.page.path
        if path is None:
            return shape_of_values(self.page.shape)
        entry = self._entry(path)
        return None if entry is None or entry.card is None else shape_of_card(entry.card)

    def _unread(self) -> Trouble | None:
        """Why the file says nothing; None while it is being read."""
        entry = None if self.page.path is None else self._entry(self.page.path)
        return None if entry is None else entry.trouble

    def _rooms(self) -> tuple[Room, Room]:
        recorder = self._workbench.recorder
        device, ram = rooms_of(() if recorder is None else recorder.devices())
        given = int(str(self.page.recipe[DEVICE_MEMORY.key]))
        return (Room("", given * GIB), ram) if given else (device, ram)

    def _choices(self, path: Path | None) -> tuple[Choice, ...]:
        found = {each.path: each.label for each in self._workbench.library if each.card is not None}
        if path is not None and path not in found:
            found[path] = model_label(path)
        return tuple(Choice(each, label, False) for each, label in found.items())

    def _entry(self, path: Path) -> LibraryEntry | None:
        return next((each for each in self._workbench.library if each.path == path), self._opened.get(path))

    def _looked_into(self, entry: LibraryEntry) -> None:
        self._opened[entry.path] = entry
        if entry.path == self.page.path:
            self._show()

    def _library_changed(self) -> None:
        self._show()
