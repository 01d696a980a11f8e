"""What the parts of the Chat page show, as values: the presenter decides them, the view draws them.

Apart from the presenter because both sides need them, and a part of the page need not know who decides. No Qt.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.runtime.supervisor import Phase


class Empty(enum.Enum):
    """What stands where no message is yet."""

    NO_MODEL = "no model"
    COMING = "coming"  # a model is being started, planned or loaded
    LOST = "lost"  # the engine ended; its model can be loaded again
    READY = "ready"


class Strip(enum.Enum):
    """What the line over the composer offers while nothing can answer."""

    NONE = "none"
    NO_MODEL = "no model"
    LOST = "lost"


class Doing(enum.Enum):
    """What the line over the composer says."""

    NOTHING = "nothing"
    STARTING = "starting"
    PLANNING = "planning"
    LOADING = "loading"
    READING = "reading"
    STOPPING = "stopping"
    UNRESPONSIVE = "unresponsive"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is.

    Attributes:
        doing: what.
        label: the model's name.
        fraction: 0 to 1, None while unknown.
        n_done, n_total: tokens of the prompt, while reading.
        remaining_s: a guess in seconds, None while there is nothing to base it on.
    """

    doing: Doing = Doing.NOTHING
    label: str = ""
    fraction: float | None = None
    n_done: int = 0
    n_total: int = 0
    remaining_s: float | None = None


@dataclass(frozen=True, slots=True)
class ComposerState:
    """What the composer offers.

    Attributes:
        label: whom the message goes to, "" without a model.
        can_stop: the button is Stop.
        can_send: Enter sends, or has the message wait for a model that is on its way.
        can_force: stopping took too long; the button kills.
        stopping: somebody pressed Stop.
        waiting: the message is sent as soon as the model is ready.
        editing: a message of the thread is being written anew.
    """

    label: str = ""
    can_stop: bool = False
    can_send: bool = True
    can_force: bool = False
    stopping: bool = False
    waiting: bool = False
    editing: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """What stands above the thread: title, model and its state, whether there is a system prompt."""

    title: str = ""
    model_path: str = ""
    model_label: str = ""
    phase: Phase = Phase.ABSENT
    load_percent: int = 0
    has_system_prompt: bool = False
