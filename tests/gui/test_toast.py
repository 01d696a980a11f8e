"""The toast: ten seconds to take something back, and then it is final."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPointF
from PySide6.QtGui import QCursor, QEnterEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QFrame, QWidget

from gui.icons import Icons
from gui.toast import MOST_SHOWN, STAYS_MS, Toast


@pytest.fixture
def toast(icons: Icons, qtbot) -> Toast:
    window = QWidget()
    window.resize(800, 600)
    toast = Toast(window, icons)
    toast.kept = window  # type: ignore[attr-defined]
    qtbot.addWidget(window)
    QCursor.setPos(0, 0)  # a pointer that an earlier test left over the toast would stop its clock
    window.show()
    return toast


def click(toast: Toast, name: str) -> None:
    next(each for each in toast.findChildren(QAbstractButton) if each.accessibleName() == name).click()


def hover(toast: Toast, inside: bool) -> None:
    card = toast.findChildren(QFrame)[0]
    here = QPointF(5, 5)
    QApplication.sendEvent(card, QEnterEvent(here, here, here) if inside else QEvent(QEvent.Type.Leave))


def test_undo_brings_it_back_once_and_nothing_is_forgotten(toast: Toast) -> None:
    done: list[str] = []
    toast.show_undo("Chat deleted", lambda: done.append("undo"), lambda: done.append("forget"))
    assert toast.texts == ("Chat deleted",)
    click(toast, "Undo: Chat deleted")
    assert done == ["undo"]
    assert toast.texts == ()
    toast.undo_latest()
    toast.forget_all()
    assert done == ["undo"]


def test_it_stays_ten_seconds() -> None:
    assert STAYS_MS == 10_000


def test_after_its_time_it_is_final(toast: Toast, qtbot) -> None:
    done: list[str] = []
    toast.show_undo("Chat deleted", lambda: done.append("undo"), lambda: done.append("forget"), stays_ms=20)
    qtbot.waitUntil(lambda: toast.texts == (), timeout=2000)
    assert done == ["forget"]
    assert not toast.can_undo()
    assert toast.isHidden()


def test_the_pointer_stops_the_clock(toast: Toast, qtbot) -> None:
    ended: list[str] = []
    toast.show_undo("First", lambda: None, lambda: ended.append("first"), stays_ms=60)
    hover(toast, True)
    toast.show_undo("Second", lambda: None, lambda: ended.append("second"), stays_ms=120)
    qtbot.waitUntil(lambda: ended == ["second"], timeout=2000)  # the first had less time, and waits
    assert toast.texts == ("First",)
    hover(toast, False)
    qtbot.waitUntil(lambda: ended == ["second", "first"], timeout=2000)


def test_a_second_delete_does_not_take_the_first_undo_away(toast: Toast) -> None:
    back: list[str] = []
    toast.show_undo("One", lambda: back.append("one"))
    toast.show_undo("Two", lambda: back.append("two"))
    toast.show_text("Copied")
    toast.undo_latest()
    toast.undo_latest()
    assert back == ["two", "one"]
    assert toast.texts == ("Copied",)


def test_a_crowd_makes_the_oldest_final(toast: Toast) -> None:
    final: list[int] = []
    for number in range(MOST_SHOWN + 2):
        toast.show_undo(f"Chat {number}", lambda: None, lambda number=number: final.append(number))
    assert final == [0, 1]
    assert len(toast.texts) == MOST_SHOWN


def test_it_stands_at_the_bottom_in_the_middle_and_follows_the_window(toast: Toast, qtbot) -> None:
    toast.show_undo("Chat deleted", lambda: None)
    window = toast.kept  # type: ignore[attr-defined]
    for width, height in ((800, 600), (500, 400)):
        window.resize(width, height)
        qtbot.waitUntil(lambda: toast.geometry().bottom() < window.height())
        assert abs(toast.geometry().center().x() - window.width() // 2) <= 1
        assert toast.geometry().bottom() >= window.height() - 80


def test_every_control_of_a_toast_has_a_name(toast: Toast) -> None:
    toast.show_undo("Chat deleted", lambda: None)
    names = [each.accessibleName() for each in toast.findChildren(QAbstractButton)]
    assert names == ["Undo: Chat deleted", "Close this message"]
