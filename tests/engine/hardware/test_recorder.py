from __future__ import annotations

import csv
import io
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.base.clock import SystemClock
from engine.base.errors import KnownError
from engine.hardware import open_recorder
from engine.hardware.bands import MOST_BANDS, BandKind
from engine.hardware.probes import PROBES
from engine.hardware.probes.process import ProcessProbe
from engine.hardware.recorder import Recorder, next_due
from engine.hardware.snapshot import Device, DeviceKind, Quantity, Reading
from tests.support.hand_clock import HandClock


class Counter:
    """A probe that counts its readings: 0, 1, 2 …; it can be made to fail, to go silent or to hang."""

    def __init__(self, key: str = "counter") -> None:
        self.key = key
        self.n_reads = 0
        self.times_s: list[float] = []
        self.fails = False
        self.is_silent = False
        self.n_closed = 0
        self.has_read = threading.Semaphore(0)
        self.has_closed = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def devices(self) -> tuple[Device, ...]:
        return (Device(self.key, "Counter", DeviceKind.ACCEL, "1.0", None, None),)

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        if self.fails:
            raise ZeroDivisionError("the sensor divided by zero")
        value = None if self.is_silent else float(self.n_reads)
        self.n_reads += 1
        self.times_s.append(now_s)
        self.has_read.release()
        self.may_go_on.wait()
        return (Reading(self.key, Quantity.GPU_USE, value),)

    def why_absent(self) -> str | None:
        return None

    def close(self) -> None:
        self.n_closed += 1
        self.has_closed.set()


class Nothing(Counter):
    """A probe without a driver."""

    def devices(self) -> tuple[Device, ...]:
        return ()

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        return ()

    def why_absent(self) -> str | None:
        return "no driver: libnothing.so not found"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def by_hand(clock: HandClock, *probes: Counter, keep_s: float = 60.0) -> Recorder:
    """A recorder without its thread: the test takes the samples."""
    return Recorder(clock, probes, 4.0, keep_s)


def take(recorder: Recorder, clock: HandClock, n_samples: int, every_s: float = 0.25) -> None:
    for _ in range(n_samples):
        recorder.sample()
        clock.move(every_s)


# ------------------------------------------------------------------------------------------------ series and rings


def test_before_the_first_sample_everything_is_empty(clock: HandClock) -> None:
    recorder = by_hand(clock, Counter())
    assert (recorder.latest(), recorder.devices(), recorder.sources(), recorder.n_samples) == (None, (), (), 0)
    assert recorder.absences() == {}
    assert recorder.series("counter", Quantity.GPU_USE) == ([], [])


def test_a_series_is_times_and_values_oldest_first(clock: HandClock) -> None:
    recorder = by_hand(clock, Counter())
    take(recorder, clock, 3)
    assert recorder.series("counter", Quantity.GPU_USE) == ([1000.0, 1000.25, 1000.5], [0.0, 1.0, 2.0])
    assert recorder.sources() == (("counter", Quantity.GPU_USE),)
    latest = recorder.latest()
    assert latest is not None
    assert (latest.t_s, latest.utc.isoformat()) == (1000.5, "2026-11-23T12:00:00.500000+00:00")
    assert latest.value("counter", Quantity.GPU_USE) == 2.0
    assert latest.value("counter", Quantity.GPU_POWER) is None


def test_a_series_can_be_cut_to_its_last_seconds(clock: HandClock) -> None:
    recorder = by_hand(clock, Counter())
    take(recorder, clock, 40)
    assert recorder.series("counter", Quantity.GPU_USE, 0.75)[1] == [37.0, 38.0, 39.0]


def test_an_unknown_value_is_a_gap_and_a_series_without_any_number_is_not_offered(clock: HandClock) -> None:
    probe, silent = Counter(), Counter("silent")
    silent.is_silent = True
    recorder = by_hand(clock, probe, silent)
    take(recorder, clock, 1)
    probe.is_silent = True
    take(recorder, clock, 1)
    values = recorder.series("counter", Quantity.GPU_USE)[1]
    assert values[0] == 0.0
    assert math.isnan(values[1])
    assert recorder.sources() == (("counter", Quantity.GPU_USE),)


def test_nothing_older_than_the_kept_time_is_shown_and_the_rings_do_not_grow(clock: HandClock) -> None:
    recorder = by_hand(clock, Counter(), keep_s=2.0)
    take(recorder, clock, 500, every_s=0.1)
    times, values = recorder.series("counter", Quantity.GPU_USE)
    assert times[0] >= clock.now_s() - 2.0
    assert values == [float(n) for n in range(500 - len(values), 500)]
    assert 19 <= len(values) <= 21


def test_a_longer_keep_forgets_nothing_and_a_shorter_one_keeps_the_newest(clock: HandClock) -> None:
    recorder = by_hand(clock, Counter(), keep_s=60.0)
    take(recorder, clock, 100, every_s=0.5)
    recorder.set_keep(2)
    assert len(recorder.series("counter", Quantity.GPU_USE)[1]) == 100
    recorder.set_keep(0.1)
    assert recorder.series("counter", Quantity.GPU_USE)[1] == [float(n) for n in range(88, 100)]


def test_a_pause_leaves_a_gap(clock: HandClock) -> None:
    recorder = by_hand(clock, Counter())
    take(recorder, clock, 2)
    recorder.pause()
    recorder.pause()
    assert recorder.is_paused
    clock.move(5.0)
    recorder.resume()
    take(recorder, clock, 1)
    times, values = recorder.series("counter", Quantity.GPU_USE)
    assert times == [1000.0, 1000.25, 1000.5, 1005.5]
    assert [None if math.isnan(value) else value for value in values] == [0.0, 1.0, None, 2.0]


@pytest.mark.parametrize("hz", [0.0, -1.0, 10.5, math.nan])
def test_a_rate_that_cannot_be_is_refused(clock: HandClock, hz: float) -> None:
    with pytest.raises(ValueError, match="samples a second"):
        by_hand(clock).set_rate(hz)


@pytest.mark.parametrize("minutes", [0.0, -1.0, math.inf, math.nan])
def test_a_time_to_keep_that_cannot_be_is_refused(clock: HandClock, minutes: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        by_hand(clock).set_keep(minutes)


# ------------------------------------------------------------------------------------------------ probes that fail


def test_a_probe_that_raises_is_switched_off_with_its_reason_and_the_others_go_on(clock: HandClock) -> None:
    bad, good = Counter("bad"), Counter("good")
    recorder = by_hand(clock, bad, good)
    take(recorder, clock, 1)
    bad.fails = True
    take(recorder, clock, 2)
    bad.fails = False
    take(recorder, clock, 1)
    assert recorder.absences() == {"bad": "switched off after an error (ZeroDivisionError: the sensor divided by zero)"}
    assert bad.n_closed == 1
    assert bad.n_reads == 1
    assert recorder.series("good", Quantity.GPU_USE)[1] == [0.0, 1.0, 2.0, 3.0]
    clock.move(3.0)
    recorder.sample()
    assert [device.key for device in recorder.devices()] == ["good"]
    assert list(recorder.absences()) == ["bad"]


def test_a_missing_driver_is_told_with_its_reason(clock: HandClock) -> None:
    recorder = by_hand(clock, Counter(), Nothing("nothing"))
    recorder.sample()
    assert recorder.absences() == {"nothing": "no driver: libnothing.so not found"}
    assert [device.key for device in recorder.devices()] == ["counter"]


# ------------------------------------------------------------------------------------------------ watched processes


def test_a_watched_process_that_is_killed_becomes_a_gap(clock: HandClock) -> None:
    recorder = Recorder(clock, [ProcessProbe()], 4.0, 60.0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        recorder.watch("worker", child.pid)
        take(recorder, clock, 2)
        child.kill()
    take(recorder, clock, 1)
    values = recorder.series("worker", Quantity.PROCESS_RSS)[1]
    assert [math.isnan(value) for value in values] == [False, False, True]
    recorder.watch("worker", None)
    recorder.watch("worker", None)
    assert recorder.sample().readings == ()


# ------------------------------------------------------------------------------------------------ bands


def test_bands_have_a_beginning_an_end_and_a_kind(clock: HandClock) -> None:
    recorder = by_hand(clock)
    load = recorder.begin_band(BandKind.LOAD, "SmolLM2")
    clock.move(2.0)
    recorder.end_band(load)
    recorder.mark_band(BandKind.READ, 1002.5, 1003.0, "212 tokens")
    recorder.begin_band(BandKind.WRITE, "")
    assert [(each.kind, each.start_s, each.end_s, each.label) for each in recorder.bands()] == [
        (BandKind.LOAD, 1000.0, 1002.0, "SmolLM2"),
        (BandKind.READ, 1002.5, 1003.0, "212 tokens"),
        (BandKind.WRITE, 1002.0, None, ""),
    ]


def test_a_band_ends_once_and_an_unknown_one_not_at_all(clock: HandClock) -> None:
    recorder = by_hand(clock)
    band = recorder.begin_band(BandKind.WRITE, "")
    clock.move(1.0)
    recorder.end_band(band)
    clock.move(1.0)
    recorder.end_band(band)
    recorder.end_band(band + 1)
    assert [each.end_s for each in recorder.bands()] == [1001.0]


def test_a_band_that_ends_before_it_starts_is_refused(clock: HandClock) -> None:
    with pytest.raises(ValueError, match="cannot end"):
        by_hand(clock).mark_band(BandKind.READ, 5.0, 4.0, "")


def test_bands_leave_with_the_kept_time_but_not_while_they_go_on(clock: HandClock) -> None:
    recorder = by_hand(clock, keep_s=10.0)
    recorder.begin_band(BandKind.WRITE, "goes on")
    recorder.mark_band(BandKind.READ, 1000.0, 1001.0, "old")
    recorder.mark_band(BandKind.READ, 1000.0, 1006.0, "reaches in")
    clock.move(15.0)
    assert [each.label for each in recorder.bands()] == ["goes on", "reaches in"]


def test_the_number_of_bands_is_limited(clock: HandClock) -> None:
    recorder = by_hand(clock)
    for n in range(MOST_BANDS + 5):
        recorder.mark_band(BandKind.READ, 1000.0, 1000.0, str(n))
    assert len(recorder.bands()) == MOST_BANDS
    assert recorder.bands()[0].label == "5"


# ------------------------------------------------------------------------------------------------ export


def test_the_table_has_units_gaps_and_what_was_going_on(clock: HandClock, tmp_path: Path) -> None:
    probe = Counter()
    recorder = by_hand(clock, probe)
    recorder.sample()
    clock.move(0.25)
    band = recorder.begin_band(BandKind.WRITE, "run 1, warm")
    probe.is_silent = True
    recorder.sample()
    clock.move(0.25)
    recorder.end_band(band)
    clock.move(0.25)
    probe.is_silent = False
    recorder.sample()
    recorder.export_csv(tmp_path / "recording.csv")
    text = (tmp_path / "recording.csv").read_bytes().decode()
    assert text == recorder.csv_text()
    assert list(csv.reader(io.StringIO(text))) == [
        ["utc", "seconds", "counter gpu_use (%)", "doing"],
        ["2026-11-23T12:00:00.000+00:00", "0.000", "0", ""],
        ["2026-11-23T12:00:00.250+00:00", "0.250", "", "decode run 1, warm"],
        ["2026-11-23T12:00:00.750+00:00", "0.750", "2", ""],
    ]


def test_an_empty_recording_is_a_table_without_lines(clock: HandClock) -> None:
    assert by_hand(clock).csv_text() == "utc,seconds,doing\r\n"


def test_a_table_that_cannot_be_written_is_told_with_the_path(clock: HandClock, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match=r"nowhere.recording\.csv"):
        by_hand(clock).export_csv(tmp_path / "nowhere" / "recording.csv")


# ------------------------------------------------------------------------------------------------ the thread


def test_a_late_tick_is_taken_once_and_the_next_comes_a_whole_period_later() -> None:
    assert next_due(10.0, 10.01, 0.25) == 10.25
    assert next_due(10.0, 10.125, 0.25) == 10.25
    assert next_due(10.0, 10.2, 0.25) == 10.45
    assert next_due(10.0, 10.25, 0.25) == 10.5
    assert next_due(10.0, 13.0, 0.25) == 13.25


def test_the_thread_samples_at_its_rate_and_ends() -> None:
    probe = Counter()
    recorder = Recorder(SystemClock(), [probe], 10.0, 60.0)
    recorder.start()
    for _ in range(6):
        assert probe.has_read.acquire(timeout=5.0)
    recorder.close()
    gaps_s = [b - a for a, b in zip(probe.times_s, probe.times_s[1:], strict=False)]
    assert min(gaps_s) >= 0.0499  # however late a tick comes
    assert sum(gaps_s) >= len(gaps_s) * 0.1 - 0.0501
    assert probe.n_closed == 1
    assert "hardware-recorder" not in {thread.name for thread in threading.enumerate()}
    recorder.close()
    assert probe.n_closed == 1


def test_a_higher_rate_holds_at_once() -> None:
    probe = Counter()
    recorder = Recorder(SystemClock(), [probe], 0.01, 60.0)
    recorder.start()
    assert probe.has_read.acquire(timeout=5.0)
    recorder.set_rate(10.0)
    assert probe.has_read.acquire(timeout=5.0)
    recorder.close()


def test_a_paused_thread_reads_nothing_until_it_goes_on() -> None:
    probe = Counter()
    recorder = Recorder(SystemClock(), [probe], 10.0, 60.0)
    recorder.pause()
    recorder.start()
    assert not probe.has_read.acquire(timeout=0.3)
    recorder.resume()
    assert probe.has_read.acquire(timeout=5.0)
    recorder.close()


def test_a_hanging_driver_delays_neither_looks_nor_the_end() -> None:
    probe = Counter()
    probe.may_go_on.clear()
    recorder = Recorder(SystemClock(), [probe], 10.0, 60.0)
    recorder.start()
    assert probe.has_read.acquire(timeout=5.0)
    start = time.monotonic()
    assert recorder.latest() is None
    assert recorder.series("counter", Quantity.GPU_USE) == ([], [])
    recorder.watch("worker", os.getpid())
    assert time.monotonic() - start < 1.0
    recorder.close()
    assert time.monotonic() - start < 5.0
    probe.may_go_on.set()
    assert probe.has_closed.wait(5.0)


def test_a_recorder_that_was_never_started_closes_its_probes(clock: HandClock) -> None:
    probe = Counter()
    by_hand(clock, probe).close()
    assert probe.n_closed == 1


def test_readers_and_the_sampler_do_not_disturb_each_other() -> None:
    probe, stop = Counter(), threading.Event()
    recorder = Recorder(SystemClock(), [probe], 10.0, 0.5)
    faults: list[str] = []

    def look() -> None:
        while not stop.is_set():
            times, values = recorder.series("counter", Quantity.GPU_USE)
            if len(times) != len(values) or times != sorted(times) or values != sorted(values):
                faults.append(f"{times} {values}")

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(1500):
        recorder.sample()
        if n % 100 == 0:
            recorder.set_keep(0.005 + n / 100_000)
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []


def test_the_real_recorder_shows_this_computer() -> None:
    recorder = open_recorder(rate_hz=10.0)
    recorder.watch("window", os.getpid())
    wanted = {
        ("cpu", Quantity.CPU_USE),
        ("cpu0", Quantity.CPU_CORE_USE),
        ("ram", Quantity.RAM_USED),
        ("window", Quantity.PROCESS_RSS),
        ("window", Quantity.PROCESS_CPU),
    }
    end_s = time.monotonic() + 5.0
    try:
        while not wanted <= set(recorder.sources()) and time.monotonic() < end_s:
            recorder.sample()
        assert wanted <= set(recorder.sources())
        assert "cpu" in [device.key for device in recorder.devices()]
        known = {device.key.rstrip("0123456789") for device in recorder.devices()}
        assert {"nvidia", "amd"} <= known | recorder.absences().keys()
    finally:
        recorder.close()


def test_making_every_probe_opens_no_driver_and_each_has_a_key_of_its_own() -> None:
    program = (
        "import sys\n"
        "from engine.hardware.probes import PROBES\n"
        "keys = [make().key for make in PROBES]\n"
        "print(*keys, 'pynvml' in sys.modules, 'numpy' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["cpu", "ram", "process", "nvidia", "amd", "drm", "False", "False"]
    assert len(PROBES) == 6
