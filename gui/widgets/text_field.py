"""The editors of text: one line, a text of several lines, or a list with one text a line.

In a list the line break inside a text is written \\n, a tab \\t and a backslash \\\\, because a list of stop texts needs
line breaks as items. Rejected: a table with add and remove buttons (five clicks for what two lines of typing say).
"""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QTextCursor
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPlainTextEdit, QSizePolicy, QWidget

from engine.base.fields import Field, FieldError, FieldKind, Value
from gui.theme import Theme, repolish, set_kind

_PAUSE_MS = 300
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_MEANINGS = {spelled[1]: meant for meant, spelled in _ESCAPES.items()}


def escaped(text: str) -> str:
    """A text on one line: line breaks, tabs and backslashes as two signs each."""
    return "".join(_ESCAPES.get(sign, sign) for sign in text)


def unescaped(line: str) -> str:
    """What a line of the list means; a backslash before any other sign stands for itself."""
    result, signs = [], iter(line)
    for sign in signs:
        if sign != "\\":
            result.append(sign)
            continue
        following = next(signs, "")
        result.append(_MEANINGS.get(following, "\\" + following))
    return "".join(result)


class _LinesEdit(QPlainTextEdit):
    """Lines of text, as high as they are up to a limit; Tab leaves it, and leaving is told."""

    left = Signal()

    def __init__(self, theme: Theme, parent: QWidget, *, most_lines: int = 6) -> None:
        super().__init__(parent)
        self._theme, self._most_lines = theme, most_lines
        self.setTabChangesFocus(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(2)
        self.textChanged.connect(self.updateGeometry)
        set_kind(self, "mono")

    def sizeHint(self) -> QSize:
        n_lines = min(self._most_lines, max(2, self.blockCount()))
        return QSize(120, n_lines * self.fontMetrics().lineSpacing() + 20)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.sizeHint().height())

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.left.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and (
            event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            self.left.emit()
            return
        super().keyPressEvent(event)


class TextField(QWidget):
    """A line for a TEXT field, lines for a `multiline` or TEXT_LIST one. Emits when the text is final or typing pauses."""

    value_changed = Signal(object)
    refused = Signal(str)

    def __init__(self, theme: Theme, field: Field, *, compact: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if field.kind not in (FieldKind.TEXT, FieldKind.TEXT_LIST):
            raise ValueError(f"{field.key} is no text but {field.kind.value}")
        self._field = field
        self._value: Value = field.check(field.default)
        self._complaint = ""
        self.line: QLineEdit | None = None
        self.lines: QPlainTextEdit | None = None
        self._pause = QTimer(self, interval=_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._commit)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        if field.kind is FieldKind.TEXT and not field.multiline:
            self.line = QLineEdit(self)
            if compact:  # a length only: as high as the number boxes beside it
                self.line.setStyleSheet(f"QLineEdit {{ min-height: {theme.px(22)}px; padding: 0 7px; }}")
            self.line.textEdited.connect(self._pause.start)
            self.line.editingFinished.connect(self._commit)
            layout.addWidget(self.line)
        else:
            is_list = field.kind is FieldKind.TEXT_LIST
            self.lines = _LinesEdit(theme, self, most_lines=6 if is_list else 14)
            self.lines.setPlaceholderText(self.tr("one a line") if is_list else self.tr("empty"))
            self.lines.textChanged.connect(self._pause.start)
            self.lines.left.connect(self._commit)
            layout.addWidget(self.lines)
        self._show_value()

    @property
    def field(self) -> Field:
        return self._field

    def value(self) -> Value:
        return self._value

    def set_value(self, value: Value) -> None:
        checked = self._field.check(value)
        if checked == self._value and self._pause.isActive():
            return  # still typing
        if checked != self._value or self._complaint:
            self._value = checked
            self._show_value()
        self._complain("")

    def reset(self) -> None:
        self._pause.stop()
        self._complain("")
        changed = self._value != self._field.default
        self._value = self._field.default
        self._show_value()
        if changed:
            self.value_changed.emit(self._value)

    def control(self) -> QWidget:
        return self.line or self.lines or self

    def go_to(self, line: int, column: int) -> None:
        """Put the cursor at a line and column, both counted from 1; past the end it stands at the end."""
        if self.lines is None:
            if self.line is not None:
                self.line.setCursorPosition(max(0, column - 1))
        else:
            block = self.lines.document().findBlockByNumber(max(0, line - 1))
            cursor = self.lines.textCursor()
            if block.isValid():
                cursor.setPosition(block.position() + min(max(0, column - 1), max(0, block.length() - 1)))
            else:
                cursor.movePosition(QTextCursor.MoveOperation.End)
            self.lines.setTextCursor(cursor)
            self.lines.ensureCursorVisible()
        self.control().setFocus(Qt.FocusReason.OtherFocusReason)

    def headline(self) -> QWidget | None:
        return None

    def has_body(self) -> bool:
        return True

    def set_names(self, name: str, description: str) -> None:
        self.control().setAccessibleName(name)
        self.control().setAccessibleDescription(description)

    def _typed(self) -> Value:
        if self.line is not None:
            return self.line.text()
        text = self.lines.toPlainText() if self.lines is not None else ""
        if self._field.kind is FieldKind.TEXT:
            return text
        return tuple(unescaped(line) for line in text.split("\n") if line)

    def _commit(self) -> None:
        self._pause.stop()
        try:
            value = self._field.check(self._typed())
        except FieldError as error:
            self._complain(error.trouble.sentence())
            return
        self._complain("")
        if value != self._value:
            self._value = value
            self.value_changed.emit(value)

    def _complain(self, complaint: str) -> None:
        if complaint == self._complaint:
            return
        self._complaint = complaint
        self.control().setProperty("invalid", bool(complaint))
        repolish(self.control())
        self.refused.emit(complaint)

    def _show_value(self) -> None:
        value = self._value
        if self.line is not None:
            self.line.setText(str(value))
        elif self.lines is not None:
            text = "\n".join(escaped(item) for item in value) if isinstance(value, tuple) else str(value)
            if text == self.lines.toPlainText():
                return  # the cursor stays where it is
            with QSignalBlocker(self.lines):
                self.lines.setPlainText(text)
            self.lines.updateGeometry()
