"""A text as its tokens, wrapped like text and coloured by how surprising each was; one of them is selected.

A virtual view: lines are broken by adding up the widths of letters, and only the lines on screen are laid out, coloured
and painted, so four thousand tokens scroll like forty. Rejected: rich text with a background per token (a document of
four thousand fragments takes most of a second to lay out), a widget per token.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QFontMetricsF,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QMenu, QSizePolicy, QToolTip, QWidget

from gui.theme import N_STEPS, Theme
from gui.widgets.plain_tip import plain_tip
from gui.widgets.token_scale import Colouring, Surprise, step_of
from gui.widgets.token_text import ends_line, flowing_text, visible_text

_PAD = 2  # pixels left and right of a token's text
_MARGIN = 6
_LINE_GAP = 6


@dataclass(frozen=True, slots=True)
class StripToken:
    """A token of the strip: its bytes and its figures. `text` is how it looks."""

    piece: bytes
    surprise: Surprise = field(default_factory=Surprise)
    text: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", flowing_text(self.piece))


class TokenStrip(QAbstractScrollArea):
    """The tokens. Arrow keys go from one to the next, up and down to the one above and below.

    Signals:
        selected: the place of the token that a person went to; activated: the token that was clicked, or where Enter was pressed.
    """

    selected = Signal(int)
    activated = Signal(int)

    def __init__(
        self,
        theme: Theme,
        name: str,
        *,
        most_lines: int = 9,
        tip_of: Callable[[int], str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Build an empty strip.

        Args:
            theme: the look.
            name: the accessible name.
            most_lines: how high it grows before it scrolls.
            tip_of: says what stands over a token at that place when the mouse rests on it, and what a screen reader
                says of the selected one; asked only then.
            parent: Qt's parent.
        """
        super().__init__(parent)
        self._theme, self._most_lines, self._tip_of = theme, most_lines, tip_of
        self._tokens: list[StripToken] = []
        self._token_widths: list[int] = []
        self._colouring = Colouring.PROBABILITY
        self._starts: list[int] = []  # the first token of each line
        self._x = 0  # where the next token would stand in the last line
        self._must_break = False
        self._broken_for = -1
        self._laid_out: dict[int, list[QRect]] = {}
        self._place = -1
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.viewport().setMouseTracking(True)
        self.viewport().setAutoFillBackground(False)
        theme.changed.connect(self._restyle)
        self._set_font()

    # ---- what is shown

    def set_tokens(self, tokens: Sequence[StripToken]) -> None:
        """Show these instead of the others, from the beginning; nothing is selected."""
        self._tokens, self._token_widths, self._place = [], [], -1
        self._forget_lines()
        self.verticalScrollBar().setValue(0)
        self.add_tokens(tokens)
        self._describe()

    def add_tokens(self, tokens: Sequence[StripToken]) -> None:
        """Add tokens at the end; what is on screen stays where it is."""
        first = len(self._tokens)
        self._tokens += tokens
        self._token_widths += [self._width_of(each.text) for each in tokens]
        if self._broken_for == self.viewport().width():
            self._break_from(first)
        self._resize_bar()
        self.updateGeometry()
        self.viewport().update()

    @property
    def tokens(self) -> tuple[StripToken, ...]:
        return tuple(self._tokens)

    @property
    def colouring(self) -> Colouring:
        return self._colouring

    def set_colouring(self, colouring: Colouring) -> None:
        """Colour by this figure."""
        if colouring is not self._colouring:
            self._colouring = colouring
            self.viewport().update()

    def step(self, place: int) -> int:
        """The colour step of a token."""
        return step_of(self._tokens[place].surprise, self._colouring)

    # ---- selection

    @property
    def place(self) -> int:
        """The selected token, −1 for none."""
        return self._place

    def select(self, place: int) -> None:
        """Select a token and bring it on screen, without telling anybody; −1 for none."""
        self._place = place if 0 <= place < len(self._tokens) else -1
        if self._place >= 0:
            self._show_line(self.line_of(self._place))
        self._describe()
        self.viewport().update()

    # ---- lines

    def n_lines(self) -> int:
        """How many lines the text takes at the present width."""
        self._break_lines()
        return len(self._starts)

    def line_of(self, place: int) -> int:
        """In which line a token stands."""
        self._break_lines()
        return max(0, bisect_right(self._starts, place) - 1)

    def n_laid_out(self) -> int:
        """How many lines are laid out now: those on screen."""
        return len(self._laid_out)

    def rect_of(self, place: int) -> QRect:
        """Where a token stands in the viewport, on screen or not."""
        line = self.line_of(place)
        return self._rects(line)[place - self._starts[line]].translated(0, -self.verticalScrollBar().value())

    def token_at(self, point: QPoint) -> int:
        """The token under a point of the viewport, −1 for none."""
        self._break_lines()
        line = (point.y() + self.verticalScrollBar().value() - _MARGIN) // self._line_height()
        if not 0 <= line < len(self._starts):
            return -1
        for at, rect in enumerate(self._rects(line)):
            if rect.left() <= point.x() <= rect.right():
                return self._starts[line] + at
        return -1

    def as_text(self) -> str:
        """The text that the tokens make."""
        return b"".join(each.piece for each in self._tokens).decode(errors="replace")

    def as_tsv(self) -> str:
        """A line a token, with tabs between cells: what it is, its probability, its rank from 1, the entropy there."""
        lines = ["token\tprobability\trank\tentropy (bit)"]
        for each in self._tokens:
            figures = each.surprise
            rank = "" if figures.rank is None else str(figures.rank + 1)
            p, bits = ("" if value is None else f"{value:.6g}" for value in (figures.p, figures.entropy_bits))
            lines.append(f"{visible_text(each.piece)}\t{p}\t{rank}\t{bits}")
        return "\n".join(lines) + "\n"

    def make_menu(self) -> QMenu:
        """The context menu: the text, or the figures as a table."""
        menu = QMenu(self)
        clipboard = QGuiApplication.clipboard()
        menu.addAction(self.tr("Copy text"), lambda: clipboard.setText(self.as_text()))
        menu.addAction(self.tr("Copy as TSV"), lambda: clipboard.setText(self.as_tsv()))
        return menu

    # ---- hands

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = self.make_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, last = Qt.Key(event.key()), len(self._tokens) - 1
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.as_text())
        elif last < 0:
            event.ignore()
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._go(min(max(self._place + (1 if key == Qt.Key.Key_Right else -1), 0), last))
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._go_line(-1 if key == Qt.Key.Key_Up else 1)
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            n_lines = max(1, self.viewport().height() // self._line_height() - 1)
            self._go_line(-n_lines if key == Qt.Key.Key_PageUp else n_lines)
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self._go(0 if key == Qt.Key.Key_Home else last)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._place >= 0:
            self.activated.emit(self._place)
        else:
            event.ignore()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self.token_at(event.position().toPoint())
        if event.button() != Qt.MouseButton.LeftButton or place < 0:
            event.ignore()
        else:
            self._go(place)
            self.activated.emit(place)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self.token_at(event.pos())
            text = self._tip_of(place) if place >= 0 and self._tip_of is not None else ""
            QToolTip.showText(
                event.globalPos(), plain_tip(text), self.viewport(), self.rect_of(place) if place >= 0 else QRect()
            )
            return True
        return super().viewportEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._resize_bar()
        self.updateGeometry()

    def focusInEvent(self, event: object) -> None:
        super().focusInEvent(event)  # type: ignore[arg-type]
        self.viewport().update()

    def focusOutEvent(self, event: object) -> None:
        super().focusOutEvent(event)  # type: ignore[arg-type]
        self.viewport().update()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        self.viewport().update()

    def _go(self, place: int) -> None:
        if place != self._place:
            self.select(place)
            self.selected.emit(place)

    def _go_line(self, n_lines: int) -> None:
        if self._place < 0:
            self._go(0)
            return
        line = self.line_of(self._place)
        wanted = min(max(line + n_lines, 0), self.n_lines() - 1)
        if wanted == line:
            return
        x = self.rect_of(self._place).center().x()
        rects = self._rects(wanted)
        nearest = min(range(len(rects)), key=lambda at: abs(rects[at].center().x() - x))
        self._go(self._starts[wanted] + nearest)

    # ---- looks

    def sizeHint(self) -> QSize:
        n_lines = min(max(1, self.n_lines()), self._most_lines)
        return QSize(240, n_lines * self._line_height() + 2 * _MARGIN)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        self._break_lines()
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.color("hairline"), 1))
        painter.setBrush(self._theme.color("surface1"))
        box = QRectF(self.viewport().rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(box, Theme.RADIUS_SMALL, Theme.RADIUS_SMALL)
        painter.setClipRect(self.viewport().rect().adjusted(1, 1, -1, -1))
        painter.setFont(self._font)
        colours = [self._theme.step_colors(step) for step in range(N_STEPS)]
        scrolled, height = self.verticalScrollBar().value(), self._line_height()
        first = max(0, (scrolled - _MARGIN) // height)
        last = min(len(self._starts) - 1, (scrolled + self.viewport().height() - _MARGIN) // height)
        for line in [each for each in self._laid_out if not first <= each <= last]:
            del self._laid_out[line]
        for line in range(first, last + 1):
            for at, rect in enumerate(self._rects(line), self._starts[line]):
                step = self.step(at)
                back, ink = colours[step]
                place = rect.translated(0, -scrolled)
                if step:
                    painter.setPen(Qt.PenStyle.NoPen)
                    painter.setBrush(back)
                    painter.drawRoundedRect(QRectF(place).adjusted(0.5, 0, -0.5, 0), 3, 3)
                painter.setPen(ink)
                inside = place.adjusted(_PAD, 0, -_PAD, 0)
                text = self._tokens[at].text
                if self._token_widths[at] > place.width():
                    text = self._metrics.elidedText(text, Qt.TextElideMode.ElideRight, inside.width())
                painter.drawText(inside, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
                if at == self._place:
                    self._paint_ring(painter, place)
        if self.hasFocus() and self._place < 0:
            self._paint_ring(painter, self.viewport().rect().adjusted(1, 1, -1, -1))

    def _paint_ring(self, painter: QPainter, rect: QRect) -> None:
        """Around the selected token: in the text's own colour, as the accent may be the token's."""
        painter.setPen(QPen(self._theme.color("text1"), 2 if self.hasFocus() else 1.4))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(rect).adjusted(0.5, -0.5, -0.5, 0.5), 3, 3)

    # ---- inside

    def _set_font(self) -> None:
        self._font: QFont = self._theme.ui_font(13)
        self._metrics = QFontMetrics(self._font)
        self._letter_widths: dict[str, float] = {}

    def _restyle(self) -> None:
        self._set_font()
        self._token_widths = [self._width_of(each.text) for each in self._tokens]
        self._forget_lines()
        self._resize_bar()
        self.updateGeometry()
        self.viewport().update()

    def _line_height(self) -> int:
        return self._metrics.height() + _LINE_GAP

    def _forget_lines(self) -> None:
        self._starts, self._x, self._must_break = [], 0, False
        self._laid_out, self._broken_for = {}, -1

    def _break_lines(self) -> None:
        if self._broken_for != self.viewport().width():
            self._forget_lines()
            self._broken_for = self.viewport().width()
            self._break_from(0)

    def _break_from(self, first: int) -> None:
        """Find where lines begin, from a token on; the lines before it are known."""
        room, starts, x, must_break = self._room(), self._starts, self._x, self._must_break or not self._starts
        if starts:
            self._laid_out.pop(len(starts) - 1, None)
        tokens, widths = self._tokens, self._token_widths
        for place in range(first, len(tokens)):
            width = min(widths[place], room)
            if must_break or x + width > room:
                starts.append(place)
                x = 0
            x += width
            must_break = ends_line(tokens[place].piece)
        self._x, self._must_break = x, must_break

    def _rects(self, line: int) -> list[QRect]:
        """Where the tokens of a line stand, not scrolled; kept while the line is on screen."""
        rects = self._laid_out.get(line)
        if rects is None:
            first = self._starts[line]
            end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self._tokens)
            x, top, height = _MARGIN, _MARGIN + line * self._line_height() + 1, self._line_height() - 2
            rects = []
            for place in range(first, end):
                width = min(self._token_widths[place], self._room())
                rects.append(QRect(x, top, width, height))
                x += width
            self._laid_out[line] = rects
        return rects

    def _room(self) -> int:
        return max(24, self.viewport().width() - 2 * _MARGIN)

    def _width_of(self, text: str) -> int:
        """How wide a token is. Of plain letters the widths add up (to a pixel, for which there is the padding)."""
        if not text.isascii():
            return self._metrics.horizontalAdvance(text) + 2 * _PAD
        widths, width = self._letter_widths, 0.0
        for letter in text:
            if letter not in widths:
                widths[letter] = QFontMetricsF(self._font).horizontalAdvance(letter)
            width += widths[letter]
        return math.ceil(width) + 2 * _PAD

    def _resize_bar(self) -> None:
        bar = self.verticalScrollBar()
        shown = self.viewport().height()
        bar.setSingleStep(self._line_height())
        bar.setPageStep(shown)
        bar.setRange(0, max(0, self.n_lines() * self._line_height() + 2 * _MARGIN - shown))

    def _show_line(self, line: int) -> None:
        bar = self.verticalScrollBar()
        top, height = _MARGIN + line * self._line_height(), self._line_height()
        if top < bar.value():
            bar.setValue(top - _MARGIN)
        elif top + height > bar.value() + self.viewport().height():
            bar.setValue(top + height + _MARGIN - self.viewport().height())

    def _describe(self) -> None:
        text = self._tip_of(self._place) if self._place >= 0 and self._tip_of is not None else ""
        text = text.replace("\n", ", ")
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)
            QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.DescriptionChanged))
