"""The list of choices: what does not fit is shortened in the middle, said whole on hover, and left alone by the wheel."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint
from PySide6.QtGui import QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QToolTip

from gui.theme import Theme
from gui.widgets.choice_field import CalmComboBox

NAME = "SmolLM2-135M-Instruct · Q4_1, loaded"


@pytest.fixture
def combo(theme: Theme, qtbot) -> CalmComboBox:
    combo = CalmComboBox()
    qtbot.addWidget(combo)
    combo.addItem(NAME)
    combo.resize(180, 30)
    combo.show()
    return combo


def ink(combo: CalmComboBox) -> QImage:
    return combo.grab().toImage()


def test_a_long_choice_loses_its_middle_and_keeps_its_ends(combo: CalmComboBox) -> None:
    shown = combo.shown_text()
    assert shown.startswith("Smo")
    assert shown.endswith("oaded")
    assert "…" in shown
    assert combo.currentText() == NAME


def test_a_choice_that_fits_is_shown_whole(combo: CalmComboBox) -> None:
    combo.resize(600, 30)
    assert combo.shown_text() == NAME


def test_the_whole_choice_is_said_on_hover_unless_there_is_more_to_say(combo: CalmComboBox) -> None:
    here = QPoint(10, 10)

    def hover() -> str:
        QApplication.sendEvent(combo, QHelpEvent(QEvent.Type.ToolTip, here, combo.mapToGlobal(here)))
        return QToolTip.text()

    assert hover() == NAME
    combo.setToolTip("a path")
    assert hover() == "a path"


def test_nothing_chosen_shows_the_placeholder(combo: CalmComboBox) -> None:
    combo.setCurrentIndex(-1)
    empty = ink(combo)
    combo.setPlaceholderText("Choose")
    assert combo.shown_text() == "Choose"
    assert ink(combo) != empty
