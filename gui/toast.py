"""Toasts: “Deleted. Undo” at the bottom for ten seconds, over whatever is on screen.

Everything destructive is done by hiding first and erasing later: the toast's `undo` brings it back, its `forget` is
called once nobody can undo any more. Rejected: “Are you sure?” boxes (answered without reading), one toast at a
time (a second delete would take the first one's undo away).
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from gui.icons import Icons
from gui.theme import set_kind

STAYS_MS = 10_000
SAYS_MS = 4_000
MOST_SHOWN = 4
BOTTOM_GAP = 46  # in logical pixels: above the footer


class Toast(QWidget):
    """The toasts of one window, the newest at the bottom."""

    def __init__(self, window: QWidget, icons: Icons) -> None:
        super().__init__(window)
        self._window, self._icons = window, icons
        self._cards: list[_ToastCard] = []
        self._gap = BOTTOM_GAP
        self.setAccessibleName(self.tr("Messages that can be undone"))
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        window.installEventFilter(self)
        self.hide()

    def show_undo(
        self,
        text: str,
        undo: Callable[[], object],
        forget: Callable[[], object] | None = None,
        *,
        stays_ms: int = STAYS_MS,
    ) -> None:
        """Say what was done and offer to undo it.

        Args:
            text: what was done (“Chat deleted”).
            undo: brings it back; called at most once, and never after `forget`.
            forget: makes it final, when the time is over or the toast was closed.
            stays_ms: for how long, in ms; the pointer over the toast stops the clock.
        """
        self._add(_ToastCard(text, undo, forget, stays_ms, self._icons, self))

    def show_text(self, text: str, *, stays_ms: int = SAYS_MS) -> None:
        """Say something that needs no answer (“Copied”)."""
        self._add(_ToastCard(text, None, None, stays_ms, self._icons, self))

    def set_bottom_gap(self, gap: int = BOTTOM_GAP) -> None:
        """Keep clear of what a page has at its lower edge (the composer); in logical pixels from the window's end."""
        self._gap = gap
        self._place()

    @property
    def texts(self) -> tuple[str, ...]:
        """What is said at the moment, oldest first."""
        return tuple(card.text for card in self._cards)

    def can_undo(self) -> bool:
        return any(card.undo is not None for card in self._cards)

    def undo_latest(self) -> None:
        """Undo what was done last, from the keyboard."""
        for card in reversed(self._cards):
            if card.undo is not None:
                card.take_back()
                return

    def forget_all(self) -> None:
        """Make everything final: the window closes."""
        for card in list(self._cards):
            card.end()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._window and event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def drop(self, card: _ToastCard) -> None:
        """Take a card that has ended off the screen."""
        self._cards.remove(card)
        self._layout.removeWidget(card)
        card.hide()
        card.deleteLater()
        self._place()

    def _add(self, card: _ToastCard) -> None:
        self._cards.append(card)
        self._layout.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        card.show()
        while len(self._cards) > MOST_SHOWN:
            self._cards[0].end()
        self._place()

    def _place(self) -> None:
        self.setVisible(bool(self._cards))
        if not self._cards:
            return
        self._layout.activate()
        size = self._layout.sizeHint()
        width = min(size.width(), self._window.width() - 32)
        x = (self._window.width() - width) // 2
        self.setGeometry(x, self._window.height() - size.height() - self._gap, width, size.height())
        self.raise_()


class _ToastCard(QFrame):
    """One message and its clock."""

    def __init__(
        self,
        text: str,
        undo: Callable[[], object] | None,
        forget: Callable[[], object] | None,
        stays_ms: int,
        icons: Icons,
        owner: Toast,
    ) -> None:
        super().__init__(owner)
        self.text, self.undo, self._forget, self._owner = text, undo, forget, owner
        self._left_ms, self._ended = stays_ms, False
        set_kind(self, "toast")
        self.setAccessibleName(text)
        label = QLabel(text)
        label.setTextFormat(Qt.TextFormat.PlainText)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 6, 6, 6)
        layout.setSpacing(8)
        layout.addWidget(label, 1)
        if undo is not None:
            button = QPushButton(self.tr("Undo"))
            button.setAccessibleName(self.tr("Undo: {text}").format(text=text))
            button.setToolTip(self.tr("Bring it back"))
            button.clicked.connect(self.take_back)
            layout.addWidget(button)
        close = QToolButton()
        icons.bind(close, "close", "text3", 16)
        close.setIconSize(QSize(16, 16))
        close.setAccessibleName(self.tr("Close this message"))
        close.setToolTip(self.tr("Close this message"))
        close.clicked.connect(self.end)
        layout.addWidget(close)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.end)
        self._timer.start(stays_ms)

    def take_back(self) -> None:
        """Undo, and go."""
        undo, self.undo, self._forget = self.undo, None, None
        self._leave()
        if undo is not None:
            undo()

    def end(self) -> None:
        """Make it final, and go."""
        forget, self.undo, self._forget = self._forget, None, None
        self._leave()
        if forget is not None:
            forget()

    def enterEvent(self, event: QEnterEvent) -> None:
        self._left_ms = max(1, self._timer.remainingTime())
        self._timer.stop()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        if not self._ended:
            self._timer.start(self._left_ms)
        super().leaveEvent(event)

    def _leave(self) -> None:
        self._ended = True
        self._timer.stop()
        self._owner.drop(self)
