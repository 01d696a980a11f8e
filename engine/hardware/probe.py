"""The seam between the recorder and a source of readings: what every probe promises.

A probe opens its driver at the first look and not when it is made, so that a slow driver keeps only the recorder's thread
waiting. What a driver does not tell reads as None or is left out; a driver that is not there reads as empty, and
`why_absent` says why. Only a fault that the probe did not foresee escapes as an exception: the recorder then stops
asking this probe and keeps the reason. Rejected: a base class (there is nothing to inherit), probes that push (the
display polls, so that a fast source cannot flood it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from engine.hardware.snapshot import Device, Reading


class Probe(Protocol):
    """One source of readings. All calls come from one thread.

    `key` names it in reasons (“nvidia”); devices have keys of their own.
    """

    key: str

    def devices(self) -> tuple[Device, ...]:
        """The devices of this source, with what is free at this moment."""
        ...

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        """The readings of this moment.

        Args:
            now_s: monotonic seconds; rates are taken between two calls, so the first one has none.
            watched: the processes to look at, as label and process id.
        """
        ...

    def why_absent(self) -> str | None:
        """Why there is nothing to read, as a phrase (“no NVIDIA driver: …”); None when there is."""
        ...

    def close(self) -> None:
        """Give the driver back. Nothing is read afterwards."""
        ...
