"""Bars, meters, the ledger and the small things: sums to the byte and widths to the pixel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from gui.theme import Theme
from gui.widgets.busy import Busy
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.empty_state import EmptyState
from gui.widgets.flow import FlowLayout
from gui.widgets.ledger_table import LedgerRow, LedgerTable
from gui.widgets.meter import Meter
from gui.widgets.plot import PlotWidget
from gui.widgets.section import Section
from gui.widgets.sparkline import Sparkline
from gui.widgets.stacked_bar import Legend, Segment, StackedBar, edges_of

MIB = 1 << 20
ROWS = (
    LedgerRow("Weights", (96_573_849, 96_573_849), 0, "tensor by tensor"),
    LedgerRow("KV cache", (94_371_840, 94_371_841), 1, "30 · 3 · 64 · 2 · 2 B · 4,096"),
    LedgerRow("Compute", (18_350_080, 0), 3),
    LedgerRow("Process", (100 * MIB, None), 5, "measured on this machine", estimated=(True, False)),
)


@given(st.lists(st.integers(0, 1 << 36), min_size=1, max_size=9), st.integers(1, 3000))
def test_widths_of_a_full_bar_sum_to_its_width(amounts: list[int], width: int) -> None:
    edges = edges_of(amounts, sum(amounts), width)
    assert edges[0] == 0
    assert edges == sorted(edges)
    assert edges[-1] == (width if sum(amounts) else 0)


@given(st.lists(st.integers(0, 1 << 36), min_size=1, max_size=9), st.integers(1, 3000), st.integers(1, 1 << 40))
def test_each_part_is_within_a_pixel_of_its_share(amounts: list[int], width: int, free: int) -> None:
    whole = sum(amounts) + free
    edges = edges_of(amounts, whole, width)
    for left, right, amount in zip(edges, edges[1:], amounts, strict=False):
        assert abs((right - left) - amount / whole * width) <= 1.0


@pytest.fixture
def bar(theme: Theme, qtbot) -> StackedBar:
    bar = StackedBar(theme, "RAM")
    qtbot.addWidget(bar)
    bar.resize(200, 22)
    return bar


def test_a_bar_says_its_parts_and_what_is_free(bar: StackedBar) -> None:
    bar.set_segments([Segment("Weights", 50 * MIB, 0), Segment("KV cache", 25 * MIB, 1)], 100 * MIB)
    assert bar.edges() == [0, 100, 150]
    assert bar.tip_at(10) == "Weights: 50.0 MiB"
    assert bar.tip_at(120) == "KV cache: 25.0 MiB"
    assert bar.tip_at(180) == "Free: 25.0 MiB"
    assert bar.accessibleDescription() == "Weights 50.0 MiB, KV cache 25.0 MiB, 25.0 MiB free"


def test_a_bar_that_is_too_full_says_by_how_much(bar: StackedBar) -> None:
    bar.set_segments([Segment("Weights", 150 * MIB, 0)], 100 * MIB)
    assert bar.overflow == 50 * MIB
    assert bar.free == 0
    assert "50.0 MiB too much" in bar.accessibleDescription()


def test_a_bar_draws_its_colors_where_its_edges_are(bar: StackedBar, theme: Theme) -> None:
    bar.set_segments([Segment("Weights", 50, 0), Segment("KV cache", 25, 1)], 100, limit=90, limit_tip="free for us")
    image = bar.grab().toImage()
    assert image.pixelColor(99, 11) == theme.plot_color(0)
    assert image.pixelColor(100, 11) == theme.plot_color(1)
    assert image.pixelColor(151, 11) == theme.color("surface3")
    assert image.pixelColor(180, 11) == theme.color("text2")
    assert bar.tip_at(180) == "free for us"


@pytest.fixture
def table(theme: Theme, qtbot) -> LedgerTable:
    table = LedgerTable(theme, ["Predicted", "Measured"], name="Memory ledger")
    qtbot.addWidget(table)
    table.set_rows(ROWS)
    table.resize(700, table.height())
    return table


def test_the_copied_table_sums_to_the_byte(table: LedgerTable) -> None:
    lines = [line.split("\t") for line in table.as_tsv().splitlines()]
    assert lines[0] == ["Part", "Predicted (bytes)", "Measured (bytes)", "How"]
    predicted = [int(line[1]) for line in lines[1:-1]]
    assert int(lines[-1][1]) == sum(predicted) == sum(row.amounts[0] or 0 for row in ROWS)
    assert lines[4][2] == "unknown"
    assert lines[-1][2] == f"≥ {96_573_849 + 94_371_841}"


def test_the_table_tells_known_unknown_estimated_and_absent_apart(table: LedgerTable) -> None:
    model = table.model()
    assert model.text(0, 1) == "92.1 MiB"
    assert model.text(2, 2) == "–"
    assert model.text(3, 1) == "~100.0 MiB"
    assert model.text(3, 2) == "unknown"
    assert model.text(4, 0) == "Sum"
    assert model.text(4, 1).startswith("~")
    assert model.text(4, 2).startswith("≥ ")


def test_the_table_is_as_high_as_its_rows_and_cuts_no_number(table: LedgerTable) -> None:
    table.show()
    assert table.verticalScrollBar().maximum() == 0
    assert table.rowViewportPosition(4) + table.rowHeight(4) == table.viewport().height()
    for column in (1, 2):
        assert table.columnWidth(column) >= table.itemDelegate().width_of(table.model(), column)


def test_ctrl_c_copies_the_selected_rows_and_the_menu_all_of_them(table: LedgerTable, qtbot) -> None:
    menu = table.make_menu()
    menu.actions()[0].trigger()
    assert QGuiApplication.clipboard().text() == table.as_tsv()
    table.selectRow(1)
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QGuiApplication.clipboard().text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("KV cache\t94371840\t94371841\t")


def test_the_table_can_be_read_by_a_screen_reader(table: LedgerTable) -> None:
    table.show()
    interface = QAccessible.queryAccessibleInterface(table)
    assert interface.text(QAccessible.Text.Name) == "Memory ledger"
    parts = [interface.child(index) for index in range(interface.childCount())]
    cells = [part.text(QAccessible.Text.Name) for part in parts if part.role() == QAccessible.Role.Cell]
    rows = [part.text(QAccessible.Text.Name) for part in parts if part.role() == QAccessible.Role.RowHeader]
    assert cells[:3] == ["Weights", "92.1 MiB", "92.1 MiB"]
    assert rows == ["Weights", "KV cache", "Compute", "Process", "Sum"]


def test_a_row_needs_an_amount_for_every_column(table: LedgerTable) -> None:
    with pytest.raises(ValueError, match="1 amounts for 2 columns"):
        table.set_rows([LedgerRow("Weights", (1,))])


def test_a_meter_fills_to_its_share_and_says_the_reading(theme: Theme, qtbot) -> None:
    meter = Meter(theme, "RAM", 1, bar_width=100)
    qtbot.addWidget(meter)
    meter.set_reading(0.5, "12.0 / 24.0 GiB")
    assert meter.accessibleName() == "RAM"
    assert meter.accessibleDescription() == "12.0 / 24.0 GiB"
    assert meter.value() == meter.maximum() // 2
    meter.set_reading(None, "unknown")
    assert meter.fraction is None
    assert meter.reading == "unknown"


def test_a_meter_gives_room_to_a_longer_reading(theme: Theme, qtbot) -> None:
    meter = Meter(theme, "context")
    qtbot.addWidget(meter)
    meter.set_reading(0.1, "4 / 4,096")
    before = meter.sizeHint().width()
    meter.set_reading(0.9, "4,000 / 4,096")
    assert meter.sizeHint().width() > before


def test_a_sparkline_keeps_the_last_values_only(theme: Theme, qtbot) -> None:
    line = Sparkline(theme, "CPU", n_values=5, top=100)
    qtbot.addWidget(line)
    for value in [1.0, None, 3.0, float("nan"), 5.0, 6.0, 7.0]:
        line.push(value)
    assert line.values() == [3.0, None, 5.0, 6.0, 7.0]


def test_a_sparkline_draws_its_values(theme: Theme, qtbot) -> None:
    line = Sparkline(theme, "CPU", 1, n_values=5, top=100, width=60)
    qtbot.addWidget(line)
    empty = line.grab().toImage()
    for value in (90, 90, 90, 90, 90):
        line.push(value)
    assert line.grab().toImage() != empty


def test_a_busy_line_says_how_far_and_can_be_cancelled(theme: Theme, qtbot) -> None:
    busy = Busy(theme, "Loading the model")
    qtbot.addWidget(busy)
    busy.show()
    assert busy.bar.value() == -1
    busy.set_progress(0.43, "Loading the model · 43 %")
    assert busy.bar.value() == 4300
    with qtbot.waitSignal(busy.cancelled):
        qtbot.mouseClick(busy.cancel, Qt.MouseButton.LeftButton)


def test_the_running_piece_stops_while_nobody_can_see_it(theme: Theme, qtbot) -> None:
    busy = Busy(theme, "Loading")
    qtbot.addWidget(busy)
    assert not busy.bar._ticks.isActive()
    busy.show()
    assert busy.bar._ticks.isActive()
    busy.hide()
    assert not busy.bar._ticks.isActive()


def test_an_empty_state_offers_the_first_step(theme: Theme, qtbot) -> None:
    state = EmptyState(theme, "Runs that you record are listed here.", title="No runs yet", button="Record a run")
    qtbot.addWidget(state)
    state.show()
    with qtbot.waitSignal(state.first_step):
        qtbot.mouseClick(state.button, Qt.MouseButton.LeftButton)


def test_the_sentence_of_an_empty_state_is_shown_whole(theme: Theme, qtbot) -> None:
    state = EmptyState(theme, "A sentence that is so long that it needs several lines to be read. " * 3, button="Go")
    qtbot.addWidget(state)
    state.resize(420, 400)
    state.show()
    label = state.sentence
    assert label.height() >= label.heightForWidth(label.width())


def test_an_elided_label_keeps_its_text_and_shows_it_on_hover(theme: Theme, qtbot) -> None:
    label = ElidedLabel("SmolLM2-135M-Instruct.Q4_1.gguf")
    qtbot.addWidget(label)
    label.resize(60, 20)
    assert label.is_elided
    assert label.text() == label.tip() == "SmolLM2-135M-Instruct.Q4_1.gguf"
    label.resize(600, 20)
    assert not label.is_elided
    assert label.tip() == ""


def test_a_flow_wraps_when_the_line_is_full(qtbot) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    flow = FlowLayout(host, spacing=10, line_spacing=5)
    for _ in range(4):
        item = QLabel()
        item.setFixedSize(50, 20)
        flow.addWidget(item)
    assert flow.heightForWidth(240) == 20
    assert flow.heightForWidth(120) == 45
    assert flow.heightForWidth(60) == 95


def test_a_legend_shows_the_entries_it_was_given_last(theme: Theme, qtbot) -> None:
    legend = Legend(theme)
    qtbot.addWidget(legend)
    legend.set_entries([("Weights", 0), ("KV cache", 1)])
    legend.set_entries([("Compute", 3)])
    assert [label.text() for label in legend.findChildren(QLabel) if not label.isHidden()] == ["Compute"]


def test_a_section_folds_by_mouse_and_key_and_remembers(theme: Theme, qtbot) -> None:
    told: list[bool] = []
    body = QLabel("body")
    section = Section(theme, "Memory", body, folded=True, on_folded=told.append)
    qtbot.addWidget(section)
    section.set_summary("303 MiB of 24.0 GiB")
    section.show()
    assert body.isHidden()
    qtbot.mouseClick(section.header, Qt.MouseButton.LeftButton)
    assert body.isVisible()
    section.header.setFocus()
    qtbot.keyClick(section.header, Qt.Key.Key_Space)
    assert body.isHidden()
    assert told == [False, True]
    assert section.header.accessibleName() == "Memory"
    assert "303 MiB" in section.header.accessibleDescription()


def test_all_controls_have_accessible_names_and_a_visible_focus(theme: Theme, qtbot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    bar = StackedBar(theme, "RAM")
    bar.set_segments([Segment("Weights", 10, 0)], 100)
    table = LedgerTable(theme, ["Predicted"], name="Ledger")
    table.set_rows([LedgerRow("Weights", (1,), 0)])
    for widget in (
        bar,
        table,
        PlotWidget(theme, "Load"),
        Section(theme, "Memory", QLabel("body")),
        Busy(theme, "Loading"),
        EmptyState(theme, "Nothing yet.", button="Begin"),
    ):
        column.addWidget(widget)
    window.resize(600, 700)
    with qtbot.waitActive(window):
        window.show()
    controls = [each for each in window.findChildren(QWidget) if each.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert len(controls) >= 6
    for each in controls:
        assert QAccessible.queryAccessibleInterface(each).text(QAccessible.Text.Name), type(each).__name__
        window.setFocus()
        before = each.grab().toImage()
        each.setFocus(Qt.FocusReason.TabFocusReason)
        assert each.hasFocus(), type(each).__name__
        assert each.grab().toImage() != before, f"{type(each).__name__} shows no focus"
