"""The real window around a real workbench, with or without the model; at the end no worker may be left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.base.paths import Paths
from engine.runtime.supervisor import Phase
from engine.workbench import Workbench
from gui.icons import Icons
from gui.main_window import MainWindow
from gui.theme import Theme
from gui.wiring import build_window, wiring_of

LOAD_MS = 60_000
ANSWER_MS = 90_000


class Opened:
    """An open window and what a test does with it."""

    def __init__(self, window: MainWindow, workbench: Workbench, qtbot: Any) -> None:
        self.window, self.workbench, self.qtbot = window, workbench, qtbot
        self.wiring = wiring_of(window)

    @property
    def chat(self) -> Any:
        """The Chat page."""
        return self.window.panel("chat")

    @property
    def notices(self) -> tuple[Any, ...]:
        """The notices of the Chat page, newest first; not that the computer is busy, which is no fault of the window."""
        cards = self.chat.context.notices.cards
        return tuple(card for card in cards if not card.trouble.what.startswith("Other programs"))

    def wait(self, condition: Callable[[], bool], timeout_ms: int = 10_000) -> None:
        self.qtbot.waitUntil(condition, timeout=timeout_ms)

    def begin(self, model: Path | None = None, *, planned: bool = False) -> None:
        """Start the engine; with a model, wait until it is ready. `planned`: as the program does, with a dry run first."""
        if planned:
            self.wiring.begin(model)
        else:
            self.workbench.start()
            if model is not None:
                self.workbench.open_model(model, anyway=True)
        self.wait(lambda: self.workbench.state.phase is (Phase.EMPTY if model is None else Phase.READY), LOAD_MS)
        self.settle()

    def settle(self) -> None:
        """Wait until every lane and the bus have nothing to do."""
        done: list[object] = []
        for lane in ("store", "library"):
            self.workbench.jobs.run(lambda _task: None, title="settle", lane=lane, then=done.append)
        self.wait(lambda: len(done) == 2)
        while self.wiring.bridge.pump_now():
            pass

    def limit(self, n_tokens: int) -> None:
        """Have every answer be exactly so long, whatever the model would like."""
        options = {**self.workbench.run_options, "max_tokens": n_tokens, "seed": 7, "ignore_eos": True}
        self.workbench.set_run_options(options)

    def send(self, text: str) -> None:
        """Type it and press Send."""
        self.chat.composer.edit.setPlainText(text)
        self.chat.composer.button.click()

    def wait_answer(self) -> None:
        self.wait(
            lambda: not self.workbench.dialogue.is_writing and self.workbench.state.phase is Phase.READY, ANSWER_MS
        )
        self.settle()

    def ask(self, text: str) -> None:
        """Say it and wait for the whole answer."""
        self.send(text)
        self.wait(lambda: bool(self.workbench.dialogue.messages) or bool(self.notices))
        self.wait_answer()

    def wait_text(self, n_characters: int = 1) -> None:
        """Wait until the last message on screen has so many characters."""
        self.wait(lambda: bool(self.shown()) and len(self.shown()[-1]) >= n_characters, ANSWER_MS)

    def shown(self) -> list[str]:
        """The texts on screen, oldest first."""
        return [self.chat.transcript.source_text(str(each.id)) for each in self.chat.presenter.thread]

    def value(self, place: int) -> Any:
        """What the transcript shows of a message."""
        message = self.chat.presenter.thread[place]
        view = self.chat.transcript.view_of(str(message.id))
        assert view is not None
        return view.value


@pytest.fixture
def open_window(theme: Theme, icons: Icons, tmp_path: Path, qtbot: Any) -> Iterator[Callable[..., Opened]]:
    """Opens the window; called twice on one folder it is a second start. Every window is closed at the end."""
    opened: list[Opened] = []

    def open_one(**more: Any) -> Opened:
        workbench = Workbench(Paths.under(tmp_path / "data"))
        window = build_window(workbench, theme, icons, **more)
        qtbot.addWidget(window)
        with qtbot.waitExposed(window):
            window.show()
        opened.append(Opened(window, workbench, qtbot))
        return opened[-1]

    yield open_one
    for each in opened:
        each.window.close()
    assert workers() == [], "a worker outlived its window"


def workers() -> list[psutil.Process]:
    """The engine's processes that this test has started and that still live."""
    return [
        each
        for each in psutil.Process().children(recursive=True)
        if each.status() != psutil.STATUS_ZOMBIE and "--worker" in each.cmdline()
    ]
