"""What lies over and beside the messages: the button back to the end, the empty state, the focus ring, the scroll bar."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QLabel, QScrollBar, QVBoxLayout, QWidget

from gui.icons import Icons
from gui.theme import Theme, set_kind
from gui.widgets.paint import draw_chevron, draw_focus_ring
from gui.widgets.transcript.styles import SMALL_SIZE


class JumpButton(QAbstractButton):
    """A pill at the lower edge: "Jump to latest". With `icons` it has their arrow, else a painted one."""

    def __init__(self, theme: Theme, icons: Icons | None, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setText(self.tr("Jump to latest"))
        self.setAccessibleName(self.text())
        self.setToolTip(self.tr("Go to the end of the conversation and follow it (End)"))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        if icons is not None:
            icons.bind(self, "jump-down", "text2", 14)

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self._theme.ui_font(SMALL_SIZE))
        return QSize(round(metrics.horizontalAdvance(self.text())) + 46, self._theme.px(30))

    def place(self, area: QRect) -> None:
        """Stand in the middle of the lower edge of `area`, in the parent's coordinates."""
        size = self.sizeHint()
        x = area.left() + (area.width() - size.width()) // 2
        self.setGeometry(x, area.bottom() - size.height() - 12, size.width(), size.height())
        self.raise_()

    def apply_theme(self) -> None:
        self.updateGeometry()
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(theme.color("hairline"), 1))
        painter.setBrush(theme.color("surface3" if self.underMouse() or self.isDown() else "surface2"))
        painter.drawRoundedRect(rect, rect.height() / 2, rect.height() / 2)
        mark = QRectF(12, (self.height() - 14) / 2, 14, 14)
        if self.icon().isNull():
            draw_chevron(painter, mark, theme.color("text2"), is_open=True)
        else:
            self.icon().paint(painter, mark.toRect())
        painter.setFont(theme.ui_font(SMALL_SIZE))
        painter.setPen(theme.color("text1"))
        painter.drawText(rect.adjusted(30, 0, -8, 0), Qt.AlignmentFlag.AlignVCenter, self.text())
        if self.hasFocus():
            draw_focus_ring(painter, QRectF(self.rect()), theme, rect.height() / 2)
        painter.end()


class EmptyState(QWidget):
    """Two lines in the middle: what will be here, and the first step."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._title = QLabel(self)
        self._hint = QLabel(self)
        set_kind(self._title, "heading")
        set_kind(self._hint, "dim")
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        for label in (self._title, self._hint):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            layout.addWidget(label)
        layout.addStretch(3)
        self.set_text(self.tr("No messages yet"), self.tr("Write the first one below."))
        self.apply_theme()

    def set_text(self, title: str, hint: str) -> None:
        self._title.setText(title)
        self._hint.setText(hint)

    def apply_theme(self) -> None:
        self._title.ensurePolished()  # the style sheet sets the size and would drop the weight
        self._title.setFont(self._theme.ui_font(15, QFont.Weight.DemiBold))
        self._hint.setFont(self._theme.ui_font(13))


class FocusRing(QWidget):
    """A ring around a widget while it has the keyboard's focus from Tab. It takes no clicks."""

    def __init__(self, theme: Theme, around: QWidget) -> None:
        super().__init__(around)
        self._theme = theme
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()
        around.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QFocusEvent):
            by_tab = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
            self.setVisible(event.gotFocus() and by_tab)
            self.raise_()
        elif isinstance(event, QResizeEvent):
            self.resize(event.size())
        return super().eventFilter(watched, event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        draw_focus_ring(painter, QRectF(self.rect()), self._theme, self._theme.RADIUS_SMALL)
        painter.end()


class PlainScrollBar(QScrollBar):
    """Keeps its room when there is nothing to scroll, so the text's width never changes, but shows nothing then."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self.setSingleStep(40)
        self.setAccessibleName(self.tr("Scroll the conversation"))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.maximum() > self.minimum():
            super().paintEvent(event)
