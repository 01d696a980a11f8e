"""The line over the chain: which preset it is, whose chain it is, and where a preset's name is typed.

Names are typed in place, files are chosen in the desktop's dialogs, a delete is undone from a toast. What a name is
refused for stands under it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QMenu, QPushButton, QVBoxLayout, QWidget

from engine.base.errors import KnownError
from engine.sampling.presets import Preset
from engine.workbench.events import ChainScope
from gui.page import PanelContext
from gui.panels.inspector.presenter.decoding import DecodingPresenter
from gui.panels.inspector.presenter.presets import PresetPresenter
from gui.theme import Theme, set_kind
from gui.widgets.elided_button import ElidedButton

_ARROW_ROOM = 34  # logical pixels beside a menu button's text


class NameLine(QWidget):
    """A line to type a preset's name in, with what is wrong under it.

    Args:
        submit: takes the name; returns "" when it was taken, else the sentence that says why not.
    """

    closed = Signal()

    def __init__(self, submit: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._submit = submit
        self.edit = QLineEdit(self)
        self.edit.setPlaceholderText(self.tr("Name of the preset"))
        self.edit.setAccessibleName(self.tr("Name of the preset"))
        self.edit.setMaxLength(200)
        self.edit.installEventFilter(self)
        self.save = QPushButton(self.tr("Save"), self)
        set_kind(self.save, "chip")
        self.save.setAccessibleName(self.tr("Save the preset under this name"))
        self.error = QLabel(self)
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        self.error.setWordWrap(True)
        set_kind(self.error, "bad")
        self.error.hide()
        line = QHBoxLayout()
        line.setSpacing(Theme.SPACE[1])
        line.addWidget(self.edit, 1)
        line.addWidget(self.save)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self.error)
        self.save.clicked.connect(self._commit)
        self.hide()

    def begin(self, name: str, submit: Callable[[str], str]) -> None:
        """Ask for a name, beginning with this one."""
        self._submit = submit
        self.edit.setText(name)
        self._say("")
        self.show()
        self.edit.selectAll()
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.edit and isinstance(event, QKeyEvent):
            if event.key() == Qt.Key.Key_Escape:
                if event.type() == QEvent.Type.ShortcutOverride:
                    event.accept()  # Escape leaves the line, not what the window would stop
                    return True
                if event.type() == QEvent.Type.KeyPress:
                    self._close()
                    return True
            if event.type() == QEvent.Type.KeyPress and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._commit()
                return True
        return super().eventFilter(watched, event)

    def _commit(self) -> None:
        error = self._submit(self.edit.text())
        self._say(error)
        if not error:
            self._close()

    def _close(self) -> None:
        self.hide()
        self.closed.emit()

    def _say(self, error: str) -> None:
        self.error.setText(error)
        self.error.setVisible(bool(error))


class PresetBar(QWidget):
    """Two menu buttons, the line for a name, and a sentence when the chain is not that of all chats.

    Attributes:
        view: which preset is shown.

    Signals:
        chain_changed: the chain is another one now, or it is kept elsewhere.
    """

    chain_changed = Signal()

    def __init__(self, context: PanelContext, decoding: DecodingPresenter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._decoding = context, decoding
        self.presenter = PresetPresenter(context.workbench)
        theme = context.theme
        self.button = ElidedButton(theme, room=_ARROW_ROOM)
        self.scope_button = ElidedButton(theme, room=_ARROW_ROOM)
        for button in (self.button, self.scope_button):
            set_kind(button, "chip")
        self.menu, self.scope_menu = QMenu(self.button), QMenu(self.scope_button)
        self.menu.setToolTipsVisible(True)
        self.scope_menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.scope_menu.aboutToShow.connect(self._fill_scope_menu)
        self.button.setMenu(self.menu)
        self.scope_button.setMenu(self.scope_menu)
        self.name_line = NameLine(self.presenter.save_as, self)
        self.name_line.closed.connect(lambda: self.button.setFocus(Qt.FocusReason.OtherFocusReason))
        self.note = QLabel()
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.note.setWordWrap(True)
        set_kind(self.note, "caption")
        self.everywhere = QPushButton(self.tr("Use everywhere"))
        set_kind(self.everywhere, "link")
        self.everywhere.setAccessibleName(self.tr("Use these samplers in all chats"))
        self.everywhere.setToolTip(self.tr("Make this chain that of all chats and models"))
        self.everywhere.clicked.connect(self._use_everywhere)
        self._lay_out()
        self.refresh()

    def refresh(self) -> None:
        """Show which preset it is and whose chain."""
        view, scope = self.presenter.view(), self._decoding.scope()
        self.view = view
        name = view.label or self.tr("own values")
        words = self.tr("Preset: {name}").format(name=name)
        shown = self.tr("{name} · changed").format(name=name) if view.is_changed else words
        self.button.set_text(shown, self.tr("Presets: whole sampler chains with a name"))
        self.button.setAccessibleName(self.tr("{preset}, changed").format(preset=words) if view.is_changed else words)
        scopes = {
            ChainScope.ALL: self.tr("All chats"),
            ChainScope.MODEL: self.tr("This model"),
            ChainScope.CHAT: self.tr("This chat"),
        }
        self.scope_button.set_text(scopes[scope.scope], self.tr("Whose samplers these are"))
        self.scope_button.setMinimumWidth(self.scope_button.sizeHint().width())  # the preset's name is shortened first
        self.scope_button.setAccessibleName(self.tr("Samplers of: {name}").format(name=scopes[scope.scope]))
        self.note.setText(
            self.tr("This chat's own chain")
            if scope.scope is ChainScope.CHAT
            else self.tr("The own chain of {model}").format(model=scope.model)
        )
        self._note_row.setVisible(scope.scope is not ChainScope.ALL)

    # ---- what the menus do

    def open_menu(self) -> None:
        """Show the presets, from the keyboard."""
        self.menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    def save_as(self) -> None:
        """Ask for the name of a new preset."""
        self.name_line.begin("", self._told(self.presenter.save_as))

    def rename(self) -> None:
        """Ask for another name of the chosen preset."""
        self.name_line.begin(self.presenter.view().label, self._told(self.presenter.rename))

    def delete(self) -> None:
        """Take the chosen preset away, with an undo."""
        done = self.presenter.delete()
        if done is None:
            return
        preset, restore, forget = done

        def undo() -> None:
            restore()
            self.chain_changed.emit()

        text = self.tr("Preset “{name}” deleted").format(name=preset.label)
        self._context.toast.show_undo(text, undo, forget)
        self.chain_changed.emit()

    def export(self) -> None:
        """Ask where the preset should be written to."""
        name = self.presenter.view().label or self.tr("preset")
        start = str(Path.home() / f"{name.replace('/', '-')}.json")
        dialog = self._dialog(self.tr("Export the preset"), start)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("json")
        dialog.selectFile(start)
        dialog.fileSelected.connect(lambda path: self.presenter.export(Path(path), self._exported))
        dialog.open()

    def import_file(self) -> None:
        """Ask for a preset's file."""
        dialog = self._dialog(self.tr("Import a preset"), str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.presenter.import_file(Path(path), self._imported))
        dialog.open()

    # ---- inside

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(Theme.SPACE[1])
        line.addWidget(self.button)
        line.addStretch(1)
        line.addWidget(self.scope_button)
        self._note_row = QWidget(self)
        note = QHBoxLayout(self._note_row)
        note.setContentsMargins(0, 0, 0, 0)
        note.addWidget(self.note, 1)
        note.addWidget(self.everywhere)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addLayout(line)
        column.addWidget(self._note_row)
        column.addWidget(self.name_line)

    def _fill_menu(self) -> None:
        menu, view = self.menu, self.presenter.view()
        menu.clear()
        self._add_presets(view.built_in, view.key, is_changed=view.is_changed)
        if view.own:
            menu.addSeparator()
            self._add_presets(view.own, view.key, is_changed=view.is_changed)
        menu.addSeparator()
        if view.is_own and view.is_changed:
            update = menu.addAction(self.tr("Save the change"))
            update.triggered.connect(self._overwrite)
        menu.addAction(self.tr("Save as…")).triggered.connect(self.save_as)
        rename = menu.addAction(self.tr("Rename…"))
        rename.triggered.connect(self.rename)
        delete = menu.addAction(self.tr("Delete"))
        delete.triggered.connect(self.delete)
        for each in (rename, delete):
            each.setEnabled(view.is_own)
        menu.addSeparator()
        menu.addAction(self.tr("Export…")).triggered.connect(self.export)
        menu.addAction(self.tr("Import…")).triggered.connect(self.import_file)

    def _add_presets(self, presets: tuple[Preset, ...], chosen: str, *, is_changed: bool) -> None:
        for each in presets:
            label = each.label.replace("&", "&&")  # not a mnemonic
            action = self.menu.addAction(label)
            action.setCheckable(True)
            action.setChecked(each.key == chosen and not is_changed)
            action.setToolTip(f"{each.help}\n{each.chain.describe()}".strip())
            action.triggered.connect(lambda _=False, key=each.key: self._choose(key))

    def _fill_scope_menu(self) -> None:
        view = self._decoding.scope()
        model = self.tr("Only for {model}").format(model=view.model) if view.model else self.tr("Only for this model")
        choices = (
            (ChainScope.ALL, self.tr("For all chats"), self.tr("Every chat uses this chain, unless it has its own")),
            (ChainScope.MODEL, model, self.tr("In every chat, while this model is loaded")),
            (ChainScope.CHAT, self.tr("Only for this chat"), self.tr("This chat keeps a chain of its own")),
        )
        self.scope_menu.clear()
        for scope, text, tip in choices:
            action = self.scope_menu.addAction(text.replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(scope is view.scope)
            action.setToolTip(tip)
            action.setEnabled(scope is not ChainScope.MODEL or view.can_use_model)
            action.triggered.connect(lambda _=False, scope=scope: self._use_scope(scope))

    def _choose(self, key: str) -> None:
        self.presenter.choose(key)
        self.chain_changed.emit()

    def _overwrite(self) -> None:
        undo = self.presenter.overwrite()
        if undo is not None:
            name = self.presenter.view().label
            self._context.toast.show_undo(self.tr("Preset “{name}” changed").format(name=name), undo)
        self.chain_changed.emit()

    def _use_scope(self, scope: ChainScope) -> None:
        before = self._decoding.scope()
        if scope is before.scope:
            return
        try:
            undo = self._decoding.use_scope(scope)
        except KnownError as error:
            self._context.notices.show_trouble(error.trouble)
            return
        if scope is ChainScope.ALL or before.scope is ChainScope.CHAT:
            self._tell(self.tr("The own chain was dropped"), undo)
        self.chain_changed.emit()

    def _use_everywhere(self) -> None:
        self._tell(self.tr("This chain is used in all chats now"), self._decoding.use_everywhere())
        self.chain_changed.emit()

    def _tell(self, text: str, undo: Callable[[], None]) -> None:
        def take_back() -> None:
            undo()
            self.chain_changed.emit()

        self._context.toast.show_undo(text, take_back)

    def _told(self, submit: Callable[[str], str]) -> Callable[[str], str]:
        def run(name: str) -> str:
            error = submit(name)
            if not error:
                self.chain_changed.emit()
            return error

        return run

    def _exported(self, path: Path) -> None:
        self._context.toast.show_text(self.tr("Exported to {name}").format(name=path.name))

    def _imported(self, preset: Preset) -> None:
        self._context.toast.show_text(self.tr("Preset “{name}” imported").format(name=preset.label))
        self.chain_changed.emit()

    def _dialog(self, title: str, start: str) -> QFileDialog:
        dialog = QFileDialog(self, title, start, self.tr("Presets (*.json);;All files (*)"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return dialog
