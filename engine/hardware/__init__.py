"""What this computer has and what it is doing: devices, readings, and their last minutes.

Imports nothing at import time, because the workbench wants `ram_now` long before anybody looks at a plot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.base.clock import Clock
    from engine.hardware.recorder import Recorder


def open_recorder(rate_hz: float = 4.0, keep_s: float = 300.0, clock: Clock | None = None) -> Recorder:
    """A started recorder of every probe that we have; `close()` it. Returns at once: drivers are opened on its thread.

    Args:
        rate_hz: samples a second, above 0 and at most 10.
        keep_s: how much of the past is kept, in seconds.
        clock: tells the time; the system's own by default.
    """
    from engine.base.clock import SystemClock
    from engine.hardware.probes import PROBES
    from engine.hardware.recorder import Recorder

    recorder = Recorder(clock or SystemClock(), [make() for make in PROBES], rate_hz, keep_s)
    recorder.start()
    return recorder
