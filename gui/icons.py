"""Icons in the theme's colours: our own stroke drawings, recoloured when the mode changes.

An icon is an SVG of resources/icons with `currentColor` as its only colour. `Icons.bind` gives a button or an action
its icon and gives it again after each change of the theme, so nothing keeps a stale colour. Rejected: icon fonts
(356 ms of import), one file a mode (a colour in two places), a QIconEngine in Python that looks the colour up while
drawing (PySide6 6.11.3 crashes when Qt clones it).

Source: the drawings are ours, 24 by 24, round strokes of 1.75.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from shiboken6 import isValid

from gui.theme import Theme
from resources import read_text


def icon_names() -> tuple[str, ...]:
    """Every icon that there is, sorted."""
    from importlib import resources

    folder = resources.files("resources").joinpath("icons")
    return tuple(sorted(each.name.removesuffix(".svg") for each in folder.iterdir() if each.name.endswith(".svg")))


class HasIcon(Protocol):
    """What an icon can be bound to: a button, an action."""

    def setIcon(self, icon: QIcon, /) -> None: ...  # noqa: N802


@dataclass(frozen=True, slots=True)
class _Look:
    name: str
    color_role: str
    size: int
    checked_role: str | None


class Icons(QObject):
    """Hands out icons. One object a theme."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self._sources: dict[str, str] = {}
        self._pixmaps: dict[tuple[str, str, int, int], QPixmap] = {}
        self._bound: weakref.WeakKeyDictionary[HasIcon, _Look] = weakref.WeakKeyDictionary()
        theme.changed.connect(self._refresh)

    def bind(
        self,
        target: HasIcon,
        name: str,
        color_role: str = "text2",
        size: int = 20,
        checked_role: str | None = None,
    ) -> None:
        """Give `target` this icon, now and after every change of the theme. The arguments are those of `icon`."""
        target.setIcon(self.icon(name, color_role, size, checked_role))
        self._bound[target] = _Look(name, color_role, size, checked_role)

    def icon(self, name: str, color_role: str = "text2", size: int = 20, checked_role: str | None = None) -> QIcon:
        """The icon of that name in the colours of now; `bind` is for what stays on screen.

        Args:
            name: a file of resources/icons without its ending. An unknown name raises `FileNotFoundError`.
            color_role: the attribute of `Palette` to draw it in.
            size: the side in logical pixels at which it is drawn.
            checked_role: another colour for the checked (on) state.
        """
        # One drawing for the sharpest screen that there is: Qt scales it down for the others.
        off = self.pixmap(name, color_role, size)
        icon = QIcon(off)
        icon.addPixmap(_faded(off), QIcon.Mode.Disabled, QIcon.State.Off)
        if checked_role is not None:
            icon.addPixmap(self.pixmap(name, checked_role, size), QIcon.Mode.Normal, QIcon.State.On)
        return icon

    def pixmap(self, name: str, color_role: str = "text2", side: int = 20, ratio: float | None = None) -> QPixmap:
        """The icon drawn at `side` logical pixels for that device pixel ratio (the screen's, if None); kept."""
        ratio = self._screen_ratio() if ratio is None else ratio
        colour = self.theme.color(color_role).name()
        key = (name, colour, side, round(ratio * 100))
        found = self._pixmaps.get(key)
        if found is None:
            found = self._pixmaps[key] = self._draw(name, colour, max(1, round(side * ratio)), ratio)
        return found

    def source(self, name: str) -> str:
        """The drawing's SVG text, with `currentColor` still in it."""
        if name not in self._sources:
            self._sources[name] = read_text(f"icons/{name}.svg")
        return self._sources[name]

    def _draw(self, name: str, colour: str, pixels: int, ratio: float) -> QPixmap:
        svg = self.source(name).replace("currentColor", colour)  # may raise, so before there is a painter
        drawing = QSvgRenderer(QByteArray(svg.encode()))
        pixmap = QPixmap(pixels, pixels)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        drawing.render(painter, QRectF(0, 0, pixels, pixels))
        painter.end()
        pixmap.setDevicePixelRatio(ratio)
        return pixmap

    def _refresh(self) -> None:
        self._pixmaps.clear()
        for target, look in list(self._bound.items()):
            if isValid(target):
                target.setIcon(self.icon(look.name, look.color_role, look.size, look.checked_role))

    @staticmethod
    def _screen_ratio() -> float:
        app = QGuiApplication.instance()
        return app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0


def _faded(pixmap: QPixmap) -> QPixmap:
    """The same drawing at 45 %: Qt's own disabled look would grey the accent."""
    result = QPixmap(pixmap.size())
    result.setDevicePixelRatio(pixmap.devicePixelRatio())
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    painter.setOpacity(0.45)
    painter.drawPixmap(0, 0, pixmap)
    painter.end()
    return result
