"""Notices: what went wrong, with which value, and the next step as a button, in place and never in front.

A `NoticeCard` shows one `Trouble`; a `NoticeArea` stacks them at the top of a page. Nothing blocks and nothing
disappears by itself. What can be undone is said by a toast (gui/toast.py).
Rejected: message boxes (they stop everything for what can stand where it belongs).
"""

from __future__ import annotations

import enum

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.base.errors import Remedy, Trouble
from gui.icons import Icons
from gui.theme import set_kind

MOST_VISIBLE = 3


class Severity(enum.Enum):
    """How bad it is; the value is the icon and the colour's role."""

    INFO = ("info", "text2")
    GOOD = ("check", "good")
    WARNING = ("warning", "warning")
    ERROR = ("error", "bad")


class NoticeCard(QFrame):
    """One trouble as a card.

    Signals:
        remedy_chosen: the `Remedy` whose button was pressed; the card stays until somebody closes it.
        closed: the card wants to go; its area removes it.
    """

    remedy_chosen = Signal(object)
    closed = Signal()

    def __init__(
        self, trouble: Trouble, icons: Icons, severity: Severity = Severity.ERROR, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.trouble, self.severity, self._icons = trouble, severity, icons
        set_kind(self, "notice")
        self.setAccessibleName(self.tr("Notice: {sentence}").format(sentence=trouble.sentence()))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._mark = QLabel()
        self._mark.setAccessibleName(self._severity_text())
        self._mark.setToolTip(self._severity_text())
        self._draw_mark()
        icons.theme.changed.connect(self._draw_mark)

        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._label(trouble.what, "section"))
        if trouble.value:
            words.addWidget(self._label(trouble.value, "mono-dim"))
        if trouble.next_step:
            words.addWidget(self._label(_sentence(trouble.next_step), "dim"))

        self._details = self._make_details()
        self._details.setVisible(False)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)
        head.addWidget(self._make_close(), 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 10, 12)
        layout.setSpacing(8)
        layout.addLayout(head)
        if trouble.remedies or trouble.details:
            layout.addLayout(self._make_buttons())
        layout.addWidget(self._details)

    def show_details(self, shown: bool) -> None:
        """Fold the details out or in."""
        self._details.setVisible(shown)
        self._fold.setText(self.tr("Hide details") if shown else self.tr("Details"))

    def copy(self) -> None:
        """Put the sentence and the details into the clipboard."""
        parts = (self.trouble.sentence(), self.trouble.details)
        QGuiApplication.clipboard().setText("\n\n".join(part for part in parts if part))

    def _make_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(32, 0, 0, 0)
        row.setSpacing(8)
        for place, remedy in enumerate(self.trouble.remedies):
            button = QPushButton(remedy.label)
            set_kind(button, "primary" if place == 0 else "")
            button.setAccessibleName(remedy.label)
            button.clicked.connect(lambda _=False, chosen=remedy: self.remedy_chosen.emit(chosen))
            row.addWidget(button)
        self._fold = QPushButton(self.tr("Details"))
        set_kind(self._fold, "quiet")
        self._fold.setAccessibleName(self.tr("Details"))
        self._fold.clicked.connect(lambda: self.show_details(self._details.isHidden()))
        self._fold.setVisible(bool(self.trouble.details))
        row.addWidget(self._fold)
        row.addStretch(1)
        return row

    def _make_details(self) -> QWidget:
        box = QWidget()
        text = QPlainTextEdit(self.trouble.details)
        text.setReadOnly(True)
        text.setAccessibleName(self.tr("Details of the notice"))
        text.setFixedHeight(160)
        set_kind(text, "mono")
        copy = QPushButton(self.tr("Copy"))
        copy.setAccessibleName(self.tr("Copy the notice and its details"))
        set_kind(copy, "chip")
        copy.clicked.connect(self.copy)
        layout = QVBoxLayout(box)
        layout.setContentsMargins(32, 0, 4, 0)
        layout.setSpacing(8)
        layout.addWidget(text)
        layout.addWidget(copy, 0, Qt.AlignmentFlag.AlignLeft)
        return box

    def _make_close(self) -> QToolButton:
        close = QToolButton()
        self._icons.bind(close, "close", "text3", 16)
        close.setIconSize(QSize(16, 16))
        close.setAccessibleName(self.tr("Close this notice"))
        close.setToolTip(self.tr("Close this notice"))
        close.clicked.connect(self.closed)
        return close

    def _label(self, text: str, kind: str) -> QLabel:
        label = QLabel(text)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        set_kind(label, kind)
        return label

    def _draw_mark(self) -> None:
        name, role = self.severity.value
        self._mark.setPixmap(self._icons.pixmap(name, role, 20))

    def _severity_text(self) -> str:
        return {
            Severity.INFO: self.tr("Information"),
            Severity.GOOD: self.tr("Done"),
            Severity.WARNING: self.tr("Warning"),
            Severity.ERROR: self.tr("Error"),
        }[self.severity]


def _sentence(text: str) -> str:
    """The next step with a capital and a full stop: troubles keep it bare, so that it can stand in a line."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


class NoticeArea(QScrollArea):
    """The notices of one page, newest first; at most three are visible, the others are counted.

    As high as its notices, but never more than 45 % of the window: then it scrolls, and the page keeps its place.

    Signals:
        remedy_chosen: passed on from the cards.
    """

    remedy_chosen = Signal(object)

    def __init__(self, icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icons = icons
        self._cards: list[NoticeCard] = []
        self._showing_all = False
        self.setAccessibleName(self.tr("Notices"))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self._inner = QWidget()
        self._more = QPushButton()
        set_kind(self._more, "link")
        self._more.clicked.connect(self._toggle_all)
        self._layout = QVBoxLayout(self._inner)
        self._layout.setContentsMargins(16, 12, 16, 4)
        self._layout.setSpacing(8)
        self._layout.addWidget(self._more, 0, Qt.AlignmentFlag.AlignLeft)
        self.setWidget(self._inner)
        self._inner.installEventFilter(self)
        self._arrange()

    def set_edges(self, left: int, right: int) -> None:
        """Keep so many pixels free at the sides: the cards end where the page's text does."""
        margins = self._layout.contentsMargins()
        if (margins.left(), margins.right()) != (left, right):
            self._layout.setContentsMargins(left, margins.top(), right, margins.bottom())
            self._fit()

    @property
    def cards(self) -> tuple[NoticeCard, ...]:
        """All notices, newest first."""
        return tuple(self._cards)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._inner and event.type() == QEvent.Type.LayoutRequest:
            self._fit()  # something folded in or out
        elif watched is self._inner and event.type() == QEvent.Type.Resize:
            # Resized in the middle of a layout, Qt keeps the heights that it had found for the old size.
            self._layout.invalidate()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def show_trouble(self, trouble: Trouble, severity: Severity = Severity.ERROR) -> NoticeCard:
        """Add a notice on top. The same trouble again moves up instead of standing there twice."""
        for each in self._cards:
            if each.trouble == trouble and each.severity is severity:
                self._drop(each)
                break
        card = NoticeCard(trouble, self._icons, severity)
        card.remedy_chosen.connect(self._pass_on)
        card.closed.connect(lambda: self.remove(card))
        self._cards.insert(0, card)
        self._layout.insertWidget(0, card)
        self._arrange()
        return card

    def remove(self, card: NoticeCard) -> None:
        """Take one notice away, if it is still there."""
        if card in self._cards:
            self._drop(card)
            self._arrange()

    def clear(self) -> None:
        """Take all notices away (the page begins something new)."""
        for each in list(self._cards):
            self._drop(each)
        self._arrange()

    def _pass_on(self, remedy: Remedy) -> None:
        self.remedy_chosen.emit(remedy)

    def _drop(self, card: NoticeCard) -> None:
        self._cards.remove(card)
        self._layout.removeWidget(card)
        card.hide()
        card.deleteLater()

    def _toggle_all(self) -> None:
        self._showing_all = not self._showing_all
        self._arrange()

    def _arrange(self) -> None:
        n_more = max(0, len(self._cards) - MOST_VISIBLE)
        self._showing_all = self._showing_all and n_more > 0
        for place, each in enumerate(self._cards):
            each.setVisible(place < MOST_VISIBLE or self._showing_all)
        text = self.tr("Show fewer") if self._showing_all else self.tr("{n} more").format(n=n_more)
        self._more.setText(text)
        self._more.setAccessibleName(text)
        self._more.setVisible(n_more > 0)
        self.setVisible(bool(self._cards))
        self._fit()

    def _fit(self) -> None:
        if not self._cards:
            return
        # Not viewport().width(): the first viewport() handed to Python costs 14 ms at the start (PySide6 6.11).
        height = self._layout.totalHeightForWidth(self.contentsRect().width())
        height = height if height > 0 else self._layout.totalSizeHint().height()
        most = max(120, round(self.window().height() * 0.45))
        # A bar that is not needed would take the width that makes it needed: the text wraps, and the bar stays.
        policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if height > most else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.setVerticalScrollBarPolicy(policy)
        self.setFixedHeight(min(height, most))
