"""The processor: use as a whole and per core, clock, temperature, and what it is.

Use is the share of busy time between two looks, from the counters themselves: psutil's `cpu_percent` keeps its last look
in the module, where a second caller would shorten ours. Only the processor's own temperature sensor is read:
`psutil.sensors_temperatures` reads every sensor there is, which wakes sleeping GPUs and disks. The clock is read once a
second, as it costs an interrupt per core. Source: proc(5) `/proc/stat`; Documentation/hwmon (coretemp, k10temp).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from engine.hardware.graphics_cards import SYSFS
from engine.hardware.kernel_files import number_of, pairs_of, text_of
from engine.hardware.ram import CGROUP, ram_now
from engine.hardware.snapshot import Device, DeviceKind, Quantity, Reading

PROC = Path("/proc")
SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "scpi_sensors")
CLOCK_EVERY_S = 1.0

_VECTOR_UNITS = {
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX",
    "asimd": "NEON",
    "asimddp": "dot product",
    "i8mm": "int8 matrix",
    "sve": "SVE",
}


class CoreTimes(NamedTuple):
    """Seconds that a core has spent: busy, and altogether."""

    busy_s: float
    all_s: float


def core_times() -> list[CoreTimes]:
    """The counters of every logical core, from the system."""
    return [_of_core(each) for each in psutil.cpu_times(percpu=True)]


def clock_mhz() -> float | None:
    """The processor's clock now, averaged over its cores; None where the system does not tell."""
    ask = getattr(psutil, "cpu_freq", None)
    try:
        frequency = None if ask is None else ask()
    except (OSError, RuntimeError):
        return None  # virtual machines and some ARM boards publish none, each in its own way
    return float(frequency.current) if frequency is not None and frequency.current else None


def use_between(before: CoreTimes, now: CoreTimes) -> float | None:
    """Percent busy between two looks; None when the counters did not move (two looks within one tick)."""
    all_s = now.all_s - before.all_s
    if all_s <= 0:
        return None
    return 100 * min(1.0, max(0.0, (now.busy_s - before.busy_s) / all_s))


class CpuProbe:
    """The source “cpu”, and “cpu0” … for its logical cores."""

    key = "cpu"

    def __init__(
        self,
        proc: Path = PROC,
        sysfs: Path = SYSFS,
        cgroup: Path = CGROUP,
        times: Callable[[], list[CoreTimes]] = core_times,
        clock: Callable[[], float | None] = clock_mhz,
    ) -> None:
        """Args: where the kernel's files are; times, clock: what reads the counters and the megahertz."""
        self._proc, self._sysfs, self._cgroup = proc, sysfs, cgroup
        self._read_times, self._read_clock = times, clock
        self._last: list[CoreTimes] = []
        self._clock_mhz: float | None = None
        self._clock_at_s: float | None = None
        self._sensor: Path | None = None
        self._sensor_sought = False

    def devices(self) -> tuple[Device, ...]:
        facts = pairs_of(self._proc / "cpuinfo", ":")
        n_logical, n_physical = psutil.cpu_count(), psutil.cpu_count(logical=False)
        cores = f"{n_physical or 'unknown'} physical, {n_logical or 'unknown'} logical"
        details = [("Cores", cores)]
        n_usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_logical
        if n_usable is not None and n_logical is not None and n_usable < n_logical:
            details.append(("Usable cores", f"{n_usable} of {n_logical}"))
        flags = (facts.get("flags") or facts.get("Features") or "").split()
        units = [label for flag, label in _VECTOR_UNITS.items() if flag in flags]
        if units:
            details.append(("Vector units", ", ".join(units)))
        ram = ram_now(self._cgroup)
        machine_bytes = psutil.virtual_memory().total
        if ram.total_bytes < machine_bytes:
            details.append(("Memory limit", f"{ram.total_bytes / 2**30:.1f} of {machine_bytes / 2**30:.1f} GiB"))
        name = facts.get("model name") or platform.processor() or platform.machine() or "Processor"
        return (Device(self.key, name, DeviceKind.CPU, None, ram.total_bytes, ram.free_bytes, tuple(details)),)

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        times = self._read_times()
        before = self._last if len(self._last) == len(times) else []
        self._last = times
        cores = [use_between(a, b) for a, b in zip(before, times, strict=True)] if before else [None] * len(times)
        known = [each for each in cores if each is not None]
        return (
            Reading(self.key, Quantity.CPU_USE, sum(known) / len(known) if known else None),
            *(Reading(f"{self.key}{n}", Quantity.CPU_CORE_USE, use) for n, use in enumerate(cores)),
            Reading(self.key, Quantity.CPU_FREQUENCY, self._clock(now_s)),
            Reading(self.key, Quantity.CPU_TEMPERATURE, self._temperature()),
        )

    def why_absent(self) -> str | None:
        return None

    def close(self) -> None:
        """Nothing is held."""

    def _clock(self, now_s: float) -> float | None:
        if self._clock_at_s is None or now_s - self._clock_at_s >= CLOCK_EVERY_S:
            self._clock_at_s = now_s
            self._clock_mhz = self._read_clock()
        return self._clock_mhz

    def _temperature(self) -> float | None:
        if not self._sensor_sought:
            self._sensor_sought = True
            self._sensor = _sensor(self._sysfs)
        millidegrees = None if self._sensor is None else number_of(self._sensor)
        return None if millidegrees is None else millidegrees / 1000


def _of_core(times: tuple[float, ...]) -> CoreTimes:
    # Linux counts a guest's time in “user” as well; iowait is idle.
    all_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return CoreTimes(all_s - getattr(times, "idle", 0.0) - getattr(times, "iowait", 0.0), all_s)


def _sensor(sysfs: Path) -> Path | None:
    """The file with the processor's temperature in thousandths of a degree."""
    try:
        folders = sorted((sysfs / "class" / "hwmon").iterdir())
    except OSError:
        return None
    names = {text_of(folder / "name"): folder / "temp1_input" for folder in reversed(folders)}
    return next((names[name] for name in SENSORS if name in names), None)
