"""Watched processes: resident memory, processor use and what they read from the disk.

The worker's own numbers, told apart from the rest of the computer. Disk reads include the pages of a mapped model as they are
faulted in, which shows a model that does not fit into memory better than any other number. Rejected: PSS (a walk over
all mappings, 0.8 ms for a small model). Source: proc(5) `stat`, `statm`, `io`, through psutil.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from engine.hardware.snapshot import Device, Quantity, Reading


@dataclass(slots=True)
class _Watch:
    """A process and where its counters stood at the last look. `process` is None once it has gone."""

    pid: int
    process: psutil.Process | None
    at_s: float | None = None
    cpu_s: float | None = None
    read_bytes: int | None = None


class ProcessProbe:
    """One source per watched process, under its label. One that has gone reads None until it is watched no more."""

    key = "process"

    def __init__(self) -> None:
        self._watches: dict[str, _Watch] = {}

    def devices(self) -> tuple[Device, ...]:
        return ()

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        for label in self._watches.keys() - watched.keys():
            del self._watches[label]
        readings: list[Reading] = []
        for label, pid in watched.items():
            watch = self._watches.get(label)
            if watch is None or watch.pid != pid:
                watch = self._watches[label] = _Watch(pid, _process(pid))
            rss, cpu, disk = _look(watch, now_s)
            readings += (
                Reading(label, Quantity.PROCESS_RSS, rss),
                Reading(label, Quantity.PROCESS_CPU, cpu),
                Reading(label, Quantity.DISK_READ, disk),
            )
        return tuple(readings)

    def why_absent(self) -> str | None:
        return None

    def close(self) -> None:
        self._watches.clear()


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _look(watch: _Watch, now_s: float) -> tuple[float | None, float | None, float | None]:
    """Resident bytes, percent of a core, bytes a second; moves the counters on."""
    process = watch.process
    if process is None:
        return None, None, None
    try:
        # A number can be given to another process as soon as the first has ended.
        if not process.is_running():
            raise psutil.NoSuchProcess(watch.pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None, None, None
            times = process.cpu_times()
            rss = float(process.memory_info().rss)
        read_bytes = _read_bytes(process)
    except psutil.AccessDenied:
        return None, None, None
    except psutil.Error:
        watch.process = None
        return None, None, None
    cpu_s = times.user + times.system
    cpu = disk = None
    if watch.at_s is not None and watch.cpu_s is not None and now_s > watch.at_s:
        cpu = 100 * max(0.0, cpu_s - watch.cpu_s) / (now_s - watch.at_s)
        if read_bytes is not None and watch.read_bytes is not None:
            disk = max(0, read_bytes - watch.read_bytes) / (now_s - watch.at_s)
    watch.at_s, watch.cpu_s, watch.read_bytes = now_s, cpu_s, read_bytes
    return rss, cpu, disk


def _read_bytes(process: psutil.Process) -> int | None:
    """Bytes that were fetched from storage for this process; None where the system does not count them or tell."""
    counters = getattr(process, "io_counters", None)  # macOS has none
    if counters is None:
        return None
    try:
        return int(counters().read_bytes)
    except (psutil.AccessDenied, NotImplementedError):
        return None
