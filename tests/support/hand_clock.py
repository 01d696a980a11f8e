"""A clock that a test moves by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class HandClock:
    """Stands still until `move`; starts at 1,000 monotonic seconds, on 23 November 2026 at noon."""

    def __init__(self) -> None:
        self._elapsed_s = 0.0

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed_s += seconds

    def now_s(self) -> float:
        return 1000.0 + self._elapsed_s

    def utc(self) -> datetime:
        return datetime(2026, 11, 23, 12, tzinfo=UTC) + timedelta(seconds=self._elapsed_s)
