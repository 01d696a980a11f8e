"""What the workbench posts on the bus, beside the worker's own run events. Every value is frozen."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import Trouble
from engine.memory.fit import Verdict
from engine.memory.ledger import Ledger
from engine.runtime.supervisor import EngineState
from engine.sampling.chain import Chain
from engine.sampling.presets import Preset
from engine.settings import Settings
from engine.store.rows import ConversationId, ConversationRow, MessageId, MessageState, Role
from engine.wire.messages import FinishReason, ModelFacts, RunStats

if TYPE_CHECKING:
    from engine.models.library import LibraryEntry


class ChainScope(enum.Enum):
    """Whose a sampler chain is: every chat's, one model's in all chats, or one conversation's."""

    ALL = "all"
    MODEL = "model"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Beat:
    """A few times a second, from the heartbeat's thread: time has passed."""


@dataclass(frozen=True, slots=True)
class EngineChanged:
    """The engine's state is another one."""

    state: EngineState


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a load would take, as the engine itself plans it.

    Attributes:
        path: the model's file.
        options: the load options that differ from the defaults.
        ledger: predicted, by device and part.
        verdict: against what is free now, counting the loaded model as gone.
        facts: what the header says of the model.
        max_n_ctx: the largest context that fits, None where it was not asked for or a free memory is unknown.
        took_s: how long the engine planned.
        freed_bytes: RAM that comes back when the model that is loaded now goes; counted as free in the verdict.
    """

    path: str
    options: dict[str, object]
    ledger: Ledger
    verdict: Verdict
    facts: ModelFacts
    max_n_ctx: int | None
    took_s: float
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class MemoryChanged:
    """The memory of the model that is loaded or about to be: predicted before the load, measured after it."""

    predicted: Ledger | None
    measured: Ledger | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class RatesKept:
    """How fast a device of this computer is was measured, and kept."""


@dataclass(frozen=True, slots=True)
class TroubleShown:
    """Something went wrong that belongs on a page: its key, or "" for whichever is open."""

    trouble: Trouble
    page: str = ""


@dataclass(frozen=True, slots=True)
class LibraryChanged:
    """The models on this computer, and the folders that are away."""

    entries: tuple[LibraryEntry, ...]
    missing_folders: tuple[str, ...]
    scanning: bool = False


@dataclass(frozen=True, slots=True)
class LibraryScanned:
    """How far a scan of the model folders is: files read so far, and the last one's name."""

    n_files: int
    name: str


@dataclass(frozen=True, slots=True)
class ModelConsidered:
    """The Memory page should show this model."""

    path: Path


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The settings are others now."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class ChainChanged:
    """Tokens are drawn with another chain from now on, or it is kept in another place."""

    chain: Chain
    scope: ChainScope


@dataclass(frozen=True, slots=True)
class PresetsChanged:
    """The user's own presets, ordered by label."""

    presets: tuple[Preset, ...]


@dataclass(frozen=True, slots=True)
class ConversationsChanged:
    """The list of conversations, pinned ones first, newest first."""

    rows: tuple[ConversationRow, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What stands under an answer. `label` is the model that wrote it."""

    label: str
    stats: RunStats | None
    seed: int | None
    reason: FinishReason | None
    n_dropped_messages: int = 0
    warnings: tuple[str, ...] = ()
    no_roll_back: bool = False


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """A message of the branch that is shown.

    Attributes:
        sibling_index, sibling_count: which of the alternatives this is, counted from 0.
        thinking_s: how long the thinking took, None when there was none or it is not known.
        figures: for answers.
        trouble: why it failed.
    """

    id: MessageId
    parent_id: MessageId | None
    role: Role
    text: str
    state: MessageState
    thinking: str = ""
    thinking_s: float | None = None
    sibling_index: int = 0
    sibling_count: int = 1
    figures: Figures | None = None
    trouble: Trouble | None = field(default=None)


@dataclass(frozen=True, slots=True)
class ThreadChanged:
    """Another conversation or branch is shown, or messages were added: the whole thread anew.

    `conversation_id` is None for a new chat that nothing was said in yet.
    """

    conversation_id: ConversationId | None
    title: str
    system_prompt: str
    draft: str
    messages: tuple[ThreadMessage, ...]


@dataclass(frozen=True, slots=True)
class MessageText:
    """Text was added to the message that is being written."""

    message_id: MessageId
    text: str
    thinking: str


@dataclass(frozen=True, slots=True)
class TokensWanted:
    """Somebody wants to see the tokens of this answer."""

    message_id: MessageId


@dataclass(frozen=True, slots=True)
class MessageFinished:
    """The message that was being written is done, stopped or failed."""

    message: ThreadMessage


@dataclass(frozen=True, slots=True)
class DraftChanged:
    """What stands in the composer of the open chat is another text, "" for none; `Dialogue.draft` has it."""

    text: str
