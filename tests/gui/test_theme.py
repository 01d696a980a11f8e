"""The theme: readable in both modes, live, and without a stale colour."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import resources

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.theme import DARK, LIGHT, Mode, Palette, Theme, first_monospace, is_monospace, qt_palette, set_kind

MODES = [pytest.param(DARK, id="dark"), pytest.param(LIGHT, id="light")]
SURFACES = ("surface0", "surface1", "surface2", "surface3")


def luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""

    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4

    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def contrast(first: str, second: str) -> float:
    """The ratio of WCAG 2.2, 1 to 21."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", MODES)
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("text", ["text1", "text2", "text3"])
def test_text_is_readable_on_every_surface(palette: Palette, surface: str, text: str) -> None:
    assert contrast(getattr(palette, text), getattr(palette, surface)) >= 4.5


@pytest.mark.parametrize("palette", MODES)
@pytest.mark.parametrize("surface", ["surface0", "surface1", "surface2"])
@pytest.mark.parametrize("text", ["accent", "good", "warning", "bad"])
def test_coloured_words_are_readable_where_they_stand(palette: Palette, surface: str, text: str) -> None:
    assert contrast(getattr(palette, text), getattr(palette, surface)) >= 4.5


@pytest.mark.parametrize("palette", MODES)
def test_text_on_the_accent_and_the_accent_on_its_tint_are_readable(palette: Palette) -> None:
    assert contrast(palette.on_accent, palette.accent) >= 4.5
    assert contrast(palette.text1, palette.accent_tint) >= 4.5
    assert contrast(palette.accent, palette.accent_tint) >= 4.5


@pytest.mark.parametrize("palette", MODES)
def test_plot_colours_can_be_told_from_the_ground_and_from_each_other(palette: Palette) -> None:
    for colour in palette.plot:
        assert contrast(colour, palette.surface0) >= 3.0
        assert contrast(colour, palette.surface2) >= 3.0
    assert len(set(palette.plot)) == 6


def test_both_modes_reach_the_palette_of_qt_in_every_group(theme: Theme) -> None:
    for mode, wanted in ((Mode.DARK, DARK), (Mode.LIGHT, LIGHT)):
        theme.set_mode(mode)
        given = QApplication.palette()
        for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
            assert given.color(group, QPalette.ColorRole.Window) == QColor(wanted.surface0)
            assert given.color(group, QPalette.ColorRole.Text) == QColor(wanted.text1)
            assert given.color(group, QPalette.ColorRole.PlaceholderText) == QColor(wanted.text3)


def test_no_role_of_qt_is_left_to_fusion() -> None:
    palette = qt_palette(DARK)
    ours = {getattr(DARK, field.name).lower() for field in fields(Palette) if field.name != "plot"} | set(DARK.plot)
    for role in QPalette.ColorRole:
        if role not in (QPalette.ColorRole.NoRole, QPalette.ColorRole.NColorRoles):
            assert palette.color(QPalette.ColorGroup.Active, role).name() in ours, role


def test_the_style_sheet_has_no_hole_and_no_colour_of_its_own(theme: Theme) -> None:
    sheet = theme.style_sheet()
    assert "$" not in sheet
    template = resources.files("resources").joinpath("style.qss.template").read_text(encoding="utf-8")
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", template)


def test_qt_understands_the_style_sheet(theme: Theme, qtbot, caplog) -> None:
    label = QLabel("x")
    qtbot.addWidget(label)
    with qtbot.captureExceptions() as errors:
        label.setStyleSheet(theme.style_sheet())
        label.show()
    assert errors == []


def test_system_mode_follows_the_desktop_while_running(qapp: QApplication) -> None:
    theme = Theme(Mode.SYSTEM)
    theme.apply(qapp)
    changes: list[bool] = []
    theme.changed.connect(lambda: changes.append(theme.is_dark))
    was_dark = theme.is_dark
    hints = QGuiApplication.styleHints()
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Light if was_dark else Qt.ColorScheme.Dark)
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Dark if was_dark else Qt.ColorScheme.Light)
    assert changes == [not was_dark, was_dark]


def test_a_chosen_mode_does_not_follow_the_desktop(qapp: QApplication) -> None:
    theme = Theme(Mode.DARK)
    theme.apply(qapp)
    QGuiApplication.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert theme.is_dark
    assert theme.palette is DARK


def colours_in(widget: QWidget) -> set[str]:
    image = widget.grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


def test_a_switch_leaves_no_colour_of_the_old_mode_on_screen(theme: Theme, qtbot) -> None:
    theme.set_mode(Mode.LIGHT)
    window = QWidget()
    set_kind(window, "surface0")
    layout = QVBoxLayout(window)
    button, box, label = QPushButton("Load"), QCheckBox("mmap"), QLabel("ready")
    box.setChecked(True)
    set_kind(button, "primary")
    set_kind(label, "good")
    for widget in (button, box, label):
        layout.addWidget(widget)
    qtbot.addWidget(window)
    window.show()
    assert LIGHT.accent in colours_in(button)
    theme.set_mode(Mode.DARK)
    assert not colours_in(window) & {LIGHT.surface0, LIGHT.surface2, LIGHT.accent, LIGHT.good, LIGHT.text1}
    assert DARK.accent in colours_in(button)
    assert DARK.accent in colours_in(box)


def test_a_kind_can_be_changed_while_shown(theme: Theme, qtbot) -> None:
    theme.set_mode(Mode.DARK)
    button = QPushButton("Stop")
    qtbot.addWidget(button)
    button.show()
    assert DARK.accent not in colours_in(button)
    set_kind(button, "primary")
    assert DARK.accent in colours_in(button)
    set_kind(button, "")
    assert DARK.accent not in colours_in(button)


def test_the_focus_ring_is_seen(theme: Theme, qtbot) -> None:
    theme.set_mode(Mode.DARK)
    window = QWidget()
    button = QPushButton("Load", window)
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    button.clearFocus()
    window.setFocus()
    without = colours_in(button)
    button.setFocus(Qt.FocusReason.TabFocusReason)
    assert DARK.accent in colours_in(button) - without


def test_numbers_stand_in_columns(theme: Theme) -> None:
    font = theme.mono_font()
    metrics = QFontMetricsF(font)
    assert len({metrics.horizontalAdvance(text) for text in ("1111", "8888", "W.i0", "    ")}) == 1
    assert font.pixelSize() == theme.px(12)


def test_a_monospace_family_is_found_where_the_desktop_names_a_proportional_one(theme: Theme) -> None:
    assert not is_monospace(QFont("DejaVu Sans"))
    assert is_monospace(QFont(first_monospace("DejaVu Sans")))
