"""PySide6 6.12 takes a reference of None away on every call on Python before 3.12, and ends the process after thousands."""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject


def test_calls_that_return_nothing_do_not_use_up_none() -> None:
    target = QObject()
    target.setObjectName("warm")
    before = sys.getrefcount(None)
    for _ in range(500):
        target.setObjectName("a")
    assert abs(sys.getrefcount(None) - before) < 50
