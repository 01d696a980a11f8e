"""Time as an argument, so that tests decide what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time. `SystemClock` is the real one; tests bring their own."""

    def now_s(self) -> float:
        """Monotonic seconds, for durations only."""
        ...

    def utc(self) -> datetime:
        """The time of day, with its zone (UTC), for what is stored and shown."""
        ...


class SystemClock:
    """This computer's clock."""

    def now_s(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC)
