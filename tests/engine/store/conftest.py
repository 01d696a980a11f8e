"""Stores with a clock that ticks a second at each look and ids that count, so that every test is the same each time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.store import Store, open_store


class TickingClock:
    """Starts on a morning in November; `ahead` moves it on."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def now_s(self) -> float:
        return self._now.timestamp()

    def utc(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def ahead(self, step: timedelta) -> None:
        self._now += step


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock()


@pytest.fixture
def new_id() -> Callable[[], str]:
    counter = itertools.count(1)
    return lambda: f"id-{next(counter)}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's database is; its folder is not there yet."""
    return tmp_path / "data" / "llamarium.sqlite3"


@pytest.fixture
def store(path: Path, clock: TickingClock, new_id: Callable[[], str]) -> Iterator[Store]:
    opened = open_store(path, clock=clock, new_id=new_id)
    yield opened
    opened.close()
