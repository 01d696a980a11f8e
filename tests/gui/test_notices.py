"""Notices say three things in place and offer the next step; nothing is in front of anything."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from engine.base.errors import Remedy, RemedyKind, Trouble
from gui.icons import Icons
from gui.notices import MOST_VISIBLE, NoticeArea, NoticeCard, Severity

USE_LESS = Remedy(RemedyKind.SET_OPTION, "Use 12,288 context", "n_ctx=12288")
CHOOSE = Remedy(RemedyKind.CHOOSE_MODEL, "Choose a smaller model")
TOO_LARGE = Trouble(
    what="The KV cache does not fit",
    value="needs 9.1 GiB, 7.4 GiB free",
    next_step="lower the context to 12,288 or use q8_0",
    remedies=(USE_LESS, CHOOSE),
    details="llama_kv_cache: allocation failed",
)


@pytest.fixture
def area(icons: Icons, qtbot) -> NoticeArea:
    window = QWidget()
    window.resize(900, 600)
    layout = QVBoxLayout(window)
    area = NoticeArea(icons)
    layout.addWidget(area)
    layout.addStretch(1)
    area.kept = window  # type: ignore[attr-defined]
    qtbot.addWidget(window)
    window.show()
    return area


def texts(card: NoticeCard) -> list[str]:
    return [label.text() for label in card.findChildren(QLabel) if label.text()]


def button(card: NoticeCard, name: str) -> QAbstractButton:
    return next(each for each in card.findChildren(QAbstractButton) if each.accessibleName() == name)


def test_a_notice_shows_what_the_value_and_the_next_step(area: NoticeArea) -> None:
    card = area.show_trouble(TOO_LARGE)
    assert texts(card) == [
        "The KV cache does not fit",
        "needs 9.1 GiB, 7.4 GiB free",
        "Lower the context to 12,288 or use q8_0.",
    ]
    assert card.isVisible()
    assert not card.isModal()


def test_a_remedy_is_a_button_and_reaches_the_page(area: NoticeArea) -> None:
    chosen: list[Remedy] = []
    area.remedy_chosen.connect(chosen.append)
    card = area.show_trouble(TOO_LARGE)
    button(card, "Choose a smaller model").click()
    button(card, "Use 12,288 context").click()
    assert chosen == [CHOOSE, USE_LESS]
    assert area.cards == (card,)


def test_details_fold_out_and_can_be_copied(area: NoticeArea) -> None:
    card = area.show_trouble(TOO_LARGE)
    details = card.findChild(QPlainTextEdit)
    assert not details.isVisible()
    button(card, "Details").click()
    assert details.isVisible()
    assert details.toPlainText() == TOO_LARGE.details
    button(card, "Copy the notice and its details").click()
    copied = QGuiApplication.clipboard().text()
    assert TOO_LARGE.sentence() in copied
    assert TOO_LARGE.details in copied
    button(card, "Details").click()
    assert not details.isVisible()


def test_a_short_notice_has_no_empty_rows(area: NoticeArea) -> None:
    card = area.show_trouble(Trouble("The model was unloaded"), Severity.INFO)
    assert texts(card) == ["The model was unloaded"]
    assert [each for each in card.findChildren(QPushButton) if each.isVisible()] == []


def test_text_of_a_notice_is_never_read_as_markup(area: NoticeArea) -> None:
    card = area.show_trouble(Trouble("<b>no</b>", value="<img src=x>"))
    assert texts(card) == ["<b>no</b>", "<img src=x>"]
    assert {label.textFormat().name for label in card.findChildren(QLabel) if label.text()} == {"PlainText"}


def test_three_are_visible_and_the_others_are_counted(area: NoticeArea) -> None:
    for number in range(5):
        area.show_trouble(Trouble(f"Trouble {number}"))
    assert [card.isVisible() for card in area.cards] == [True] * MOST_VISIBLE + [False] * 2
    assert area.cards[0].trouble.what == "Trouble 4"
    more = next(each for each in area.findChildren(QPushButton) if each.text() == "2 more")
    more.click()
    assert all(card.isVisible() for card in area.cards)
    assert more.text() == "Show fewer"


def test_the_same_trouble_twice_is_one_notice_on_top(area: NoticeArea) -> None:
    area.show_trouble(TOO_LARGE)
    area.show_trouble(Trouble("Another"))
    area.show_trouble(TOO_LARGE)
    assert [card.trouble.what for card in area.cards] == ["The KV cache does not fit", "Another"]


def test_closing_the_last_one_gives_the_room_back(area: NoticeArea) -> None:
    card = area.show_trouble(TOO_LARGE)
    assert area.isVisible()
    button(card, "Close this notice").click()
    assert area.cards == ()
    assert area.isHidden()


def test_many_long_notices_leave_room_for_the_page(area: NoticeArea, qtbot) -> None:
    for number in range(4):
        area.show_trouble(Trouble(f"Trouble {number}", details="line\n" * 40)).show_details(True)
    window = area.window()
    qtbot.waitUntil(lambda: area.height() > 100)
    assert area.height() <= round(window.height() * 0.45) + 1
    assert window.height() == 600


def test_every_control_of_a_notice_has_a_name(area: NoticeArea) -> None:
    card = area.show_trouble(TOO_LARGE)
    assert "KV cache" in card.accessibleName()
    assert all(each.accessibleName() for each in card.findChildren(QAbstractButton))
