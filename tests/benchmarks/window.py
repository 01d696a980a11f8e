"""The real window with the real worker, driven from a benchmark: say something, wait in Qt's own loop, read figures."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from engine.base.paths import Paths
from engine.runtime.supervisor import Phase
from engine.wire.messages import RunStats, Token
from engine.workbench import Workbench
from engine.workbench.events import EngineChanged, MessageFinished


@dataclass(frozen=True, slots=True)
class Told:
    """One answer as the window saw it: its figures, and the seconds from saying it to the first token's arrival."""

    stats: RunStats
    first_seen_s: float


class BenchWindow:
    """The window under measurement; use it in a `with`."""

    def __init__(self, model: Path, **options: object) -> None:
        os.environ.setdefault("QT_QPA_PLATFORM", "xcb" if os.environ.get("DISPLAY") else "offscreen")
        from PySide6.QtCore import QEventLoop, QTimer
        from PySide6.QtWidgets import QApplication

        from gui.theme import Mode, Theme
        from gui.wiring import build_window, wiring_of

        self._loop_of, self._timer_of = QEventLoop, QTimer
        self.app = QApplication.instance() or QApplication(["bench"])
        self._folder = tempfile.TemporaryDirectory()
        theme = Theme(Mode.DARK)
        theme.apply(self.app)  # type: ignore[arg-type]
        self.workbench = Workbench(Paths.under(Path(self._folder.name)))
        self.window = build_window(self.workbench, theme)
        self.wiring = wiring_of(self.window)
        self.window.show()
        self.window.resize(1440, 900)  # the default size; a small virtual screen would have made the columns overlap
        self._model, self._options = model, options

    def __enter__(self) -> BenchWindow:
        workbench = self.workbench
        workbench.start()
        workbench.set_load_options({**workbench.load_options, **self._options})  # type: ignore[arg-type]
        workbench.open_model(self._model)
        self.until(EngineChanged, lambda event: event.state.phase is Phase.READY)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.window.close()
        self._folder.cleanup()

    def until(self, kind: type, ready: Callable[[object], bool], timeout_s: float = 600.0) -> None:
        """Run Qt's loop until an event of this type satisfies `ready`."""
        loop = self._loop_of()
        leave = self.workbench.subscribe(kind, lambda event: loop.quit() if ready(event) else None)
        self._timer_of.singleShot(int(timeout_s * 1000), loop, loop.quit)
        loop.exec()
        leave()

    def rest(self, seconds: float) -> None:
        """Let the window live for a while."""
        loop = self._loop_of()
        self._timer_of.singleShot(int(seconds * 1000), loop, loop.quit)
        loop.exec()

    def choose(self, n_tokens: int, seed: int) -> None:
        """The options of the next answers. Before a first token is measured, let the window show them: `rest`."""
        wanted = {"max_tokens": n_tokens, "seed": seed, "ignore_eos": True}
        if any(self.workbench.run_options[key] != value for key, value in wanted.items()):
            self.workbench.set_run_options(wanted)

    def say(self, text: str, n_tokens: int, seed: int = 1) -> Told:
        """Say something in the open chat and wait for the whole answer, which ignores the model's own end."""
        workbench = self.workbench
        self.choose(n_tokens, seed)
        seen: list[float] = []
        leave = workbench.subscribe(Token, lambda _event: seen.append(time.perf_counter()) if not seen else None)
        finished: list[MessageFinished] = []
        forget = workbench.subscribe(MessageFinished, finished.append)
        said = time.perf_counter()
        workbench.say(text)
        self.until(MessageFinished, lambda _event: True)
        leave()
        forget()
        figures = finished[0].message.figures
        assert figures is not None
        assert figures.stats is not None, finished[0].message.trouble
        return Told(figures.stats, seen[0] - said)

    def rendered(self, text: str, system_prompt: str) -> str:
        """The exact prompt that the model would see for one message of a new chat with this system prompt."""
        from engine.wire.messages import ChatMessage, Prompt, Rendered

        found: list[Rendered] = []
        loop = self._loop_of()

        def took(event: Rendered) -> None:
            found.append(event)
            loop.quit()

        turns = (ChatMessage("system", system_prompt), ChatMessage("user", text))
        self.workbench.render(Prompt(messages=turns), took, lambda _trouble: loop.quit())
        loop.exec()
        return found[0].text

    def worker_rss_bytes(self) -> int:
        """What the worker has resident now."""
        pid = self.workbench.state.pid
        assert pid is not None
        return psutil.Process(pid).memory_info().rss
