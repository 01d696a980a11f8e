"""The Lab's scenes: samples as they stream and when they are done, a thousand draws, two answers beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.sampling.chain import Chain
from engine.workbench.events import MessageFinished
from gui.panels.lab.inputs import Tab
from gui.panels.lab.presenter.prompt import LabPrompt
from gui.panels.lab.view import LabView
from tests.screenshots.studio import Studio

PROMPT = LabPrompt(system="You are brief.", text="Invent a name for a small ship, and say why.")
N_TOKENS = 48
N_ANSWER = 32
SEED = 42
N_LETTERS = 70  # of each column, when the worker stands still


@contextmanager
def lab_without_model(studio: Studio) -> Iterator[None]:
    studio.go("lab")
    yield


@contextmanager
def lab_empty(studio: Studio) -> Iterator[None]:
    _open(studio, Tab.SAMPLES)
    yield


@contextmanager
def lab_writing(studio: Studio) -> Iterator[None]:
    """All columns have some text, and the worker stands still."""
    page = _open(studio, Tab.SAMPLES)
    page.inputs.prompt.set_prompt(PROMPT)
    page.inputs.samples.set_values({"n_samples": 4, "max_tokens": N_TOKENS, "seed": SEED, "with_contrast": True})
    page.inputs.samples.values_changed.emit(page.inputs.samples.values())
    page.run()
    texts = [each.text for each in page.samples.cards]
    studio.until(lambda: all(len(each.text()) > N_LETTERS for each in texts) or not page.many.is_running)
    with studio.still():
        yield
    studio.until(lambda: not page.many.is_running)


@contextmanager
def lab_samples(studio: Studio) -> Iterator[None]:
    page = _open(studio, Tab.SAMPLES)
    page.inputs.prompt.set_prompt(PROMPT)
    values = {"n_samples": 4, "max_tokens": N_TOKENS, "seed": SEED, "with_greedy": True, "with_best_path": True}
    page.inputs.samples.set_values({**values, "with_contrast": False})
    page.inputs.samples.values_changed.emit(page.inputs.samples.values())
    page.run()
    studio.until(lambda: not page.many.is_running)
    studio.close_notices()
    yield


@contextmanager
def lab_draws(studio: Studio) -> Iterator[None]:
    page = _open(studio, Tab.DRAWS)
    page.inputs.prompt.set_prompt(PROMPT)
    page.inputs.draws.set_values({"seed": SEED})
    page.run()
    studio.until(lambda: not page.draw.is_running)
    yield


@contextmanager
def lab_compare(studio: Studio) -> Iterator[None]:
    """The same question twice in a chat of its own, the second time warmer; the story is open again afterwards."""
    workbench = studio.workbench
    options = workbench.run_options
    page = _open(studio, Tab.COMPARE)
    workbench.dialogue.new()
    workbench.set_run_options({**options, "max_tokens": N_ANSWER, "seed": SEED})
    _wait_answer(studio, lambda: workbench.say(PROMPT.text))
    workbench.set_chain(Chain.default().with_value("temperature", 1.3))
    _wait_answer(studio, lambda: workbench.answer_again(workbench.dialogue.messages[-1].id))
    studio.rest()
    page.run()
    studio.until(lambda: not page.pair.is_running)
    studio.close_notices()
    yield
    workbench.set_chain(Chain.default())
    workbench.set_run_options(options)
    studio.open_story()


def _wait_answer(studio: Studio, act: Callable[[], None]) -> None:
    ended: list[MessageFinished] = []
    leave = studio.workbench.subscribe(MessageFinished, ended.append)
    act()
    studio.until(lambda: bool(ended))
    leave()


def _open(studio: Studio, tab: Tab) -> LabView:
    studio.go("lab")
    page = studio.page()
    assert isinstance(page, LabView)
    studio.workbench.set_chain(Chain.default())
    page.show_tab(tab)
    studio.live(0.1)
    return page
