"""A plot: what is drawn, what is left alone, what is exported."""

from __future__ import annotations

import csv
import io
import math
import time

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage

from gui.theme import Theme
from gui.widgets.plot import LegendPlace, PlotWidget, XAxis

GIB = 1 << 30


def has_color(image: QImage, color: QColor, tolerance: int = 40) -> bool:
    wanted = color.getRgb()[:3]
    for y in range(0, image.height()):
        for x in range(0, image.width()):
            found = image.pixelColor(x, y).getRgb()[:3]
            if all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True)):
                return True
    return False


@pytest.fixture
def plot(theme: Theme, qtbot) -> PlotWidget:
    plot = PlotWidget(theme, "Load", legend=LegendPlace.NONE)
    plot.resize(320, 160)
    plot.set_series("cpu", "CPU", 1, "%")
    qtbot.addWidget(plot)
    return plot


def test_data_are_drawn_in_the_series_color(plot: PlotWidget, theme: Theme) -> None:
    assert not has_color(plot.grab().toImage(), theme.plot_color(1))
    plot.set_data("cpu", [0, 30, 60], [10, 90, 50])
    assert has_color(plot.grab().toImage(), theme.plot_color(1))


def test_a_line_passes_where_its_value_stands(plot: PlotWidget, theme: Theme) -> None:
    plot.set_unit_range("%", 0, 100)
    plot.set_data("cpu", [0.0, 60.0], [30.0, 30.0])
    image = plot.grab().toImage()
    y = round(plot.frame().to_y(30, "%"))
    middle = image.width() // 2
    assert has_color(image.copy(middle, y - 2, 1, 5), theme.plot_color(1))
    assert not has_color(image.copy(middle, y - 30, 1, 20), theme.plot_color(1))


def test_nothing_is_painted_while_hidden(plot: PlotWidget, qtbot) -> None:
    with qtbot.waitExposed(plot):
        plot.show()
    qtbot.waitUntil(lambda: plot.n_paints > 0)
    plot.hide()
    before = plot.n_paints
    for step in range(20):
        plot.set_data("cpu", [0, 1], [step, step])
        QGuiApplication.processEvents()
    assert plot.n_paints == before
    plot.show()
    qtbot.waitUntil(lambda: plot.n_paints > before)


def test_gaps_break_the_line_and_are_empty_in_the_table(plot: PlotWidget, theme: Theme) -> None:
    plot.set_unit_range("%", 0, 100)
    plot.set_data("cpu", [0, 20, 40, 60], [50, None, math.nan, 50])
    frame = plot.frame()
    y = round(frame.to_y(50, "%"))
    gap = plot.grab().toImage().copy(round(frame.to_x(25)), y - 3, 20, 3)
    assert not has_color(gap, theme.plot_color(1))
    rows = list(csv.reader(io.StringIO(plot.export_csv())))
    assert rows[0] == ["x (s)", "CPU (%)"]
    assert rows[2][1] == rows[3][1] == ""
    assert float(rows[4][1]) == 50


def test_the_table_joins_series_on_x(plot: PlotWidget) -> None:
    plot.set_series("ram", "RAM", 2, "B")
    plot.set_data("cpu", [0, 1], [10, 20])
    plot.set_data("ram", [1, 2], [GIB, 2 * GIB])
    rows = list(csv.reader(io.StringIO(plot.export_csv())))
    assert rows[1:] == [["0.0", "10.0", ""], ["1.0", "20.0", str(float(GIB))], ["2.0", "", str(2.0 * GIB)]]


def test_the_picture_is_a_png_of_the_widgets_size(plot: PlotWidget) -> None:
    data = plot.export_png()
    image = QImage.fromData(data, "PNG")
    assert data.startswith(b"\x89PNG")
    assert (image.width(), image.height()) == (320, 160)


def test_the_menu_copies_picture_and_table(plot: PlotWidget) -> None:
    plot.set_data("cpu", [0, 1], [10, 20])
    menu = plot.make_menu()
    texts = [action.text() for action in menu.actions()]
    assert texts == ["Copy as PNG", "Copy as CSV"]
    menu.actions()[1].trigger()
    assert QGuiApplication.clipboard().text() == plot.export_csv()


def test_as_many_ys_as_xs(plot: PlotWidget) -> None:
    with pytest.raises(ValueError, match="2 x values but 1 y"):
        plot.set_data("cpu", [0, 1], [1])


def test_the_time_axis_ends_now(plot: PlotWidget) -> None:
    plot.set_data("cpu", [100, 130, 160], [1, 2, 3])
    ticks = plot.frame().x_ticks("now")
    assert plot.frame().x_range() == (100, 160)
    assert ticks[0] == (160, "now")
    assert ticks[-1] == (100, "−60 s")


def test_a_long_time_axis_is_in_minutes_throughout(plot: PlotWidget) -> None:
    plot.resize(700, 200)
    plot.set_data("cpu", [100, 130, 160], [1, 2, 3])
    plot.set_window(300)
    assert [text for _, text in plot.frame().x_ticks("now")] == [
        "now",
        "−1 min",
        "−2 min",
        "−3 min",
        "−4 min",
        "−5 min",
    ]


def test_plots_under_each_other_have_one_left_edge(theme: Theme, qtbot) -> None:
    edges = set()
    for unit, top in (("%", 100), ("B", GIB), ("B/s", 60_000)):
        plot = PlotWidget(theme, "Load")
        qtbot.addWidget(plot)
        plot.resize(480, 200)
        plot.set_series("load", "Load", 0, unit)
        plot.set_data("load", [0, 60], [0, top])
        edges.add(plot.frame().rect.left())
    assert len(edges) == 1


def test_the_y_axis_is_round_and_includes_the_limit(theme: Theme, qtbot) -> None:
    plot = PlotWidget(theme, "Memory", x_axis=XAxis.POWERS, x_unit="tokens", legend=LegendPlace.AT_END)
    qtbot.addWidget(plot)
    plot.resize(480, 220)
    plot.set_series("f16", "f16", 0, "B")
    plot.set_data("f16", [512, 4096, 32768], [12 * GIB, 12.5 * GIB, 14 * GIB])
    plot.set_limit_line(16 * GIB, "16 GiB card")
    plot.set_marker(4096, 12.5 * GIB)
    frame = plot.frame()
    low, high = frame.y_range("B")
    assert low == 0
    assert high >= 16 * GIB
    assert frame.y_ticks()[1][0] == "0 GiB"
    xs = [frame.to_x(x) for x in (512, 4096, 32768)]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1])
    assert frame.from_x(xs[1]) == pytest.approx(4096)
    assert has_color(plot.grab().toImage(), theme.color("bad"))


def test_the_readout_gives_each_series_nearest_value_with_its_unit(plot: PlotWidget) -> None:
    plot.set_series("ram", "RAM", 2, "B")
    plot.set_data("cpu", [0, 10, 20], [10, 40, 20])
    plot.set_data("ram", [0, 9, 20], [GIB, None, GIB])
    assert plot.readout_at(9.4) == ["−11 s", "CPU  40 %", "RAM  unknown"]


def test_hovering_and_arrow_keys_show_the_readout(plot: PlotWidget, qtbot) -> None:
    plot.set_data("cpu", [0, 30, 60], [10, 90, 50])
    with qtbot.waitExposed(plot):
        plot.show()
    bare = plot.grab().toImage()
    plot.setFocus()
    qtbot.keyClick(plot, Qt.Key.Key_Left)
    assert "50 %" in plot.accessibleDescription()
    qtbot.keyClick(plot, Qt.Key.Key_Left)
    assert "90 %" in plot.accessibleDescription()
    plot.clearFocus()
    qtbot.mouseMove(plot, QPoint(160, 60))
    qtbot.waitUntil(lambda: plot.grab().toImage() != bare)


def test_bands_color_their_span_only(plot: PlotWidget) -> None:
    plot.set_data("cpu", [0, 60], [0, 0])
    plot.set_unit_range("%", 0, 100)
    before = plot.grab().toImage()
    plot.set_bands([(30, 60, "decode")])
    after = plot.grab().toImage()
    frame = plot.frame()
    y = round(frame.to_y(75, "%")) - 8
    assert before.pixelColor(round(frame.to_x(50)), y) != after.pixelColor(round(frame.to_x(50)), y)
    assert before.pixelColor(round(frame.to_x(10)), y) == after.pixelColor(round(frame.to_x(10)), y)


def test_eight_series_of_600_points_ten_times_a_second_cost_little(theme: Theme, qtbot) -> None:
    plot = PlotWidget(theme, "Load")
    qtbot.addWidget(plot)
    plot.resize(1000, 600)
    for index in range(8):
        plot.set_series(str(index), f"CPU {index}", index, "%")
    waves = [[50 + 40 * math.sin(j / 9 + i) for j in range(640)] for i in range(8)]
    plot.show()
    n_frames = 20
    start = time.process_time()
    for frame in range(n_frames):
        xs = [(j + frame) / 10 for j in range(600)]
        for index in range(8):
            plot.set_data(str(index), xs, waves[index][frame : frame + 600])
        plot.repaint()
    per_frame_s = (time.process_time() - start) / n_frames
    assert per_frame_s * 10 < 0.05, f"{per_frame_s * 1000:.1f} ms a frame"
