"""Decisions of “On other hardware”: which devices are compared, when they are asked about, and measuring this computer.

It knows no Qt. The answers belong to the engine's plan that the page shows; without a plan there is nothing to compare.
An answer to an older question is dropped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from engine.base.errors import KnownError, Trouble
from engine.memory.devices import read_devices, search_devices
from engine.memory.fit import Fits
from engine.memory.ledger import Ledger
from engine.memory.placement import Split
from engine.wire.messages import Bench, Benched, BenchProgress
from engine.workbench import Workbench
from engine.workbench.events import RatesKept, SettingsChanged
from engine.workbench.outlook import Configuration, Outlook, Question
from gui.panels.memory.hardware_values import MOST_ROWS, HardwareView, configuration_of, spelled

MOST_FOUND = 6
SETTING = "compared_devices"
PREFILL, N_DECODE, REPEATS = 128, 16, 2
"""A measurement of a few seconds: tokens to read, tokens to write, times of each."""


class HardwareSurface(Protocol):
    """What the presenter has of the view."""

    def show_hardware(self, view: HardwareView) -> None: ...

    def clear_typed(self) -> None:
        """What was typed was taken; the box is empty again."""
        ...


class HardwarePresenter:
    """One section; `is_open` says whether anybody looks at it."""

    def __init__(self, workbench: Workbench, surface: HardwareSurface, *, is_open: bool) -> None:
        self._workbench, self._surface, self._is_open = workbench, surface, is_open
        self._table = read_devices()
        self._plan: tuple[Path, Ledger, Fits] | None = None
        self._asked: object = None
        self._kept: object = None
        self.view = HardwareView()
        self._ends = [
            workbench.subscribe(SettingsChanged, lambda _event: self._settings_changed()),
            workbench.subscribe(RatesKept, lambda _event: self._ask(again=True)),
        ]
        self._settings_changed()

    def close(self) -> None:
        """Hear nothing any more."""
        for end in self._ends:
            end()

    def set_open(self, is_open: bool) -> None:
        """The section was folded or unfolded; a folded one asks nothing."""
        self._is_open = is_open
        self._ask()

    def show_plan(self, plan: tuple[Path, Ledger, Fits] | None, *, is_loaded: bool) -> None:
        """The page's model, its planned ledger and whether it fits here; None while there is none."""
        self._set(can_measure=is_loaded)
        if plan is None:
            self._plan = self._asked = None
            self._set(outlooks=(), is_asking=False)
        elif plan != self._plan:
            self._plan = plan
            self._ask()

    # ---- what a person does

    def type(self, text: str) -> None:
        """The words in the box changed: offer what they find."""
        last = text.rpartition("+")[2].strip()
        found = search_devices(self._table, last)[:MOST_FOUND] if last else ()
        self._set(found=found, complaint="")

    def add(self, text: str, split: Split) -> None:
        """Compare these devices too, or say what is wrong with the text."""
        try:
            fresh = configuration_of(text, self._table, split)
        except KnownError as error:
            self._set(complaint=error.trouble.sentence())
            return
        if len(self.view.configurations) >= MOST_ROWS:
            self._set(complaint=f"{MOST_ROWS} rows are the most: take one away first")
            return
        self._set(complaint="", found=())
        self._surface.clear_typed()
        if fresh not in self.view.configurations:
            self._keep((*self.view.configurations, fresh))

    def choose(self, text: str, key: str, split: Split) -> None:
        """A device that was found takes the place of the last words in the box."""
        before, plus, _ = text.rpartition("+")
        self.add(f"{before}{plus} {key}" if plus else key, split)

    def remove(self, configuration: Configuration) -> None:
        """Compare these no more."""
        self._keep(tuple(each for each in self.view.configurations if each != configuration))

    def measure(self) -> None:
        """Measure the loaded model for a few seconds; what its device reached is kept."""
        self._set(measuring=0.0, note="")

        def then(found: Benched) -> None:
            note = "Other programs took much of the processor, so this was not kept." if found.contended else ""
            self._set(measuring=None, note=note)

        def failed(trouble: Trouble) -> None:
            self._set(measuring=None, note=trouble.sentence())

        def progress(event: BenchProgress) -> None:
            self._set(measuring=event.fraction)

        try:
            self._workbench.bench(
                lambda request_id: Bench(request_id, (PREFILL,), (0,), N_DECODE, REPEATS), then, failed, progress
            )
        except KnownError as error:
            failed(error.trouble)

    # ---- inside

    def _keep(self, configurations: tuple[Configuration, ...]) -> None:
        self._workbench.set_setting(SETTING, tuple(spelled(each) for each in configurations))
        self._settings_changed()

    def _settings_changed(self) -> None:
        lines = self._workbench.settings[SETTING]
        now = (lines, self._workbench.memory_margin)
        if now == self._kept or not isinstance(lines, tuple):
            return
        self._kept = now
        found: list[Configuration] = []
        for line in lines[:MOST_ROWS]:
            try:
                found.append(configuration_of(line, self._table))
            except KnownError as error:  # a line that was written by hand, or a device that is no longer in the table
                self._set(complaint=error.trouble.sentence())
        self._set(configurations=tuple(found))
        self._ask(again=True)

    def _ask(self, *, again: bool = False) -> None:
        if self._plan is None or not self._is_open:
            return
        path, ledger, fits = self._plan
        question = Question(
            path=path,
            ledger=ledger,
            fits=fits,
            devices=self._workbench.state.devices,
            others=self.view.configurations,
            depth=0,
            margin=self._workbench.memory_margin,
        )
        if question == self._asked and not again:
            return
        self._asked = question
        self._set(is_asking=True)

        def then(found: tuple[Outlook, ...]) -> None:
            if question is self._asked:
                self._set(outlooks=found, is_asking=False)

        def failed(trouble: Trouble) -> None:
            if question is self._asked:
                self._asked = None
                self._set(outlooks=(), is_asking=False, note=trouble.sentence())

        self._workbench.figures.ask(question, then, failed)

    def _set(self, **changes: object) -> None:
        view = replace(self.view, **changes)  # type: ignore[arg-type]
        if view != self.view:
            self.view = view
            self._surface.show_hardware(view)
