"""The sections of the Settings page that are no form: the files, the keyboard, and what the program is made of."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.actions import Action, ActionRegistry, group_text, keys_text
from gui.icons import Icons
from gui.panels.settings import about
from gui.panels.settings.presenter import EngineLine, Place, PlaceRow
from gui.theme import Theme, set_kind
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.quantities import unknown_text
from gui.widgets.value_table import Cell, Column, ValueTable


class PlacesPart(QWidget):
    """Where everything is kept: a line each, with a button that opens the folder."""

    def __init__(
        self, theme: Theme, icons: Icons, places: tuple[PlaceRow, ...], open_folder: Callable[[PlaceRow], object]
    ) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(Theme.SPACE[3])
        grid.setVerticalSpacing(Theme.SPACE[1])
        grid.setColumnStretch(1, 1)
        for row, each in enumerate(places):
            name = QLabel(self._text(each.place))
            set_kind(name, "dim")
            path = ElidedLabel(str(each.path), mode=Qt.TextElideMode.ElideMiddle)
            set_kind(path, "mono")
            copy = QToolButton()
            icons.bind(copy, "copy", "text3", 16)
            text = self.tr("Copy the path: {what}").format(what=self._text(each.place))
            copy.setAccessibleName(text)
            copy.setToolTip(self.tr("Copy the path"))
            copy.clicked.connect(lambda _=False, what=str(each.path): QGuiApplication.clipboard().setText(what))
            button = QPushButton(self.tr("Open"))
            set_kind(button, "chip")
            button.setAccessibleName(self.tr("Open the folder: {what}").format(what=self._text(each.place)))
            button.clicked.connect(lambda _=False, place=each: open_folder(place))
            grid.addWidget(name, row, 0)
            grid.addWidget(path, row, 1)
            grid.addWidget(copy, row, 2)
            grid.addWidget(button, row, 3)

    def _text(self, place: Place) -> str:
        return {
            Place.CHATS: self.tr("Chats and runs"),
            Place.SETTINGS: self.tr("Settings"),
            Place.MODELS: self.tr("Models"),
            Place.LOGS: self.tr("Logs"),
            Place.CACHE: self.tr("Cache"),
        }[place]


class KeyboardPart(QWidget):
    """Every action with its shortcut, searchable."""

    def __init__(self, theme: Theme, actions: ActionRegistry) -> None:
        super().__init__()
        self._actions = actions
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search actions and keys"))
        self.search.setAccessibleName(self.tr("Search actions and keys"))
        self.search.setClearButtonEnabled(True)
        columns = [
            Column(self.tr("Action"), stretches=True),
            Column(self.tr("Where")),
            Column(self.tr("Keys"), is_number=True),
        ]
        self.table = ValueTable(theme, columns, name=self.tr("Keyboard shortcuts"), sortable=True)
        self.nothing = QLabel()
        set_kind(self.nothing, "dim")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[1])
        column.addWidget(self.search)
        column.addWidget(self.table)
        column.addWidget(self.nothing)
        self.search.textChanged.connect(self.refresh)
        actions.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """The actions that there are now and that have all words of the search."""
        words = self.search.text().casefold().split()
        kept = []
        for action in self._actions.all():
            row = self._row(action)
            said = " ".join((*(cell.text for cell in row), *action.keys)).casefold()  # "ctrl k" and "ctrl+k" find it
            if all(word in said for word in words):
                kept.append(row)
        self.table.set_rows(kept)
        self.table.setVisible(bool(kept))
        self.nothing.setVisible(not kept)
        self.nothing.setText(self.tr("No action and no key has “{text}”.").format(text=self.search.text()))

    @staticmethod
    def _row(action: Action) -> tuple[Cell, ...]:
        keys = ", ".join(keys_text((each,)) for each in action.keys)
        group = group_text(action.group)
        tip = action.help or action.text
        return Cell(action.text, action.text.casefold(), tip), Cell(group, group), Cell(keys, keys or None)


class AboutPart(QWidget):
    """Version, engine, licences."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        version = about.own_version()
        own = (
            self.tr("Llamarium {version}").format(version=version) if version else self.tr("Llamarium, from its source")
        )
        self.version = _selectable(own)
        set_kind(self.version, "section")
        self.system = _selectable(about.system_text())
        set_kind(self.system, "dim")
        self.engine = _selectable(self.tr("The engine has not started yet."))
        set_kind(self.engine, "dim")
        self.build = _selectable("")
        set_kind(self.build, "mono-dim")
        self.build.setWordWrap(True)
        self.build.hide()
        copy = QPushButton(self.tr("Copy for a report"))
        set_kind(copy, "chip")
        copy.setAccessibleName(self.tr("Copy version, system and engine"))
        copy.clicked.connect(self.copy)
        licences = QLabel(
            self.tr("Llamarium is free software under the MIT licence. It is built on these, each under its own:")
        )
        licences.setWordWrap(True)
        set_kind(licences, "dim")
        columns = [
            Column(self.tr("Component"), stretches=True),
            Column(self.tr("Version"), is_number=True),
            Column(self.tr("Licence")),
        ]
        self.table = ValueTable(theme, columns, name=self.tr("Components and their licences"))
        self._filled = False
        note = QLabel(
            self.tr(
                "Qt is used under the LGPL version 3 as a shared library: it can be replaced by another build of the "
                "same version, and its source is offered by the Qt Company."
            )
        )
        note.setWordWrap(True)
        set_kind(note, "caption")
        head = QHBoxLayout()
        head.addWidget(self.version, 1)
        head.addWidget(copy)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addLayout(head)
        for each in (self.system, self.engine, self.build):
            column.addWidget(each)
        column.addSpacing(Theme.SPACE[2])
        column.addWidget(licences)
        column.addWidget(self.table)
        column.addWidget(note)

    def fill(self) -> None:
        """Look the versions up, once: it reads a file for each package."""
        if not self._filled:
            self._filled = True
            self.table.set_rows(
                [
                    (Cell(each.name), Cell(about.version_of(each) or unknown_text()), Cell(each.licence))
                    for each in about.COMPONENTS
                ]
            )

    def show_engine(self, engine: EngineLine) -> None:
        """What the engine says of itself."""
        self.engine.setText(engine.name)
        self.build.setText(engine.build.strip(" |"))
        self.build.setVisible(bool(engine.build))

    def copy(self) -> None:
        """Put everything that a report needs on the clipboard."""
        parts = (self.version.text(), self.system.text(), self.engine.text(), self.build.text())
        QGuiApplication.clipboard().setText("\n".join(each for each in parts if each))


def _selectable(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
