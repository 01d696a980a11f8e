"""How many cores this process may use, and whether an engine on some devices leaves one of them to others.

Where its threads take every core, whatever a window draws takes from all of them: after each part of a graph the others
wait for the one that lost its core. So both sides do less then: text travels in longer bundles, and is looked for less often.
"""

from __future__ import annotations

from collections.abc import Iterable

import psutil

HASTY_TPS = 40.0
"""Tokens a second that nobody reads along with."""


def cores() -> int:
    """The logical cores that this process may use."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return len(psutil.Process().cpu_affinity())
    return psutil.cpu_count() or 1


def takes_every_core(devices: Iterable[str], n_threads: int, n_cores: int) -> bool:
    """Whether so many threads on these devices leave no core free; an engine with a card waits for that."""
    return all(each.startswith("CPU") for each in devices) and n_threads >= n_cores
