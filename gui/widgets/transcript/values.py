"""What a transcript shows, as plain frozen values: no engine object comes near a widget.

A message is replaced by a new value, never changed in place, so the widget can tell by identity whether what it has
drawn is still right. Rejected: a Qt item model (2,000 rows cost 3.8 s to open).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(enum.Enum):
    """Who speaks. The user's line breaks are kept as typed; the others' are Markdown's."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class MessageState(enum.Enum):
    """How a message stands: being written, whole, ended by the reader, or ended by an error."""

    WRITING = "writing"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MessageValue:
    """One message.

    Attributes:
        id: unique in the transcript.
        label: the small line above the text: "You", a model's name.
        text: the Markdown source; what Copy copies.
        thinking: the model's thoughts, without their tags; shown folded.
        thinking_s: how long they took, in seconds; None when unknown.
        stats: the footer's parts, each ready to show ("212 → 78 tok/s").
        stats_tip: more about them, on hover.
        sibling_index: which of the alternatives this is, from 0; `sibling_count`: how many there are.
    """

    id: str
    role: Role
    label: str
    text: str = ""
    thinking: str = ""
    thinking_s: float | None = None
    stats: tuple[str, ...] = ()
    state: MessageState = MessageState.DONE
    sibling_index: int = 0
    sibling_count: int = 1
    stats_tip: str = ""
