"""The composer: a card with a text that grows with what is typed, and one button that is Send or Stop.

Enter sends, Shift+Enter begins a line. What is typed is told after a short pause, so that it can be kept as a draft.
The text leaves the card only when it was really said; a refusal leaves it where it is.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QPen, QTextOption
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from gui.model_name import split_name
from gui.panels.chat.states import ComposerState
from gui.theme import Theme, set_kind
from gui.widgets.elided_label import ElidedLabel

MOST_LINES = 8
DRAFT_AFTER_MS = 400


class ComposerEdit(QPlainTextEdit):
    """The text. Signals: `entered` on Enter, `escaped` on Escape while `takes_escape`, `focus_changed`."""

    entered = Signal()
    escaped = Signal()
    focus_changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.takes_escape = False
        set_kind(self, "bare")
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(lambda _size: self.fit())
        theme.changed.connect(self._restyle)
        self._restyle()

    @property
    def n_lines(self) -> int:
        """How many lines the text has on screen, at least one."""
        return max(1, round(self.document().size().height()))

    def fit(self) -> None:
        """Be as high as the text, one to eight lines; then it scrolls."""
        height = min(MOST_LINES, self.n_lines) * self.fontMetrics().lineSpacing() + 2
        if height != self.height():
            self.setFixedHeight(height)

    def event(self, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Escape
            and self.takes_escape
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and not event.modifiers() & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.AltModifier):
            self.entered.emit()
        elif event.key() == Qt.Key.Key_Escape and self.takes_escape:
            self.escaped.emit()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focus_changed.emit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.focus_changed.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self.fit()

    def _restyle(self) -> None:
        self.setStyleSheet(f"QPlainTextEdit {{ font-size: {self._theme.px(15)}px; }}")  # a size only
        self.fit()


class Composer(QFrame):
    """The card.

    Signals:
        sent: Enter or Send, with the text; answer with `clear` once it was said.
        stopped: Stop.
        draft_changed: what stands here now, a moment after the last key.
        edit_left: the edit of an older message was given up.
    """

    sent = Signal(str)
    stopped = Signal()
    draft_changed = Signal(str)
    edit_left = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._state = ComposerState()
        self._kept: str | None = None  # the draft behind an edit
        self.setAccessibleName(self.tr("Composer"))
        self.edit = ComposerEdit(theme)
        self.edit.setAccessibleName(self.tr("Message"))
        self.edit.entered.connect(self._enter)
        self.edit.escaped.connect(self.edit_left)
        self.edit.focus_changed.connect(self.update)
        self.edit.textChanged.connect(self._typed)
        self._hint = ElidedLabel()
        set_kind(self._hint, "caption")
        self._keys = QLabel(self.tr("Esc"))
        set_kind(self._keys, "mono-faint")
        self._leave = QPushButton(self.tr("Cancel"))
        self._leave.setAccessibleName(self.tr("Leave the message as it is"))
        set_kind(self._leave, "quiet")
        self._leave.clicked.connect(self.edit_left)
        self.button = QPushButton()
        set_kind(self.button, "primary")
        self.button.clicked.connect(self._press)
        self._timer = QTimer(self, singleShot=True, interval=DRAFT_AFTER_MS)
        self._timer.timeout.connect(self._tell_draft)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._hint, 1)
        row.addWidget(self._keys)
        row.addWidget(self._leave)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 12, 10)
        layout.setSpacing(10)
        layout.addWidget(self.edit)
        layout.addLayout(row)
        theme.changed.connect(self._restyle)
        self._restyle()
        self.set_state(self._state)

    # ---- what stands here

    @property
    def text(self) -> str:
        return self.edit.toPlainText()

    def set_text(self, text: str) -> None:
        """Put this text here; it is not told as a draft."""
        if text == self.text:
            return
        self.edit.blockSignals(True)
        self.edit.setPlainText(text)
        self.edit.moveCursor(self.edit.textCursor().MoveOperation.End)
        self.edit.blockSignals(False)
        self._timer.stop()
        self.edit.fit()
        self._show_button()

    def clear(self) -> None:
        """The text was said."""
        self.set_text("")

    def flush_draft(self) -> None:
        """Tell what stands here now, without the pause."""
        if self._timer.isActive():
            self._tell_draft()

    def begin_edit(self, text: str) -> None:
        """Show an older message instead of the draft, which comes back when the state says that the edit is over."""
        if self._kept is None:
            self._kept = self.text
        self.set_text(text)
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def _end_edit(self) -> None:
        kept, self._kept = self._kept, None
        self.set_text(kept or "")

    # ---- what it offers

    @property
    def state(self) -> ComposerState:
        return self._state

    def set_state(self, state: ComposerState) -> None:
        """Show what can be done."""
        self._state = state
        if not state.editing and self._kept is not None:
            self._end_edit()
        self.edit.takes_escape = state.editing
        name = split_name(state.label)[0] or self.tr("the model")
        if state.label:
            self.edit.setPlaceholderText(self.tr("Message {model} …").format(model=name))
        else:
            self.edit.setPlaceholderText(self.tr("Write a message …"))
        self._hint.setText(self._hint_text(name))
        self._keys.setVisible(state.can_stop)
        self._leave.setVisible(state.editing and not state.can_stop)
        self._show_button()

    def _hint_text(self, name: str) -> str:
        state = self._state
        if state.editing:
            return self.tr("Editing a message; the old one stays as another version")
        if state.waiting:
            return self.tr("Will be sent when {model} is ready").format(model=name)
        return ""

    def _show_button(self) -> None:
        state = self._state
        if state.can_force:
            text, tip = self.tr("Stop now"), self.tr("End the engine's process; what was written is kept")
        elif state.can_stop:
            text, tip = self.tr("Stop"), self.tr("Stop; what was written is kept  Esc")
        else:
            text, tip = self.tr("Send"), self.tr("Send  Enter\nShift+Enter begins a new line")
        if text != self.button.text():
            self.button.setText(text)
            self.button.setAccessibleName(text)
            self.button.setToolTip(tip)
        self.button.setEnabled(state.can_stop or bool(self.text.strip()))

    # ---- hands

    def _enter(self) -> None:
        if self._state.can_send:
            self._send()

    def _press(self) -> None:
        if self._state.can_stop:
            self.stopped.emit()
        else:
            self._send()

    def _send(self) -> None:
        if self.text.strip():
            self.sent.emit(self.text)

    def _typed(self) -> None:
        self._timer.start()
        self._show_button()

    def _tell_draft(self) -> None:
        self._timer.stop()
        self.draft_changed.emit(self.text if self._kept is None else self._kept)

    def _restyle(self) -> None:
        self.button.setMinimumWidth(self._theme.px(64))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        role = "accent" if self.edit.hasFocus() else "hairline"
        painter.setPen(QPen(self._theme.color(role), 1))
        painter.setBrush(self._theme.color("surface2"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), Theme.RADIUS, Theme.RADIUS)
