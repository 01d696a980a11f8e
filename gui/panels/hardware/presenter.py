"""The Hardware page's decisions: which series make which plot, how far back, and what the recorded runs say.

It asks the recorder when the view's timer says so; nothing is pushed, so a hidden page costs nothing. Only the speed of
writing is counted here, a few times a second, because no probe measures it. It knows no Qt.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.base.errors import Trouble
from engine.hardware.snapshot import Device, DeviceKind, Quantity
from engine.runtime.supervisor import Phase
from engine.store.rows import RunRow
from engine.wire.messages import DeviceInfo, FinishReason, RunStats, Token
from engine.workbench import Workbench
from engine.workbench.events import Beat, EngineChanged, MessageFinished

if TYPE_CHECKING:
    from engine.hardware.recorder import Recorder

WINDOWS_MIN = (1, 5, 15)
MOST_CORES_DRAWN = 16
KEPT_SPEEDS = 15 * 60 * 10  # a quarter of an hour at ten beats a second
SPEED_UNIT = "tok/s"
COUNTED_S = 0.2
"""The shortest time that tokens are counted over."""
PROBES = {"nvidia": 0, "amd": 1, "drm": 2}
"""The order in which absent kinds of cards are told."""


class Chart(enum.Enum):
    """The plots, in the order in which they stand."""

    CPU = "cpu"
    RAM = "ram"
    ENGINE = "engine"
    SPEED = "speed"
    GPU = "gpu"
    VRAM = "vram"
    TEMPERATURE = "temperature"
    POWER = "power"
    DISK = "disk"


CHARTS = {
    Quantity.CPU_USE: Chart.CPU,
    Quantity.CPU_CORE_USE: Chart.CPU,
    Quantity.RAM_USED: Chart.RAM,
    Quantity.PROCESS_RSS: Chart.ENGINE,
    Quantity.GPU_USE: Chart.GPU,
    Quantity.VRAM_USED: Chart.VRAM,
    Quantity.GPU_TEMPERATURE: Chart.TEMPERATURE,
    Quantity.CPU_TEMPERATURE: Chart.TEMPERATURE,
    Quantity.GPU_POWER: Chart.POWER,
    Quantity.DISK_READ: Chart.DISK,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One series: monotonic seconds and values in `unit`, NaN where nothing was measured.

    Attributes:
        source: whose it is: "cpu", "cpu3", "ram", "worker", a card's key.
        is_core: one of many thin lines behind the total.
    """

    key: str
    source: str
    unit: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    is_core: bool = False

    @property
    def last(self) -> float | None:
        """The newest value, None when it was not measured."""
        return self.ys[-1] if self.ys and math.isfinite(self.ys[-1]) else None


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot.

    Attributes:
        top: the end of its axis in its unit, where it has a natural one (100 %).
        whole: what its values are a part of (all RAM); the axis does not reach so far, or small changes were lost.
    """

    chart: Chart
    lines: tuple[Line, ...]
    top: float | None = None
    whole: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What the recorder has at one moment.

    Attributes:
        plots: in the order of `Chart`; only those with a number in them.
        bands: what the engine did, as (from, to, kind) in monotonic seconds.
        now_s, window_s: the common time axis.
        devices, absences: the cards, and why a kind of card was not found.
        is_paused: sampling is held.
        hides_cores: there are too many cores for a line each.
    """

    plots: tuple[Plot, ...] = ()
    bands: tuple[tuple[float, float, str], ...] = ()
    now_s: float = 0.0
    window_s: float = 300.0
    devices: tuple[Device, ...] = ()
    absences: tuple[tuple[str, str], ...] = ()
    is_paused: bool = False
    hides_cores: bool = False


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine says of its build: name, flags that are on by backend, devices it can use."""

    name: str = ""
    flags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    devices: tuple[DeviceInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded answer; None where it is not known."""

    started: datetime
    model: str
    n_prompt: int | None
    n_reused: int | None
    n_completion: int | None
    prefill_tps: float | None
    decode_tps: float | None
    first_token_s: float | None
    finish: FinishReason | None
    trouble: Trouble | None


class HardwareSurface(Protocol):
    """What the presenter has of the view."""

    def show_look(self, look: Look) -> None: ...

    def show_engine(self, facts: EngineFacts) -> None: ...

    def show_runs(self, runs: tuple[Run, ...]) -> None: ...

    def show_trouble(self, trouble: Trouble) -> None: ...

    def say_saved(self, path: Path) -> None: ...


class HardwarePresenter:
    """One Hardware page."""

    def __init__(self, workbench: Workbench, surface: HardwareSurface) -> None:
        self._workbench, self._surface = workbench, surface
        self._window_min = next((each for each in WINDOWS_MIN if each >= self._kept_min()), WINDOWS_MIN[-1])
        self._speeds: deque[tuple[float, float]] = deque(maxlen=KEPT_SPEEDS)
        self._n_tokens = 0
        self._counted_s: float | None = None
        self._facts: EngineFacts | None = None
        self._ends: list[Callable[[], None]] = [
            workbench.subscribe(Token, self._token),
            workbench.subscribe(Beat, lambda _event: self._count_speed()),
            workbench.subscribe(EngineChanged, lambda _event: self._engine_changed()),
            workbench.subscribe(MessageFinished, lambda _event: self.read_runs()),
        ]

    def start(self) -> None:
        """Show what is there already."""
        self._engine_changed()
        self.read_runs()
        self.look()

    def close(self) -> None:
        """Hear nothing any more."""
        for end in self._ends:
            end()

    # ---- looking

    @property
    def recorder(self) -> Recorder | None:
        return self._workbench.recorder

    @property
    def window_min(self) -> int:
        """How far back the plots reach, in minutes."""
        return self._window_min

    def look(self) -> None:
        """Ask the recorder and show it."""
        self._surface.show_look(self.view())

    def view(self) -> Look:
        """What the recorder has now."""
        recorder, window_s = self.recorder, self._window_min * 60.0
        if recorder is None:
            return Look(window_s=window_s)
        sources = recorder.sources()
        n_cores = sum(quantity is Quantity.CPU_CORE_USE for _, quantity in sources)
        found: dict[Chart, list[Line]] = {}
        for source, quantity in sources:
            chart = CHARTS.get(quantity)
            is_core = quantity is Quantity.CPU_CORE_USE
            if chart is None or (is_core and n_cores > MOST_CORES_DRAWN):
                continue
            xs, ys = recorder.series(source, quantity, window_s)
            key = f"{source}:{quantity.value}"
            found.setdefault(chart, []).append(Line(key, source, quantity.unit.value, tuple(xs), tuple(ys), is_core))
        now_s = recorder.now_s()
        if speeds := self._recent_speeds(now_s - window_s):
            xs, ys = [t for t, _ in speeds], [v for _, v in speeds]
            found[Chart.SPEED] = [Line("speed", "", SPEED_UNIT, tuple(xs), tuple(ys))]
        devices = recorder.devices()
        plots = tuple(
            Plot(
                chart,
                tuple(sorted(found[chart], key=lambda line: not line.is_core)),
                100.0 if chart in (Chart.CPU, Chart.GPU) else None,
                _whole(chart, devices),
            )
            for chart in Chart
            if chart in found and (chart is not Chart.DISK or _moves(found[chart]))
        )
        bands = tuple(
            (max(band.start_s, now_s - window_s), now_s if band.end_s is None else band.end_s, band.kind.value)
            for band in recorder.bands()
            if band.end_s is None or band.end_s > now_s - window_s
        )
        absences = tuple(sorted(recorder.absences().items(), key=lambda each: (PROBES.get(each[0], 9), each[0])))
        if recorder.is_paused and (last := _last_s(plots)) is not None:
            now_s = last  # the axis stands still too
        return Look(plots, bands, now_s, window_s, devices, absences, recorder.is_paused, n_cores > MOST_CORES_DRAWN)

    def read_runs(self) -> None:
        """Ask the store for the last answers."""
        self._workbench.recent_runs(lambda rows: self._surface.show_runs(tuple(run_of(each) for each in rows)))

    # ---- steering

    def set_window(self, minutes: int) -> None:
        """Show the last minutes, and keep at least so many from now on."""
        self._window_min = minutes
        if minutes > self._kept_min():
            self._workbench.set_setting("plot_minutes", minutes)
        self.look()

    def toggle_pause(self) -> None:
        """Hold sampling, or go on."""
        recorder = self.recorder
        if recorder is not None:
            if recorder.is_paused:
                recorder.resume()
            else:
                recorder.pause()
            self.look()

    def export(self, path: Path) -> None:
        """Write everything that is kept to a CSV file, off this thread."""
        recorder = self.recorder
        if recorder is None:
            return
        self._workbench.jobs.run(
            lambda _task: recorder.export_csv(path),
            title="Saving the recording",
            then=lambda _nothing: self._surface.say_saved(path),
            failed=self._surface.show_trouble,
        )

    # ---- inside

    def _token(self, event: Token) -> None:
        self._n_tokens += 1

    def _count_speed(self) -> None:
        """Tokens since the last beat; a gap while nothing is written."""
        recorder = self.recorder
        if recorder is None or recorder.is_paused:
            self._counted_s = None
            return
        now_s = recorder.now_s()
        before_s = self._counted_s
        if before_s is not None and now_s - before_s < COUNTED_S:
            return  # beats that waited come at once; what came between two of those is no speed
        n_tokens, self._n_tokens = self._n_tokens, 0
        self._counted_s = now_s
        if n_tokens and before_s is not None:
            self._speeds.append((now_s, n_tokens / (now_s - before_s)))
        elif self._speeds and math.isfinite(self._speeds[-1][1]) and self._workbench.state.phase is not Phase.WRITING:
            self._speeds.append((now_s, math.nan))

    def _recent_speeds(self, since_s: float) -> list[tuple[float, float]]:
        return [each for each in self._speeds if each[0] >= since_s]

    def _engine_changed(self) -> None:
        state = self._workbench.state
        facts = EngineFacts(state.engine, flags_of(state.build), state.devices)
        if facts != self._facts:
            self._facts = facts
            self._surface.show_engine(facts)

    def _kept_min(self) -> int:
        kept = self._workbench.settings["plot_minutes"]
        return kept if isinstance(kept, int) else WINDOWS_MIN[0]


def run_of(row: RunRow) -> Run:
    """A stored run as the table shows it."""
    result = row.result
    speeds: RunStats | None = None
    if result.n_prompt is not None and result.n_completion is not None:
        speeds = RunStats(
            result.n_prompt,
            result.n_reused or 0,
            result.n_completion,
            0.0,
            result.prefill_s or 0.0,
            result.first_token_s,
            result.decode_s or 0.0,
            n_begun=row.recipe.n_begun,
        )
    return Run(
        row.started_utc,
        row.recipe.model_label,
        result.n_prompt,
        result.n_reused,
        result.n_completion,
        speeds.prefill_tps if speeds else None,
        speeds.decode_tps if speeds else None,
        result.first_token_s,
        result.finish_reason,
        result.trouble,
    )


def flags_of(build: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The flags that are on in llama.cpp's system line, by backend: ("CPU", ("SSE3", "AVX2", …))."""
    found: list[tuple[str, list[str]]] = []
    for part in build.replace("\n", "|").split("|"):
        head, colon, rest = part.partition(":")
        if colon:
            found.append((head.strip(), []))
            part = rest
        name, equals, value = (each.strip() for each in part.partition("="))
        if not name or value == "0":
            continue
        if not found:
            found.append(("", []))
        found[-1][1].append(name if not equals or value == "1" else f"{name} {value}")
    return tuple((head, tuple(flags)) for head, flags in found)


def _moves(lines: list[Line]) -> bool:
    """Whether any value is not 0: a disk that was not read needs no plot."""
    return any(value > 0 for line in lines for value in line.ys if math.isfinite(value))


def _whole(chart: Chart, devices: tuple[Device, ...]) -> float | None:
    wanted = {Chart.RAM: DeviceKind.CPU, Chart.VRAM: DeviceKind.GPU}.get(chart)
    totals = [each.total_bytes for each in devices if each.kind is wanted and each.total_bytes]
    return float(max(totals)) if wanted is not None and totals else None


def _last_s(plots: tuple[Plot, ...]) -> float | None:
    return max((line.xs[-1] for plot in plots for line in plot.lines if line.xs), default=None)
