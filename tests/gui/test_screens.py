"""Every page of the real window, with a real model, at both sizes: nothing is cut, nameless, overlapping or empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QtMsgType
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QTableWidget,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.theme import Mode, Theme
from tests.screenshots.studio import PAGES, SIZES, Studio
from tests.support.screen_checks import Finding, blank_reason, findings_of, is_complaint

LONG = "A text that is far too long for the little room that it was given"


@pytest.fixture(scope="module")
def studio(
    qapp: QApplication, smollm2: Path, gemma3: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """The window with its story told, a model loaded and a folder of models."""
    folder = tmp_path_factory.mktemp("studio")
    with Studio(qapp, folder, smollm2, Mode.DARK) as studio:
        studio.load()
        studio.open_story()
        studio.add_models(gemma3)
        yield studio
    qapp.setStyleSheet("")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_nothing_to_find(studio: Studio, qtlog, page: str, size: tuple[int, int]) -> None:
    studio.go(page)
    studio.dress(Mode.DARK, size)
    seen = findings_of(studio.window)
    studio.to_end()
    assert [str(each) for each in dict.fromkeys([*seen, *findings_of(studio.window)])] == []
    assert blank_reason(studio.page_picture()) == ""
    assert (studio.window.width(), studio.window.height()) == size
    assert [each for each in qtlog.records if is_complaint(each.type, each.message)] == []


def test_the_other_colours_change_no_size(studio: Studio) -> None:
    studio.go("chat")
    studio.dress(Mode.LIGHT, SIZES[1])
    assert [str(each) for each in findings_of(studio.window)] == []


def test_the_palette_over_the_window_has_nothing_to_find(studio: Studio) -> None:
    studio.go("chat")
    studio.dress(Mode.DARK, SIZES[1])
    studio.window.command_palette.open()
    assert [str(each) for each in findings_of(studio.window)] == []
    studio.window.command_palette.dismiss()


# ---- the checks themselves


@pytest.fixture
def shown(theme: Theme, qtbot) -> Callable[[Callable[[QWidget], None]], list[Finding]]:
    """Shows a window that a function fills, and gives what is found in it."""

    def show(fill: Callable[[QWidget], None]) -> list[Finding]:
        window = QWidget()
        window.resize(400, 300)
        qtbot.addWidget(window)
        fill(window)
        with qtbot.waitExposed(window):
            window.show()
        return findings_of(window)

    return show


def _narrow(make: Callable[[QWidget], QWidget], width: int = 60, height: int = 28) -> Callable[[QWidget], None]:
    def fill(window: QWidget) -> None:
        widget = make(window)
        widget.setAccessibleName("named")
        widget.setGeometry(10, 10, width, height)

    return fill


def _combo(window: QWidget) -> QWidget:
    combo = QComboBox(window)
    combo.addItem(LONG)
    return combo


def _wrapping(text: str) -> Callable[[QWidget], QWidget]:
    def make(window: QWidget) -> QWidget:
        label = QLabel(text, window)
        label.setWordWrap(True)
        return label

    return make


def _tool_button(window: QWidget) -> QWidget:
    button = QToolButton(window)
    button.setText(LONG)
    return button


def _placeholder(window: QWidget) -> QWidget:
    edit = QPlainTextEdit(window)
    edit.setPlaceholderText(LONG)
    return edit


def _table(window: QWidget) -> QWidget:
    table = QTableWidget(1, 1, window)
    table.setHorizontalHeaderLabels([LONG])
    table.setColumnWidth(0, 40)
    return table


@pytest.mark.parametrize(
    "make",
    [
        lambda window: QLabel(LONG, window),
        lambda window: QLabel(f"<b>{LONG}</b>", window),
        _wrapping(LONG),
        _wrapping("Donaudampfschifffahrtsgesellschaft"),
        lambda window: QPushButton(LONG, window),
        lambda window: QRadioButton(LONG, window),
        lambda window: QLineEdit("1,024,000 tokens", window),
        _tool_button,
        _combo,
        _placeholder,
        _table,
    ],
)
def test_text_without_room_is_found(shown, make: Callable[[QWidget], QWidget]) -> None:
    assert [each.kind for each in shown(_narrow(make))] == ["clipped"]


@pytest.mark.parametrize(
    "make", [lambda window: QLabel("Short", window), lambda window: QPushButton("Go", window), _wrapping("Two lines")]
)
def test_text_with_room_is_left_alone(shown, make: Callable[[QWidget], QWidget]) -> None:
    assert shown(_narrow(make, width=120, height=60)) == []


def test_a_line_that_is_too_low_for_its_letters_is_found(shown) -> None:
    found = shown(_narrow(lambda window: QLabel("Ågy", window), width=200, height=8))
    assert [each.kind for each in found] == ["clipped"]


def test_a_button_that_sticks_out_of_its_box_is_found(shown) -> None:
    def fill(window: QWidget) -> None:
        box = QWidget(window)
        box.setGeometry(0, 0, 80, 40)
        QPushButton("Send", box).setGeometry(40, 5, 80, 28)

    assert [each.what for each in shown(fill)] == ["sticks out of QWidget by 40 × 0 px"]


def test_what_can_be_scrolled_to_is_not_cut(shown) -> None:
    def fill(window: QWidget) -> None:
        inner = QWidget()
        layout = QVBoxLayout(inner)
        for number in range(40):
            layout.addWidget(QPushButton(f"Button {number}"))
        area = QScrollArea(window)
        area.setAccessibleName("Buttons")
        area.setWidgetResizable(True)
        area.setWidget(inner)
        area.setGeometry(0, 0, 300, 200)

    assert shown(fill) == []


def test_tabs_that_need_arrows_are_found(shown) -> None:
    def fill(window: QWidget) -> None:
        tabs = QTabWidget(window)
        for _ in range(8):
            tabs.addTab(QWidget(), "Inference")
        tabs.setGeometry(0, 0, 200, 100)

    assert "the tabs need arrows to be reached" in [each.what for each in shown(fill)]


def test_columns_that_cannot_be_reached_are_found(shown) -> None:
    def fill(window: QWidget) -> None:
        table = QTableWidget(1, 6, window)
        table.setAccessibleName("Runs")
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setGeometry(0, 0, 300, 100)

    assert [each.kind for each in shown(fill)] == ["clipped"]


def test_a_control_without_a_name_is_found_with_its_place(shown) -> None:
    def fill(window: QWidget) -> None:
        QLineEdit(window).setGeometry(10, 10, 100, 30)
        QToolButton(window).setGeometry(10, 50, 30, 30)

    assert [(each.kind, each.place) for each in shown(fill)] == [("nameless", "QLineEdit"), ("nameless", "QToolButton")]


def test_widgets_of_a_layout_that_lie_on_each_other_are_found(shown) -> None:
    def fill(window: QWidget) -> None:
        grid = QGridLayout(window)
        for text in ("One", "Two"):
            grid.addWidget(QPushButton(text), 0, 0)

    assert [each.kind for each in shown(fill)] == ["overlap"]


def test_a_flat_picture_is_blank_and_one_with_a_line_is_not() -> None:
    image = QImage(300, 200, QImage.Format.Format_RGB32)
    image.fill(QColor("#121212"))
    assert blank_reason(image) == "#121212 everywhere"
    for x in range(300):
        for y in range(90, 100):
            image.setPixelColor(x, y, QColor("#ecebe8"))
    assert blank_reason(image) == ""


def test_warnings_of_qt_are_complaints_and_its_remarks_are_not(qapp: QApplication) -> None:
    assert is_complaint(QtMsgType.QtWarningMsg, "QFont::setPointSize: Point size <= 0 (0)")
    assert not is_complaint(QtMsgType.QtInfoMsg, "hello")
