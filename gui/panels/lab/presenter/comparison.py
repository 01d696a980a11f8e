"""What the tab Compare shows, as values: the answers there are, what tells two of them apart, how a replay went."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from engine.store.rows import MessageId, RunId
from engine.workbench.comparison import Difference, Words


@dataclass(frozen=True, slots=True)
class AnswerChoice:
    """A stored answer.

    Attributes:
        words: its first words, "" where they are not known here.
        is_here: it belongs to the open conversation.
    """

    run_id: RunId
    message_id: MessageId
    started: datetime
    model: str
    words: str
    n_tokens: int | None
    seed: int | None
    is_here: bool


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token that might have come: `p` by the model alone, `p_chain` after the chain; None is not known."""

    piece: bytes
    p: float | None
    p_chain: float | None
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class Parting:
    """The first token that differs.

    Attributes:
        position: how many tokens are the same before it.
        first, second: what might have stood there, likeliest first; empty where it could not be computed.
        first_piece, second_piece: what stands there; None where the answer ends.
        has_model: the model that could tell the distributions was there.
    """

    position: int
    first_piece: bytes | None
    second_piece: bytes | None
    first: tuple[TokenRow, ...] = ()
    second: tuple[TokenRow, ...] = ()
    has_model: bool = True


class Outcome(enum.Enum):
    """What two answers, or an answer and its replay, are to each other."""

    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers laid beside each other, or an answer and its replay (`is_replay`).

    Attributes:
        setup: what is not the same of what they were written with.
        words: both texts in one; empty for a replay, whose text nobody keeps.
        n_tokens: how many were compared, None where that is not known.
        same_prompt: whether both answer the same prompt, None where that is not known.
    """

    outcome: Outcome
    setup: tuple[Difference, ...]
    words: tuple[Words, ...]
    parting: Parting | None
    n_tokens: int | None
    same_prompt: bool | None = None
    is_replay: bool = False


class Doing(enum.Enum):
    """What the tab is waiting for."""

    NOTHING = "nothing"
    COMPARING = "comparing"
    REPLAYING = "replaying"


@dataclass(frozen=True, slots=True)
class ComparePage:
    """What the tab shows.

    Attributes:
        answers: newest first; `first`, `second`: places in it, -1 for none.
        comparison: the last one that came.
        doing: what goes on; `fraction` of it where that is known.
    """

    answers: tuple[AnswerChoice, ...] = ()
    first: int = -1
    second: int = -1
    comparison: Comparison | None = None
    doing: Doing = Doing.NOTHING
    fraction: float | None = None

    @property
    def chosen(self) -> tuple[AnswerChoice, AnswerChoice] | None:
        """The two answers that are chosen, None unless both are."""
        if self.first < 0 or self.second < 0:
            return None
        return self.answers[self.first], self.answers[self.second]
