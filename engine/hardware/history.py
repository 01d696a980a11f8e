"""The last minutes of every series, in rings of fixed size on one common time axis.

All rings turn together: one slot is one sample, and a series that was not measured then holds NaN there. Memory is bounded
by the capacity and does not grow with the time that the program runs. Not safe for threads; the recorder holds the lock.
Rejected: numpy (0.2 s of import for the window), a deque of readings per series (64 bytes a number instead of 8).
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from typing import TypeAlias

from engine.hardware.snapshot import Quantity

SeriesKey: TypeAlias = tuple[str, Quantity]


class History:
    """Samples of many series: `capacity` of them at most, the newest ones."""

    def __init__(self, capacity: int) -> None:
        """Args: capacity: how many samples are kept, at least 1."""
        self._capacity = capacity
        self._n_added = 0
        self._times_s, self._utc_s = _blank(capacity), _blank(capacity)
        self._rings: dict[SeriesKey, array[float]] = {}
        self._written: dict[SeriesKey, int] = {}

    def __len__(self) -> int:
        return min(self._n_added, self._capacity)

    def add(self, t_s: float, utc_s: float, values: Mapping[SeriesKey, float | None]) -> None:
        """Append one sample; times ascend. A series begins with its first number, so what no driver tells has none."""
        slot = self._n_added % self._capacity
        self._times_s[slot], self._utc_s[slot] = t_s, utc_s
        for key, value in values.items():
            if value is not None:
                if key not in self._rings:
                    self._rings[key] = _blank(self._capacity)
                self._written[key] = self._n_added
        for key, ring in self._rings.items():
            value = values.get(key)
            ring[slot] = math.nan if value is None else value
        self._n_added += 1
        if slot == 0:
            self._drop_empty()

    def series_keys(self) -> tuple[SeriesKey, ...]:
        """The series that have at least one number, in the order of their first one."""
        # Not below 0: after a resize, numbers below it stand for samples that are gone.
        oldest = max(0, self._n_added - self._capacity)
        return tuple(key for key in self._rings if self._written[key] >= oldest)

    def series(self, key: SeriesKey, from_s: float) -> tuple[list[float], list[float]]:
        """Times and values from a time on, oldest first; NaN where nothing was measured. Empty for an unknown series."""
        ring = self._rings.get(key)
        if ring is None:
            return [], []
        times = self._ordered(self._times_s)
        start = bisect_left(times, from_s)
        return times[start:].tolist(), self._ordered(ring)[start:].tolist()

    def clock_times(self, from_s: float) -> tuple[list[float], list[float]]:
        """The samples' times from a time on: monotonic seconds, and seconds since 1970 (UTC)."""
        times = self._ordered(self._times_s)
        start = bisect_left(times, from_s)
        return times[start:].tolist(), self._ordered(self._utc_s)[start:].tolist()

    def resize(self, capacity: int) -> None:
        """Keep at most so many samples from now on; the newest ones stay."""
        if capacity == self._capacity:
            return
        n_kept = min(len(self), capacity)
        shift = self._n_added - n_kept

        def moved(ring: array[float]) -> array[float]:
            fresh = _blank(capacity)
            fresh[:n_kept] = self._ordered(ring)[len(self) - n_kept :]
            return fresh

        times_s, utc_s = moved(self._times_s), moved(self._utc_s)
        rings = {key: moved(ring) for key, ring in self._rings.items()}
        self._written = {key: n - shift for key, n in self._written.items()}
        self._times_s, self._utc_s, self._rings = times_s, utc_s, rings
        self._capacity, self._n_added = capacity, n_kept
        self._drop_empty()

    def _ordered(self, ring: array[float]) -> array[float]:
        if self._n_added <= self._capacity:
            return ring[: self._n_added]
        head = self._n_added % self._capacity
        return ring[head:] + ring[:head]

    def _drop_empty(self) -> None:
        kept = self.series_keys()
        self._rings = {key: self._rings[key] for key in kept}
        self._written = {key: self._written[key] for key in kept}


def _blank(n_slots: int) -> array[float]:
    return array("d", [math.nan]) * n_slots
