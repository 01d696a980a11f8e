"""The text of one message on screen: a read-only browser as high as its document, that never scrolls by itself.

It adds to Qt's browser what Markdown needs around the text (frames of code, bars of quotes, markers of lists, the
caret while a message is written) and takes away what a message must not do: load anything, follow links, eat the
wheel. Selection, links by keyboard and the text for screen readers are Qt's own, which is why the message is a
browser and not a painted document.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial

from PySide6.QtCore import QByteArray, QMimeData, QPoint, QPointF, QRectF, Qt, QUrl, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFontMetricsF,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QTextCursor,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QMenu, QTextBrowser, QTextEdit, QWidget

from gui.theme import set_kind
from gui.widgets.transcript.blocks import Grammar
from gui.widgets.transcript.clipping import table_as_tsv, text_of_selection
from gui.widgets.transcript.code_block import draw_code_frame
from gui.widgets.transcript.elements import Code, Paragraph
from gui.widgets.transcript.flow import PlainFlow, TextFlow
from gui.widgets.transcript.highlight import Highlighter
from gui.widgets.transcript.quiet_button import QuietButton
from gui.widgets.transcript.styles import TextStyles
from gui.widgets.transcript.writer import DocumentWriter, Placed

CARET_WIDTH = 8
NOTHING_CHANGED = 1 << 60  # no place in a document
_PAGE_KEYS = (
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_Space,
)


class TextBody(QTextBrowser):
    """Text of a message: Markdown by the methods here, or text as it is by `plain`; use one of the two."""

    link_clicked = Signal(str)
    copy_all = Signal()
    dragged = Signal(QPoint)  # while text is being selected: the pointer, in this widget

    def __init__(self, styles: TextStyles, grammar: Grammar, highlighter: Highlighter, parent: QWidget) -> None:
        super().__init__(parent)
        self._styles = styles
        self._is_writing = False
        self._copy_buttons: list[QuietButton] = []
        set_kind(self, "bare")
        self.setFrameShape(QTextEdit.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setLineWrapMode(QTextEdit.LineWrapMode.FixedPixelWidth)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setOpenLinks(False)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextBrowserInteraction | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.viewport().setAutoFillBackground(False)
        for each in (self, self.viewport()):
            each.setAttribute(Qt.WidgetAttribute.WA_StaticContents)  # a line more does not draw the others anew
        self.anchorClicked.connect(lambda url: self.link_clicked.emit(url.toString()))
        self.writer = DocumentWriter(self.document(), styles, highlighter)
        self.flow = TextFlow(self.writer, grammar)
        self.plain = PlainFlow(self.writer)
        self._changed_from = NOTHING_CHANGED
        self.document().contentsChange.connect(self._content_changed)

    # ---- text

    def show_markdown(self, text: str, *, keep_breaks: bool) -> None:
        """Show a whole message instead of whatever is there."""
        self.flow.show(text, keep_breaks=keep_breaks)
        self.setTextCursor(QTextCursor(self.document()))

    def begin_markdown(self, text: str, *, keep_breaks: bool) -> None:
        """Show the beginning of a message that goes on with `append_markdown`."""
        self.flow.begin(text, keep_breaks=keep_breaks)
        self.setTextCursor(QTextCursor(self.document()))

    def append_markdown(self, text: str) -> None:
        """Insert text at the end, to be drawn by `draw_changed`. A selection up to the end does not grow with it."""
        before = self.textCursor()
        anchor, position = before.anchor(), before.position()
        # The layout would have the whole last paragraph drawn anew for each word; what changed are its last lines.
        layout = self.document().documentLayout()
        layout.blockSignals(True)
        try:
            self.flow.append(text)
        finally:
            layout.blockSignals(False)
        after = self.textCursor()
        if anchor != position and (after.anchor(), after.position()) != (anchor, position):
            last = self.document().characterCount() - 1
            after.setPosition(min(anchor, last))
            after.setPosition(min(position, last), QTextCursor.MoveMode.KeepAnchor)
            self.setTextCursor(after)

    def _content_changed(self, position: int, _n_removed: int, _n_added: int) -> None:
        self._changed_from = min(self._changed_from, position)

    def draw_changed(self) -> None:
        """Have what `append_markdown` changed drawn: from the line before it (a caret, a bar that goes on) to the end."""
        position, self._changed_from = self._changed_from, NOTHING_CHANGED
        if position == NOTHING_CHANGED:
            return
        last = max(0, self.document().characterCount() - 1)
        block = self.document().findBlock(min(max(0, position - 1), last))
        line = block.layout().lineForTextPosition(min(max(0, position - 1), last) - block.position())
        top = self.document().documentLayout().blockBoundingRect(block).top() + (line.y() if line.isValid() else 0.0)
        y = max(0, math.floor(top) - 1)
        viewport = self.viewport()
        viewport.update(0, y, viewport.width(), max(viewport.height(), self.text_height()) - y)

    # ---- size

    def set_text_width(self, width: int) -> None:
        """Lay the text out in this width, in pixels; nothing happens if it is so already."""
        if self.lineWrapColumnOrWidth() != width:
            self.setLineWrapColumnOrWidth(width)

    def text_height(self) -> int:
        """How high the document is in its width, in pixels, without the margin under its last block."""
        height = self.document().documentLayout().documentSize().height()
        if self.writer.placed and self.writer.placed[-1].code is not None:
            height += self._styles.code_bottom + 1  # the frame goes on below the last line
        elif self.writer.placed and self.writer.placed[-1].table is not None and not self._is_writing:
            # Qt's empty block behind a table stands beside its end, so all that lies below is the table's margin;
            # while more comes, the caret needs it.
            height -= self._styles.gap
        return math.ceil(height)

    def apply_theme(self) -> None:
        """Take colours and the tab's width from the theme as it is now; the text has to be shown again."""
        self.setTabStopDistance(self._styles.tab_distance)
        theme = self._styles.theme
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Highlight, theme.color("accent"))
        palette.setColor(QPalette.ColorRole.HighlightedText, theme.color("on_accent"))
        palette.setColor(QPalette.ColorRole.Text, theme.color("text1"))
        self.setPalette(palette)

    # ---- caret

    def set_writing(self, writing: bool) -> None:
        """Show the caret behind the last character."""
        if writing != self._is_writing:
            self._is_writing = writing
            self.viewport().update()

    # ---- buttons of code

    def place_copy_buttons(self, top: int, bottom: int) -> None:
        """Give the blocks of code between two heights of this widget their Copy button; hide the others."""
        near = (self.writer.placed[index] for index in self._shown_in(top, bottom))
        shown = [placed for placed in near if placed.code is not None]
        while len(self._copy_buttons) < len(shown):
            button = QuietButton(self._styles.theme, self.tr("Copy"), self.viewport())
            button.clicked.connect(self._copy_code)
            self._copy_buttons.append(button)
        for index, button in enumerate(self._copy_buttons):
            if index >= len(shown):
                button.hide()
                continue
            placed = shown[index]
            rect = self._rect(placed)
            size = button.sizeHint()
            y = rect.top() + (self._styles.code_header - size.height()) / 2
            button.setGeometry(round(rect.right()) - size.width() - 6, round(y), size.width(), size.height())
            assert isinstance(placed.element, Code)
            name = self.tr("Copy {language} code").format(language=placed.element.language)
            if button.accessibleName() != name:
                button.setAccessibleName(name)
            button.setProperty("block", placed.block.position())
            button.show()

    def copy_buttons(self) -> list[QuietButton]:
        """The Copy buttons on screen, from top to bottom."""
        return [button for button in self._copy_buttons if not button.isHidden()]

    def _copy_code(self) -> None:
        position = self.sender().property("block")
        for placed in self.writer.placed:
            if placed.code is not None and placed.block.position() == position:
                _copy_code_of(placed)

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        clip = event.rect()
        painter.setClipRect(clip)
        for index in self._shown_in(clip.top(), clip.bottom()):
            self._draw_around(painter, index)
        painter.end()
        super().paintEvent(event)
        if self._is_writing:
            self._draw_caret()

    def _draw_around(self, painter: QPainter, index: int) -> None:
        placed = self.writer.placed[index]
        element = placed.element
        rect = self._rect(placed)
        path = element.place.path
        styles = self._styles
        if "q" in path:
            for depth in (depth for depth, kind in enumerate(path) if kind == "q"):
                bottom = self._bar_bottom(index, path[: depth + 1])
                bar = QRectF(styles.left_of_path(path[:depth]), rect.top(), 3, bottom - rect.top())
                painter.fillRect(bar, styles.theme.color("surface3"))
        if isinstance(element, Code):
            draw_code_frame(painter, rect, element.language, styles)
        elif isinstance(element, Paragraph):
            if element.is_rule:
                y = round(rect.center().y()) + 0.5
                painter.setPen(styles.theme.color("hairline"))
                painter.drawLine(QPointF(styles.left(element.place), y), QPointF(self.lineWrapColumnOrWidth(), y))
            if element.place.marker:
                self._draw_marker(painter, placed, rect)

    def _draw_marker(self, painter: QPainter, placed: Placed, rect: QRectF) -> None:
        styles = self._styles
        marker = placed.element.place.marker
        font = styles.body_font
        room = styles.indent - 5
        width = QFontMetricsF(font).horizontalAdvance(marker)
        if width > room:
            font = styles.theme.ui_font(15)
            font.setPixelSize(max(7, int(font.pixelSize() * room / width)))
            width = QFontMetricsF(font).horizontalAdvance(marker)
        line = placed.block.layout().lineAt(0)
        baseline = rect.top() + line.y() + line.ascent()
        painter.setFont(font)
        painter.setPen(styles.theme.color("text2"))
        painter.drawText(QPointF(styles.left(placed.element.place) - width - 7, baseline), marker)

    def _draw_caret(self) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        rect = self.cursorRect(cursor)
        height = round(QFontMetricsF(self._styles.body_font).ascent() + 1)
        painter = QPainter(self.viewport())
        top = rect.center().y() - height / 2 + 1
        painter.fillRect(QRectF(rect.left() + 3, top, CARET_WIDTH, height), self._styles.theme.color("accent"))
        painter.end()

    def _shown_in(self, top: int, bottom: int) -> Iterator[int]:
        """The numbers of the elements that reach between two heights of this widget."""
        placed = self.writer.placed
        first = max(0, bisect_right(placed, float(top), key=lambda each: self._rect(each).top()) - 1)
        for index in range(first, len(placed)):
            if self._rect(placed[index]).top() > bottom:
                return
            yield index

    def _rect(self, placed: Placed) -> QRectF:
        """Where an element is; a block of code with its frame."""
        layout = self.document().documentLayout()
        if placed.table is not None:
            return layout.frameBoundingRect(placed.table)
        rect = layout.blockBoundingRect(placed.block)
        if placed.code is None:
            return rect
        styles = self._styles
        last = layout.blockBoundingRect(placed.code.last)
        left = styles.left(placed.element.place)
        top = rect.top() - styles.code_top - styles.code_header
        return QRectF(left, top, self.lineWrapColumnOrWidth() - left, last.bottom() + styles.code_bottom - top)

    def _bar_bottom(self, index: int, prefix: str) -> float:
        """Down to where a quote's bar goes: to the next element, if that is still in the quote."""
        after = self.writer.placed[index + 1 : index + 2]
        if after and after[0].element.place.path.startswith(prefix):
            return self._rect(after[0]).top()
        return self._rect(self.writer.placed[index]).bottom()

    # ---- input

    def loadResource(self, _kind: int, _url: QUrl | str) -> object:
        """A message loads nothing: not a picture, not a file."""
        return QByteArray()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that page go to the transcript; with Shift they select."""
        is_page = event.key() in _PAGE_KEYS and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if is_page:
            event.ignore()
        elif event.matches(QKeySequence.StandardKey.Copy) and not self.textCursor().hasSelection():
            self.copy_all.emit()
        else:
            super().keyPressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(event.position().toPoint())

    def createMimeDataFromSelection(self) -> QMimeData:
        """Plain text, with markers of lists and tabs between cells: what a paste elsewhere is expected to give."""
        mime = QMimeData()
        mime.setText(text_of_selection(self.textCursor(), self.writer.placed))
        return mime

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.menu_at(event.pos()).exec(event.globalPos())

    def menu_at(self, position: QPoint) -> QMenu:
        """What can be copied at a point of this widget."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def add(text: str, act: Callable[[], object]) -> None:
            menu.addAction(text).triggered.connect(act)

        clipboard = QGuiApplication.clipboard()
        if self.textCursor().hasSelection():
            add(self.tr("Copy"), self.copy)
        link = self.anchorAt(position)
        if link:
            add(self.tr("Copy link"), lambda: clipboard.setText(link))
        for index in self._shown_in(position.y(), position.y()):
            placed = self.writer.placed[index]
            if placed.code is not None:
                add(self.tr("Copy code"), partial(_copy_code_of, placed))
            elif placed.table is not None:
                add(self.tr("Copy table"), partial(_copy_table_of, placed))
        add(self.tr("Copy message as Markdown"), self.copy_all.emit)
        add(self.tr("Select all"), self.selectAll)
        return menu


def _copy_code_of(placed: Placed) -> None:
    if placed.code is not None:
        QGuiApplication.clipboard().setText(placed.code.text())


def _copy_table_of(placed: Placed) -> None:
    QGuiApplication.clipboard().setText(table_as_tsv(placed.element))
