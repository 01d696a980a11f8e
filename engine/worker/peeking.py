"""A look at the place where an answer is being written now, in passing.

The logits of the running answer are copied and the chain works on the copy: the run's own samplers, with their memory
and their random numbers, are not touched, so the answer is the same with and without anybody looking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.base.errors import KnownError
from engine.wire.messages import Event, Failed, NextTaken, Peek
from engine.worker.capture import Place
from engine.worker.session import Session
from engine.worker.writing import chain_of


def answer_peek(session: Session, peek: Peek, history: Sequence[int], seed: int, emit: Callable[[Event], None]) -> None:
    """Say what may come next, from the logits that the session holds. What is wrong with the question fails it alone.

    Args:
        history: every token before this place, prompt and answer.
        seed: of the draw that is shown.
    """
    try:
        place = Place.at_end(session, history)
        stages, picked = place.stage_views(chain_of(peek.chain), seed, peek.n_top)
        emit(NextTaken(peek.request_id, place.raw_top(peek.n_top), place.entropy_bits, stages, picked))
    except KnownError as error:
        emit(Failed(peek.request_id, error.trouble))


def too_late(peek: Peek) -> Failed:
    """The answer had ended before anybody could look."""
    trouble = KnownError("The answer is written", next_step="look at the end of the text instead").trouble
    return Failed(peek.request_id, trouble)
