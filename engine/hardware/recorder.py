"""The recorder: one thread that reads every probe a few times a second into rings, for whoever wants to look.

The display polls it on its own timer and producers never push, so a busy window delays no sample and a fast probe floods no
window. Nothing here waits for a driver but the recorder's own thread: devices and reasons are what that thread found
last. A tick that comes late is taken once and the next follows a whole period later; the missed ones are not made up
for. Rejected: sampling on the window's timer (a hanging driver would hang the window), a thread per probe (four times
the wake-ups for samples that no longer share a time axis).
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from pathlib import Path

from engine.base.clock import Clock
from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.hardware.bands import Band, BandKind, BandLog
from engine.hardware.history import History
from engine.hardware.probe import Probe
from engine.hardware.recording_csv import Column, csv_of
from engine.hardware.snapshot import Device, Quantity, Reading, Snapshot

MOST_RATE_HZ = 10.0
DEVICES_EVERY_S = 2.0
CLOSE_WITHIN_S = 1.0

log = logging.getLogger(__name__)


class Recorder:
    """Reads probes on a daemon thread. Every method may be called from any thread and returns at once, but `close`."""

    def __init__(self, clock: Clock, probes: Sequence[Probe], rate_hz: float, keep_s: float) -> None:
        """Takes the probes over and closes them at the end. Nothing is read before `start` (or `sample`).

        Args:
            clock: tells the time of samples and bands.
            probes: what is read, in the order in which it is shown.
            rate_hz: samples a second, above 0 and at most 10; ValueError otherwise.
            keep_s: how much of the past is kept, in seconds, above 0; ValueError otherwise.
        """
        self._clock = clock
        self._period_s = 1 / _checked_rate(rate_hz)
        self._keep_s = _checked_keep(keep_s)
        # One lock for what others read; another that lets only one sample be taken at a time, drivers and all.
        self._changed = threading.Condition()
        self._sampling = threading.Lock()
        self._probes = list(probes)
        self._failed: dict[str, str] = {}
        self._history = History(_capacity(keep_s))
        self._bands = BandLog()
        self._watched: dict[str, int] = {}
        self._devices: tuple[Device, ...] = ()
        self._devices_at_s: float | None = None
        self._absences: dict[str, str] = {}
        self._latest: Snapshot | None = None
        self._n_samples = 0
        self._paused = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="hardware-recorder", daemon=True)

    def start(self) -> None:
        """Begin to sample, once."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the probes. Waits 1 s at most: a driver that hangs ends with the program."""
        with self._changed:
            was_closed, self._closed = self._closed, True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_WITHIN_S)
        elif not was_closed:
            self._close_probes()

    # ------------------------------------------------------------------------------------------------- looking

    @property
    def n_samples(self) -> int:
        """How many samples were taken since the start."""
        with self._changed:
            return self._n_samples

    @property
    def is_paused(self) -> bool:
        """Whether sampling is held."""
        with self._changed:
            return self._paused

    def now_s(self) -> float:
        """Monotonic seconds on the clock of samples and bands."""
        return self._clock.now_s()

    def devices(self) -> tuple[Device, ...]:
        """The devices as they were at most two seconds ago; empty before the first sample."""
        with self._changed:
            return self._devices

    def absences(self) -> dict[str, str]:
        """Why a source has nothing to read, by its probe's key: no driver, or a fault that ended it."""
        with self._changed:
            return dict(self._absences)

    def latest(self) -> Snapshot | None:
        """The newest sample; None before the first."""
        with self._changed:
            return self._latest

    def sources(self) -> tuple[tuple[str, Quantity], ...]:
        """The series that have a number in the kept time, in the order of their first one."""
        with self._changed:
            return self._history.series_keys()

    def series(self, source: str, quantity: Quantity, since_s: float | None = None) -> tuple[list[float], list[float]]:
        """One series, oldest first.

        Args:
            source, quantity: one of `sources()`; anything else is empty.
            since_s: how far back from now, in seconds; None for all that is kept.
        Returns:
            Monotonic seconds (`now_s()` is their clock) and values in the quantity's unit, NaN in a gap.
        """
        with self._changed:
            return self._history.series((source, quantity), self._from_s(since_s))

    def bands(self) -> tuple[Band, ...]:
        """The bands that reach into the kept time, in the order in which they were marked."""
        with self._changed:
            return self._bands.since(self._from_s(None))

    # ------------------------------------------------------------------------------------------------- steering

    def set_rate(self, hz: float) -> None:
        """Samples a second from now on, above 0 and at most 10; ValueError otherwise."""
        with self._changed:
            self._period_s = 1 / _checked_rate(hz)
            self._changed.notify_all()

    def set_keep(self, minutes: float) -> None:
        """How much of the past is kept, in minutes, above 0; the newest stays. ValueError otherwise."""
        keep_s = _checked_keep(minutes * 60)
        with self._changed:
            self._keep_s = keep_s
            self._history.resize(_capacity(keep_s))

    def watch(self, label: str, pid: int | None) -> None:
        """Watch a process under a label from the next sample on; None ends it, another pid takes its place."""
        with self._changed:
            if pid is None:
                self._watched.pop(label, None)
            else:
                self._watched[label] = pid

    def pause(self) -> None:
        """Hold sampling; the series show a gap until it goes on."""
        with self._changed:
            if not self._paused:
                self._paused = True
                if self._n_samples:
                    self._history.add(self._clock.now_s(), self._clock.utc().timestamp(), {})

    def resume(self) -> None:
        """Go on sampling."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def mark_band(self, kind: BandKind, start_s: float, end_s: float | None, label: str) -> int:
        """Mark a stretch of monotonic seconds; an `end_s` of None goes on until `end_band`. Returns its id."""
        with self._changed:
            return self._bands.mark(kind, start_s, end_s, label)

    def begin_band(self, kind: BandKind, label: str) -> int:
        """Mark a stretch that begins now. Returns its id for `end_band`."""
        return self.mark_band(kind, self._clock.now_s(), None, label)

    def end_band(self, band_id: int) -> None:
        """End a stretch now; one that has ended or is too old to be kept stays as it is."""
        now_s = self._clock.now_s()
        with self._changed:
            self._bands.end(band_id, now_s)

    # ------------------------------------------------------------------------------------------------- leaving

    def csv_text(self) -> str:
        """All that is kept as a table: one line a sample, one column a series with its unit, and what was going on."""
        with self._changed:
            from_s = self._from_s(None)
            times_s, utc_s = self._history.clock_times(from_s)
            columns = [Column(*key, self._history.series(key, from_s)[1]) for key in self._history.series_keys()]
            bands = self._bands.since(from_s)
        return csv_of(times_s, utc_s, columns, bands)

    def export_csv(self, path: Path) -> None:
        """Write `csv_text` to a file. It writes to a disk: not from the window's thread.

        Raises:
            KnownError: the file cannot be written.
        """
        text = self.csv_text()
        try:
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise KnownError(
                "The recording could not be saved",
                value=f"{path}: {error.strerror or error}",
                next_step="choose another folder or make room there",
                remedies=(Remedy(RemedyKind.OPEN_FOLDER, "Open folder", str(path.parent)),),
            ) from error

    # ------------------------------------------------------------------------------------------------- sampling

    def sample(self) -> Snapshot:
        """Take one sample now, on this thread. The recorder's own thread does the same at its rate."""
        with self._sampling:
            with self._changed:
                watched = dict(self._watched)
            t_s, utc = self._clock.now_s(), self._clock.utc()
            readings: list[Reading] = []
            for probe in tuple(self._probes):
                try:
                    readings += probe.read(t_s, watched)
                except Exception as error:
                    self._retire(probe, error)
            if self._devices_at_s is None or t_s - self._devices_at_s >= DEVICES_EVERY_S:
                self._devices_at_s = t_s
                self._look_at_devices()
            snapshot = Snapshot(t_s, utc, tuple(readings))
            with self._changed:
                self._latest = snapshot
                if not self._paused:  # a sample that was under way when the pause began would close its gap
                    values = {(each.source, each.quantity): each.value for each in readings}
                    self._history.add(t_s, utc.timestamp(), values)
                self._n_samples += 1
            return snapshot

    def _look_at_devices(self) -> None:
        devices: list[Device] = []
        absences: dict[str, str] = {}
        for probe in tuple(self._probes):
            try:
                devices += probe.devices()
                reason = probe.why_absent()
            except Exception as error:
                self._retire(probe, error)
                continue
            if reason is not None:
                absences[probe.key] = reason
        with self._changed:
            self._devices, self._absences = tuple(devices), absences | self._failed

    def _retire(self, probe: Probe, error: Exception) -> None:
        """A probe that raises is asked no more, and the others go on."""
        log.exception("the hardware probe %r failed and is switched off", probe.key)
        reason = f"switched off after an error ({type(error).__name__}: {error})"
        self._probes.remove(probe)
        with self._changed:
            self._failed[probe.key] = reason
            self._absences = self._absences | self._failed
        self._close_probe(probe)

    def _run(self) -> None:
        due_s = self._clock.now_s()
        while (period_s := self._wait_until(due_s)) is not None:
            self.sample()
            due_s = next_due(due_s, self._clock.now_s(), period_s)
        with self._sampling:
            self._close_probes()

    def _wait_until(self, due_s: float) -> float | None:
        """Sleep until the next sample; the period that holds then, or None to end."""
        with self._changed:
            while not self._closed:
                now_s = self._clock.now_s()
                due_s = min(due_s, now_s + self._period_s)  # the rate may have risen meanwhile
                if self._paused:
                    self._changed.wait()
                elif now_s < due_s:
                    self._changed.wait(due_s - now_s)
                else:
                    return self._period_s
            return None

    def _close_probes(self) -> None:
        for probe in self._probes:
            self._close_probe(probe)
        self._probes = []

    def _close_probe(self, probe: Probe) -> None:
        try:
            probe.close()
        except Exception:
            log.exception("the hardware probe %r did not close", probe.key)

    def _from_s(self, since_s: float | None) -> float:
        reach_s = self._keep_s if since_s is None else min(since_s, self._keep_s)
        return self._clock.now_s() - reach_s


def next_due(due_s: float, now_s: float, period_s: float) -> float:
    """When the next sample is due: a period after the last was, or after now if that is less than half a period away.

    So two samples never stand close together, where a rate between them would be mostly noise.
    """
    following_s = due_s + period_s
    return following_s if following_s - now_s >= period_s / 2 else now_s + period_s


def _capacity(keep_s: float) -> int:
    # For the highest rate, so that a change of the rate forgets nothing; one more for the gap of a pause.
    return math.ceil(keep_s * MOST_RATE_HZ) + 2


def _checked_rate(hz: float) -> float:
    if not 0 < hz <= MOST_RATE_HZ:
        raise ValueError(f"{hz} samples a second: must be above 0 and at most {MOST_RATE_HZ:.0f}")
    return hz


def _checked_keep(keep_s: float) -> float:
    if not 0 < keep_s < math.inf:
        raise ValueError(f"cannot keep {keep_s} seconds: must be above 0")
    return keep_s
