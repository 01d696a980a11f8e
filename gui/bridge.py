"""The bridge: the one timer that hands the engine's events to the window.

Reader threads post to the bus and never touch a widget; this timer takes what came, for a bounded time a tick, so a
flood of tokens cannot stop the window from drawing. Rejected: a queued Qt signal per event (two hundred wake-ups a
second, and a cross-thread signal is what the rules forbid), a timer without a budget (a flood would freeze a frame).

Only while a prompt is read does a post wake the window by itself: few come then, the last of them is the first token, and
the engine's threads pay for every tick that finds nothing.

Source: ARCHITECTURE.md, “The way of one token”.
"""

from __future__ import annotations

import enum
import time
from collections import deque
from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer

from engine.base.bus import Bus

BUSY_MS = 16
IDLE_MS = 50
WAKE = QEvent.Type(QEvent.registerEventType())
BUDGET_MS = 8.0
QUIET_AFTER_S = 2.0
KEPT_TICKS = 4096
_CHUNK = 32  # events between two looks at the clock


class Pace(enum.IntEnum):
    """How often a busy bridge ticks, in ms: as often as the worker sends something, as each tick takes from its processor."""

    SHORT = BUSY_MS
    READING = 120  # a prompt: a few events until the first token, each handed out when it is posted, tick or no tick
    WRITING = 50  # an answer's text comes in frames 50 ms apart or more
    CROWDED = 100  # the same where the engine's threads take every core
    HASTY = 250  # the same for text that nobody reads along with: all that changes then is drawn in one go


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
        self._is_called = False
        bus.on_own_post = self.soon
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
        self._bus.on_own_post = self._bus.on_foreign_post = None
        self._timer.stop()

    @property
    def is_running(self) -> bool:
        return self._timer.isActive()

    @property
    def interval_ms(self) -> int:
        """The present tick: a `Pace` while something happens, 50 ms after two quiet seconds."""
        return self._timer.interval()

    def set_active(self, active: bool, pace: Pace = Pace.SHORT) -> None:
        """Keep this pace while a run, a load or a download is on, however quiet it is."""
        self._active = active
        self._busy_ms = int(pace)
        self._bus.on_foreign_post = self._call if active and pace is Pace.READING else None
        if active:
            self._set_interval(self._busy_ms)

    def soon(self) -> None:
        """Tick within 16 ms, once: the window's own thread posted something, and a click wants its answer at once."""
        if self._timer.isActive():
            self._set_interval(BUSY_MS)

    def _call(self) -> None:
        """From any thread: something was posted that is not to wait for a tick."""
        if not self._is_called:
            self._is_called = True
            QCoreApplication.postEvent(self, QEvent(WAKE))

    def event(self, event: QEvent) -> bool:
        if event.type() != WAKE:
            return super().event(event)
        self._is_called = False  # before the pump: what is posted from here on calls anew
        begin_s = self._now_s()
        if self.pump_now():
            self._last_event_s = begin_s
        self._go_on_soon(begin_s)
        return True

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
        elif self._active:
            self._set_interval(self._busy_ms)  # after `soon`
        elif begin_s - self._last_event_s >= QUIET_AFTER_S:
            self._set_interval(IDLE_MS)
        self._go_on_soon(begin_s)
        # Due from this tick, early or late: Qt keeps a repeating timer's rhythm, so the tick after a late one comes
        # early, and a due time that only moved forward would hide every delay after it.
        self._due_s = begin_s + self._timer.interval() / 1000

    def _go_on_soon(self, begin_s: float) -> None:
        """What a whole budget did not hand out does not wait for a long tick."""
        if self._now_s() - begin_s >= self._budget_s:
            self.soon()

    def _set_interval(self, interval_ms: int) -> None:
        if self._timer.interval() != interval_ms:
            self._timer.setInterval(interval_ms)  # the next tick comes so long from now, whatever was due
            self._due_s = self._now_s() + interval_ms / 1000
