"""What changed between two states of the thread on screen, so that only that is drawn.

Setting the whole list anew would move what the reader is reading and lay out two thousand messages; a new question
adds two at the end. Messages are told apart by id and compared by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.workbench.events import ThreadMessage


@dataclass(frozen=True, slots=True)
class ThreadChange:
    """How to come from the thread on screen to the new one.

    Attributes:
        reset: nothing is shared: show `appended` as the whole list. Then the other attributes are empty.
        keep_id: the last message that stays; what follows it is taken away if `cut` says so.
        updated: messages that stay in their place with another value.
        appended: messages to add at the end.
    """

    reset: bool
    keep_id: str
    cut: bool
    updated: tuple[ThreadMessage, ...]
    appended: tuple[ThreadMessage, ...]

    @property
    def is_nothing(self) -> bool:
        return not (self.reset or self.cut or self.updated or self.appended)


def thread_change(before: Sequence[ThreadMessage], after: Sequence[ThreadMessage]) -> ThreadChange:
    """The smallest change from one thread to the other: their common beginning stays."""
    n_shared = 0
    for old, new in zip(before, after, strict=False):
        if old.id != new.id:
            break
        n_shared += 1
    if n_shared == 0:
        return ThreadChange(bool(before or after), "", False, (), tuple(after))
    updated = tuple(new for old, new in zip(before[:n_shared], after[:n_shared], strict=True) if old != new)
    return ThreadChange(False, str(after[n_shared - 1].id), len(before) > n_shared, updated, tuple(after[n_shared:]))
