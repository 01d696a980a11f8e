"""The line over the thread: the chat's name, the model, and the chat's system prompt under it when asked for.

The name is edited in place; the model button opens the models of this computer. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFont, QFontMetrics, QIcon, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from engine.models.library import LibraryEntry
from engine.runtime.supervisor import Phase
from gui.icons import Icons
from gui.model_name import spoken_name
from gui.panels.chat.states import Header
from gui.panels.chat.words import model_button_text
from gui.theme import Theme, set_kind
from gui.widgets.elided_button import ElidedButton
from gui.widgets.paint import draw_focus_ring
from gui.widgets.quantities import bytes_text

HEIGHT = 42
TITLE_PAD = 8  # pixels between the title button's edge and its text
SPACING, RIGHT = 10, 12
LEAST_MODEL = 150  # logical pixels: a model's name in fewer says nothing
PROMPT_AFTER_MS = 400


class TitleButton(QPushButton):
    """The chat's name; a click begins to change it. Painted, because a style sheet's button cannot shorten its text."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setCursor(Qt.CursorShape.IBeamCursor)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setStyleSheet("QPushButton { min-height: 20px; padding: 0; }")  # lengths only; it paints itself
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        wide = QFontMetrics(self._font()).horizontalAdvance(self.text()) + 1
        return QSize(wide + 2 * TITLE_PAD, self._theme.px(28))

    def _font(self) -> QFont:
        return self._theme.ui_font(13, QFont.Weight.DemiBold)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self._theme.px(28))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        area = QRectF(self.rect())
        if self.underMouse() and self.isEnabled():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("surface2"))
            painter.drawRoundedRect(area, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
        font = self._font()
        painter.setFont(font)
        painter.setPen(theme.color("text1" if self.isEnabled() else "text2"))
        room = self.width() - 2 * TITLE_PAD
        shown = QFontMetrics(font).elidedText(self.text(), Qt.TextElideMode.ElideRight, room)
        painter.drawText(area.adjusted(TITLE_PAD, 0, -TITLE_PAD, 0), int(Qt.AlignmentFlag.AlignVCenter), shown)
        if self.hasFocus():
            draw_focus_ring(painter, area, theme, theme.RADIUS_SMALL)


class EditableTitle(QWidget):
    """A name that becomes a text field. `renamed(name)` when it was changed; "" gives the choice back."""

    renamed = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = TitleButton(theme)
        self.field = QLineEdit()
        self.field.setAccessibleName(self.tr("Name of the chat"))
        self.field.setMaxLength(200)
        self.field.installEventFilter(self)
        self.button.clicked.connect(self.begin)
        self.field.editingFinished.connect(self._done)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.button)
        self._stack.addWidget(self.field)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_title(self, text: str, *, can_edit: bool) -> None:
        self.button.setText(text)
        self.button.setEnabled(can_edit)
        self.button.setAccessibleName(self.tr("Rename the chat: {title}").format(title=text))
        self.button.setToolTip(f"{text}\n{self.tr('Click to rename')}" if can_edit else "")

    def begin(self) -> None:
        """Show the field."""
        self.field.setText(self.button.text())
        self._stack.setCurrentWidget(self.field)
        self.field.selectAll()
        self.field.setFocus(Qt.FocusReason.OtherFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.field and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                self.field.setText(self.button.text())
                self._leave()
                return True
        return super().eventFilter(watched, event)

    def _done(self) -> None:
        if self._stack.currentWidget() is not self.field:
            return
        text = self.field.text().strip()
        changed = text != self.button.text()
        self._leave()
        if changed:
            self.renamed.emit(text)

    def _leave(self) -> None:
        had_focus = self.field.hasFocus()
        self._stack.setCurrentWidget(self.button)
        if had_focus:
            self.button.setFocus(Qt.FocusReason.OtherFocusReason)


class SystemPromptBox(QFrame):
    """The system prompt under the header. `edited(text)` a moment after the last key, `left` on Escape."""

    edited = Signal(str)
    left = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_kind(self, "bar")
        self.setAccessibleName(self.tr("System prompt"))
        label = QLabel(self.tr("System prompt of this chat, from the next answer on"))
        set_kind(label, "small")
        self.edit = QPlainTextEdit()
        self.edit.setAccessibleName(self.tr("System prompt"))
        self.edit.setPlaceholderText(self.tr("What the model is to be, and how it is to answer"))
        self.edit.setTabChangesFocus(True)
        self.edit.setFixedHeight(theme.px(96))
        self.edit.installEventFilter(self)
        label.setBuddy(self.edit)
        self._timer = QTimer(self, singleShot=True, interval=PROMPT_AFTER_MS)
        self._timer.timeout.connect(self._tell)
        self.edit.textChanged.connect(self._timer.start)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(22, 8, 22, 12)
        self._layout.setSpacing(6)
        self._layout.addWidget(label)
        self._layout.addWidget(self.edit)

    def set_edges(self, left: int, right: int) -> None:
        """Begin and end where the thread's text does, in pixels from the sides."""
        margins = self._layout.contentsMargins()
        self._layout.setContentsMargins(left, margins.top(), right, margins.bottom())

    def set_text(self, text: str) -> None:
        if text != self.edit.toPlainText():
            self.edit.blockSignals(True)
            self.edit.setPlainText(text)
            self.edit.blockSignals(False)
        self._timer.stop()

    def flush(self) -> None:
        """Tell what stands here now, if it was not told yet."""
        if self._timer.isActive():
            self._tell()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                self.left.emit()
                return True
        return super().eventFilter(watched, event)

    def _tell(self) -> None:
        self._timer.stop()
        self.edited.emit(self.edit.toPlainText())


class ChatHeader(QFrame):
    """The line itself.

    Signals:
        renamed: the chat's new name.
        model_chosen: the path of a model of the menu.
        prompt_toggled: whether the system prompt is to be shown.
    """

    renamed = Signal(str)
    model_chosen = Signal(str)
    prompt_toggled = Signal(bool)

    def __init__(self, theme: Theme, icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._icons = theme, icons
        self._models: tuple[LibraryEntry, ...] = ()
        self._present = ""
        self._more: Callable[[QMenu], None] = lambda _menu: None
        set_kind(self, "bar")
        self.setAccessibleName(self.tr("Chat and model"))
        self.title = EditableTitle(theme)
        self.title.renamed.connect(self.renamed)
        self.model_button = ElidedButton(theme, room=40)
        self.model_button.setStyleSheet("QPushButton { padding: 0 24px 0 12px; }")  # room for the arrow
        self._menu = QMenu(self.model_button)
        self._menu.aboutToShow.connect(self._fill_menu)
        self.model_button.setMenu(self._menu)
        self.prompt_button = QPushButton()
        self.prompt_button.setIconSize(QSize(16, 16))
        self.prompt_button.setCheckable(True)
        self._has_prompt = False
        self.prompt_button.toggled.connect(self.prompt_toggled)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(14, 0, RIGHT, 0)
        self._layout.setSpacing(SPACING)
        self._layout.addWidget(self.title, 1)
        self._layout.addWidget(self.model_button, 0)
        self._layout.addWidget(self.prompt_button, 0)
        theme.changed.connect(self._fit)
        self._fit()

    def set_menu_end(self, more: Callable[[QMenu], None]) -> None:
        """What the page adds at the end of the model menu (open a file, unload)."""
        self._more = more

    def show_header(self, header: Header) -> None:
        self.title.set_title(header.title or self.tr("New chat"), can_edit=bool(header.title))
        text = model_button_text(header)
        tips = {
            Phase.READY: self.tr("loaded"),
            Phase.LOST: self.tr("the engine has ended; load it again"),
            Phase.LOADING: self.tr("loading"),
        }
        tip = tips.get(header.phase, "")
        self.model_button.set_text(text, header.model_path + (f"\n{tip}" if tip and header.model_path else ""))
        self.model_button.setAccessibleName(self.tr("Model: {name}").format(name=text))
        self._has_prompt = header.has_system_prompt
        self._share_width()
        name = self.tr("System prompt, set") if header.has_system_prompt else self.tr("System prompt, empty")
        self.prompt_button.setAccessibleName(name)
        self.prompt_button.setToolTip(name)

    def show_models(self, entries: Sequence[LibraryEntry], present: str) -> None:
        self._models, self._present = tuple(entries), present

    def open_menu(self) -> None:
        """Open the model menu, as a click does."""
        self.model_button.showMenu()

    @property
    def menu(self) -> QMenu:
        """The model menu as it would open now."""
        self._fill_menu()
        return self._menu

    def _fill_menu(self) -> None:
        menu = self._menu
        menu.clear()
        for entry in self._models:
            card = entry.card
            size = f"\t{bytes_text(card.size_bytes)}" if card is not None else ""
            action = menu.addAction(spoken_name(entry.label).replace("&", "&&") + size)
            action.setCheckable(True)
            action.setChecked(str(entry.path) == self._present)
            action.triggered.connect(lambda _=False, path=str(entry.path): self.model_chosen.emit(path))
        if self._models:
            menu.addSeparator()
        self._more(menu)

    def set_left(self, left: int) -> None:
        """Have the title's text begin so many pixels from the side, where the thread's text does."""
        margins = self._layout.contentsMargins()
        self._layout.setContentsMargins(max(0, left - TITLE_PAD), 0, margins.right(), 0)
        self._share_width()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_width()

    def _share_width(self) -> None:
        """The chat's name gets the room it needs: first the system prompt's words give way, then the model's name."""
        words = self.tr("System prompt") + (" \N{BULLET}" if self._has_prompt else "")
        wide = self.fontMetrics().horizontalAdvance(words) + 2 * self._theme.px(14)
        room = self.width() - self._layout.contentsMargins().left() - RIGHT - 2 * SPACING
        room -= self.title.button.sizeHint().width()
        fits = wide + self.model_button.sizeHint().width() <= room
        self._show_prompt_button(words if fits else "")
        room -= self.prompt_button.sizeHint().width()
        self.model_button.setMaximumWidth(max(self._theme.px(LEAST_MODEL), room))

    def _show_prompt_button(self, words: str) -> None:
        """With words, or as an icon that says them on hover; filled in the accent when there is a prompt."""
        button = self.prompt_button
        if words != button.text():
            button.setText(words)
            button.setStyleSheet("" if words else "QPushButton { padding: 0 8px; }")  # lengths only
        button.setIcon(QIcon() if words else self._icons.icon("file", "accent" if self._has_prompt else "text2", 16))

    def _fit(self) -> None:
        self.setFixedHeight(self._theme.px(HEIGHT))
        self._share_width()
