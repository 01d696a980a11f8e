"""The left column: search, “New chat”, and the chats in groups.

One QListView over plain items, so five hundred chats cost what is in sight; rename happens in the row, delete is
undone from a toast. Rejected: a widget a row (slow to open, five hundred tab stops), QTreeView (its branches are
noise in a list that does not fold).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QPushButton,
    QStackedLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from engine.store.rows import ConversationId, ConversationRow, SearchHit
from gui.actions import keys_text
from gui.icons import Icons
from gui.panels.chat.grouping import grouped
from gui.panels.chat.words import group_text, plain_snippet, title_text
from gui.theme import Theme, set_kind
from gui.widgets.empty_state import EmptyState
from gui.widgets.paint import draw_focus_ring
from gui.widgets.transcript.overlays import PlainScrollBar

SEARCH_AFTER_MS = 150
_PAD = 8
_Index = QModelIndex | QPersistentModelIndex
_ITEM = Qt.ItemDataRole.UserRole


class ItemKind(enum.Enum):
    """What a line of the list is."""

    HEADING = "heading"
    CHAT = "chat"
    HIT = "hit"


@dataclass(frozen=True, slots=True)
class ListItem:
    """A line: a heading, a chat, or a place where the search found something."""

    kind: ItemKind
    text: str
    conversation_id: str = ""
    pinned: bool = False
    message_id: str = ""
    snippet: str = ""
    matches: tuple[tuple[int, int], ...] = ()


def items_of(rows: Sequence[ConversationRow], now: datetime) -> tuple[ListItem, ...]:
    """The chats with their headings, as they stand in the list."""
    items: list[ListItem] = []
    for group in grouped(rows, now):
        items.append(ListItem(ItemKind.HEADING, group_text(group)))
        items += [ListItem(ItemKind.CHAT, title_text(row), str(row.id), row.pinned) for row in group.rows]
    return tuple(items)


class ListModel(QAbstractListModel):
    """The lines. `renamed` when a person has typed another name: id and name."""

    renamed = Signal(str, str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.items: tuple[ListItem, ...] = ()

    def set_items(self, items: tuple[ListItem, ...]) -> None:
        self.beginResetModel()
        self.items = items
        self.endResetModel()

    def row_of(self, conversation_id: str, message_id: str = "") -> int:
        """The line of a chat (or of a hit in it), −1 when it is not there."""
        for row, item in enumerate(self.items):
            is_it = item.kind is not ItemKind.HEADING and item.conversation_id == conversation_id
            if is_it and (not message_id or item.message_id == message_id):
                return row
        return -1

    def rowCount(self, parent: _Index | None = None) -> int:
        return len(self.items)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        item = self.items[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return item.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{item.text}: {item.snippet}" if item.snippet else item.text
        if role == Qt.ItemDataRole.ToolTipRole:
            return item.text if item.kind is not ItemKind.HEADING else None
        return item if role == _ITEM else None

    def setData(self, index: _Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        item = self.items[index.row()]
        if role != Qt.ItemDataRole.EditRole or str(value).strip() == item.text:
            return False
        self.renamed.emit(item.conversation_id, str(value).strip())
        return True

    def flags(self, index: _Index) -> Qt.ItemFlag:
        if not index.isValid() or self.items[index.row()].kind is ItemKind.HEADING:
            return Qt.ItemFlag.NoItemFlags
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if self.items[index.row()].kind is ItemKind.CHAT:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags


class ListDelegate(QStyledItemDelegate):
    """Draws a line. `open_id` is the chat on screen."""

    def __init__(self, theme: Theme, parent: QListView) -> None:
        super().__init__(parent)
        self._theme, self._view = theme, parent
        self.open_id = ""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        item: ListItem = index.data(_ITEM)
        px = self._theme.px
        if item.snippet:
            return QSize(60, px(50))
        return QSize(60, px(30) if item.kind is ItemKind.HEADING else px(32))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        item: ListItem = index.data(_ITEM)
        theme, area = self._theme, option.rect
        painter.save()
        if item.kind is ItemKind.HEADING:
            painter.setFont(theme.ui_font(12))
            painter.setPen(theme.color("text3"))
            line = QRect(area.x() + _PAD, area.y(), area.width() - 2 * _PAD, area.height() - 4)
            painter.drawText(line, int(Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft), item.text)
            painter.restore()
            return
        is_open = item.conversation_id == self.open_id and item.kind is ItemKind.CHAT
        is_current = bool(option.state & QStyle.StateFlag.State_Selected) and self._view.hasFocus()
        box = QRectF(area).adjusted(0, 1, 0, -1)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if is_open or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("surface3" if is_open else "surface2"))
            painter.drawRoundedRect(box, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
        inner = area.adjusted(_PAD, 0, -_PAD, 0)
        if item.snippet:
            inner.setHeight(area.height() // 2 + 2)
        font = theme.ui_font(13)
        painter.setFont(font)
        painter.setPen(theme.color("text1" if is_open or is_current or item.kind is ItemKind.HIT else "text2"))
        text = QFontMetrics(font).elidedText(item.text, Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(inner, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
        if item.snippet:
            self._paint_snippet(painter, inner.translated(0, inner.height() - 6), item)
        if is_current:
            draw_focus_ring(painter, box, theme, theme.RADIUS_SMALL)
        painter.restore()

    def _paint_snippet(self, painter: QPainter, area: QRect, item: ListItem) -> None:
        """The piece of text around the first match, the matches in the accent; cut so that the first is in sight."""
        theme = self._theme
        plain, bold = theme.ui_font(12), theme.ui_font(12, QFont.Weight.DemiBold)
        first = item.matches[0][0] if item.matches else 0
        begin = max(0, first - 12)
        x, right = area.x(), area.right()
        middle = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        pieces: list[tuple[str, bool]] = [("…", False)] if begin else []
        place = begin
        for start, end in item.matches:
            if start >= place:
                pieces += [(item.snippet[place:start], False), (item.snippet[start:end], True)]
                place = end
        pieces.append((item.snippet[place:], False))
        for text, is_match in pieces:
            font = bold if is_match else plain
            metrics = QFontMetrics(font)
            if x >= right - metrics.averageCharWidth():
                break
            painter.setFont(font)
            painter.setPen(theme.color("accent" if is_match else "text3"))
            shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, right - x)
            painter.drawText(QRect(x, area.y(), right - x + 1, area.height()), middle, shown)
            x += metrics.horizontalAdvance(shown)

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: _Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setAccessibleName(self.tr("Name of the chat"))
        editor.setMaxLength(200)
        return editor

    def setEditorData(self, editor: QWidget, index: _Index) -> None:
        assert isinstance(editor, QLineEdit)
        editor.setText(str(index.data(Qt.ItemDataRole.EditRole)))
        editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: _Index) -> None:
        assert isinstance(editor, QLineEdit)
        model.setData(index, editor.text())

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: _Index) -> None:
        editor.setGeometry(option.rect)


class ChatListView(QListView):
    """The lines on screen. Enter opens, F2 renames, Delete deletes, the menu key opens the menu.

    Signals: `chosen(conversation, message)`, `delete_wanted(conversation)`, `menu_wanted(conversation, place)`.
    """

    chosen = Signal(str, str)
    delete_wanted = Signal(str)
    menu_wanted = Signal(str, QPoint)
    edit_ended = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.delegate = ListDelegate(theme, self)
        self.setItemDelegate(self.delegate)
        self.setAccessibleName(self.tr("Chats"))
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBar(PlainScrollBar(self))
        self.verticalScrollBar().setAccessibleName(self.tr("Scroll the chats"))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu)
        self.clicked.connect(self._choose)
        theme.changed.connect(self._relayout)

    @property
    def is_editing(self) -> bool:
        return self.state() == QAbstractItemView.State.EditingState

    def item_at(self, index: _Index) -> ListItem | None:
        item = index.data(_ITEM) if index.isValid() else None
        return item if item is not None and item.kind is not ItemKind.HEADING else None

    def current_item(self) -> ListItem | None:
        return self.item_at(self.currentIndex())

    def focus_first(self) -> None:
        """Put the keyboard on the first line that is not a heading."""
        model = self.model()
        for row in range(model.rowCount()):
            index = model.index(row, 0)
            if self.item_at(index) is not None:
                self.setCurrentIndex(index)
                break
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def closeEditor(self, editor: QWidget, hint: object) -> None:  # noqa: N802 (Qt's name)
        super().closeEditor(editor, hint)  # type: ignore[arg-type]
        self.edit_ended.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        item = self.current_item()
        if item is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(item.conversation_id, item.message_id)
        elif item is not None and event.key() == Qt.Key.Key_Delete:
            self.delete_wanted.emit(item.conversation_id)
        else:
            super().keyPressEvent(event)

    def _choose(self, index: QModelIndex) -> None:
        item = self.item_at(index)
        if item is not None:
            self.chosen.emit(item.conversation_id, item.message_id)

    def _menu(self, point: QPoint) -> None:
        index = self.indexAt(point)
        item = self.item_at(index) or self.current_item()
        if item is not None:
            self.menu_wanted.emit(item.conversation_id, self.viewport().mapToGlobal(point))

    def _relayout(self) -> None:
        self.scheduleDelayedItemsLayout()
        self.viewport().update()


class ConversationList(QFrame):
    """The left column.

    Signals:
        open_wanted: a conversation, and a message in it or "".
        new_wanted, delete_wanted, rename_wanted, pin_wanted: what to do, with the conversation's id.
        search_changed: what to look for, "" for nothing; debounced.
    """

    open_wanted = Signal(str, str)
    new_wanted = Signal()
    delete_wanted = Signal(str)
    rename_wanted = Signal(str, str)
    pin_wanted = Signal(str, bool)
    search_changed = Signal(str)

    def __init__(self, theme: Theme, icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._icons = theme, icons
        self._pending: tuple[ListItem, ...] | None = None
        set_kind(self, "column")
        self.setAccessibleName(self.tr("Chats"))
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search chats"))
        self.search.setAccessibleName(self.tr("Search chats"))
        self.search.setToolTip(self.tr("Finds words in titles and messages, parts of words too"))
        self.search.installEventFilter(self)
        self._hint = QLabel(self.search)
        set_kind(self._hint, "mono-faint")
        self._hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._timer = QTimer(self, singleShot=True, interval=SEARCH_AFTER_MS)
        self._timer.timeout.connect(lambda: self.search_changed.emit(self.search.text()))
        self.search.textChanged.connect(self._search_typed)
        self.new_button = QPushButton(self.tr("New chat"))
        self.new_button.setAccessibleName(self.tr("New chat"))
        self.new_button.setToolTip(self.tr("Begin an empty chat  {keys}").format(keys=keys_text(("Ctrl+N",))))
        self.new_button.clicked.connect(self.new_wanted)
        self.view = ChatListView(theme)
        self.model = ListModel(self)
        self.view.setModel(self.model)
        self.view.chosen.connect(self.open_wanted)
        self.view.delete_wanted.connect(self.delete_wanted)
        self.view.menu_wanted.connect(self.show_menu)
        self.view.edit_ended.connect(self._show_pending)
        self.model.renamed.connect(self.rename_wanted)
        self._nothing = EmptyState(
            theme, self.tr("Your chats will stand here."), icon=lambda: icons.icon("chat", "text3", 32)
        )
        self.no_hit = EmptyState(theme, self.tr("No chat has these words."))
        self._lay_out()
        self._search_typed("")

    # ---- what is shown

    def set_rows(self, rows: Sequence[ConversationRow], open_id: ConversationId | None, now: datetime) -> None:
        """Show the chats; `open_id` is the one on screen."""
        self._stack.setCurrentIndex(0 if rows else 1)
        self._set_open(open_id)
        self._set_items(items_of(rows, now))

    def set_hits(self, hits: Sequence[SearchHit]) -> None:
        """Show what the search found instead of the chats."""
        untitled = self.tr("New chat")
        items = tuple(
            ListItem(
                ItemKind.HIT, hit.title or untitled, str(hit.conversation_id), False, str(hit.message_id or ""), *found
            )
            for hit in hits
            for found in [plain_snippet(hit.snippet, hit.matches) if hit.message_id is not None else ()]
        )
        self._stack.setCurrentIndex(0 if items else 2)
        self._set_items(items)

    def focus_search(self) -> None:
        """Put the cursor into the search box."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def rename(self, conversation_id: str) -> None:
        """Begin to rename a chat in its row."""
        row = self.model.row_of(conversation_id)
        if row >= 0:
            index = self.model.index(row)
            self.view.setCurrentIndex(index)
            self.view.scrollTo(index)
            self.view.edit(index)

    def menu_of(self, conversation_id: str) -> QMenu:
        """What can be done with a chat."""
        row = self.model.row_of(conversation_id)
        item = self.model.items[row]
        menu = QMenu(self)
        entries = (
            (self.tr("Open"), "chat", lambda: self.open_wanted.emit(conversation_id, item.message_id)),
            (self.tr("Rename"), "edit", lambda: self.rename(conversation_id)),
            (
                self.tr("Unpin") if item.pinned else self.tr("Pin"),
                "pin",
                lambda: self.pin_wanted.emit(conversation_id, not item.pinned),
            ),
            (self.tr("Delete"), "trash", lambda: self.delete_wanted.emit(conversation_id)),
        )
        for text, icon, act in entries:
            if icon == "trash":
                menu.addSeparator()
            if item.kind is ItemKind.HIT and icon in ("edit", "pin"):
                continue
            menu.addAction(self._icons.icon(icon, "text2", 16), text, act)
        return menu

    def show_menu(self, conversation_id: str, place: QPoint) -> None:
        menu = self.menu_of(conversation_id)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    # ---- inside

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.search:
            if event.type() == QEvent.Type.Resize:
                self._place_hint()
            elif event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
                if event.key() == Qt.Key.Key_Escape and self.search.text():
                    event.accept()
                    return True
            elif event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
                return self._search_key(event)
        return super().eventFilter(watched, event)

    def _search_key(self, event: QKeyEvent) -> bool:
        if event.key() == Qt.Key.Key_Escape and self.search.text():
            self.search.clear()
            return True
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.view.focus_first()
            return True
        return False

    def _search_typed(self, text: str) -> None:
        self._hint.setText(self.tr("Esc") if text else keys_text(("Ctrl+F",)))
        self._hint.adjustSize()
        self._place_hint()
        if text.strip():
            self._timer.start()
        else:
            self._timer.stop()
            self.search_changed.emit("")

    def _place_hint(self) -> None:
        hint = self._hint
        hint.move(self.search.width() - hint.width() - 9, (self.search.height() - hint.height()) // 2)

    def _set_open(self, open_id: ConversationId | None) -> None:
        self.view.delegate.open_id = str(open_id or "")
        self.view.viewport().update()

    def _set_items(self, items: tuple[ListItem, ...]) -> None:
        if items == self.model.items:
            self._pending = None
            return
        if self.view.is_editing:
            self._pending = items  # a name that is being typed must not vanish because a chat was saved
            return
        self._pending = None
        current, scrolled = self.view.current_item(), self.view.verticalScrollBar().value()
        self.model.set_items(items)
        if current is not None:
            row = self.model.row_of(current.conversation_id, current.message_id)
            if row >= 0:
                self.view.setCurrentIndex(self.model.index(row))
        self.view.verticalScrollBar().setValue(scrolled)

    def _show_pending(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            QTimer.singleShot(0, self, lambda: self._set_items(pending))

    def _lay_out(self) -> None:
        stack = QWidget()
        self._stack = QStackedLayout(stack)
        for each in (self.view, self._nothing, self.no_hit):
            self._stack.addWidget(each)
        layout = QVBoxLayout(self)
        bar = self.view.verticalScrollBar().sizeHint().width()
        layout.setContentsMargins(12, 12, 12 - bar, 8)  # the bar's room is the margin: rows end where the search does
        layout.setSpacing(0)
        head = QVBoxLayout()
        head.setContentsMargins(0, 0, bar, 10)
        head.setSpacing(10)
        head.addWidget(self.search)
        head.addWidget(self.new_button)
        layout.addLayout(head)
        layout.addWidget(stack, 1)
