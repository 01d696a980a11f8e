"""The bridge: the one timer that hands the engine's events to the window.

Reader threads post to the bus and never touch a widget; this timer takes what came, for a bounded time a tick, so a
flood of tokens cannot stop the window from drawing. Rejected: a queued Qt signal per event (two hundred wake-ups a
second, and a cross-thread signal is what the rules forbid), a timer without a budget (a flood would freeze a frame).

Source: ARCHITECTURE.md, “The way of one token”.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer

from engine.base.bus import Bus

BUSY_MS = 16
# An answer's text comes in frames 50 ms apart or more, 100 where the engine's threads take every core; each tick takes from
# the processor that writes it.
WRITING_MS = 50
CROWDED_MS = 100
IDLE_MS = 50
BUDGET_MS = 8.0
QUIET_AFTER_S = 2.0
KEPT_TICKS = 4096
_CHUNK = 32  # events between two looks at the clock


class Bridge(QObject):
    """Pumps a bus from the window's thread.

    Args:
        bus: what to pump; nobody else may.
        budget_ms: the longest that one tick hands out events; what is left comes with the next tick.
        now_s: a monotonic clock in seconds.
    """

    def __init__(
        self,
        bus: Bus,
        parent: QObject | None = None,
        *,
        budget_ms: float = BUDGET_MS,
        now_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(parent)
        self._bus = bus
        self._budget_s = budget_ms / 1000
        self._now_s = now_s
        self._delays_ms: deque[float] = deque(maxlen=KEPT_TICKS)
        self._active, self._busy_ms = False, BUSY_MS
        self._last_event_s = now_s()
        self._due_s = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BUSY_MS)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin to pump. Call it after the first window is shown, or before; nothing is lost."""
        self._due_s = self._now_s() + self._timer.interval() / 1000
        self._timer.start()

    def stop(self) -> None:
        """Stop the timer; what is still in the bus stays there (`pump_now` takes it)."""
        self._timer.stop()

    @property
    def is_running(self) -> bool:
        return self._timer.isActive()

    @property
    def interval_ms(self) -> int:
        """The present tick: 16 ms while something happens, 50 or 100 ms while an answer is written, 50 after two quiet seconds."""
        return self._timer.interval()

    def set_active(self, active: bool, *, is_writing: bool = False, is_crowded: bool = False) -> None:
        """Keep the short tick while a run, a load or a download is on, however quiet it is; while text comes a longer one.

        `is_crowded`: the engine's threads take every core.
        """
        self._active = active
        self._busy_ms = BUSY_MS if not is_writing else CROWDED_MS if is_crowded else WRITING_MS
        if active:
            self._set_interval(self._busy_ms)

    def delays_ms(self) -> tuple[float, ...]:
        """How late each of the last ticks came, in ms, oldest first; what the window's thread spent elsewhere."""
        return tuple(self._delays_ms)

    def forget_delays(self) -> None:
        """Begin a new measurement."""
        self._delays_ms.clear()

    def pump_now(self) -> int:
        """Hand out events for at most the budget; returns how many. The timer calls it; so may closing code."""
        begin_s = self._now_s()
        n_done = 0
        while True:
            n = self._bus.pump(_CHUNK)
            n_done += n
            if n < _CHUNK or self._now_s() - begin_s >= self._budget_s:
                return n_done

    def _tick(self) -> None:
        begin_s = self._now_s()
        self._delays_ms.append(max(0.0, (begin_s - self._due_s) * 1000))
        if self.pump_now():
            self._last_event_s = begin_s
            self._set_interval(self._busy_ms)
        elif not self._active and begin_s - self._last_event_s >= QUIET_AFTER_S:
            self._set_interval(IDLE_MS)
        # Due from this tick, early or late: Qt keeps a repeating timer's rhythm, so the tick after a late one comes
        # early, and a due time that only moved forward would hide every delay after it.
        self._due_s = begin_s + self._timer.interval() / 1000

    def _set_interval(self, interval_ms: int) -> None:
        if self._timer.interval() != interval_ms:
            self._timer.setInterval(interval_ms)
