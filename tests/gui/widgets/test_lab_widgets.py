"""What the Lab is made of: a grid that wraps, text that grows, bars with whiskers, a diff that can be heard."""

from __future__ import annotations

import math

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QColor, QHelpEvent
from PySide6.QtWidgets import QApplication, QFrame, QScrollArea, QToolTip, QVBoxLayout, QWidget

from gui.theme import Mode, PlotRole, Theme
from gui.widgets.card_grid import CardGrid
from gui.widgets.count_bars import CountBar, CountBars
from gui.widgets.diff_text import DiffText, Mark
from gui.widgets.growing_text import GrowingText


def test_cards_wrap_into_as_many_columns_as_fit_and_share_the_width(theme: Theme, qtbot) -> None:
    area, grid = QScrollArea(), CardGrid(theme, 200)
    area.setWidgetResizable(True)
    area.setWidget(grid)
    qtbot.addWidget(area)
    area.resize(700, 400)
    cards = [QFrame() for _ in range(5)]
    for each in cards:
        each.setMinimumHeight(40)
    grid.set_cards(cards)
    with qtbot.waitExposed(area):
        area.show()
    assert grid.n_columns == 3
    widths = [each.width() for each in cards[:3]]
    assert max(widths) - min(widths) <= 1
    assert cards[3].y() > cards[0].y()
    area.resize(300, 400)
    qtbot.waitUntil(lambda: grid.n_columns == 1)
    area.resize(2000, 400)
    qtbot.waitUntil(lambda: grid.n_columns > 3)
    grid.set_cards([cards[4], cards[0]])
    assert [each.isVisible() for each in cards] == [True, False, False, False, True]
    qtbot.waitUntil(lambda: cards[4].x() < cards[0].x())


@pytest.fixture
def text(theme: Theme, qtbot) -> GrowingText:
    """A text in a window with room under it."""
    window, text = QWidget(), GrowingText(theme, least=2, most=6)
    column = QVBoxLayout(window)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(text)
    column.addStretch(1)
    qtbot.addWidget(window)
    window.resize(200, 400)
    with qtbot.waitExposed(window):
        window.show()
    text.kept = window  # type: ignore[attr-defined]
    return text


def test_text_is_as_high_as_its_lines_between_its_limits(text: GrowingText, qtbot) -> None:
    line = text.fontMetrics().lineSpacing()
    assert text.height() == 2 * line
    text.add("one\ntwo\nthree\nfour")
    qtbot.waitUntil(lambda: 4 * line <= text.height() < 5 * line)
    assert text.verticalScrollBarPolicy() == Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    text.add("\nmore" * 30)
    qtbot.waitUntil(lambda: text.height() == 6 * line)
    assert text.verticalScrollBarPolicy() == Qt.ScrollBarPolicy.ScrollBarAsNeeded
    assert text.text().endswith("more")


WORDS = "A name — “Little Dipper” — points to the north.\n\nAverylongwordthatfitsonnolineatallinanarrowcolumn 배 и море"


@pytest.mark.parametrize("width", [90, 151, 200, 333])
def test_it_knows_how_high_it_is_at_any_width(text: GrowingText, qtbot, width: int) -> None:
    text.set_text(WORDS)
    told = text.heightForWidth(width)
    window = text.window()
    window.resize(width, 400)
    qtbot.waitUntil(lambda: text.width() == width and text.height() == told)
    block, lines = text.document().firstBlock(), 0.0
    while block.isValid():
        lines += text.document().documentLayout().blockBoundingRect(block).height()
        block = block.next()
    most = 6 * text.fontMetrics().lineSpacing()
    assert told == min(most, math.ceil(lines) + 2)


def test_text_follows_at_the_end_and_stays_where_somebody_reads(text: GrowingText, qtbot) -> None:
    text.add("line\n" * 30)
    bar = text.verticalScrollBar()
    qtbot.waitUntil(lambda: text.height() == 6 * text.fontMetrics().lineSpacing())
    text.add("line\n" * 5)
    assert bar.value() == bar.maximum() > 0
    bar.setValue(3)
    text.add("line\n" * 5)
    assert bar.value() == 3


def test_text_that_was_added_to_is_not_set_again(text: GrowingText) -> None:
    text.set_text("The ship")
    changed: list[tuple[int, int, int]] = []
    text.document().contentsChange.connect(lambda *what: changed.append(what))
    text.set_text("The ship sails")
    assert changed == [(8, 0, 6)]  # six letters at the end, nothing taken away
    text.set_text("Another")
    assert text.toPlainText() == "Another"


def bars() -> list[CountBar]:
    return [CountBar("␣the", 60, 50.0, 5.0, "60", "␣the: 60 drawn"), CountBar("␣a", 0, 10.0, 3.0, "0", "␣a: none")]


def test_bars_and_whiskers_are_drawn_on_one_scale(theme: Theme, qtbot) -> None:
    widget = CountBars(theme)
    qtbot.addWidget(widget)
    widget.resize(500, 100)
    widget.set_bars(bars())
    with qtbot.waitExposed(widget):
        widget.show()
    assert widget.span() == 60.0
    assert widget.accessibleDescription() == "␣the: 60 drawn; ␣a: none"
    fill = theme.plot_color(PlotRole.KV_CACHE)
    first, second = (count_of(widget, fill, row) for row in (0, 1))
    assert first > 500
    assert second == 0
    QApplication.sendEvent(
        widget, QHelpEvent(QEvent.Type.ToolTip, QPoint(20, widget.height() - 3), widget.mapToGlobal(QPoint(20, 5)))
    )
    assert QToolTip.text() == "␣a: none"


def test_bars_without_counts_have_a_scale_all_the_same(theme: Theme, qtbot) -> None:
    widget = CountBars(theme)
    qtbot.addWidget(widget)
    assert widget.span() == 1.0
    widget.set_bars([CountBar("x", 0, 0.0, 0.0, "0")])
    assert not widget.grab().isNull()


def count_of(widget: QWidget, color: QColor, row: int) -> int:
    image = widget.grab().toImage()
    height = image.height() // 2
    return sum(
        image.pixelColor(x, y) == color for x in range(image.width()) for y in range(row * height, (row + 1) * height)
    )


def test_a_diff_has_lines_and_colours_of_the_theme_and_words_for_who_hears_it(theme: Theme, qtbot) -> None:
    diff = DiffText(theme)
    qtbot.addWidget(diff)
    diff.set_pieces([(Mark.PLAIN, "A <b>"), (Mark.STRUCK, " small"), (Mark.UNDERLINED, " big\n")])
    assert "A &lt;b&gt;" in diff.text()
    assert f"color:{theme.color('bad').name()}; text-decoration:line-through'> small<" in diff.text()
    assert f"color:{theme.color('good').name()}; text-decoration:underline'> big<br><" in diff.text()
    assert diff.accessibleDescription() == "A <b> [only in the first: small] [only in the second: big]"
    dark = theme.color("bad").name()
    theme.set_mode(Mode.LIGHT)
    assert dark not in diff.text()
