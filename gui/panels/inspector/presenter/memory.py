"""What the model takes: the ledger by part, predicted and measured side by side, and what that means.

Numbers only; the words are the view's. A part that one ledger knows and the other does not is 0 there, because a
ledger lists everything it has; None stands for a ledger that does not exist yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.memory.fit import Verdict
from engine.memory.ledger import DeviceLedger, Ledger, Part
from engine.runtime.supervisor import Phase
from engine.workbench.events import MemoryChanged

PLOT_COLOURS: dict[Part, int] = {
    Part.WEIGHTS: 0,
    Part.KV: 1,
    Part.OUTPUT: 2,
    Part.COMPUTE: 3,
    Part.DRAFT: 4,
    Part.BESIDE: 4,
    Part.RECURRENT: 4,
    Part.MAPPED: 4,
    Part.OVERHEAD: 5,
}
"""The plot colour of each part: an index into the theme's palette, the same on every page."""

_ORDER = (
    Part.WEIGHTS,
    Part.KV,
    Part.RECURRENT,
    Part.COMPUTE,
    Part.OUTPUT,
    Part.DRAFT,
    Part.BESIDE,
    Part.MAPPED,
    Part.OVERHEAD,
)


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part over all devices, in bytes; None where that ledger is not there. `how` says how it comes about."""

    part: Part
    predicted_bytes: int | None
    measured_bytes: int | None
    predicted_is_estimate: bool
    how: str


@dataclass(frozen=True, slots=True)
class DeviceBar:
    """One memory as a bar: its parts, and how much there is (None where unknown)."""

    name: str
    parts: tuple[tuple[Part, int], ...]
    used_bytes: int
    total_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class MemoryView:
    """All that the section shows.

    Attributes:
        rows: the parts; empty without a model.
        bars: one a device, measured if it is, else predicted.
        used_bytes, total_bytes: over the first device that has a total; for the header.
        predicted_bytes, measured_bytes: the sums.
        verdict: whether it fits, as judged before the load; None when it was not.
    """

    rows: tuple[PartRow, ...] = ()
    bars: tuple[DeviceBar, ...] = ()
    used_bytes: int | None = None
    total_bytes: int | None = None
    predicted_bytes: int | None = None
    measured_bytes: int | None = None
    verdict: Verdict | None = None

    @property
    def is_empty(self) -> bool:
        return not self.rows


class MemoryPresenter:
    """Keeps the last verdict beside the ledgers: it is not judged again after the load.

    What was measured goes with the engine: a process that is dead takes nothing.
    """

    def __init__(self) -> None:
        self._verdict: Verdict | None = None
        self._ledgers: tuple[Ledger | None, Ledger | None] = (None, None)
        self._phase = Phase.ABSENT

    def changed(self, event: MemoryChanged) -> MemoryView:
        """The view of a new state."""
        if event.verdict is not None or event.predicted is None:
            self._verdict = event.verdict
        self._ledgers = (event.predicted, event.measured)
        return self._view()

    def engine_is(self, phase: Phase) -> MemoryView | None:
        """The engine does something else; the view, if that changes it."""
        was_lost, self._phase = self._phase is Phase.LOST, phase
        if phase is Phase.LOST and not was_lost:
            self._ledgers = (self._ledgers[0], None)
            return self._view()
        return None

    def _view(self) -> MemoryView:
        return view_of(*self._ledgers, self._verdict)


def view_of(predicted: Ledger | None, measured: Ledger | None, verdict: Verdict | None) -> MemoryView:
    """The ledgers as rows and bars."""
    shown = measured or predicted
    if shown is None:
        return MemoryView()
    rows = []
    for part in _ORDER:
        sizes = [_size(each, part) for each in (predicted, measured)]
        if any(sizes):
            rows.append(PartRow(part, sizes[0], sizes[1], _is_estimate(predicted, part), _how(shown, part)))
    bars = tuple(_bar(each) for each in shown.devices)
    main = next((each for each in bars if each.total_bytes is not None), bars[0] if bars else None)
    return MemoryView(
        tuple(rows),
        bars,
        main.used_bytes if main else None,
        main.total_bytes if main else None,
        predicted.sum_bytes if predicted else None,
        measured.sum_bytes if measured else None,
        verdict,
    )


def _size(ledger: Ledger | None, part: Part) -> int | None:
    return None if ledger is None else ledger.size_of(part) or 0


def _is_estimate(ledger: Ledger | None, part: Part) -> bool:
    if ledger is None:
        return False
    return any(entry.is_estimate for device in ledger.devices for entry in device.entries if entry.part is part)


def _how(ledger: Ledger, part: Part) -> str:
    return next((entry.how for device in ledger.devices for entry in device.entries if entry.part is part), "")


def _bar(device: DeviceLedger) -> DeviceBar:
    parts = []
    for part in _ORDER:
        size = device.size_of(part)
        if size:
            parts.append((part, size))
    return DeviceBar(device.name, tuple(parts), device.sum_bytes, device.total_bytes, device.free_bytes)
