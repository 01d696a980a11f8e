"""The conversation on screen: a virtual list of messages that can be 2,000 long and one of them still being written.

Only the rows in sight have widgets; the rest are estimated heights. What the reader looks at never moves by itself:
one row in sight is the anchor, and when a height above it turns out different, the scroll position is corrected by as
much. The view follows the end only while it is at the end.

Rejected, with their measurements in CHOICES section 4: one browser for everything (2.8 s to open, 160 ms to append),
a widget a message, QListView with a delegate, QML, a web view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QElapsedTimer, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QWidget

from gui.icons import Icons
from gui.theme import Theme
from gui.widgets.transcript.blocks import Grammar
from gui.widgets.transcript.highlight import Highlighter
from gui.widgets.transcript.message_view import CARET_ROOM, MessageView
from gui.widgets.transcript.overlays import EmptyState, JumpButton
from gui.widgets.transcript.pool import ViewPool
from gui.widgets.transcript.rows import Row, Rows
from gui.widgets.transcript.styles import TextStyles
from gui.widgets.transcript.values import MessageState, MessageValue

COLUMN_WIDTH = 740  # pixels of text at most; with the margins it stays within 760 of the drawing
MARGIN = 22
TOP, BOTTOM, GAP = 20, 20, 18
FLUSH_MS = 33  # 30 updates a second
BUSY_SHARE = 4  # an update that took long is followed by a pause this many times as long
LONGEST_FLUSH_MS = 600
NEAR_END = 2  # pixels


class Transcript(QAbstractScrollArea):
    """Shows messages; see `MessageValue`. All methods are for the window's thread.

    Signals carry the message's id. Copy has put the Markdown source on the clipboard already when it is emitted.
    """

    copy_requested = Signal(str)
    edit_requested = Signal(str)
    again_requested = Signal(str)
    sibling_requested = Signal(str, int)  # id, -1 or 1
    link_clicked = Signal(str)
    following_changed = Signal(bool)

    def __init__(self, theme: Theme, icons: Icons | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._styles = TextStyles(theme)
        self._grammar = Grammar()
        self._highlighter = Highlighter()
        self._rows = Rows()
        self._pool = ViewPool(self._make_view)
        self._pending: dict[str, tuple[list[str], list[str]]] = {}
        self._is_following = True
        self._anchor: tuple[str, int] | None = None  # a message and how far its top is above the viewport's
        self._is_placing = False
        self._drag_step = 0
        self._flush_timer = QTimer(self, singleShot=True)
        self._flush_timer.timeout.connect(self.flush)
        self._drag_timer = QTimer(self, interval=30)
        self._drag_timer.timeout.connect(self._drag_on)

        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Conversation"))
        self.viewport().setAutoFillBackground(False)
        self.verticalScrollBar().setSingleStep(40)
        self.verticalScrollBar().setAccessibleName(self.tr("Scroll the conversation"))
        self._empty = EmptyState(theme, self.viewport())
        self._jump = JumpButton(theme, icons, self)
        self._jump.clicked.connect(self.jump_to_latest)
        self._jump.hide()
        theme.changed.connect(self._theme_changed)

    # ---- messages

    def set_messages(self, values: Sequence[MessageValue]) -> None:
        """Show another list. If it begins with the same message, the reader stays where they are; else at the end."""
        is_same = bool(values) and len(self._rows) > 0 and self._rows[0].value.id == values[0].id
        self._drop_pending()
        for message_id in self._pool.ids():
            self._pool.release(message_id)
        self._rows.reset(values, self._column())
        if not is_same or (self._anchor is not None and self._anchor[0] not in self._rows):
            self._is_following, self._anchor = True, None
        self._place()

    def append_message(self, value: MessageValue) -> None:
        """Add a message at the end."""
        self._rows.append(value, self._column())
        self._place()

    def update(self, message_id: str, value: MessageValue) -> None:  # type: ignore[override]
        """Show another value in this message's place. An unknown id raises `KeyError`."""
        number = self._rows.number(message_id)
        self._pending.pop(message_id, None)
        self._pool.rename(message_id, value.id)
        if self._anchor is not None and self._anchor[0] == message_id:
            self._anchor = (value.id, self._anchor[1])
        self._rows.replace(number, value)
        self._rows[number].is_streaming = False
        self._show_again(number)
        self._place()

    def remove_after(self, message_id: str) -> None:
        """Take away every message after this one."""
        for row in self._rows.truncate(self._rows.number(message_id) + 1):
            self._pending.pop(row.value.id, None)
            if self._pool.live(row.value.id) is not None:
                self._pool.release(row.value.id)
            if self._anchor is not None and self._anchor[0] == row.value.id:
                self._anchor = None
        self._place()

    # ---- a message that is being written

    def begin_stream(self, message_id: str) -> None:
        """More text will come for this message; it has the caret until `finish`."""
        number = self._rows.number(message_id)
        row = self._rows[number]
        row.is_streaming = True
        if row.value.state is not MessageState.WRITING:
            row.value = replace(row.value, state=MessageState.WRITING)
        self._show_again(number)
        self._place()

    def append_text(self, message_id: str, text: str) -> None:
        """Add answer text. Shown with what else comes in the next 33 ms."""
        self._queue(message_id)[0].append(text)

    def append_thinking(self, message_id: str, text: str) -> None:
        """Add thoughts. As `append_text`."""
        self._queue(message_id)[1].append(text)

    def finish(self, message_id: str, value: MessageValue) -> None:
        """The message is whole, stopped or failed: `value` has all its text. Its id may be another one."""
        self.flush()
        number = self._rows.number(message_id)
        row = self._rows[number]
        self._pool.rename(message_id, value.id)
        if self._anchor is not None and self._anchor[0] == message_id:
            self._anchor = (value.id, self._anchor[1])
        self._rows.replace(number, value)
        row.is_streaming = False
        view = self._pool.live(value.id)
        if view is not None:
            view.finish(value, is_open=row.is_open)
        self._place()

    def flush(self) -> None:
        """Show what is waiting now, instead of at the end of the 33 ms."""
        self._flush_timer.stop()
        pending, self._pending = self._pending, {}
        for message_id, (texts, thoughts) in pending.items():
            self._insert(message_id, "".join(texts), "".join(thoughts))
        if pending:
            self._place()

    # ---- where the reader is

    @property
    def is_following(self) -> bool:
        """Whether the view stays at the end while text comes."""
        return self._is_following

    def jump_to_latest(self) -> None:
        """Go to the end, and follow it again."""
        self._follow(True)
        self._place()

    def scroll_to(self, message_id: str) -> None:
        """Put the top of a message at the top of the view. An unknown id raises `KeyError`."""
        self._rows.number(message_id)
        self._follow(False)
        self._anchor = (message_id, -GAP)
        self._place()
        self._follow(self._is_at_end())

    def set_empty_text(self, title: str, hint: str) -> None:
        """What stands here while there is no message."""
        self._empty.set_text(title, hint)

    def source_text(self, message_id: str) -> str:
        """The Markdown source of a message, exactly as it came."""
        self.flush()
        return self._rows[self._rows.number(message_id)].settle().text

    def view_of(self, message_id: str) -> MessageView | None:
        """The widget of a message in sight; None if it is not in sight."""
        return self._pool.live(message_id)

    @property
    def n_views(self) -> int:
        """How many message widgets there are, in sight and kept."""
        return len(self._pool)

    # ---- streaming, inside

    def _queue(self, message_id: str) -> tuple[list[str], list[str]]:
        if not self._rows[self._rows.number(message_id)].is_streaming:
            self.begin_stream(message_id)
        if not self._flush_timer.isActive():
            self._flush_timer.start(FLUSH_MS)
        return self._pending.setdefault(message_id, ([], []))

    def _insert(self, message_id: str, text: str, thoughts: str) -> None:
        timer = QElapsedTimer()
        timer.start()
        row = self._rows[self._rows.number(message_id)]
        view = self._pool.live(message_id)
        is_first = bool(thoughts or text) and view is not None and self._is_fold_change(row, text, thoughts)
        if text:
            row.parts.append(text)
        if thoughts:
            row.thoughts.append(thoughts)
        if view is None:
            return
        view.append_text(text)
        if thoughts:
            view.append_thinking(thoughts)
        if is_first:
            view.refresh_fold(row.settle(), is_open=row.is_open)
        row.stamp = None
        self._flush_timer.setInterval(min(LONGEST_FLUSH_MS, max(FLUSH_MS, BUSY_SHARE * timer.elapsed())))

    @staticmethod
    def _is_fold_change(row: Row, text: str, thoughts: str) -> bool:
        """Whether this is the first thought, or the first word after the thoughts: then the fold looks different."""
        has_text = bool(row.value.text or row.parts)
        has_thoughts = bool(row.value.thinking or row.thoughts)
        return bool(thoughts and not has_thoughts) or bool(text and has_thoughts and not has_text)

    def _drop_pending(self) -> None:
        self._pending.clear()
        self._flush_timer.stop()

    # ---- views

    def _make_view(self) -> MessageView:
        view = MessageView(self._styles, self._grammar, self._highlighter, self.viewport())

        def id_of() -> str:
            assert view.value is not None
            return view.value.id

        view.copy_asked.connect(lambda: self._copy(id_of()))
        view.edit_asked.connect(lambda: self.edit_requested.emit(id_of()))
        view.again_asked.connect(lambda: self.again_requested.emit(id_of()))
        view.sibling_asked.connect(lambda delta: self.sibling_requested.emit(id_of(), delta))
        view.link_clicked.connect(self.link_clicked)
        view.fold_toggled.connect(lambda is_open: self._fold(id_of(), is_open))
        view.dragged.connect(lambda point: self._dragged(view.mapTo(self.viewport(), point)))
        view.caret_moved.connect(lambda top, bottom: self._keep_in_sight(view.y() + top, view.y() + bottom))
        return view

    def _copy(self, message_id: str) -> None:
        QGuiApplication.clipboard().setText(self.source_text(message_id))
        self.copy_requested.emit(message_id)

    def _fold(self, message_id: str, is_open: bool) -> None:
        number = self._rows.number(message_id)
        row = self._rows[number]
        row.is_open = is_open
        row.stamp = None
        view = self._pool.live(message_id)
        if view is not None:
            if not self._is_following or is_open:
                self._follow(False)
                self._anchor = (message_id, -view.y())
            view.refresh_fold(row.settle(), is_open=is_open)
        self._place()
        self._follow(self._is_at_end())

    def _show_again(self, number: int) -> None:
        """A row's value was replaced: draw it if it is in sight."""
        row = self._rows[number]
        row.stamp = None
        view = self._pool.live(row.value.id)
        if view is not None:
            view.show_message(row.settle(), is_streaming=row.is_streaming, is_open=row.is_open)

    def _measure(self, number: int) -> MessageView:
        """The view of a row, laid out; its height is right afterwards."""
        row = self._rows[number]
        stamp = (self._column(), self._styles.version)
        view = self._pool.live(row.value.id)
        if view is None:
            view = self._pool.take(row.value.id)
            if row.is_streaming or not view.shows(row.settle()):
                view.show_message(row.settle(), is_streaming=row.is_streaming, is_open=row.is_open)
            view_is_new = True
        else:
            view_is_new = False
            if row.stamp is not None and row.stamp[1] != stamp[1]:
                view.show_message(row.settle(), is_streaming=row.is_streaming, is_open=row.is_open)
        if view_is_new or row.stamp != stamp:
            height = view.lay_out(stamp[0])
            view.resize(stamp[0] + CARET_ROOM, height)
            self._rows.heights.set(number, height + GAP)
            row.stamp = stamp
        return view

    # ---- placing

    def _column(self) -> int:
        return max(120, min(COLUMN_WIDTH, self.viewport().width() - 2 * MARGIN))

    def _place(self) -> None:
        """Put the rows in sight where they belong: the one procedure that every change ends in."""
        if self._is_placing or not self.isVisible():
            return
        self._is_placing = True
        try:
            y, shown = self._settle_rows()
            self._set_scroll_bar(y)
            self._move_views(y, shown)
            self._anchor = self._anchor_at(y, shown)
        finally:
            self._is_placing = False
        self._empty.setVisible(len(self._rows) == 0)
        self._jump.setVisible(not self._is_following and len(self._rows) > 0)

    def _settle_rows(self) -> tuple[int, range]:
        """Measure what is in sight until nothing changes; returns the scroll position and the rows in sight."""
        if not len(self._rows):
            return 0, range(0)
        heights = self._rows.heights
        measured: set[int] = set()
        while True:
            y = self._wanted_y()
            first = heights.row_at(y - TOP)
            last = heights.row_at(y - TOP + self.viewport().height())
            missing = [number for number in range(first, last + 1) if number not in measured]
            if not missing:
                return y, range(first, last + 1)
            for number in reversed(missing) if self._is_following else missing:
                before = heights.total
                self._measure(number)
                measured.add(number)
                if heights.total != before:
                    break

    def _wanted_y(self) -> int:
        heights = self._rows.heights
        most = self._most()
        if self._is_following:
            return most
        if self._anchor is None:
            return min(most, self.verticalScrollBar().value())
        message_id, offset = self._anchor
        return max(0, min(most, TOP + heights.top(self._rows.number(message_id)) + offset))

    def _most(self) -> int:
        return max(0, TOP + self._rows.heights.total + BOTTOM - self.viewport().height())

    def _set_scroll_bar(self, y: int) -> None:
        bar = self.verticalScrollBar()
        bar.setPageStep(self.viewport().height())
        bar.setRange(0, self._most())
        bar.setValue(y)

    def _move_views(self, y: int, shown: range) -> None:
        ids = [self._rows[number].value.id for number in shown]
        wanted = set(ids)
        gone = [message_id for message_id in self._pool.ids() if message_id not in wanted]
        for message_id in gone:
            view = self._pool.live(message_id)
            if view is not None and view.isAncestorOf(QApplication.focusWidget() or self):
                self.setFocus()
            self._pool.release(message_id)
        is_changed = bool(gone)
        x = max(MARGIN, (self.viewport().width() - self._column()) // 2)
        bottom = self.viewport().height()
        for number, message_id in zip(shown, ids, strict=True):
            view = self._pool.live(message_id)
            assert view is not None
            top = TOP + self._rows.heights.top(number) - y
            view.move(x, top)
            view.place_copy_buttons(-top, bottom - top)
            if view.isHidden():
                view.show()
                is_changed = True
        if is_changed:
            self._order_focus(ids)

    def _order_focus(self, ids: Sequence[str]) -> None:
        """Let Tab go from the top of the view to its bottom, whatever order the views were made in."""
        before: QWidget = self
        for message_id in ids:
            view = self._pool.live(message_id)
            assert view is not None
            for widget in view.focus_chain():
                QWidget.setTabOrder(before, widget)
                before = widget

    def _anchor_at(self, y: int, shown: range) -> tuple[str, int] | None:
        """The row to keep in place: the first one in sight."""
        if not shown:
            return None
        number = shown.start
        return self._rows[number].value.id, y - TOP - self._rows.heights.top(number)

    # ---- events

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        if self._is_placing:
            return
        y = self.verticalScrollBar().value()
        self._follow(y >= self.verticalScrollBar().maximum() - NEAR_END)
        self._anchor = self._anchor_before_scroll(y)
        self._place()

    def _anchor_before_scroll(self, y: int) -> tuple[str, int] | None:
        """A row that is in sight now and whose height is known, so that it moves by what was scrolled, no more."""
        heights = self._rows.heights
        if not len(heights):
            return None
        first = heights.row_at(y - TOP)
        last = heights.row_at(y - TOP + self.viewport().height())
        stamp = (self._column(), self._styles.version)
        number = next((n for n in range(first, last + 1) if self._rows[n].stamp == stamp), first)
        return self._rows[number].value.id, y - TOP - heights.top(number)

    def _follow(self, following: bool) -> None:
        if following != self._is_following:
            self._is_following = following
            self.following_changed.emit(following)

    def _is_at_end(self) -> bool:
        return self.verticalScrollBar().value() >= self.verticalScrollBar().maximum() - NEAR_END

    def _theme_changed(self) -> None:
        self._styles.refresh()
        self._empty.apply_theme()
        self._jump.apply_theme()
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._empty.setGeometry(self.viewport().rect())
        self._jump.place(self.viewport().geometry())
        self._place()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._place()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        bar = self.verticalScrollBar()
        page = max(40, self.viewport().height() - 60)
        key = Qt.Key(event.key())
        steps = {
            Qt.Key.Key_PageUp: -page,
            Qt.Key.Key_PageDown: page,
            Qt.Key.Key_Space: page,
            Qt.Key.Key_Up: -bar.singleStep(),
            Qt.Key.Key_Down: bar.singleStep(),
        }
        if key in steps:
            bar.setValue(bar.value() + steps[key])
        elif key == Qt.Key.Key_Home:
            bar.setValue(0)
        elif key == Qt.Key.Key_End:
            self.jump_to_latest()
        else:
            super().keyPressEvent(event)

    def _keep_in_sight(self, top: int, bottom: int) -> None:
        """Scroll as little as needed to show a span of the viewport."""
        bar = self.verticalScrollBar()
        if top < 0:
            bar.setValue(bar.value() + top - 8)
        elif bottom > self.viewport().height():
            bar.setValue(bar.value() + bottom - self.viewport().height() + 8)

    def _dragged(self, point: QPoint) -> None:
        """Text is being selected: scroll while the pointer is above or below the view."""
        height = self.viewport().height()
        beyond = point.y() if point.y() < 0 else max(0, point.y() - height)
        self._drag_step = max(-60, min(60, beyond))
        if self._drag_step and not self._drag_timer.isActive():
            self._drag_timer.start()

    def _drag_on(self) -> None:
        if not self._drag_step or not QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            self._drag_timer.stop()
            return
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + self._drag_step)
