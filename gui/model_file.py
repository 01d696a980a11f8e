"""Choosing a GGUF file anywhere on this computer: one dialog for the menu, the shortcut and the pages, and what is dropped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QMimeData, Qt
from PySide6.QtWidgets import QFileDialog, QWidget


def ask_for_model(parent: QWidget, then: Callable[[str], object], title: str = "") -> QFileDialog:
    """Show the desktop's file dialog; `then` takes the path that was chosen. Returns at once."""
    title = title or QCoreApplication.translate("ModelFile", "Open a model")
    kinds = QCoreApplication.translate("ModelFile", "GGUF models (*.gguf);;All files (*)")
    dialog = QFileDialog(parent, title, str(Path.home()), kinds)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(lambda path: then(path))
    dialog.open()
    return dialog


def dropped_paths(data: QMimeData) -> list[Path]:
    """The folders and GGUF files in what was dropped."""
    paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
    return [path for path in paths if path.suffix.lower() == ".gguf" or path.is_dir()]
