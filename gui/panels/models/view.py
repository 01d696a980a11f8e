"""The Models page: what is on this computer on the left, the selected file's card on the right.

Folders and files can be dropped anywhere on it. The view shows a `Page` and hands every decision to the presenter.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from engine.base.errors import Trouble
from gui.model_file import ask_for_model, dropped_paths
from gui.page import PanelContext
from gui.panels.models.library_column import LibraryColumn
from gui.panels.models.model_card import ModelCard
from gui.panels.models.presenter import ModelsPresenter, Page
from gui.theme import set_kind
from gui.widgets.empty_state import EmptyState
from gui.widgets.scrolling import scroll_area

PAUSE_MS = 200
NARROW_BELOW = 1200
CARD_WIDTH = 860


class ModelsView(QWidget):
    """The page; also the presenter's surface."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        theme, icons = context.theme, context.icons
        self._soon = QTimer(self, interval=PAUSE_MS, singleShot=True)
        self.setAcceptDrops(True)
        self.library = LibraryColumn(theme, icons)
        self.card = ModelCard(theme, icons)
        self.card.setMaximumWidth(theme.px(CARD_WIDTH))
        self.empty = EmptyState(
            theme,
            self.tr("Add a folder with GGUF files, or drop files and folders here. They stay where they are."),
            title=self.tr("No model yet"),
            button=self.tr("Add folder…"),
            icon=lambda: icons.icon("models", "text3", 32),
        )
        self.drop_hint = QLabel(self.tr("Drop to add"), self)
        set_kind(self.drop_hint, "heading")
        self.drop_hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.drop_hint.hide()
        self._lay_out()
        self.presenter = ModelsPresenter(context.workbench, self)
        self._connect()
        self.presenter.start()

    # ---- the surface

    def show_page(self, page: Page) -> None:
        self.library.show_page(page)
        self.card.show_page(page)
        self._stack.setCurrentIndex(0 if page.selected is None else 1)

    def estimate_soon(self) -> None:
        self._soon.start()

    def offer_undo(self, folder: str, undo: Callable[[], None]) -> None:
        text = self.tr("{name} is searched no more; its files stay").format(name=Path(folder).name)
        self._context.toast.show_undo(text, undo)

    def go(self, page: str) -> None:
        self._context.go(page)

    def open_folder(self, folder: str) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(folder))

    def show_trouble(self, trouble: Trouble) -> None:
        self._context.notices.show_trouble(trouble)

    # ---- the page's life

    def activated(self) -> None:
        self.presenter.activated()

    def deactivated(self) -> None:
        self._soon.stop()
        self.presenter.deactivated()

    def close_panel(self) -> None:
        self._soon.stop()
        self.presenter.close()

    def add_folder(self) -> None:
        """Choose a folder to search."""
        dialog = QFileDialog(self, self.tr("Add a folder with models"), str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda name: self.presenter.add([Path(name)]))
        dialog.open()

    def open_file(self) -> None:
        """Choose a file to look at."""
        ask_for_model(self, lambda name: self.presenter.add([Path(name)]))

    # ---- Qt's events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()
            self.drop_hint.show()
            self.drop_hint.raise_()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.drop_hint.hide()
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        self.drop_hint.hide()
        paths = dropped_paths(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.presenter.add(paths)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.library.set_narrow(event.size().width() < NARROW_BELOW)
        self.drop_hint.setGeometry(self.rect().adjusted(12, 12, -12, -12))

    # ---- inside

    def _connect(self) -> None:
        library, card, presenter = self.library, self.card, self.presenter
        library.add_wanted.connect(self.add_folder)
        library.open_wanted.connect(self.open_file)
        library.rescan_wanted.connect(presenter.rescan)
        library.filter_changed.connect(presenter.set_filter)
        library.order_chosen.connect(presenter.set_order)
        library.removed.connect(presenter.remove_folder)
        library.list.chosen.connect(presenter.select)
        library.list.load_wanted.connect(presenter.load)
        card.load_wanted.connect(presenter.load)
        card.unload_wanted.connect(presenter.unload)
        card.cancel_wanted.connect(presenter.cancel_load)
        card.fit_wanted.connect(presenter.ask_whether_it_fits)
        card.folder_wanted.connect(presenter.show_in_folder)
        card.remedy_chosen.connect(presenter.remedy)
        self.empty.first_step.connect(self.add_folder)
        self._soon.timeout.connect(presenter.estimate)

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(26, 18, 26, 22)
        column.addWidget(self.card)
        column.addStretch(1)
        area = scroll_area(self.tr("The selected model"), page)
        line = QFrame()
        set_kind(line, "hairline-vertical")
        right = QWidget()
        self._stack = QStackedLayout(right)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(area)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.library)
        row.addWidget(line)
        row.addWidget(right, 1)
