"""What reaches the work in hand from the reading thread: who is at work, who was cancelled, a new chain, a look.

Ids grow with every command, and work is done in their order; so a cancel for an id that is already done is known to be
late and must not hit what runs now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.wire.messages import ChainLink, Event, Peek
from engine.worker.binding import AbortFlag
from engine.worker.peeking import answer_peek, too_late
from engine.worker.session import Session


@dataclass(slots=True)
class Control:
    """Shared by the two threads of the worker."""

    abort: AbortFlag
    emit: Callable[[Event], None]
    lock: threading.Lock = field(default_factory=threading.Lock)
    current_id: int = 0
    last_id: int = 0
    cancelled: set[int] = field(default_factory=set)
    chain: tuple[ChainLink, ...] | None = None
    peeks: list[Peek] = field(default_factory=list)

    # ---- the main thread ------------------------------------------------------------------------------------

    def begin(self, work_id: int) -> None:
        with self.lock:
            self.current_id = work_id
            self.last_id = max(self.last_id, work_id)
            self.chain = None
            if work_id in self.cancelled:
                self.abort.set()
            else:
                self.abort.clear()

    def end(self) -> None:
        with self.lock:
            self.cancelled = {each for each in self.cancelled if each > self.last_id}
            self.current_id = 0
            self.abort.clear()
            late = [each for each in self.peeks if each.run_id <= self.last_id]
            self.peeks = [each for each in self.peeks if each.run_id > self.last_id]
        for each in late:
            self.emit(too_late(each))

    def is_cancelled(self) -> bool:
        return self.abort.is_set()

    def take_chain(self) -> tuple[ChainLink, ...] | None:
        if self.chain is None:
            return None
        with self.lock:
            links, self.chain = self.chain, None
        return links

    def answer_peeks(self, session: Session, history: Sequence[int], seed: int) -> None:
        """Answer whoever wants to look at the place where the run now is, from the session's logits."""
        if not self.peeks:
            return
        with self.lock:
            peeks, self.peeks = self.peeks, []
        for each in peeks:
            answer_peek(session, each, history, seed, self.emit)

    # ---- the reading thread ---------------------------------------------------------------------------------

    def cancel(self, target_id: int) -> None:
        with self.lock:
            target = target_id or self.current_id
            if target and target == self.current_id:
                self.cancelled.add(target)
                self.abort.set()
            elif target > self.last_id:
                self.cancelled.add(target)

    def offer_chain(self, run_id: int, links: tuple[ChainLink, ...]) -> None:
        with self.lock:
            if run_id == self.current_id:
                self.chain = links

    def offer_peek(self, peek: Peek) -> None:
        """Lay a look ready for the run that it is about; one that has ended is told to be over."""
        with self.lock:
            waits = peek.run_id == self.current_id or peek.run_id > self.last_id
            if waits:
                self.peeks.append(peek)
        if not waits:
            self.emit(too_late(peek))
