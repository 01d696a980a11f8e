"""One message on screen: who, the folded thoughts, the text, the figures and what can be done with it.

A view is taken from a pool and given one value after the other, so it places its few children itself and makes none
while it is used. Rejected: a layout (three passes for what is five rectangles) and a new widget a message (2,000 of
them take 5.6 s to open).
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QWidget

from gui.theme import set_kind
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.transcript.blocks import Grammar
from gui.widgets.transcript.body import CARET_WIDTH, TextBody
from gui.widgets.transcript.highlight import Highlighter
from gui.widgets.transcript.quiet_button import QuietButton
from gui.widgets.transcript.styles import TextStyles
from gui.widgets.transcript.values import MessageState, MessageValue, Role

NAME_LIMIT = 2_000  # characters of the text that go into the accessible name; the rest is in the text itself
STATS_GAP = "\u2003"
CARET_ROOM = CARET_WIDTH + 6  # the caret may stand behind a full line


class MessageView(QWidget):
    """Shows one `MessageValue`. Its signals carry the id of the message that is shown."""

    copy_asked = Signal(str)
    edit_asked = Signal(str)
    again_asked = Signal(str)
    tokens_asked = Signal(str)
    sibling_asked = Signal(str, int)
    link_clicked = Signal(str)
    fold_toggled = Signal(str, bool)
    dragged = Signal(QPoint)  # while text is selected: the pointer, in this widget
    caret_moved = Signal(int, int)  # the text cursor was moved by key: its top and bottom in this widget

    def __init__(self, styles: TextStyles, grammar: Grammar, highlighter: Highlighter, parent: QWidget) -> None:
        super().__init__(parent)
        theme = styles.theme
        # Opaque: Qt then scrolls it by moving its pixels; otherwise each new line would draw all messages anew.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAttribute(Qt.WidgetAttribute.WA_StaticContents)
        self._styles, self._grammar, self._highlighter = styles, grammar, highlighter
        self.value: MessageValue | None = None
        self._shown_version = 0  # of the styles that the texts were written with
        self._is_streaming = False
        self._thinking_shown: str | None = None

        self._label = ElidedLabel(parent=self)
        self._siblings = QLabel(self)
        self._badge = QLabel(self)
        self._stats = QLabel(self)
        set_kind(self._label, "small")
        for label in (self._siblings, self._badge, self._stats):
            set_kind(label, "caption")
        for label in (self._label, self._siblings, self._badge, self._stats):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._stats.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._previous = QuietButton(theme, "‹", self, self.tr("Previous answer"))
        self._next = QuietButton(theme, "›", self, self.tr("Next answer"))
        self._fold = QuietButton(theme, "", self, self.tr("Thoughts"), is_fold=True)
        self._thoughts: TextBody | None = None
        self.body = TextBody(styles, grammar, highlighter, self)
        self._copy = QuietButton(theme, self.tr("Copy"), self, self.tr("Copy message as Markdown"))
        self._edit = QuietButton(theme, self.tr("Edit"), self, self.tr("Edit message"))
        self._tokens = QuietButton(theme, self.tr("Tokens"), self, self.tr("Show the tokens of this answer"))
        self._again = QuietButton(theme, self.tr("Again"), self, self.tr("Answer again"))

        self._copy.clicked.connect(lambda: self.copy_asked.emit(self._id()))
        self._edit.clicked.connect(lambda: self.edit_asked.emit(self._id()))
        self._tokens.clicked.connect(lambda: self.tokens_asked.emit(self._id()))
        self._again.clicked.connect(lambda: self.again_asked.emit(self._id()))
        self._previous.clicked.connect(lambda: self.sibling_asked.emit(self._id(), -1))
        self._next.clicked.connect(lambda: self.sibling_asked.emit(self._id(), 1))
        self._fold.toggled.connect(lambda is_open: self.fold_toggled.emit(self._id(), is_open))
        self.body.link_clicked.connect(self.link_clicked)
        self.body.copy_all.connect(lambda: self.copy_asked.emit(self._id()))
        self.body.dragged.connect(lambda point: self.dragged.emit(self.body.mapTo(self, point)))
        self.body.cursorPositionChanged.connect(self._body_cursor_moved)

    # ---- what is shown

    def shows(self, value: MessageValue) -> bool:
        """Whether the view has this very value drawn in the present look."""
        return self.value is value and not self._is_streaming and self.has_look_of_now()

    def has_look_of_now(self) -> bool:
        """Whether it was drawn in the theme's present colours and sizes."""
        return self._shown_version == self._styles.version

    def show_message(self, value: MessageValue, *, is_streaming: bool, is_open: bool) -> None:
        """Show a message instead of the one before.

        Args:
            is_streaming: more text will be appended.
            is_open: the thoughts are folded out.
        """
        before = self.value
        is_same_text = (
            before is not None
            and not is_streaming
            and not self._is_streaming
            and self.has_look_of_now()
            and (before.id, before.text, before.role) == (value.id, value.text, value.role)
        )
        self.value = value
        self._is_streaming = is_streaming
        if not self.has_look_of_now():
            self._apply_theme()
        keep_breaks = value.role is Role.USER
        if is_streaming:
            self.body.begin_markdown(value.text, keep_breaks=keep_breaks)
        elif not is_same_text:
            self.body.show_markdown(value.text, keep_breaks=keep_breaks)
        self._thinking_shown = None
        self._show_rest(is_open)

    def append_text(self, text: str) -> None:
        """Insert text at the end of a streaming message; `draw_changed` has it drawn once the view is in its place."""
        self.body.append_markdown(text)

    def draw_changed(self) -> None:
        """Have the text that was inserted drawn."""
        self.body.draw_changed()

    def growth(self) -> int:
        """How many pixels higher the text is than its place, which `lay_out` will give it."""
        return 0 if self.body.isHidden() else max(0, self.body.text_height() - self.body.height())

    def is_as_high_as_its_text(self) -> bool:
        """Whether the answer's text has the height that `lay_out` gave it."""
        return not self.body.isHidden() and self.body.text_height() == self.body.height()

    def append_thinking(self, text: str) -> None:
        """Insert text at the end of its thoughts; only written when they are folded out."""
        if self._thinking_shown is not None and self._thoughts is not None and self._fold.isChecked():
            self._thoughts.plain.append(text)
            self._thinking_shown += text

    def finish(self, value: MessageValue, *, is_open: bool) -> None:
        """The streaming message is whole: put right what a part could not know, show the figures."""
        self.value = value
        if self._is_streaming:
            self._is_streaming = False
            self.body.flow.finish(value.text)
        self._show_rest(is_open)

    def refresh_fold(self, value: MessageValue, *, is_open: bool) -> None:
        """The thoughts began, ended, or were folded."""
        self.value = value
        self._show_fold(is_open)

    def has_selection(self) -> bool:
        return self.body.textCursor().hasSelection()

    def browsers(self) -> list[TextBody]:
        """The texts on screen."""
        return [each for each in (self._thoughts, self.body) if each is not None and not each.isHidden()]

    def focus_chain(self) -> list[QWidget]:
        """What Tab goes through, in order."""
        chain = [self._previous, self._next, self._fold, self._thoughts, self.body, *self._actions()]
        return [each for each in chain if each is not None]

    # ---- parts

    def _id(self) -> str:
        assert self.value is not None
        return self.value.id

    def _apply_theme(self) -> None:
        self._shown_version = self._styles.version
        font = self._styles.theme.ui_font(12)
        font.setWeight(QFont.Weight.DemiBold)
        self._label.ensurePolished()  # the style sheet sets the size and would drop the weight
        self._label.setFont(font)
        self.body.apply_theme()
        if self._thoughts is not None:
            self._thoughts.apply_theme()
        self._thinking_shown = None

    def _show_rest(self, is_open: bool) -> None:
        value = self.value
        assert value is not None
        is_writing = value.state is MessageState.WRITING
        self._label.setText(value.label)
        has_siblings = value.sibling_count > 1
        position = self.tr("{n} of {count}").format(n=value.sibling_index + 1, count=value.sibling_count)
        self._siblings.setText(position if has_siblings else "")
        self._previous.setVisible(has_siblings)
        self._next.setVisible(has_siblings)
        self._previous.setEnabled(value.sibling_index > 0)
        self._next.setEnabled(value.sibling_index + 1 < value.sibling_count)
        self._show_badge(value.state)
        self._stats.setVisible(bool(value.stats))
        self._stats.setToolTip("\n".join(each for each in (*value.stats, value.stats_tip) if each))
        self._copy.setVisible(not is_writing)
        self._edit.setVisible(not is_writing)
        self._tokens.setVisible(not is_writing and value.role is Role.ASSISTANT and bool(value.stats))
        self._again.setVisible(not is_writing and value.role is Role.ASSISTANT)
        self._set_shy(value.role is Role.USER and not self.underMouse())
        self.body.set_writing(is_writing)
        self.body.setVisible(bool(value.text) or is_writing)
        self.body.setAccessibleName(f"{value.label}: {value.text[:NAME_LIMIT]}")
        self._show_fold(is_open)

    def _show_badge(self, state: MessageState) -> None:
        words = {MessageState.STOPPED: self.tr("Stopped"), MessageState.FAILED: self.tr("Failed")}
        self._badge.setText(words.get(state, ""))
        self._badge.setVisible(state in words)
        colour = "bad" if state is MessageState.FAILED else "warning"
        set_kind(self._badge, colour)
        self._badge.setFont(self._styles.theme.ui_font(12))

    def _show_fold(self, is_open: bool) -> None:
        value = self.value
        assert value is not None
        self._fold.setVisible(bool(value.thinking))
        if not value.thinking:
            if self._thoughts is not None:
                self._thoughts.hide()
            return
        if value.thinking_s is not None:
            words = self.tr("Thought for {seconds} s").format(seconds=f"{value.thinking_s:.1f}")
        elif value.state is MessageState.WRITING and not value.text:
            words = self.tr("Thinking …")
        else:
            words = self.tr("Thoughts")
        self._fold.setText(words)
        self._fold.setAccessibleName(words)
        self._fold.blockSignals(True)
        self._fold.setChecked(is_open)
        self._fold.blockSignals(False)
        if not is_open:
            if self._thoughts is not None:
                self._thoughts.hide()
            return
        if self._thoughts is None:
            self._thoughts = TextBody(self._styles, self._grammar, self._highlighter, self)
            self._thoughts.apply_theme()
            self._thoughts.dragged.connect(self._thoughts_dragged)
            self._thoughts.copy_all.connect(lambda: self.copy_asked.emit(self._id()))
            self._thoughts.link_clicked.connect(self.link_clicked)
        if self._thinking_shown != value.thinking:
            self._thoughts.plain.show(value.thinking)
            self._thinking_shown = value.thinking
            self._thoughts.setAccessibleName(f"{value.label}, {words}: {value.thinking[:NAME_LIMIT]}")
        self._thoughts.show()

    def _thoughts_dragged(self, point: QPoint) -> None:
        assert self._thoughts is not None
        self.dragged.emit(self._thoughts.mapTo(self, point))

    def _set_shy(self, shy: bool) -> None:
        for button in self._actions():
            button.set_shy(shy)

    def _actions(self) -> tuple[QuietButton, ...]:
        """What can be done with the message, from left to right."""
        return self._copy, self._edit, self._tokens, self._again

    def _body_cursor_moved(self) -> None:
        if self.body.hasFocus():
            rect = self.body.cursorRect()
            top = self.body.mapTo(self, rect.topLeft()).y()
            self.caret_moved.emit(top, top + rect.height())

    # ---- geometry

    def lay_out(self, width: int) -> int:
        """Place everything in a column of `width` pixels; returns the height. `resize` is the caller's."""
        theme = self._styles.theme
        row = theme.px(22)
        y = self._lay_out_head(width, row)
        if not self._fold.isHidden():
            size = self._fold.sizeHint()
            self._fold.setGeometry(0, y, size.width(), size.height())
            y += size.height() + 2
            if self._thoughts is not None and not self._thoughts.isHidden():
                self._thoughts.set_text_width(width)
                height = self._thoughts.text_height()
                self._thoughts.setGeometry(0, y, width, height)
                y += height + theme.SPACE[1]
        if not self.body.isHidden():
            self.body.set_text_width(width)
            height = self.body.text_height()
            self.body.setGeometry(0, y, width + CARET_ROOM, height)
            y += height
        assert self.value is not None
        if self.value.role is not Role.USER:
            y += theme.SPACE[0]
            self._lay_out_foot(y, width, row)
            y += row
        return y

    def _lay_out_head(self, width: int, row: int) -> int:
        space = self._styles.theme.SPACE[1]
        room = width // 2
        x = 0
        for each in (self._label, self._siblings, self._badge):
            if each.isHidden() or not each.text():
                each.setGeometry(x, 0, 0, row)
                continue
            wide = min(each.sizeHint().width(), room)
            each.setGeometry(x, 0, wide, row)
            x += wide + space
            if each is self._siblings:
                for button in (self._previous, self._next):
                    size = button.sizeHint()
                    button.setGeometry(x - space + 2, 0, size.width(), row)
                    x += size.width()
        assert self.value is not None
        if self.value.role is Role.USER:
            self._place_actions(0, width, row)
        return row + 3

    def _lay_out_foot(self, y: int, width: int, row: int) -> None:
        left = self._place_actions(y, width, row)
        assert self.value is not None
        parts = list(self.value.stats)
        room = left - self._styles.theme.SPACE[2]
        self._stats.setText(STATS_GAP.join(parts))
        while parts and self._stats.sizeHint().width() > room:
            parts.pop()  # the tooltip has them all
            self._stats.setText(STATS_GAP.join(parts))
        self._stats.setGeometry(0, y, self._stats.sizeHint().width() if parts else 0, row)

    def _place_actions(self, y: int, width: int, row: int) -> int:
        """Put the buttons at the right; returns where the first one begins."""
        x = width + QuietButton.PAD
        for button in reversed(self._actions()):
            if button.isHidden():
                continue
            size = button.sizeHint()
            x -= size.width()
            button.setGeometry(x, y, size.width(), row)
        return x

    def place_copy_buttons(self, top: int, bottom: int) -> None:
        """Give the code between two heights of this widget its buttons."""
        if not self.body.isHidden():
            self.body.place_copy_buttons(top - self.body.y(), bottom - self.body.y())

    def sizeHint(self) -> QSize:
        return self.size()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._styles.theme.color("surface0"))
        painter.end()

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self._set_shy(False)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        if self.value is not None:
            self._set_shy(self.value.role is Role.USER)
