"""The icons: all of them draw something, in the colour that was asked for, in both modes."""

from __future__ import annotations

import gc

import pytest
from PySide6.QtGui import QAction, QColor, QIcon, QImage
from PySide6.QtWidgets import QToolButton

from gui.icons import Icons, icon_names
from gui.theme import Mode, Theme

WANTED = [
    "attach",
    "branch",
    "chat",
    "check",
    "chevron-down",
    "chevron-left",
    "chevron-right",
    "close",
    "copy",
    "download",
    "edit",
    "error",
    "export",
    "file",
    "folder",
    "hardware",
    "info",
    "jump-down",
    "lab",
    "memory",
    "models",
    "moon",
    "more",
    "pause",
    "pin",
    "play",
    "plus",
    "refresh",
    "reset",
    "search",
    "send",
    "settings",
    "sidebar-left",
    "sidebar-right",
    "stop",
    "sun",
    "sun-moon",
    "trash",
    "undo",
    "warning",
]


def strongest(image: QImage) -> QColor:
    """The most opaque pixel."""
    pixels = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return max(pixels, key=lambda colour: colour.alpha())


def test_the_icons_that_the_window_needs_are_there() -> None:
    assert set(WANTED) <= set(icon_names())


@pytest.mark.parametrize("mode", [Mode.DARK, Mode.LIGHT])
def test_every_icon_draws_in_the_colour_of_its_role(theme: Theme, icons: Icons, mode: Mode) -> None:
    theme.set_mode(mode)
    for name in icon_names():
        drawn = icons.icon(name, "text2", 24).pixmap(24, 24).toImage()
        colour = strongest(drawn)
        assert colour.alpha() > 200, name
        wanted = theme.color("text2")
        assert abs(colour.red() - wanted.red()) <= 3, name
        opaque = sum(drawn.pixelColor(x, y).alpha() > 40 for x in range(24) for y in range(24))
        assert 8 <= opaque <= 24 * 24 * 0.75, name


def test_icons_use_one_colour_only(icons: Icons) -> None:
    for name in icon_names():
        source = icons.source(name)
        assert "currentColor" in source, name
        assert "#" not in source, name


def test_a_bound_icon_changes_with_the_mode_and_a_forgotten_one_does_not_matter(theme: Theme, icons: Icons, qtbot):
    button = QToolButton()
    qtbot.addWidget(button)
    icons.bind(button, "stop", "text1", 24)
    gone = QAction("x")
    icons.bind(gone, "chat")
    del gone
    gc.collect()
    theme.set_mode(Mode.LIGHT)
    assert strongest(button.icon().pixmap(24, 24).toImage()) == theme.color("text1")


def test_the_checked_state_has_its_own_colour(theme: Theme, icons: Icons) -> None:
    icon = icons.icon("stop", "text2", 24, checked_role="accent")
    on = icon.pixmap(24, 24, QIcon.Mode.Normal, QIcon.State.On).toImage()
    off = icon.pixmap(24, 24, QIcon.Mode.Normal, QIcon.State.Off).toImage()
    assert strongest(on) == theme.color("accent")
    assert strongest(off) == theme.color("text2")


def test_a_screen_with_twice_the_pixels_gets_twice_the_pixels(icons: Icons) -> None:
    pixmap = icons.pixmap("chat", "text1", 20, 2.0)
    assert pixmap.width() == 40
    assert pixmap.deviceIndependentSize().width() == 20


def test_an_unknown_icon_is_an_error(icons: Icons) -> None:
    with pytest.raises(FileNotFoundError):
        icons.icon("unicorn")
