"""What the Lab continues: a question through the model's chat template, or raw text as it stands; and who may run it.

Samples and draws share one prompt, so that a distribution and the texts that come of it are of the same place.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from engine.base.bus import Unsubscribe
from engine.runtime.supervisor import EngineState, Phase
from engine.sampling.chain import Chain
from engine.wire.messages import ChatMessage, Prompt
from engine.workbench import Workbench
from engine.workbench.events import EngineChanged, SettingsChanged


class PromptKind(enum.Enum):
    """How the text reaches the model."""

    CHAT = "chat"
    RAW = "raw"


class PromptFault(enum.Enum):
    """Why a prompt cannot be run."""

    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class LabPrompt:
    """What stands in the editor. `system` counts for chat questions alone; blank is none."""

    kind: PromptKind = PromptKind.CHAT
    system: str = ""
    text: str = ""

    def fault(self) -> PromptFault | None:
        """What is wrong with it, None when it can be run. Raw text may be white space: that too can be continued."""
        is_empty = not self.text.strip() if self.kind is PromptKind.CHAT else not self.text
        return PromptFault.EMPTY if is_empty else None

    def prompt(self) -> Prompt:
        """The prompt as it travels."""
        if self.kind is PromptKind.RAW:
            return Prompt(text=self.text)
        turns = [ChatMessage("system", self.system)] if self.system.strip() else []
        return Prompt(messages=(*turns, ChatMessage("user", self.text)))


@dataclass(frozen=True, slots=True)
class EngineView:
    """What the page must know of the engine.

    Attributes:
        has_model: a model is loaded; without one the page says how to begin.
        is_loading: one is on its way.
        is_ready: something can be begun now.
        is_busy: something goes on that can be stopped.
        is_stopping: somebody asked for that; `can_force`: it took so long that it may be forced.
        model_path: what is loaded.
    """

    has_model: bool = False
    is_loading: bool = False
    is_ready: bool = False
    is_busy: bool = False
    is_stopping: bool = False
    can_force: bool = False
    model_path: str = ""


def engine_view(state: EngineState) -> EngineView:
    """The engine's state as the page takes it."""
    loaded = (Phase.READY, Phase.READING, Phase.WRITING, Phase.WORKING)
    return EngineView(
        has_model=state.phase in loaded,
        is_loading=state.phase in (Phase.PLANNING, Phase.LOADING),
        is_ready=state.phase is Phase.READY,
        is_busy=state.is_busy,
        is_stopping=state.stopping,
        can_force=state.can_force,
        model_path=state.model_path,
    )


class LabSurface(Protocol):
    """What the presenter has of the page."""

    def show_engine(self, engine: EngineView) -> None: ...

    def show_chain(self, chain: Chain) -> None:
        """With which samplers the next run draws."""
        ...


class LabPresenter:
    """The page itself: follows the engine, and stops what goes on."""

    def __init__(self, workbench: Workbench, surface: LabSurface) -> None:
        self._workbench, self._surface = workbench, surface
        self._engine: EngineView | None = None
        self._chain: Chain | None = None
        self._ends: list[Unsubscribe] = [
            workbench.subscribe(EngineChanged, lambda _event: self.start()),
            workbench.subscribe(SettingsChanged, lambda _event: self.start()),
        ]

    def start(self) -> None:
        """Show the engine and the chain as they are, where they are others than were shown."""
        engine, chain = engine_view(self._workbench.state), self._workbench.chain
        if engine != self._engine:
            self._engine = engine
            self._surface.show_engine(engine)
        if chain != self._chain:
            self._chain = chain
            self._surface.show_chain(chain)

    def stop(self) -> None:
        """Stop what goes on; a second time, when it does not stop, by force. What was written stays."""
        state = self._workbench.state
        if state.can_force:
            self._workbench.supervisor.force_stop()
        elif state.is_busy:
            self._workbench.cancel()

    def close(self) -> None:
        """Hear nothing any more."""
        for end in self._ends:
            end()
