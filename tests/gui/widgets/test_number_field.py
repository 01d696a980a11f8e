"""A number's editor under fingers, keys and nonsense."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

from engine.base.fields import Field, FieldError, FieldKind
from engine.wire.load_options import N_CTX
from gui.theme import Theme
from gui.widgets.number_field import NumberField

TEMPERATURE = Field(
    "temp", FieldKind.FLOAT, 0.8, "Temperature", "help", minimum=0.0, maximum=2.0, step=0.05, neutral=1.0
)


class Heard(list):
    """Everything a signal said."""

    def __init__(self, signal) -> None:
        super().__init__()
        signal.connect(self.append)


@pytest.fixture
def temperature(theme: Theme, qtbot) -> NumberField:
    window = QWidget()
    editor = NumberField(theme, TEMPERATURE, parent=window)
    QVBoxLayout(window).addWidget(editor)
    qtbot.addWidget(window)
    window.resize(320, 60)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    editor.window_for_test = window  # kept alive with the editor
    return editor


def type_over(qtbot, editor: NumberField, text: str) -> None:
    editor.box.setFocus()
    editor.box.selectAll()
    qtbot.keyClicks(editor.box, text)


def wheel(widget: QWidget, notches: int = 1) -> QWheelEvent:
    at = QPointF(widget.rect().center())
    event = QWheelEvent(
        at,
        widget.mapToGlobal(at),
        QPoint(0, 0),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event


def test_a_typed_number_is_sent_when_it_is_final(temperature: NumberField, qtbot) -> None:
    heard = Heard(temperature.value_changed)
    type_over(qtbot, temperature, "1.3")
    assert heard == []
    qtbot.keyClick(temperature.box, Qt.Key.Key_Return)
    assert heard == [1.3]
    assert temperature.value() == 1.3
    assert temperature.box.text() == "1.30"


def test_nonsense_is_explained_in_the_fields_own_words_and_never_sent(temperature: NumberField, qtbot) -> None:
    heard, refused = Heard(temperature.value_changed), Heard(temperature.refused)
    type_over(qtbot, temperature, "warm")
    with pytest.raises(FieldError) as error:
        TEMPERATURE.parse("warm")
    assert refused[-1] == error.value.trouble.sentence() == temperature.complaint
    qtbot.keyClick(temperature.box, Qt.Key.Key_Return)
    assert heard == []
    assert temperature.value() == 0.8
    assert temperature.box.property("invalid") is True


def test_a_number_out_of_range_is_explained_once_it_is_final(temperature: NumberField, qtbot) -> None:
    heard, refused = Heard(temperature.value_changed), Heard(temperature.refused)
    type_over(qtbot, temperature, "20")
    assert refused == []
    qtbot.keyClick(temperature.box, Qt.Key.Key_Return)
    assert "2.00" in refused[-1]
    assert heard == []
    type_over(qtbot, temperature, "2")
    qtbot.keyClick(temperature.box, Qt.Key.Key_Return)
    assert refused[-1] == ""
    assert heard == [2.0]


def test_escape_gives_a_bad_text_up(temperature: NumberField, qtbot) -> None:
    type_over(qtbot, temperature, "warm")
    qtbot.keyClick(temperature.box, Qt.Key.Key_Escape)
    assert temperature.box.text() == "0.80"
    assert temperature.complaint == ""


def test_a_bad_text_stays_when_it_is_told_its_old_value_and_goes_with_a_new_one(
    temperature: NumberField, qtbot
) -> None:
    type_over(qtbot, temperature, "warm")
    temperature.set_value(0.8)
    assert temperature.box.text() == "warm"
    temperature.set_value(0.9)
    assert temperature.box.text() == "0.90"
    assert temperature.complaint == ""


def test_leaving_the_box_sends_what_was_typed(temperature: NumberField, qtbot) -> None:
    heard = Heard(temperature.value_changed)
    type_over(qtbot, temperature, "0.4")
    temperature.box.clearFocus()
    assert heard == [0.4]


@pytest.mark.parametrize("part", ["box", "slider"])
def test_arrow_keys_move_by_one_step(temperature: NumberField, qtbot, part: str) -> None:
    target = getattr(temperature, part)
    target.setFocus()
    qtbot.keyClick(target, Qt.Key.Key_Up)
    assert temperature.value() == 0.85
    qtbot.keyClick(target, Qt.Key.Key_Down)
    qtbot.keyClick(target, Qt.Key.Key_Down)
    assert temperature.value() == 0.75
    qtbot.keyClick(target, Qt.Key.Key_PageUp)
    assert temperature.value() == pytest.approx(1.25)


def test_home_and_end_go_to_the_sliders_ends(temperature: NumberField, qtbot) -> None:
    qtbot.keyClick(temperature.slider, Qt.Key.Key_End)
    assert temperature.value() == 2.0
    qtbot.keyClick(temperature.slider, Qt.Key.Key_Home)
    assert temperature.value() == 0.0


@pytest.mark.parametrize("part", ["box", "slider"])
def test_the_wheel_changes_nothing_without_the_focus(temperature: NumberField, qtbot, part: str) -> None:
    heard = Heard(temperature.value_changed)
    target = getattr(temperature, part)
    target.clearFocus()
    assert not wheel(target).isAccepted()
    assert heard == []
    target.setFocus()
    qtbot.waitUntil(target.hasFocus)
    assert wheel(target).isAccepted()
    assert temperature.value() == 0.85


def test_a_drag_sends_few_values_and_the_last_one_always(temperature: NumberField, qtbot) -> None:
    heard = Heard(temperature.value_changed)
    slider = temperature.slider
    y = slider.height() // 2
    start = round(slider.x_of(slider.value()))
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(start, y))
    for x in range(start, slider.width(), 2):
        QApplication.sendEvent(slider, _move(slider, x, y))
    n_places = len({slider.position_at(x) for x in range(start, slider.width(), 2)})
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() - 1, y))
    assert heard[-1] == temperature.value() == 2.0
    assert len(heard) < n_places
    assert temperature.box.text() == "2.00"


def test_a_click_on_the_track_goes_there(temperature: NumberField, qtbot) -> None:
    slider = temperature.slider
    x = round(slider.x_of(0))
    qtbot.mouseClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(x, slider.height() // 2))
    assert temperature.value() == 0.0


def test_set_value_shows_and_does_not_send(temperature: NumberField) -> None:
    heard = Heard(temperature.value_changed)
    temperature.set_value(1.2)
    assert heard == []
    assert temperature.box.text() == "1.20"
    assert temperature.slider.value() == 24


def test_reset_goes_to_the_default_and_tells(temperature: NumberField) -> None:
    temperature.set_value(1.2)
    heard = Heard(temperature.value_changed)
    temperature.reset()
    assert heard == [0.8]
    temperature.reset()
    assert heard == [0.8]


def test_words_for_special_values_are_shown_and_can_be_typed(theme: Theme, qtbot) -> None:
    editor = NumberField(theme, N_CTX)
    qtbot.addWidget(editor)
    heard = Heard(editor.value_changed)
    type_over(qtbot, editor, "the model's own")
    qtbot.keyClick(editor.box, Qt.Key.Key_Return)
    assert heard == [0]
    assert editor.slider.value() == 0
    type_over(qtbot, editor, "8,192")
    qtbot.keyClick(editor.box, Qt.Key.Key_Return)
    assert editor.value() == 8192
    assert editor.box.text() == "8,192"


def test_the_box_takes_more_than_the_slider_shows(theme: Theme, qtbot) -> None:
    editor = NumberField(theme, N_CTX)
    qtbot.addWidget(editor)
    type_over(qtbot, editor, "1000000")
    qtbot.keyClick(editor.box, Qt.Key.Key_Return)
    assert editor.value() == 1_000_000
    assert editor.slider.value() == editor.slider.maximum()


def test_other_ends_move_the_slider_and_not_the_value(theme: Theme, qtbot) -> None:
    editor = NumberField(theme, N_CTX, compact=False)
    qtbot.addWidget(editor)
    heard = Heard(editor.value_changed)
    editor.set_soft_range(None, 8192)
    assert heard == []
    assert editor.value() == 4096
    qtbot.keyClick(editor.slider, Qt.Key.Key_End)
    assert editor.value() == 8192


def _move(slider: QWidget, x: int, y: int) -> QMouseEvent:

    at = QPointF(x, y)
    left = Qt.MouseButton.LeftButton
    return QMouseEvent(
        QEvent.Type.MouseMove, at, slider.mapToGlobal(at), Qt.MouseButton.NoButton, left, Qt.KeyboardModifier.NoModifier
    )
