"""The Lab page in the real window, with the small model and one thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.base.paths import Paths
from engine.runtime.supervisor import Phase
from engine.workbench import Workbench
from gui.icons import Icons
from gui.panels.lab.inputs import Tab
from gui.panels.lab.presenter.prompt import LabPrompt
from gui.theme import Theme
from gui.wiring import build_window
from tests.support.screen_checks import findings_of

WAIT_MS = 90_000
ONE_THREAD = {"n_ctx": 1024, "n_threads": 1, "n_threads_batch": 1}


class OpenLab:
    """An open window on its Lab page, and what a test does with it."""

    def __init__(self, window: Any, workbench: Workbench, qtbot: Any) -> None:
        self.window, self.workbench, self.qtbot = window, workbench, qtbot

    @property
    def page(self) -> Any:
        """The page's widget."""
        return self.window.panel("lab")

    @property
    def cards(self) -> Any:
        """The cards of the tab Samples, in their order."""
        return self.page.samples.cards

    @property
    def notices(self) -> list[str]:
        """What the notices over the page say, but not that the computer is busy: that is no fault of the page."""
        told = [each.trouble.what for each in self.page._context.notices.cards]
        return [each for each in told if not each.startswith("Other programs")]

    def wait(self, ready: Callable[[], object], timeout_ms: int = WAIT_MS) -> None:
        try:
            self.qtbot.waitUntil(lambda: bool(ready()), timeout=timeout_ms)
        except self.qtbot.TimeoutError as error:
            raise TimeoutError(f"the engine is {self.workbench.state.phase}, notices {self.notices}") from error

    def load(self, model: Path) -> None:
        """Load the model with one thread."""
        workbench = self.workbench
        workbench.set_load_options({**workbench.load_options, **ONE_THREAD})
        workbench.open_model(model, anyway=True)  # it fits; asking would take a second worker each time
        self.wait(lambda: workbench.state.phase is Phase.READY)

    def ask(self, text: str, **values: object) -> None:
        """Fill the form of the tab that is shown, as a person would, and press the button."""
        self.page.inputs.prompt.set_prompt(LabPrompt(text=text))
        form = self.page.inputs.form
        form.set_values(values)
        self.page.inputs.button.click()

    def run_samples(self, text: str, **values: object) -> None:
        """Run them to their end."""
        self.ask(text, **values)
        self.wait(lambda: not self.page.many.is_running)

    def show(self, tab: Tab) -> None:
        self.page.show_tab(tab)

    def expect_nothing_to_find(self) -> None:
        """Nothing is cut, nameless or on top of something, as soon as the layouts have settled."""
        with contextlib.suppress(TimeoutError):
            self.wait(lambda: not findings_of(self.window), 5_000)
        assert [str(each) for each in findings_of(self.window)] == []


@pytest.fixture
def lab(theme: Theme, icons: Icons, tmp_path: Path, qtbot: Any) -> Iterator[OpenLab]:
    """The window on its Lab page; the engine is started, no model is loaded."""
    workbench = Workbench(Paths.under(tmp_path / "data"))
    window = build_window(workbench, theme, icons, page="lab")
    qtbot.addWidget(window)
    window.resize(1440, 900)
    with qtbot.waitExposed(window):
        window.show()
    workbench.start()
    opened = OpenLab(window, workbench, qtbot)
    opened.wait(lambda: workbench.state.phase is Phase.EMPTY)
    yield opened
    window.close()
