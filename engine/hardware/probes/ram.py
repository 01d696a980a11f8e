"""The RAM and swap that are in use now.

Used is what cannot be taken by a new model: total less available, so page cache does not count. The memory itself is
shown with the processor's device, as the engine shows it. Source: psutil; `engine.hardware.ram` for containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil

from engine.hardware.ram import CGROUP, MEMBERSHIP, ram_now
from engine.hardware.snapshot import Device, Quantity, Reading


class RamProbe:
    """Memory and swap in use, both under the source “ram”."""

    key = "ram"

    def __init__(self, cgroup: Path = CGROUP, membership: Path = MEMBERSHIP) -> None:
        self._cgroup, self._membership = cgroup, membership

    def devices(self) -> tuple[Device, ...]:
        return ()

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        ram = ram_now(self._cgroup, self._membership)
        swap = psutil.swap_memory()
        used = Reading(self.key, Quantity.RAM_USED, float(ram.total_bytes - ram.free_bytes))
        if not swap.total:
            return (used,)  # there is none; “0 B used” would read as “plenty left”
        return used, Reading(self.key, Quantity.SWAP_USED, float(swap.used))

    def why_absent(self) -> str | None:
        return None

    def close(self) -> None:
        """Nothing is held."""
