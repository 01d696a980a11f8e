"""The real window with a real worker, made ready to be looked at: waits in Qt's own loop, stops the worker in the middle.

A process that is stopped by a signal keeps the moment still: a load at 40 %, an answer half written. That is what the
pictures of moving things need, and it is the same window and worker that a person has.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QEventLoop, QPoint, QSize, QTimer
from PySide6.QtGui import QCursor, QImage
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from engine.base.paths import Paths
from engine.runtime.supervisor import Phase
from engine.store.rows import ConversationId
from engine.workbench import Workbench
from engine.workbench.events import EngineChanged, LibraryChanged, MessageFinished, MessageText
from gui.notices import NoticeCard
from gui.theme import Mode, Theme
from gui.wiring import build_window
from tests.screenshots.story import write_story

LOOK_EVERY_MS = 15
STEP_S = 0.006  # of a load, between two looks at how far it is
FAR_ENOUGH = 0.25
SIZES = ((1440, 900), (1024, 720))
MODES = (Mode.LIGHT, Mode.DARK)
PAGES = ("chat", "memory", "hardware", "models", "lab", "settings")
BROKEN = "half-a-download.gguf"


class Studio:
    """A window around a workbench in `folder`, with the story in its store. Use it in a `with`.

    Args:
        app: the application.
        folder: an empty one that outlives this.
        model: what is loaded by `load`.
        mode: the colours to begin with.
    """

    def __init__(self, app: QApplication, folder: Path, model: Path, mode: Mode = Mode.LIGHT) -> None:
        self.app, self.folder, self.model = app, folder, model
        paths = Paths.under(folder / "data")
        self.main_id: ConversationId = write_story(paths.database, model)
        self.theme = Theme(mode)
        self.theme.apply(app)
        self.workbench = Workbench(paths)
        self.window = build_window(self.workbench, self.theme)

    def __enter__(self) -> Studio:
        self.window.show()
        self.window.activateWindow()
        QCursor.setPos(self.window.screen().geometry().bottomRight())  # nothing is hovered
        self.workbench.start()
        self.until(lambda: self.workbench.state.phase is Phase.EMPTY)
        self.rest()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.window.close()
        self.app.processEvents()

    # ---- waiting

    def until(self, ready: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Let the window live until `ready`. Raises `TimeoutError`."""
        if ready():
            return
        loop, looks, end = QEventLoop(), QTimer(interval=LOOK_EVERY_MS), QTimer(singleShot=True)
        looks.timeout.connect(lambda: loop.quit() if ready() else None)
        end.timeout.connect(loop.quit)
        looks.start()
        end.start(round(timeout_s * 1000))
        loop.exec()
        looks.stop()
        if not end.isActive():
            raise TimeoutError(f"waited {timeout_s:.0f} s; the engine is {self.workbench.state.phase.value}")
        end.stop()

    def live(self, seconds: float) -> None:
        """Let the window live for a while."""
        loop = QEventLoop()
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()

    def rest(self, timeout_s: float = 30.0) -> None:
        """Wait until no job is going on, and a moment longer: pages ask a quarter of a second after a change."""
        self.live(0.4)
        self.until(lambda: not self.workbench.jobs._waiting, timeout_s)
        self.live(0.15)

    # ---- what is shown

    def dress(self, mode: Mode, size: tuple[int, int]) -> None:
        """Show the window in these colours at this size."""
        self.theme.set_mode(mode)
        self.window.resize(QSize(*size))
        self.live(0.25)

    def go(self, page: str) -> None:
        """Show a page and wait until it stands."""
        self.window.go(page)
        self.rest()

    def to_end(self) -> None:
        """Scroll every column of the page to its end."""
        for area in self.page().findChildren(QScrollArea):
            area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
        self.live(0.1)

    def picture(self) -> QImage:
        """The whole window as it is now."""
        return self.window.grab().toImage()

    def page_picture(self) -> QImage:
        """The page alone, without rail and footer."""
        page = self.window.panel(self.window.current_page)
        assert page is not None
        corner = page.mapTo(self.window, QPoint(0, 0))
        return self.picture().copy(corner.x(), corner.y(), page.width(), page.height())

    def page(self) -> QWidget:
        """The page on screen."""
        page = self.window.panel(self.window.current_page)
        assert page is not None
        return page

    # ---- the engine

    @contextmanager
    def still(self) -> Iterator[None]:
        """The worker stands still meanwhile."""
        pid = self.workbench.state.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """A load that is some way on and stands still; the model is there afterwards."""
        begun: list[int] = []

        def stop(event: EngineChanged) -> None:
            if not begun and event.state.phase is Phase.LOADING and event.state.pid:
                begun.append(event.state.pid)
                os.kill(event.state.pid, signal.SIGSTOP)

        leave = self.workbench.subscribe(EngineChanged, stop)
        self.workbench.open_model(self.model, {**self.workbench.load_options, "mmap": False})
        self.until(lambda: bool(begun))
        leave()
        try:
            while self.workbench.state.phase is Phase.LOADING and self.workbench.state.load_fraction < FAR_ENOUGH:
                os.kill(begun[0], signal.SIGCONT)
                self.live(STEP_S)
                os.kill(begun[0], signal.SIGSTOP)
                self.live(0.05)
            yield
        finally:
            os.kill(begun[0], signal.SIGCONT)
            self.until(lambda: self.workbench.state.phase is Phase.READY)
            self.load()

    def load(self, **changes: object) -> None:
        """Load the model, with these load options changed, and wait for it."""
        self.workbench.set_load_options({**self.workbench.load_options, **changes})  # type: ignore[arg-type]
        self.workbench.open_model(self.model)
        self.until(lambda: self.workbench.state.phase is Phase.READY and self.workbench.measured is not None)
        self.rest()

    # ---- the chat

    def open_story(self) -> None:
        """Show the main conversation."""
        self.workbench.dialogue.open(self.main_id)
        self.until(lambda: bool(self.workbench.dialogue.messages))
        self.rest()

    def say_greedily(self, text: str, n_tokens: int) -> None:
        """Ask something; the answer has at most `n_tokens` and is the same every time."""
        self.workbench.set_chain(self.workbench.chain.with_value("temperature", 0.0))
        self.workbench.set_run_options({**self.workbench.run_options, "max_tokens": n_tokens, "seed": 42})
        self.workbench.say(text)

    @contextmanager
    def writing(self, text: str, n_tokens: int, n_pieces: int) -> Iterator[None]:
        """An answer that stands still after some pieces of text; it is whole afterwards."""
        pieces: list[str] = []
        ended: list[MessageFinished] = []
        forget = self.workbench.subscribe(MessageFinished, ended.append)
        leave = self.workbench.subscribe(MessageText, lambda event: pieces.append(event.text))
        self.say_greedily(text, n_tokens)
        self.until(lambda: len(pieces) >= n_pieces or bool(ended))
        leave()
        with self.still():
            yield
        self.until(lambda: bool(ended))
        forget()
        self.live(0.3)
        self.close_notices()  # a worker that stood still is told to have had too little of the processor

    def close_notices(self) -> None:
        """Close every notice, as a person does."""
        for card in self.window.findChildren(NoticeCard):
            card.closed.emit()
        self.live(0.1)

    # ---- the library

    def add_models(self, *models: Path) -> None:
        """A folder of the user's: links to these files, and a broken one."""
        folder = self.folder / "models"
        folder.mkdir()
        for each in models:
            (folder / each.name).symlink_to(each)
        (folder / BROKEN).write_bytes(self.model.read_bytes()[:100_000])
        scanned: list[LibraryChanged] = []
        leave = self.workbench.subscribe(LibraryChanged, scanned.append)
        self.workbench.add_model_folder(folder)
        self.until(lambda: any(not each.scanning for each in scanned))
        leave()
        self.live(0.2)
