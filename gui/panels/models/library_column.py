"""The Models page's left column: adding, filtering and sorting, the list, and the folders that are searched."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.icons import Icons
from gui.panels.models import words
from gui.panels.models.model_list import ModelList
from gui.panels.models.presenter import Folder, Order, Page
from gui.theme import Theme, set_kind
from gui.widgets.busy import ThinBar
from gui.widgets.choice_field import CalmComboBox
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.quantities import count_text

WIDTH, NARROW_WIDTH = 400, 348


class LibraryColumn(QFrame):
    """What is on this computer.

    Signals:
        add_wanted, open_wanted, rescan_wanted: the buttons.
        filter_changed: the words that must occur.
        order_chosen: an `Order`.
        removed: a folder is to be searched no more.
    """

    add_wanted = Signal()
    open_wanted = Signal()
    rescan_wanted = Signal()
    filter_changed = Signal(str)
    order_chosen = Signal(object)
    removed = Signal(str)

    def __init__(self, theme: Theme, icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._icons = theme, icons
        self._folders: tuple[Folder, ...] | None = None
        set_kind(self, "column")
        self.setFixedWidth(theme.px(WIDTH))
        self.list = ModelList(theme)
        self.add_button = self._button(self.tr("Add folder…"), self.tr("Search another folder for models"))
        self.open_button = self._button(self.tr("Open file…"), self.tr("Look at a model file anywhere"))
        self.rescan_button = QToolButton()
        set_kind(self.rescan_button, "outlined")
        icons.bind(self.rescan_button, "refresh", "text2", 16)
        self.rescan_button.setIconSize(QSize(16, 16))
        self.rescan_button.setFixedSize(theme.px(30), theme.px(30))
        self.rescan_button.setAccessibleName(self.tr("Read the folders again"))
        self.rescan_button.setToolTip(self.tr("Read the folders again"))
        self.filter = QLineEdit()
        self.filter.setPlaceholderText(self.tr("Filter"))
        self.filter.setAccessibleName(self.tr("Filter the models"))
        self.filter.setClearButtonEnabled(True)
        self.order = CalmComboBox()
        self.order.setAccessibleName(self.tr("Sort the models"))
        self.order.addItems([words.order_text(each) for each in Order])
        self.count = QLabel()
        set_kind(self.count, "caption")
        self.progress = ThinBar(theme)
        self.progress.setAccessibleName(self.tr("Reading the folders"))
        self.nothing = QLabel()
        set_kind(self.nothing, "dim")
        self.nothing.setWordWrap(True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.add_button.clicked.connect(self.add_wanted)
        self.open_button.clicked.connect(self.open_wanted)
        self.rescan_button.clicked.connect(self.rescan_wanted)
        self.filter.textChanged.connect(self.filter_changed)
        self.order.activated.connect(lambda at: self.order_chosen.emit(tuple(Order)[at]))
        self._lay_out()

    def set_narrow(self, narrow: bool) -> None:
        """The narrower form, for small windows."""
        self.setFixedWidth(self._theme.px(NARROW_WIDTH if narrow else WIDTH))

    def show_page(self, page: Page) -> None:
        """Show the list and the folders."""
        self.list.show_rows(page.rows, page.selected.path if page.selected is not None else None)
        self.order.setCurrentIndex(tuple(Order).index(page.order))
        self.progress.setVisible(page.is_scanning)
        self.rescan_button.setEnabled(not page.is_scanning)
        if page.is_scanning and page.n_scanned:
            self.count.setText(self.tr("Reading, {n} files so far").format(n=count_text(page.n_scanned)))
        elif page.is_scanning:
            self.count.setText(self.tr("Reading the folders…"))
        else:
            self.count.setText(words.count_line(page))
        self.list.setVisible(bool(page.rows))
        self.nothing.setVisible(not page.rows)
        if page.filter_text and page.n_all:
            self.nothing.setText(
                self.tr("No file has “{text}” in its name, kind or folder.").format(text=page.filter_text)
            )
        else:
            self.nothing.setText("" if page.is_scanning else self.tr("No GGUF file was found yet."))
        if page.folders != self._folders:
            self._folders = page.folders
            self._show_folders(page.folders)

    def _show_folders(self, folders: tuple[Folder, ...]) -> None:
        while (item := self._folder_column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for each in folders:
            self._folder_column.addWidget(self._folder_row(each))

    def _folder_row(self, folder: Folder) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(Theme.SPACE[1])
        name = ElidedLabel(folder.path, mode=Qt.TextElideMode.ElideMiddle)
        set_kind(name, "small")
        state = QLabel(self.tr("missing") if folder.is_missing else count_text(folder.n_files))
        set_kind(state, "warning" if folder.is_missing else "mono-faint")
        state.setStyleSheet(f"QLabel {{ font-size: {self._theme.px(12)}px; }}")  # a size only
        tip = self.tr("This folder cannot be read now; its models come back with it") if folder.is_missing else ""
        state.setToolTip(tip or self.tr("Files found in it"))
        line.addWidget(name, 1)
        line.addWidget(state)
        if folder.is_own:
            name.set_tip(self.tr("The program's own folder for models: {path}").format(path=folder.path))
            blank = QWidget()
            blank.setFixedSize(22, 22)
            line.addWidget(blank)
        else:
            remove = QToolButton()
            self._icons.bind(remove, "close", "text3", 14)
            remove.setIconSize(QSize(14, 14))
            remove.setFixedSize(22, 22)
            text = self.tr("Search this folder no more (files stay): {path}").format(path=folder.path)
            remove.setAccessibleName(text)
            remove.setToolTip(text)
            remove.clicked.connect(lambda _=False, path=folder.path: self.removed.emit(path))
            line.addWidget(remove)
        return row

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setAccessibleName(tip)
        button.setToolTip(tip)
        return button

    def _lay_out(self) -> None:
        title = QLabel(self.tr("On this computer"))
        set_kind(title, "heading")
        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(self.count)
        buttons = QHBoxLayout()
        buttons.setSpacing(Theme.SPACE[1])
        buttons.addWidget(self.add_button, 1)
        buttons.addWidget(self.open_button, 1)
        buttons.addWidget(self.rescan_button)
        finding = QHBoxLayout()
        finding.setSpacing(Theme.SPACE[1])
        finding.addWidget(self.filter, 3)
        finding.addWidget(self.order, 2)
        folders_title = QLabel(self.tr("Folders"))
        set_kind(folders_title, "section")
        self._folder_column = QVBoxLayout()
        self._folder_column.setSpacing(2)
        line = QFrame()
        set_kind(line, "hairline")
        inner = QVBoxLayout()
        inner.setContentsMargins(18, 16, 18, 0)
        inner.setSpacing(Theme.SPACE[1])
        inner.addLayout(head)
        inner.addWidget(self.progress)
        inner.addLayout(buttons)
        inner.addLayout(finding)
        listing = QVBoxLayout()
        listing.setContentsMargins(8, 0, 8, 0)
        listing.addWidget(self.list, 1)
        nothing = QVBoxLayout()
        nothing.setContentsMargins(18, 4, 18, 0)
        nothing.addWidget(self.nothing)
        folders = QVBoxLayout()
        folders.setContentsMargins(18, 10, 12, 14)
        folders.setSpacing(Theme.SPACE[0])
        folders.addWidget(folders_title)
        folders.addLayout(self._folder_column)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[1])
        column.addLayout(inner)
        column.addLayout(nothing)
        column.addLayout(listing, 1)
        column.addWidget(line)
        column.addLayout(folders)
        self.nothing.hide()
        self.progress.hide()
