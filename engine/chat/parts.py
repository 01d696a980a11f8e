"""The parts of a conversation as pure values, and the two ways of making them fit a strict template.

Why: templates disagree about who may speak when. Some refuse a system message, some refuse two turns of one role in
a row. `merge_system` and `merge_runs` say the same thing with fewer turns, so that the caller can try again.
Rejected: dictionaries as the templates want them (no names, no checks); `template` makes those at the last moment.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

BETWEEN_MERGED = "\n\n"


class Role(enum.Enum):
    """Who speaks. The value is the word that templates compare with."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation: who said it, and what."""

    role: Role
    content: str


def merge_system(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns with all system text put in front of the first user turn; without a user turn it becomes one."""
    system = BETWEEN_MERGED.join(turn.content for turn in turns if turn.role is Role.SYSTEM)
    rest = [turn for turn in turns if turn.role is not Role.SYSTEM]
    if len(rest) == len(turns):
        return tuple(turns)
    for index, turn in enumerate(rest):
        if turn.role is Role.USER:
            rest[index] = replace(turn, content=_joined(system, turn.content))
            return tuple(rest)
    return (Turn(Role.USER, system), *rest)


def merge_runs(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns with neighbours of one role made one turn, so that roles alternate."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role is turn.role:
            merged[-1] = replace(turn, content=_joined(merged[-1].content, turn.content))
        else:
            merged.append(turn)
    return tuple(merged)


def _joined(first: str, second: str) -> str:
    return BETWEEN_MERGED.join(text for text in (first, second) if text)
