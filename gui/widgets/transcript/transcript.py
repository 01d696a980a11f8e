"""The conversation on screen: a virtual list of messages that can be 2,000 long and one of them still being written.

Only the rows in sight have widgets; the rest are estimated heights. What the reader looks at never moves by itself:
one row in sight is the anchor, and when a height above it turns out different, the scroll position is corrected by as
much. The view follows the end only while it is at the end.

Rejected, each measured: one browser for all (2.8 s to open), a widget a message, QListView, QML, a web view.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QWidget

from gui.icons import Icons
from gui.theme import Theme
from gui.widgets.transcript.blocks import Grammar
from gui.widgets.transcript.edge_scroll import EdgeScroll
from gui.widgets.transcript.highlight import Highlighter
from gui.widgets.transcript.message_view import CARET_ROOM, MessageView
from gui.widgets.transcript.overlays import EmptyState, FocusRing, JumpButton, PlainScrollBar
from gui.widgets.transcript.pool import ViewPool
from gui.widgets.transcript.reading_place import ReadingPlace
from gui.widgets.transcript.rows import Row, Rows, Stamp
from gui.widgets.transcript.stream_queue import StreamQueue
from gui.widgets.transcript.styles import TextStyles
from gui.widgets.transcript.values import MessageState, MessageValue

COLUMN_WIDTH = 740  # pixels of text at most; with the margins it stays within 760 of the drawing
MARGIN = 22
GAP = 18  # pixels below a message
NEAR_END = 2  # pixels
N_PREPARED = 2  # message widgets that wait for messages: a question and its answer
PREPARE_EVERY_MS = 60


class Transcript(QAbstractScrollArea):
    """Shows messages; see `MessageValue`. All methods are for the window's thread.

    Signals carry the message's id. Copy has put the Markdown source on the clipboard already when it is emitted.
    """

    copy_requested = Signal(str)
    edit_requested = Signal(str)
    again_requested = Signal(str)
    tokens_requested = Signal(str)
    sibling_requested = Signal(str, int)  # id, -1 or 1
    link_clicked = Signal(str)
    following_changed = Signal(bool)

    def __init__(self, theme: Theme, icons: Icons | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._styles = TextStyles(theme)
        self._grammar = Grammar()
        self._highlighter = Highlighter()
        self._rows = Rows()
        self._pool = ViewPool(self._make_view)
        self._queue = StreamQueue(self._insert, self)
        self._reader = ReadingPlace(self._rows)
        self._is_placing = False
        self._queue.flushed.connect(self._place_grown)
        self._prepare_timer = QTimer(self, interval=PREPARE_EVERY_MS)
        self._prepare_timer.timeout.connect(self._prepare_views)

        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBar(PlainScrollBar(self))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Conversation"))
        # Opaque: otherwise every token would have Qt draw all that lies behind, from the window's ground up.
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._edge = EdgeScroll(self.verticalScrollBar(), self)
        self._ring = FocusRing(theme, self)
        self._empty = EmptyState(theme, self.viewport())
        self._jump = JumpButton(theme, icons, self)
        self._jump.clicked.connect(self.jump_to_latest)
        self._jump.hide()
        theme.changed.connect(self._theme_changed)

    def prepare(self) -> None:
        """Make what the first messages will need, bit by bit: it takes a tenth of a second, which nobody waits for now."""
        threading.Thread(target=self._grammar.prepare, name="markdown-import", daemon=True).start()
        self._prepare_timer.start()

    def _prepare_views(self) -> None:
        if not self._pool.prepare(N_PREPARED):
            self._prepare_timer.stop()

    # ---- messages

    def set_messages(self, values: Sequence[MessageValue]) -> None:
        """Show another list. If it begins with the same message, the reader stays where they are; else at the end."""
        is_same = bool(values) and len(self._rows) > 0 and self._rows[0].value.id == values[0].id
        self._queue.clear()
        for message_id in self._pool.ids():
            self._pool.release(message_id)
        self._rows.reset(values, self._column())
        if not is_same or self._reader.is_lost():
            self._follow(True)
            self._reader.go_to_end()
        self._place()

    def append_message(self, value: MessageValue) -> None:
        """Add a message at the end."""
        self._rows.append(value, self._column())
        self._place()

    def update(self, *args: Any) -> None:
        """`update(id, value)`: show another value in this message's place; an unknown id raises `KeyError`.

        Without an id it is `QWidget.update`, which Qt's own code and ours may call.
        """
        if not args or not isinstance(args[0], str):
            super().update(*args)
            return
        message_id, value = args
        self._queue.drop(message_id)
        self._replace(message_id, value)
        self._show_again(self._rows.number(value.id))
        self._place()

    def remove_after(self, message_id: str) -> None:
        """Take away every message after this one."""
        for row in self._rows.truncate(self._rows.number(message_id) + 1):
            self._queue.drop(row.value.id)
            if self._pool.live(row.value.id) is not None:
                self._pool.release(row.value.id)
        if self._reader.is_lost():
            self._follow(True)
        self._place()

    # ---- a message that is being written

    def begin_stream(self, message_id: str) -> None:
        """More text will come for this message; it has the caret until `finish`. One that came as WRITING has it."""
        number = self._rows.number(message_id)
        row = self._rows[number]
        if row.is_streaming:
            return
        row.is_streaming = True
        if row.value.state is not MessageState.WRITING:
            row.value = replace(row.value, state=MessageState.WRITING)
        self._show_again(number)
        self._place()

    def append_text(self, message_id: str, text: str) -> None:
        """Add answer text. Shown at once after a pause, else with what comes until the next update."""
        self._expect(message_id)
        self._queue.add(message_id, text, "")

    def append_thinking(self, message_id: str, text: str) -> None:
        """Add thoughts. As `append_text`."""
        self._expect(message_id)
        self._queue.add(message_id, "", text)

    def finish(self, message_id: str, value: MessageValue) -> None:
        """The message is whole, stopped or failed: `value` has all its text. Its id may be another one."""
        self.flush()
        row = self._replace(message_id, value)
        view = self._pool.live(value.id)
        if view is not None:
            view.finish(value, is_open=row.is_open)
        self._place()
        self._prepare_timer.start()

    def flush(self) -> None:
        """Show what is waiting now, instead of with the next update."""
        self._queue.flush()

    # ---- where the reader is

    @property
    def is_following(self) -> bool:
        """Whether the view stays at the end while text comes."""
        return self._reader.is_following

    def jump_to_latest(self) -> None:
        """Go to the end, and follow it again."""
        self._follow(True)
        self._place()

    def scroll_to(self, message_id: str) -> None:
        """Put the top of a message at the top of the view. An unknown id raises `KeyError`."""
        self._rows.number(message_id)
        self._follow(False)
        self._reader.pin(message_id, -GAP)
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

    def _replace(self, message_id: str, value: MessageValue) -> Row:
        number = self._rows.number(message_id)
        self._pool.rename(message_id, value.id)
        self._reader.rename(message_id, value.id)
        self._rows.replace(number, value)
        self._rows[number].is_streaming = False
        return self._rows[number]

    def _expect(self, message_id: str) -> None:
        """Text comes for this message, whether its stream was begun or not."""
        if not self._rows[self._rows.number(message_id)].is_streaming:
            self.begin_stream(message_id)

    def _insert(self, message_id: str, text: str, thoughts: str) -> None:
        row = self._rows[self._rows.number(message_id)]
        view = self._pool.live(message_id)
        is_first = bool(thoughts or text) and view is not None and row.is_fold_changed_by(text, thoughts)
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
        if is_first or thoughts or not view.is_as_high_as_its_text():
            row.stamp = None

    # ---- views

    def _make_view(self) -> MessageView:
        view = MessageView(self._styles, self._grammar, self._highlighter, self.viewport())
        view.copy_asked.connect(self._copy)
        view.edit_asked.connect(self.edit_requested)
        view.again_asked.connect(self.again_requested)
        view.tokens_asked.connect(self.tokens_requested)
        view.sibling_asked.connect(self.sibling_requested)
        view.link_clicked.connect(self.link_clicked)
        view.fold_toggled.connect(self._fold)
        view.dragged.connect(lambda point: self._edge.pull(view.y() + point.y()))
        view.caret_moved.connect(lambda top, bottom: self._edge.show_span(view.y() + top, view.y() + bottom))
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
            if not self.is_following or is_open:
                self._follow(False)
                self._reader.pin(message_id, -view.y())
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

    def _measure(self, number: int) -> bool:
        """Give a row its view, drawn and laid out; True if its height is not what it was thought to be."""
        row = self._rows[number]
        stamp = self._stamp()
        view = self._pool.live(row.value.id)
        if view is None:
            view = self._pool.take(row.value.id)
            is_right = not row.is_streaming and view.shows(row.settle())
        elif row.stamp == stamp:
            return False
        else:
            is_right = view.has_look_of_now()
        if not is_right:
            view.show_message(row.settle(), is_streaming=row.is_streaming, is_open=row.is_open)
        height = view.lay_out(stamp[0])
        view.resize(stamp[0] + CARET_ROOM, height)
        row.stamp = stamp
        return self._rows.heights.set(number, height + GAP)

    def _stamp(self) -> Stamp:
        return self._column(), self._styles.version

    # ---- placing

    def edges_in(self, width: int) -> tuple[int, int]:
        """What is left of the text and right of it when this widget is `width` pixels wide, for what stands around it."""
        width_of_view = width - self.verticalScrollBar().sizeHint().width()
        column, left = _column_in(width_of_view), _left_in(width_of_view)
        return left, max(0, width - left - column)

    def _column(self) -> int:
        return _column_in(self.viewport().width())

    def _place(self) -> None:
        """Put the rows in sight where they belong: the one procedure that every change ends in."""
        if self._is_placing or not self.isVisible():
            return
        self._is_placing = True
        try:
            y, shown = self._settle_rows()
            self._set_scroll_bar(y)
            self._move_views(y, shown)
            self._reader.keep(y, self.viewport().height(), self._stamp())
        finally:
            self._is_placing = False
        self._empty.setVisible(len(self._rows) == 0)
        self._jump.setVisible(not self.is_following and len(self._rows) > 0)

    def _place_grown(self) -> None:
        """Place what grew by the text that came, and only then have that text drawn.

        Qt moves the pixels of an opaque widget that moves, unless a part of it waits to be drawn. So a view that will go
        up by its own growth goes first, is laid out then (in `_measure`) and has its last lines drawn at the end; in any
        other order the whole message is drawn again for each line. Where no line was added, everything is in its place.
        """
        if all(self._rows[self._rows.number(each)].stamp == self._stamp() for each in self._pool.ids()):
            for view in self._pool:
                view.draw_changed()
            return
        if self.is_following and self._reader.most(self.viewport().height()) > 0:
            views = sorted(self._pool, key=lambda view: view.y())
            if grown := sum(view.growth() for view in views):
                for view in views:
                    view.move(view.x(), view.y() - grown)
        self._place()
        for view in self._pool:
            view.draw_changed()

    def _settle_rows(self) -> tuple[int, range]:
        """Measure what is in sight until nothing changes; returns the scroll position and the rows in sight."""
        height = self.viewport().height()
        measured: set[int] = set()
        while True:
            y = self._reader.position(height)
            shown = self._reader.in_sight(y, height)
            missing = [number for number in shown if number not in measured]
            if not missing:
                return y, shown
            for number in reversed(missing) if self.is_following else missing:
                measured.add(number)
                if self._measure(number):
                    break

    def _set_scroll_bar(self, y: int) -> None:
        bar, height = self.verticalScrollBar(), self.viewport().height()
        bar.setPageStep(height)
        bar.setRange(0, self._reader.most(height))
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
        x = _left_in(self.viewport().width())
        bottom = self.viewport().height()
        for number, message_id in zip(shown, ids, strict=True):
            view = self._pool.live(message_id)
            assert view is not None
            top = self._reader.top(number) - y
            view.move(x, top)
            view.place_copy_buttons(-top, bottom - top)
            if view.isHidden():
                view.show()
                is_changed = True
        if is_changed:
            self._pool.order_focus(self, ids)

    # ---- events

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        if self._is_placing:
            return
        y = self.verticalScrollBar().value()
        self._follow(y >= self.verticalScrollBar().maximum() - NEAR_END)
        self._reader.keep(y, self.viewport().height(), self._stamp())
        self._place()

    def _follow(self, following: bool) -> None:
        if following != self._reader.is_following:
            self._reader.is_following = following
            self.following_changed.emit(following)

    def _is_at_end(self) -> bool:
        return self.verticalScrollBar().value() >= self.verticalScrollBar().maximum() - NEAR_END

    def _theme_changed(self) -> None:
        self._styles.refresh()
        self._empty.apply_theme()
        self._jump.apply_theme()
        self.viewport().update()
        self._place()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), self._styles.theme.color("surface0"))
        painter.end()

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


def _column_in(width: int) -> int:
    """How wide the text is in a view of that width."""
    return max(120, min(COLUMN_WIDTH, width - 2 * MARGIN))


def _left_in(width: int) -> int:
    """Where the text begins in a view of that width."""
    return max(MARGIN, (width - _column_in(width)) // 2)
