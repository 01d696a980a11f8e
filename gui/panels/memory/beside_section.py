"""“Used with it”: files that are counted beside the model, a row each, and the button that adds one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.base.errors import Trouble
from engine.workbench.beside_files import BesideFile
from gui.model_file import ask_for_model, dropped_paths
from gui.panels.memory import words
from gui.theme import Theme, set_kind
from gui.widgets.elided_label import ElidedLabel

FLUSH = "QPushButton { padding: 0; }"


class BesideSection(QWidget):
    """The rows.

    Signals:
        add_wanted: the path of a file that was chosen.
        remove_wanted: the path of a row's file.
    """

    add_wanted = Signal(object)
    remove_wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self._shown: tuple[BesideFile, ...] = ()
        self.add_button = QPushButton(self.tr("Add an adapter or projector…"))
        set_kind(self.add_button, "link")
        self.add_button.setStyleSheet(FLUSH)
        self.add_button.setAccessibleName(self.tr("Count a LoRA adapter, control vector or projector beside the model"))
        self.add_button.setToolTip(
            self.tr("Counts the memory of a LoRA adapter, a control vector or a projector (mmproj) beside the model.")
        )
        self.add_button.clicked.connect(self._ask)
        self.refused = QLabel()
        set_kind(self.refused, "bad")
        self.refused.setWordWrap(True)
        self.refused.hide()
        self._rows = QVBoxLayout()
        self._rows.setSpacing(0)
        foot = QHBoxLayout()
        foot.setContentsMargins(0, 0, 0, 0)
        foot.addWidget(self.add_button)
        foot.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addLayout(self._rows)
        column.addLayout(foot)
        column.addWidget(self.refused)

    def show_files(self, files: Sequence[BesideFile], refused: Trouble | None) -> None:
        """Show these rows, and why the last file was not taken."""
        self.refused.setText(refused.sentence() if refused is not None else "")
        self.refused.setVisible(refused is not None)
        if tuple(files) == self._shown:
            return
        self._shown = tuple(files)
        while (item := self._rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for each in files:
            self._rows.addWidget(self._row(each))

    # ---- Qt's events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _files(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        if found := _files(event.mimeData()):
            event.acceptProposedAction()
            for each in found:
                self.add_wanted.emit(each)

    # ---- inside

    def _row(self, file: BesideFile) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(Theme.SPACE[1])
        name = ElidedLabel(words.beside_text(file))
        set_kind(name, "dim")
        name.setToolTip(f"{file.path}\n{file.entry.how}")
        remove = QPushButton(self.tr("Remove"))
        set_kind(remove, "link")
        remove.setStyleSheet(FLUSH)
        remove.setAccessibleName(self.tr("Do not count {name}").format(name=file.path.name))
        remove.clicked.connect(lambda _=False, path=file.path: self.remove_wanted.emit(path))
        line.addWidget(name, 1)
        line.addWidget(remove)
        return row

    def _ask(self) -> None:
        ask_for_model(self, lambda path: self.add_wanted.emit(Path(path)), self.tr("Count a file beside the model"))


def _files(data: QMimeData) -> list[Path]:
    return [each for each in dropped_paths(data) if each.is_file()]
