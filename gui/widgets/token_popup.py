"""What else might have stood in a token's place, right under the token: a choice of one takes one click, or Enter.

It lies over the window, as the palette does, and stays at its token while the sections above change their heights. It goes
away with Esc, with a click elsewhere, when the keyboard goes elsewhere, and when the token is scrolled away. Rejected: a popup window of the system's (it takes the first click on another token), a menu (bars in it
would be pictures without figures for a screen reader).
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QScrollArea, QVBoxLayout, QWidget

from gui.theme import Theme, set_kind
from gui.widgets.distribution_bars import Bar, DistributionBars
from gui.widgets.elided_label import ElidedLabel

_WIDTH = 340
_GAP = 4


class TokenPopup(QFrame):
    """Bars over the window. `chosen` carries the id of the token; the popup is closed then.

    Args:
        owner: gets the keyboard back.
        name: the accessible name of the bars.
        hint: what a click does, shown below and as the rows' tooltip.
    """

    chosen = Signal(int)

    def __init__(self, theme: Theme, owner: QWidget, name: str, hint: str) -> None:
        super().__init__(owner)
        self._theme, self._owner = theme, owner
        self._window: QWidget | None = None
        self._areas: list[QScrollArea] = []
        self._token = QRect()
        set_kind(self, "popup")
        self.setAccessibleName(name)
        self.title = ElidedLabel()
        set_kind(self.title, "small")
        self.bars = DistributionBars(theme, name, hint=hint, both_figures=True)
        self.bars.activated.connect(self._choose)
        self.bars.installEventFilter(self)
        note = ElidedLabel()
        note.setText(hint)
        set_kind(note, "caption")
        column = QVBoxLayout(self)
        column.setContentsMargins(*(Theme.SPACE[1] for _side in range(4)))
        column.setSpacing(Theme.SPACE[0])
        for each in (self.title, self.bars, note):
            column.addWidget(each)
        self.hide()

    def open_under(self, token: QRect, title: str, bars: Sequence[Bar]) -> None:
        """Show these under a token (in the owner's coordinates), or over it where there is no room below."""
        window = self._owner.window()
        if self._window is not window:
            self._window = window
            self.setParent(window)
            self._watch()
        self._token = token
        self.title.setText(title)
        self.bars.set_bars(bars)
        # The likeliest other one is at hand: Enter takes it.
        others = [at for at, each in enumerate(self.bars.bars) if each.token_id is not None and not each.is_picked]
        self.bars.select(others[0] if others else -1)
        self.setFixedWidth(min(self._theme.px(_WIDTH), window.width() - 2 * _GAP))
        self.adjustSize()
        self._bring_on_screen()
        self.show()
        self._place(window)
        self.raise_()
        self.bars.setFocus(Qt.FocusReason.PopupFocusReason)

    def close_popup(self) -> None:
        """Put it away; the keyboard goes back to the owner if it was here."""
        if self.isHidden():
            return
        had_focus = self.bars.hasFocus()
        self.hide()
        if had_focus:
            self._owner.setFocus(Qt.FocusReason.PopupFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close_popup()
        else:
            event.ignore()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if watched is not self.bars:
            if kind in (QEvent.Type.Move, QEvent.Type.Resize) and not self.isHidden() and self._window is not None:
                if all(watched is not area.widget() for area in self._areas):  # that is how an area scrolls
                    self._bring_on_screen()
                self._place(self._window)
        elif kind == QEvent.Type.FocusOut:
            self.hide()
        elif (
            kind == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Escape
            and not self.isHidden()
        ):
            event.accept()  # Esc is the popup's, not the window's Stop
            return True
        return False

    def _place(self, window: QWidget) -> None:
        """Under the token, or over it where there is no room below; away where the token cannot be seen."""
        if not self._is_seen():
            self.close_popup()
            return
        corner = self._owner.mapTo(window, self._token.bottomLeft())
        top = corner.y() + _GAP
        if top + self.height() > window.height():
            top = self._owner.mapTo(window, self._token.topLeft()).y() - self.height() - _GAP
        left = min(max(_GAP, corner.x()), window.width() - self.width() - _GAP)
        self.move(QPoint(left, max(_GAP, top)))

    def _bring_on_screen(self) -> None:
        for area in self._areas:
            content = area.widget()
            if content is None:
                continue
            point = self._owner.mapTo(content, self._token.center())
            area.ensureVisible(point.x(), point.y(), 0, self._token.height())

    def _is_seen(self) -> bool:
        seen: QWidget | None = self._owner
        while seen is not None:
            if not seen.isVisible() or not seen.rect().contains(self._owner.mapTo(seen, self._token.center())):
                return False
            if seen is self._window:
                break
            seen = seen.parentWidget()
        return True

    def _watch(self) -> None:
        """Whatever moves the token moves one of the widgets that it stands in, or scrolls the owner's own text."""
        watched: QWidget | None = self._owner
        while watched is not None:
            watched.installEventFilter(self)
            if isinstance(watched, QScrollArea):
                self._areas.append(watched)
            watched = watched.parentWidget()
        if isinstance(self._owner, QAbstractScrollArea):
            self._owner.verticalScrollBar().valueChanged.connect(lambda _value: self.close_popup())

    def _choose(self, row: int) -> None:
        token_id = self.bars.bars[row].token_id
        if token_id is not None:
            self.close_popup()
            self.chosen.emit(token_id)
