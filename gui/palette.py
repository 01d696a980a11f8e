"""The command palette (Ctrl+K): every action, page, conversation and model by typing a few of its letters.

A frame over the window, not a window of its own: popups are placed by the compositor on Wayland and lose the focus
ring. Entries come from sources that are asked each time it opens, so the palette knows nothing of conversations.
Rejected: a modal dialog, QCompleter (matches prefixes, not letters in order).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractListModel, QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from gui.actions import ActionRegistry, group_text, keys_text
from gui.icons import Icons
from gui.theme import set_kind

MOST_SHOWN = 60
ROWS_SEEN = 9
WIDTH = 560
_Index = QModelIndex | QPersistentModelIndex
_BOUNDARY = set(" -_/.·:()[]\u2026")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the palette.

    Attributes:
        id: stable, so that what was used lately comes first.
        text: what is searched and shown.
        group: shown in grey behind it (“Chat”, “Model”, a date).
        run: what choosing it does.
        keys: the shortcut as this platform writes it.
        icon: a file of resources/icons, "" for none.
        help: searched too, with less weight; the line's tooltip.
    """

    id: str
    text: str
    group: str
    run: Callable[[], object]
    keys: str = ""
    icon: str = ""
    help: str = ""


Source = Callable[[], Iterable[Entry]]


def subsequence_score(query: str, text: str) -> float | None:
    """How well the letters of `query` stand in `text` in this order; None when they do not.

    Letters at the start of a word and letters in a row count more, letters far from the beginning less.
    Case is ignored. An empty query scores 0.
    """
    wanted, given = query.casefold(), text.casefold()
    if not wanted:
        return 0.0
    # best[i]: the best score of the letters so far with the last one at position i of the text.
    best: dict[int, float] = {}
    for n_letter, letter in enumerate(wanted):
        now: dict[int, float] = {}
        reach: float | None = None  # the best earlier end, wherever it is
        previous = sorted(best.items()) if n_letter else []
        cursor = 0
        for position, character in enumerate(given):
            while cursor < len(previous) and previous[cursor][0] < position:
                value = previous[cursor][1]
                reach = value if reach is None else max(reach, value)
                cursor += 1
            if character != letter:
                continue
            at_start = position == 0 or given[position - 1] in _BOUNDARY
            gain = 1.0 + (3.0 if at_start else 0.0)
            if n_letter == 0:
                now[position] = gain - min(position, 20) * 0.05
            elif reach is not None:
                joined = best.get(position - 1)
                now[position] = max(reach + gain, joined + gain + 2.0 if joined is not None else reach)
        if not now:
            return None
        best = now
    return max(best.values())


def rank(entries: Sequence[Entry], query: str, recent: Sequence[str] = ()) -> tuple[Entry, ...]:
    """The entries that match every word of the query, best first, at most `MOST_SHOWN`.

    Without a query: those used lately, then all in their own order.
    """
    words = query.split()
    if not words:
        order = {each: place for place, each in enumerate(recent)}
        return tuple(sorted(entries, key=lambda entry: order.get(entry.id, len(order))))[:MOST_SHOWN]
    found: list[tuple[float, int, Entry]] = []
    for place, entry in enumerate(entries):
        total = 0.0
        for word in words:
            in_text = subsequence_score(word, entry.text)
            in_more = subsequence_score(word, entry.group) if in_text is None else None
            if in_text is None and in_more is None and word.casefold() in entry.help.casefold():
                in_more = 1.0
            if in_text is not None:
                total += in_text
            elif in_more is not None:
                total += in_more * 0.4
            else:
                break
        else:
            found.append((-total, place, entry))
    return tuple(entry for _, _, entry in sorted(found, key=lambda each: each[:2]))[:MOST_SHOWN]


class CommandPalette(QFrame):
    """The palette of one window.

    Args:
        window: what it stands over.
        actions: listed first.
        sources: list more; each is asked whenever the palette opens, so the list may grow later.
    """

    def __init__(self, window: QWidget, actions: ActionRegistry, icons: Icons, sources: Sequence[Source] = ()) -> None:
        super().__init__(window)
        self._window, self._actions, self._icons = window, actions, icons
        self._sources = sources
        self._entries: tuple[Entry, ...] = ()
        self._recent: list[str] = []
        self._focus_before: QWidget | None = None
        set_kind(self, "popup")
        self.setAccessibleName(self.tr("Command palette"))
        self._field = QLineEdit()
        set_kind(self._field, "bare")
        self._field.setPlaceholderText(self.tr("Search actions, pages, chats, models"))
        self._field.setAccessibleName(self.tr("Search actions, pages, chats, models"))
        self._field.textChanged.connect(self._filter)
        self._field.installEventFilter(self)
        self._model = _EntryModel(self)
        self._list = QListView()
        set_kind(self._list, "palette")
        self._list.setAccessibleName(self.tr("Matching actions"))
        self._list.setModel(self._model)
        self._list.setItemDelegate(_EntryDelegate(icons, self._list))
        self._list.setUniformItemSizes(True)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setMouseTracking(True)
        self._list.entered.connect(self._list.setCurrentIndex)
        self._list.clicked.connect(lambda index: self._run(index.row()))
        self._nothing = QLabel(self.tr("Nothing is called that. Try fewer letters."))
        set_kind(self._nothing, "faint")
        self._nothing.setContentsMargins(16, 12, 16, 16)
        line = QFrame()
        set_kind(line, "hairline")
        head = QHBoxLayout()
        head.setContentsMargins(16, 8, 16, 8)
        head.addWidget(self._field)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(1, 1, 1, 1)
        self._column.setSpacing(0)
        self._column.addLayout(head)
        self._column.addWidget(line)
        self._column.addWidget(self._list)
        self._column.addWidget(self._nothing)
        self.hide()
        window.installEventFilter(self)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What the list shows now, best first."""
        return self._model.entries

    def open(self, query: str = "") -> None:
        """Show it, or hide it when it is already there."""
        if self.isVisible():
            self.dismiss()
            return
        self._entries = tuple(entry for source in (self._of_actions, *self._sources) for entry in source())
        self._focus_before = QApplication.focusWidget()
        self._field.setText(query)
        self._filter(query)
        self.show()
        self.raise_()
        self._field.setFocus(Qt.FocusReason.PopupFocusReason)

    def dismiss(self) -> None:
        """Hide it and give the keyboard back to whoever had it."""
        if not self.isVisible():
            return
        before, self._focus_before = self._focus_before, None
        self.hide()
        if before is not None and before.isVisible():
            before.setFocus(Qt.FocusReason.PopupFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._window and event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        if watched is self._field:
            if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
                return self._key(event)
            # Another window coming to the front does not close it; a click elsewhere in this one does.
            if event.type() == QEvent.Type.FocusOut and self.isVisible() and self._window.isActiveWindow():
                self._focus_before = None
                self.dismiss()
        return super().eventFilter(watched, event)

    def _key(self, event: QKeyEvent) -> bool:
        row, last = self._list.currentIndex().row(), self._model.rowCount() - 1
        match event.key():
            case Qt.Key.Key_Escape:
                self.dismiss()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._run(row)
            case Qt.Key.Key_Down:
                self._select(0 if row >= last else row + 1)
            case Qt.Key.Key_Up:
                self._select(last if row <= 0 else row - 1)
            case Qt.Key.Key_PageDown:
                self._select(min(last, row + ROWS_SEEN))
            case Qt.Key.Key_PageUp:
                self._select(max(0, row - ROWS_SEEN))
            case Qt.Key.Key_Tab | Qt.Key.Key_Backtab:
                pass  # the keyboard stays here until Esc or Enter
            case _:
                return False
        return True

    def _select(self, row: int) -> None:
        index = self._model.index(row)
        self._list.setCurrentIndex(index)
        self._list.scrollTo(index)

    def _filter(self, query: str) -> None:
        self._model.set_entries(rank(self._entries, query, self._recent))
        some = bool(self._model.entries)
        self._list.setVisible(some)
        self._nothing.setVisible(not some)
        if some:
            self._select(0)
        self._place()

    def _run(self, row: int) -> None:
        if not 0 <= row < len(self._model.entries):
            return
        entry = self._model.entries[row]
        self._recent = [entry.id, *(each for each in self._recent if each != entry.id)][:5]
        self.dismiss()
        entry.run()

    def _place(self) -> None:
        rows = min(ROWS_SEEN, len(self._model.entries))
        self._list.setFixedHeight(max(1, rows) * self._list.sizeHintForRow(0) + 10)
        width = min(WIDTH, self._window.width() - 48)
        self._column.activate()
        self.setGeometry((self._window.width() - width) // 2, 72, width, self._column.sizeHint().height())

    def _of_actions(self) -> Iterable[Entry]:
        for each in self._actions.all():
            if self._actions.is_enabled(each.id):
                run = self._actions.by_id(each.id).trigger
                yield Entry(each.id, each.text, group_text(each.group), run, keys_text(each.keys), each.icon, each.help)


class _EntryModel(QAbstractListModel):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.entries: tuple[Entry, ...] = ()

    def set_entries(self, entries: tuple[Entry, ...]) -> None:
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return len(self.entries)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry = self.entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(part for part in (entry.text, entry.group, entry.keys) if part)
        if role == Qt.ItemDataRole.ToolTipRole:
            return entry.help or None
        return entry if role == Qt.ItemDataRole.UserRole else None


class _EntryDelegate(QStyledItemDelegate):
    """Draws icon, text, group and shortcut on one line."""

    def __init__(self, icons: Icons, parent: QObject) -> None:
        super().__init__(parent)
        self._icons = icons

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(100, self._icons.theme.px(34))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        theme, entry = self._icons.theme, index.data(Qt.ItemDataRole.UserRole)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = option.rect.adjusted(2, 1, -2, -1)
        if chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("accent_tint"))
            painter.drawRoundedRect(area, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
        inner = area.adjusted(10, 0, -12, 0)
        if entry.icon:
            pixmap = self._icons.pixmap(entry.icon, "accent" if chosen else "text3", theme.px(18))
            painter.drawPixmap(inner.x(), inner.center().y() - theme.px(18) // 2 + 1, pixmap)
        left = inner.x() + theme.px(18) + 12
        mono, ui, small = theme.mono_font(12), theme.ui_font(13), theme.ui_font(12)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        right = inner.right()
        painter.setPen(theme.color("text3"))
        if entry.keys:
            width = QFontMetrics(mono).horizontalAdvance(entry.keys)
            painter.setFont(mono)
            painter.drawText(QRect(right - width, area.y(), width + 1, area.height()), middle, entry.keys)
            right -= width + 16
        group_width = QFontMetrics(small).horizontalAdvance(entry.group)
        metrics = QFontMetrics(ui)
        room = right - left - (group_width + 12 if entry.group else 0)
        text = metrics.elidedText(entry.text, Qt.TextElideMode.ElideRight, max(40, room))
        painter.setFont(small)
        group_x = left + metrics.horizontalAdvance(text) + 10
        painter.drawText(QRect(group_x, area.y(), group_width + 1, area.height()), middle, entry.group)
        painter.setFont(ui)
        painter.setPen(theme.color("text1"))
        painter.drawText(QRect(left, area.y(), max(1, right - left), area.height()), middle, text)
        painter.restore()
