"""The list of chats in groups a person thinks in: pinned, today, yesterday, the last week, then by month.

Pure values of the rows and of the time, so that a test can set the clock. The names of the groups are the view's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.store.rows import ConversationRow


class Period(enum.Enum):
    """What a group of chats has in common. `MONTH` has a year and a month beside it."""

    PINNED = "pinned"
    TODAY = "today"
    YESTERDAY = "yesterday"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Group:
    """A heading and its chats, newest first. `year` and `month` (1 to 12) are 0 but for `MONTH`."""

    period: Period
    rows: tuple[ConversationRow, ...]
    year: int = 0
    month: int = 0


def grouped(rows: Iterable[ConversationRow], now: datetime) -> tuple[Group, ...]:
    """The rows in groups, in their own order within each; groups without rows are left out.

    Args:
        rows: newest first.
        now: this moment in the time zone that decides when a day ends.
    """
    found: dict[tuple[Period, int, int], list[ConversationRow]] = {}
    for row in rows:
        found.setdefault(_group_of(row, now), []).append(row)
    order = {period: place for place, period in enumerate(Period)}
    keys = sorted(found, key=lambda key: (order[key[0]], -key[1], -key[2]))
    return tuple(Group(period, tuple(found[period, year, month]), year, month) for period, year, month in keys)


def _group_of(row: ConversationRow, now: datetime) -> tuple[Period, int, int]:
    if row.pinned:
        return Period.PINNED, 0, 0
    day = row.updated_utc.astimezone(now.tzinfo).date()
    today = now.date()
    if day >= today:  # a clock that was set back must not make a month of tomorrow
        return Period.TODAY, 0, 0
    if day == today - timedelta(days=1):
        return Period.YESTERDAY, 0, 0
    if day >= today - timedelta(days=7):
        return Period.WEEK, 0, 0
    return Period.MONTH, day.year, day.month
