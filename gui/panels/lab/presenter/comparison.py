"""What the tab Compare shows, as values: the answers there are, what tells two of them apart, how a replay went."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from engine.store.rows import RunId
from gui.panels.lab.presenter.text_diff import DiffPiece


@dataclass(frozen=True, slots=True)
class AnswerChoice:
    """A stored answer.

    Attributes:
        words: its first words, "" where they are not known here.
        is_here: it belongs to the open conversation.
    """

    run_id: RunId
    started: datetime
    model: str
    words: str
    n_tokens: int | None
    seed: int | None
    is_here: bool


@dataclass(frozen=True, slots=True)
class SetupRow:
    """A parameter of the set-up that is not the same; "" is not known."""

    name: str
    first: str
    second: str


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
        note: why a distribution is missing, "" for no reason.
    """

    position: int
    first_piece: bytes | None
    second_piece: bytes | None
    first: tuple[TokenRow, ...] = ()
    second: tuple[TokenRow, ...] = ()
    note: str = ""


class Outcome(enum.Enum):
    """What two answers, or an answer and its replay, are to each other."""

    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers laid beside each other, or an answer and its replay (`is_replay`)."""

    outcome: Outcome
    setup: tuple[SetupRow, ...]
    pieces: tuple[DiffPiece, ...]
    parting: Parting | None
    n_tokens: int | None
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class ComparePage:
    """What the tab shows.

    Attributes:
        answers: newest first; `first`, `second`: places in it, -1 for none.
        comparison: the last one that came.
        doing: what goes on: "" nothing, "compare" or "replay"; `fraction` of it where that is known.
    """

    answers: tuple[AnswerChoice, ...] = ()
    first: int = -1
    second: int = -1
    comparison: Comparison | None = None
    doing: str = ""
    fraction: float | None = None
