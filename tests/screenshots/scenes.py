"""The scenes of the pictures, in the order in which they happen: each brings the window to a state and holds it.

A scene is a context: while it is entered the window stands so, in every colour and size that is asked
for. Later scenes build on earlier ones (a model is loaded, an answer was written), so leaving one out keeps its deeds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QAbstractButton, QLineEdit, QListView, QScrollArea

from engine.runtime.supervisor import Phase
from gui.panels.chat.view import ChatPage
from gui.panels.memory.mode_switch import Mode
from gui.panels.memory.view import MemoryView
from gui.widgets.section import FoldHeader
from tests.screenshots.lab_scenes import (
    lab_compare,
    lab_draws,
    lab_empty,
    lab_samples,
    lab_without_model,
    lab_writing,
)
from tests.screenshots.story import NEXT_QUESTION
from tests.screenshots.studio import BROKEN, Studio

N_SMALL_CTX = 512  # tokens: the main conversation does not fit
SECONDS_OF_PLOT = 8.0  # after the last run, so that its bands stand in the middle


@dataclass(frozen=True, slots=True)
class Scene:
    """One state of the window.

    Attributes:
        name: the picture's name.
        page: what `--only` selects by, beside the name.
        hold: enters the state, and leaves it.
        again: what another size undoes.
        is_needed: later scenes stand on what happens in it, so it is entered even when nobody wants its picture.
    """

    name: str
    page: str
    hold: Callable[[Studio], AbstractContextManager[None]]
    again: Callable[[Studio], None] = lambda _studio: None
    is_needed: bool = False


def scenes(other_model: Path) -> tuple[Scene, ...]:
    """Every scene. `other_model` is a second model for the library."""

    @contextmanager
    def models(studio: Studio) -> Iterator[None]:
        if not (studio.folder / "models").exists():
            studio.add_models(other_model)
        studio.go("models")
        yield

    @contextmanager
    def broken(studio: Studio) -> Iterator[None]:
        with models(studio):
            for view in studio.page().findChildren(QListView):
                for row in range(view.model().rowCount()):
                    index = view.model().index(row, 0)
                    if str(index.data()) == Path(BROKEN).stem:
                        view.setCurrentIndex(index)
            studio.rest()
            yield

    return (
        Scene("chat-no-model", "chat", _no_model),
        Scene("lab-no-model", "lab", lab_without_model),
        Scene("chat-loading", "chat", _loading, is_needed=True),
        Scene("chat-empty", "chat", _empty),
        Scene("chat-writing", "chat", _writing, is_needed=True),
        Scene("chat", "chat", _chat),
        Scene("chat-top", "chat", _chat, _to_top),
        Scene("chat-draft", "chat", _draft),
        Scene("chat-tokens", "chat", _tokens, _another_token),
        Scene("chat-thoughts", "chat", _thoughts, _to_top),
        Scene("chat-edit", "chat", _edit),
        Scene("chat-search", "chat", _search),
        Scene("chat-system-prompt", "chat", _system_prompt),
        Scene("palette", "chat", _palette),
        Scene("hardware", "hardware", _hardware),
        Scene("hardware-end", "hardware", _page_of("hardware"), Studio.to_end),
        Scene("memory", "memory", _page_of("memory")),
        Scene("memory-more", "memory", _memory_more, Studio.to_end),
        Scene("memory-train", "memory", _memory_train),
        Scene("memory-train-end", "memory", _memory_train, Studio.to_end),
        Scene("memory-train-described", "memory", _memory_train_described),
        Scene("models", "models", models),
        Scene("models-broken", "models", broken),
        Scene("lab-empty", "lab", lab_empty),
        Scene("lab-writing", "lab", lab_writing),
        Scene("lab", "lab", lab_samples),
        Scene("lab-draws", "lab", lab_draws),
        Scene("lab-draws-end", "lab", lab_draws, Studio.to_end),
        Scene("lab-compare", "lab", lab_compare),
        Scene("lab-compare-end", "lab", lab_compare, Studio.to_end),
        Scene("settings", "settings", _page_of("settings")),
        Scene("settings-end", "settings", _page_of("settings"), Studio.to_end),
        Scene("chat-deleted", "chat", _deleted),
        Scene("chat-notice", "chat", _notice),
        Scene("chat-lost", "chat", _lost),
    )


@contextmanager
def _no_model(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    yield


@contextmanager
def _loading(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    with studio.loading():
        studio.live(0.6)  # what is over sooner is not announced
        yield


@contextmanager
def _empty(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    studio.rest()
    yield


@contextmanager
def _writing(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    studio.open_story()
    with studio.writing(NEXT_QUESTION, 110, 45):
        studio.live(0.2)
        yield


@contextmanager
def _chat(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    yield


@contextmanager
def _draft(studio: Studio) -> Iterator[None]:
    """What would come next, if what stands in the composer were said."""
    studio.go("chat")
    page = _page(studio)
    page.composer.edit.insertPlainText("And which of them is the smallest?")
    studio.until(lambda: page.inspector.next_token.to_draft.isVisible())
    page.inspector.next_token.to_draft.click()
    studio.until(lambda: page.inspector.next_token.bars.isVisible())
    yield
    page.composer.edit.clear()
    studio.rest()


@contextmanager
def _tokens(studio: Studio) -> Iterator[None]:
    """The tokens of the last answer, and what else might have stood in the place of one."""
    studio.go("chat")
    section = _page(studio).inspector.tokens
    section.show_tokens_of(studio.workbench.dialogue.messages[-1].id)
    studio.until(lambda: section.view.sums is not None and not section.busy.isVisible())
    yield
    section.set_folded(True)
    studio.rest()


def _another_token(studio: Studio) -> None:
    """A token is clicked: its alternatives stand under it."""
    section = _page(studio).inspector.tokens
    above = section.parentWidget()
    while above is not None and not isinstance(above, QScrollArea):
        above = above.parentWidget()
    assert isinstance(above, QScrollArea)
    above.ensureWidgetVisible(section.strip)
    section.strip._go(4)
    section.strip.activated.emit(4)
    studio.live(0.2)


@contextmanager
def _thoughts(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    _to_top(studio)
    folds = [each for each in studio.page().findChildren(QAbstractButton) if "hought" in each.accessibleName()]
    fold = next(each for each in folds if each.isVisible())
    fold.click()
    studio.live(0.2)
    yield
    fold.click()
    _page(studio).transcript.jump_to_latest()
    studio.live(0.2)


@contextmanager
def _palette(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    studio.window.command_palette.open()
    studio.live(0.1)
    yield
    studio.window.command_palette.dismiss()


@contextmanager
def _hardware(studio: Studio) -> Iterator[None]:
    studio.go("hardware")
    studio.live(SECONDS_OF_PLOT)
    yield


def _page_of(key: str) -> Callable[[Studio], AbstractContextManager[None]]:
    @contextmanager
    def hold(studio: Studio) -> Iterator[None]:
        studio.go(key)
        yield

    return hold


@contextmanager
def _memory_more(studio: Studio) -> Iterator[None]:
    """All load options."""
    studio.go("memory")
    fold = next(each for each in studio.page().findChildren(FoldHeader) if each.isVisible())
    fold.click()
    studio.live(0.2)
    yield
    fold.click()


@contextmanager
def _memory_train(studio: Studio) -> Iterator[None]:
    """What training the loaded model would cost."""
    view = _memory_view(studio)
    view.show_mode(Mode.TRAIN)
    studio.live(0.5)
    yield
    view.show_mode(Mode.RUN)


@contextmanager
def _memory_train_described(studio: Studio) -> Iterator[None]:
    """A model of a size, on eight devices, with parts in RAM."""
    view = _memory_view(studio)
    view.show_mode(Mode.TRAIN)
    training = view.training
    assert training is not None
    studio.live(0.5)
    before = training.presenter.page
    training.presenter.choose(None)
    for key, value in (("n_devices", 8), ("sharding", "zero3"), ("offload", "optimizer"), ("device_memory", 24)):
        training.presenter.change(key, value)
    studio.live(0.2)
    yield
    for key in ("n_devices", "sharding", "offload", "device_memory"):
        training.presenter.change(key, before.recipe[key])
    training.presenter.choose(before.path)
    view.show_mode(Mode.RUN)


def _memory_view(studio: Studio) -> MemoryView:
    studio.go("memory")
    view = studio.page()
    assert isinstance(view, MemoryView)
    return view


@contextmanager
def _edit(studio: Studio) -> Iterator[None]:
    """An older question is being written anew."""
    studio.go("chat")
    page, messages = _page(studio), studio.workbench.dialogue.messages
    page.transcript.edit_requested.emit(str(messages[-2].id))
    studio.live(0.2)
    yield
    page.composer.edit_left.emit()
    studio.live(0.1)


@contextmanager
def _search(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    _page(studio).focus_search()
    field = next(each for each in _page(studio).list.findChildren(QLineEdit) if each.isVisible())
    field.setText("온도")
    studio.rest()
    yield
    field.clear()
    studio.rest()


@contextmanager
def _system_prompt(studio: Studio) -> Iterator[None]:
    studio.go("chat")
    _page(studio).edit_system_prompt()
    studio.workbench.dialogue.set_system_prompt("You are a patient teacher. Answer in at most five sentences.")
    _page(studio).show_system_prompt(studio.workbench.dialogue.system_prompt)
    studio.live(0.2)
    yield
    _page(studio).edit_system_prompt()


@contextmanager
def _deleted(studio: Studio) -> Iterator[None]:
    """The toast that takes a delete back."""
    studio.go("chat")
    rows = _page(studio).presenter.rows
    _page(studio).delete_chat(str(next(each.id for each in rows if "Recipe" in each.title)))
    studio.rest()
    yield
    studio.window.toast.undo_latest()
    studio.rest()


@contextmanager
def _lost(studio: Studio) -> Iterator[None]:
    """The engine's process was killed."""
    studio.go("chat")
    studio.close_notices()
    studio.load(n_ctx=4096)
    pid = studio.workbench.state.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    studio.until(lambda: studio.workbench.state.phase is Phase.LOST)
    studio.rest()
    yield


@contextmanager
def _notice(studio: Studio) -> Iterator[None]:
    """A context that the conversation does not fit in, and a file that is no model: what the engine itself says."""
    studio.go("chat")
    studio.load(n_ctx=N_SMALL_CTX)
    page = _page(studio)
    page.presenter.send("What did we find out?")
    studio.rest()
    yield


def _to_top(studio: Studio) -> None:
    bar = _page(studio).transcript.verticalScrollBar()
    bar.setValue(bar.minimum())
    studio.live(0.2)
    bar.setValue(bar.minimum())


def _page(studio: Studio) -> ChatPage:
    page = studio.page()
    assert isinstance(page, ChatPage)
    return page
