"""What the computer does: which of the recorder's series stand in the inspector, and their last minute.

It asks the recorder when the view's timer says so; nothing is pushed, so a hidden inspector costs nothing.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.hardware.snapshot import DeviceKind, Quantity
from engine.workbench import Workbench

if TYPE_CHECKING:
    from engine.hardware.recorder import Recorder

WINDOW_S = 60.0
FOOTER_POINTS = 60  # of the footer's curve, which is about as many pixels wide
HEADROOM = 1.3  # of an axis over its largest value
LEAST_BYTES_AXIS = float(1 << 30)  # a few MiB up and down are no mountains
PERCENT_AXIS = 103.0  # a full load is a line, not an edge


class Role(enum.Enum):
    """What a series is for; the value is its plot colour (`gui.theme.PlotRole`)."""

    CPU = 0
    RAM = 1
    WORKER = 2
    GPU = 3
    VRAM = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One series of the last minute: seconds (monotonic) and values in `unit`, NaN where nothing was measured.

    `top` is the upper end of its axis, which begins at 0 and is the same for all lines of a unit; None for any.
    """

    key: str
    role: Role
    unit: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    top: float | None = None

    @property
    def last(self) -> float | None:
        """The newest value, None when it is unknown."""
        return self.ys[-1] if self.ys and math.isfinite(self.ys[-1]) else None


@dataclass(frozen=True, slots=True)
class HardwareView:
    """The lines, and the runs as (from, to, kind) in the same seconds."""

    lines: tuple[Line, ...] = ()
    bands: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """This computer now, for the footer: bytes, percent of all cores; None while unknown or where there is no card."""

    ram_used_bytes: int | None = None
    ram_total_bytes: int | None = None
    vram_used_bytes: int | None = None
    vram_total_bytes: int | None = None
    cpu_percent: float | None = None
    cpu_history: tuple[float, ...] = ()


class HardwarePresenter:
    """Looks at the workbench's recorder; without one everything is unknown."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench

    @property
    def recorder(self) -> Recorder | None:
        return self._workbench.recorder

    def view(self) -> HardwareView:
        """The last minute."""
        recorder = self.recorder
        if recorder is None:
            return HardwareView()
        sources = recorder.sources()
        lines: list[Line] = []
        for source, quantity in sources:
            role = _role_of(source, quantity, lines)
            if role is not None:
                xs, ys = recorder.series(source, quantity, WINDOW_S)
                lines.append(Line(f"{source}:{quantity.value}", role, quantity.unit.value, tuple(xs), tuple(ys)))
        now_s = recorder.now_s()
        bands = tuple(
            (max(band.start_s, now_s - WINDOW_S), band.end_s if band.end_s is not None else now_s, band.kind.value)
            for band in recorder.bands()
            if band.end_s is None or band.end_s > now_s - WINDOW_S
        )
        return HardwareView(with_axes(sorted(lines, key=lambda line: line.role.value)), bands)

    def load(self) -> Load:
        """The numbers of the footer."""
        recorder = self.recorder
        latest = recorder.latest() if recorder is not None else None
        if recorder is None or latest is None:
            return Load()
        gpu = next((each for each in recorder.devices() if each.kind is DeviceKind.GPU), None)
        used = latest.value("ram", Quantity.RAM_USED)
        vram = latest.value(gpu.key, Quantity.VRAM_USED) if gpu is not None else None
        _, history = recorder.series("cpu", Quantity.CPU_USE, WINDOW_S)
        return Load(
            None if used is None else round(used),
            _ram_total(recorder),
            None if vram is None else round(vram),
            gpu.total_bytes if gpu is not None else None,
            latest.value("cpu", Quantity.CPU_USE),
            thinned([each for each in history if math.isfinite(each)], FOOTER_POINTS),
        )


def thinned(values: Sequence[float], n_most: int) -> tuple[float, ...]:
    """At most `n_most` of the values, evenly spread, the last one among them: a small curve shows no more."""
    step = -(-len(values) // n_most) if values else 1
    return tuple(values[len(values) - 1 :: -step][::-1]) if values else ()


def with_axes(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines with the tops of their axes: of a share all there is, of bytes a little over what is shown.

    An axis as high as all the memory would press the lines of a small model flat onto its bottom.
    """
    largest = max((y for line in lines if line.unit == "B" for y in line.ys if math.isfinite(y)), default=0.0)
    tops = {"%": PERCENT_AXIS, "B": max(LEAST_BYTES_AXIS, largest * HEADROOM)}
    return tuple(replace(line, top=tops.get(line.unit)) for line in lines)


def _ram_total(recorder: Recorder) -> int | None:
    return next((each.total_bytes for each in recorder.devices() if each.kind is DeviceKind.CPU), None)


def _role_of(source: str, quantity: Quantity, lines: list[Line]) -> Role | None:
    """What a series is for here; of several cards only the first."""
    role = {
        Quantity.CPU_USE: Role.CPU,
        Quantity.RAM_USED: Role.RAM,
        Quantity.PROCESS_RSS: Role.WORKER,
        Quantity.GPU_USE: Role.GPU,
        Quantity.VRAM_USED: Role.VRAM,
    }.get(quantity)
    return None if role is None or any(line.role is role for line in lines) else role
