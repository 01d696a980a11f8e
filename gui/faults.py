"""The window's last door: what nobody caught is logged with its trace and told, and the window lives on.

Python's and the threads' excepthooks, Qt's own messages and a native crash (faulthandler) all end here. A log folder
that cannot be written costs the file, never the start.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from engine.base.errors import Trouble, trouble_of

LOG_BYTES, LOG_FILES = 1 << 20, 3

log = logging.getLogger("llamarium")
_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def begin_logging(folder: Path) -> Path | None:
    """Log to a rotating file in `folder` and warnings to stderr; the file's path, None when it cannot be written."""
    from logging.handlers import RotatingFileHandler  # 5 ms: called after the first paint

    root = logging.getLogger()
    root.setLevel(logging.INFO)
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    if sys.stderr is not None:
        console = logging.StreamHandler()
        console.setLevel(logging.WARNING)
        console.setFormatter(form)
        root.addHandler(console)
    path = folder / "llamarium.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    except OSError as error:
        log.warning("nothing is logged to a file: %s", error)
        return None
    file.setFormatter(form)
    root.addHandler(file)
    return path


def begin_crash_traces(folder: Path) -> IO[str] | None:
    """Have a native crash leave its stack in a file. The result must be kept open; None when there is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "crash.log").open("a", encoding="utf-8")
    except OSError:
        with contextlib.suppress(Exception):  # a windowed program may have no stderr at all
            faulthandler.enable()
        return None
    faulthandler.enable(file)
    return file


class Faults:
    """Catches what nobody else did. `install` takes the hooks, `remove` gives them back.

    Args:
        tell: takes the trouble, from any thread.
    """

    def __init__(self, tell: Callable[[Trouble], None]) -> None:
        self._tell = tell
        self._before = (sys.excepthook, threading.excepthook)

    def install(self) -> None:
        self._before = (sys.excepthook, threading.excepthook)
        sys.excepthook = self.caught
        threading.excepthook = self._thread_failed
        qInstallMessageHandler(log_qt_message)

    def remove(self) -> None:
        sys.excepthook, threading.excepthook = self._before
        qInstallMessageHandler(None)

    def caught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None = None) -> None:
        """An exception came to the end of its thread, or out of a slot."""
        if issubclass(kind, KeyboardInterrupt):
            return
        text = "".join(traceback.format_exception(kind, error, trace))
        log.error("nobody caught this\n%s", text)
        self._tell(trouble_of(error, text))

    def handler_failed(self, error: Exception) -> None:
        """A handler of the bus raised."""
        self.caught(type(error), error, error.__traceback__)

    def _thread_failed(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            self.caught(args.exc_type, args.exc_value, args.exc_traceback)


def log_qt_message(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
    """Qt's own messages go where ours go."""
    category = getattr(context, "category", None) or "default"
    logging.getLogger(f"qt.{category}").log(_LEVELS.get(kind, logging.WARNING), "%s", message)
