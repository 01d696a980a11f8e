"""One part of the footer: a state dot, a text, a bar or a small curve, as a button.

Painted by hand because it must give way gracefully: in a narrow window the footer takes the bars away, and only then
is the one text shortened that has no number in it. Rejected: labels and progress bars in a layout (forty widgets, and
Qt clips instead of shortening).
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from gui.theme import Theme

PAD = 14
GAP = 8
DOT = 8
BAR_HEIGHT = 6


@dataclass(frozen=True, slots=True)
class PartContent:
    """What a part shows, left to right.

    Attributes:
        dot_role: the colour role of the state dot, "" for none.
        text: the part that may be shortened.
        bar: how full the bar is, 0 to 1; None for no bar.
        bar_color: a colour role, or the index of a plot colour.
        bar_width: in logical pixels.
        tail: a text that is never shortened; after the bar, or after the text when there is none.
        history: values from 0 to 1, oldest first, for the small curve; empty for none.
        quiet: drawn in text 3.
    """

    text: str
    dot_role: str = ""
    bar: float | None = None
    bar_color: str | int = "accent"
    bar_width: int = 70
    tail: str = ""
    history: tuple[float, ...] = ()
    quiet: bool = False


class FooterPart(QAbstractButton):
    """A button that shows a `PartContent`. The footer gives it its width.

    Signals:
        outgrown: the content wants another width.
    """

    outgrown = Signal()

    def __init__(self, key: str, theme: Theme, *, stretches: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.key, self._theme, self._stretches = key, theme, stretches
        self._content = PartContent("")
        self._reserved = 0
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # else all that lies behind is drawn for each figure
        self._font, self._metrics = self._fonts()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self._restyle)

    @property
    def content(self) -> PartContent:
        return self._content

    def show_content(self, content: PartContent, accessible_name: str, tooltip: str) -> None:
        """Show this; nothing happens when it is what is shown already."""
        if accessible_name != self.accessibleName():
            self.setAccessibleName(accessible_name)
        if tooltip != self.toolTip():
            self.setToolTip(tooltip)
        if content == self._content:
            return
        before, self._content = self._content, content
        if bool(content.tail) != bool(before.tail) or (content.bar is None) != (before.bar is None):
            self._reserved = 0  # another shape: what was kept free for the old one is no longer needed
        wanted = self._text_width()
        if wanted > self._reserved or self._stretches:
            # A part grows and keeps its width, so that a number with fewer digits does not move its neighbours.
            self._reserved = wanted
            self.outgrown.emit()
        self.update()

    def shown_text(self) -> str:
        """The text as it stands on screen at the present width, shortened where it had to be."""
        return self._fit()[0]

    def shows_bar(self) -> bool:
        """Whether there was room for the bar or the curve."""
        return self._fit()[1] > 0

    def full_width(self) -> int:
        """The width with everything, in logical pixels."""
        bar = self._content.bar_width + GAP if self._has_bar() else 0
        return self.text_width() + bar

    def text_width(self) -> int:
        """The width without the bar: less would cut a number."""
        return max(self._reserved, self._text_width())

    def least_width(self) -> int:
        """The width with the text shortened to a few letters."""
        return self._text_width() - self._metrics.horizontalAdvance(self._content.text) + self._theme.px(60)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme, content = self._theme, self._content
        area = self.rect()
        painter.fillRect(area, theme.color("surface3" if self.isDown() or self.underMouse() else "surface1"))
        painter.fillRect(QRect(area.right(), 0, 1, area.height()), theme.color("hairline"))
        if self.hasFocus():
            painter.setPen(QPen(theme.color("accent"), 1))
            painter.drawRoundedRect(QRectF(area).adjusted(1.5, 1.5, -2.5, -1.5), 5, 5)
        painter.setFont(self._font)
        middle_y = area.height() / 2
        x = PAD
        if content.dot_role:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color(content.dot_role))
            painter.drawEllipse(QRectF(x, middle_y - DOT / 2, DOT, DOT))
            x += DOT + GAP
        text, bar_width = self._fit()
        painter.setPen(theme.color("text3" if content.quiet else "text2"))
        metrics = self._metrics
        line = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextSingleLine
        width = metrics.horizontalAdvance(text)
        painter.drawText(QRect(x, 0, width + 2, area.height()), line, text)
        x += width
        if bar_width:
            x += GAP
            self._paint_bar(painter, QRectF(x, middle_y - BAR_HEIGHT / 2, bar_width, BAR_HEIGHT))
            x += bar_width
        if content.tail:
            x += self._tail_gap() if bar_width or text else 0
            painter.setPen(theme.color("text3" if content.quiet else "text2"))
            painter.drawText(QRect(x, 0, max(1, area.width() - x), area.height()), line, content.tail)
        painter.end()

    def _paint_bar(self, painter: QPainter, area: QRectF) -> None:
        content, theme = self._content, self._theme
        colour = self._bar_color()
        if content.history:
            tall = area.adjusted(0, -5, 0, 5)
            step = tall.width() / max(1, len(content.history) - 1)
            points = [
                QPointF(tall.x() + place * step, tall.bottom() - min(max(value, 0.0), 1.0) * tall.height())
                for place, value in enumerate(content.history)
            ]
            painter.setPen(QPen(colour, 1.25))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolyline(QPolygonF(points))
            return
        radius = area.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("surface3"))
        painter.drawRoundedRect(area, radius, radius)
        share = min(max(content.bar or 0.0, 0.0), 1.0)
        if share > 0:
            painter.setBrush(colour)
            painter.drawRoundedRect(
                QRectF(area.x(), area.y(), max(area.height(), area.width() * share), area.height()), radius, radius
            )

    def _fit(self) -> tuple[str, int]:
        """The text and the bar's width that fit the present width."""
        content, metrics = self._content, self._metrics
        room = self.width() - (self._text_width() - metrics.horizontalAdvance(content.text))
        if self._has_bar() and metrics.horizontalAdvance(content.text) + GAP + content.bar_width <= room:
            return content.text, content.bar_width
        if metrics.horizontalAdvance(content.text) <= room:
            return content.text, 0  # elidedText rounds the other way and would shorten what fits exactly
        return metrics.elidedText(content.text, Qt.TextElideMode.ElideMiddle, max(0, room)), 0

    def _has_bar(self) -> bool:
        return self._content.bar is not None or bool(self._content.history)

    def _text_width(self) -> int:
        content, metrics = self._content, self._metrics
        width = 2 * PAD + metrics.horizontalAdvance(content.text) + 1
        width += DOT + GAP if content.dot_role else 0
        return width + (self._tail_gap() + metrics.horizontalAdvance(content.tail) if content.tail else 0)

    def _tail_gap(self) -> int:
        """A tail beside a bar keeps its distance; one that goes on after the text stands a blank behind it."""
        return GAP if self._has_bar() else self._metrics.horizontalAdvance(" ")

    def _bar_color(self) -> QColor:
        colour = self._content.bar_color
        return self._theme.plot_color(colour) if isinstance(colour, int) else self._theme.color(colour)

    def _fonts(self) -> tuple[QFont, QFontMetrics]:
        font = self._theme.ui_font(12)
        font.setFeature(QFont.Tag("tnum"), 1)
        return font, QFontMetrics(font)

    def _restyle(self) -> None:
        self._font, self._metrics = self._fonts()
        self._reserved = self._text_width()
        self.update()
