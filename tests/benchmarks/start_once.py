"""One start, timed from inside: `python -m tests.benchmarks.start_once bare|window` prints the seconds to first paint.

Both count from the same line, after the interpreter is up, and end at the first paint of the main window.
"""

from __future__ import annotations

import os
import sys
import time

BEGUN = time.perf_counter()


def painted() -> None:
    """The first paint: print wall and processor seconds, and end."""
    print(f"{time.perf_counter() - BEGUN:.4f} {time.process_time():.4f}", flush=True)
    os._exit(0)


def bare() -> None:
    """The smallest PySide6 program with a main window and a text in it."""
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QApplication, QMainWindow, QTextBrowser

    class Window(QMainWindow):
        def paintEvent(self, event: QPaintEvent) -> None:
            super().paintEvent(event)
            painted()

    app = QApplication(["bare"])
    window = Window()
    window.setCentralWidget(QTextBrowser())
    window.resize(1440, 900)
    window.show()
    app.exec()


def whole() -> None:
    """Llamarium's own start, by its own entry, ended at the first paint."""
    from gui import app, main_window

    original = main_window.MainWindow.paintEvent

    def paint(self: main_window.MainWindow, event: object) -> None:
        original(self, event)  # type: ignore[arg-type]
        painted()

    main_window.MainWindow.paintEvent = paint  # type: ignore[assignment,method-assign]
    app.main([])


if __name__ == "__main__":
    (bare if sys.argv[1] == "bare" else whole)()
