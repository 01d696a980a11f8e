"""A device's memory as one bar: coloured parts, what is free, and a tick at a limit.

Widths are differences of rounded edges, so that they sum to the rounded whole whatever the parts are; each part has
its own tooltip. What does not fit is drawn over the end of the device, hatched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QHelpEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QLabel, QSizePolicy, QToolTip, QWidget

from gui.theme import Theme, set_kind
from gui.widgets.flow import FlowLayout
from gui.widgets.paint import draw_focus_ring, role_color
from gui.widgets.quantities import bytes_text


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the bar: its label, its size (bytes unless the bar's text says otherwise), its colour."""

    label: str
    amount: float
    color_role: str | int
    tip: str = ""


def edges_of(amounts: Sequence[float], whole: float, width: int) -> list[int]:
    """The pixel edges of parts laid side by side: n + 1 edges from 0; the last is round(sum / whole · width).

    `whole` is what `width` pixels stand for; parts beyond it end at `width`. A whole of nothing has no parts.
    """
    edges, total = [0], 0.0
    for amount in amounts:
        total += max(0.0, amount)
        edges.append(min(width, round(total / whole * width)) if whole > 0 else 0)
    return edges


class StackedBar(QWidget):
    """Parts of a capacity. Tab reaches it; its description reads out all parts."""

    def __init__(self, theme: Theme, name: str, *, height: int = 22, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._height = height
        self._segments: tuple[Segment, ...] = ()
        self._capacity: float | None = None
        self._limit: float | None = None
        self._limit_tip = ""
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def set_segments(
        self,
        segments: Sequence[Segment],
        capacity: float | None,
        *,
        limit: float | None = None,
        limit_tip: str = "",
    ) -> None:
        """Show parts of a capacity.

        Args:
            segments: the parts, left to right.
            capacity: what the whole bar stands for; None if unknown (then the parts fill the bar).
            limit: where to draw the tick (what is free for us), in the same unit; None for none.
            limit_tip: what the tick means.
        """
        state = (tuple(segments), capacity, limit, limit_tip)
        if state == (self._segments, self._capacity, self._limit, self._limit_tip):
            return
        self._segments, self._capacity, self._limit, self._limit_tip = state
        self.setAccessibleDescription(self.description())
        self.update()

    @property
    def used(self) -> float:
        """The sum of the parts."""
        return sum(segment.amount for segment in self._segments)

    @property
    def free(self) -> float | None:
        """What the capacity leaves, never below 0; None if the capacity is unknown."""
        return None if self._capacity is None else max(0.0, self._capacity - self.used)

    @property
    def overflow(self) -> float:
        """By how much the parts exceed the capacity; 0 if they fit or nobody knows."""
        return 0.0 if self._capacity is None else max(0.0, self.used - self._capacity)

    def edges(self) -> list[int]:
        """The pixel edges of the parts at the present width."""
        return edges_of([segment.amount for segment in self._segments], self._whole(), self.width())

    def description(self) -> str:
        """All parts in words."""
        parts = [f"{segment.label} {bytes_text(segment.amount)}" for segment in self._segments]
        if self.overflow:
            parts.append(self.tr("{size} too much").format(size=bytes_text(self.overflow)))
        elif self.free is not None:
            parts.append(self.tr("{size} free").format(size=bytes_text(self.free)))
        return ", ".join(parts)

    def tip_at(self, x: float) -> str:
        """What stands at `x` pixels from the left."""
        if self._limit is not None and abs(x - self._x_of(self._limit)) <= 3 and self._limit_tip:
            return self._limit_tip
        edges = self.edges()
        for index, segment in enumerate(self._segments):
            if edges[index] <= x < max(edges[index + 1], edges[index] + 1) and segment.amount > 0:
                return segment.tip or f"{segment.label}: {bytes_text(segment.amount)}"
        return self.tr("Free: {size}").format(size=bytes_text(self.free)) if self.free is not None else ""

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.tip_at(event.pos().x()), self)
            return True
        return super().event(event)

    def sizeHint(self) -> QSize:
        return QSize(200, self._height)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self._height)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        shape = QPainterPath()
        radius = min(4.0, self._height / 3)
        shape.addRoundedRect(rect, radius, radius)
        painter.fillPath(shape, theme.color("surface3"))
        painter.setClipPath(shape)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        edges = self.edges()
        for index, segment in enumerate(self._segments):
            left, right = edges[index], edges[index + 1]
            if right > left:
                color = role_color(theme, segment.color_role)
                painter.fillRect(left, 0, right - left, self.height(), color if self.isEnabled() else color.darker(150))
        if self.overflow and self._capacity is not None:
            end = self._x_of(self._capacity)
            over = QRectF(end, 0, self.width() - end, self.height())
            painter.fillRect(over, QBrush(theme.color("surface0"), Qt.BrushStyle.BDiagPattern))
            painter.setPen(QPen(theme.color("bad"), 2))
            painter.drawLine(round(end), 0, round(end), self.height())
        if self._limit is not None:
            x = round(self._x_of(self._limit))
            painter.setPen(QPen(theme.color("text2"), 1))
            painter.drawLine(x, 0, x, self.height())
        if self.hasFocus():
            painter.setClipping(False)
            draw_focus_ring(painter, rect, theme, radius)

    def _whole(self) -> float:
        return self.used if self._capacity is None else max(self._capacity, self.used)

    def _x_of(self, amount: float) -> float:
        whole = self._whole()
        return amount / whole * self.width() if whole > 0 else 0.0


class LegendEntry(QLabel):
    """A colour square and its word."""

    def __init__(self, theme: Theme, text: str, color_role: str | int, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._theme, self._role = theme, color_role
        set_kind(self, "small")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setContentsMargins(16, 0, 0, 0)
        theme.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(role_color(self._theme, self._role))
        painter.drawRoundedRect(QRectF(0, self.height() / 2 - 5, 10, 10), 2, 2)


class Legend(QWidget):
    """The words to a bar's colours, on as many lines as needed."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._flow = FlowLayout(self)
        self._shown: list[tuple[str, str | int]] = []
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_entries(self, entries: Sequence[tuple[str, str | int]]) -> None:
        """Words and their colour roles."""
        if list(entries) == self._shown:
            return
        self._shown = list(entries)
        while (item := self._flow.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for text, role in entries:
            self._flow.addWidget(LegendEntry(self._theme, text, role, self))
        self.updateGeometry()
