"""The bus: any thread posts a value, one thread hands it to whoever subscribed to its type.

The window pumps it from one QTimer, the command line from a loop of its own; so handlers always run on one
thread, and no handler needs a lock. Rejected: cross-thread Qt signals (the engine knows no Qt, and a queued signal
per token wakes the window two hundred times a second).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

Event = TypeVar("Event")
Unsubscribe = Callable[[], None]

log = logging.getLogger(__name__)


class Bus:
    """A queue of frozen values and the handlers of their types.

    Attributes:
        on_error: called with what a handler raised.
        on_own_post: called when the pumping thread posts something outside a pump: it wants it handed out soon, while what
            other threads post can wait for the next pump. What a handler posts is handed out in the same pump.
        on_foreign_post: called on the thread that posts, by every thread but the pumping one.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._handlers: dict[type, list[Callable[[Any], None]]] = defaultdict(list)
        self.on_error: Callable[[Exception], None] | None = None
        self.on_own_post: Callable[[], None] | None = None
        self.on_foreign_post: Callable[[], None] | None = None
        self._pumping_thread = 0
        self._is_pumping = False

    def post(self, event: object) -> None:
        """Put an event in the queue. From any thread; never waits."""
        self._queue.put(event)
        if self._pumping_thread != threading.get_ident():
            wake = self.on_foreign_post  # once: the pumping thread may take it away at any moment
            if wake is not None:
                wake()
        elif not self._is_pumping and self.on_own_post is not None:
            self.on_own_post()

    def subscribe(self, kind: type[Event], handler: Callable[[Event], None]) -> Unsubscribe:
        """Call `handler` on the pumping thread for each event of exactly this type, until the result is called."""
        handlers = self._handlers[kind]
        handlers.append(handler)

        def unsubscribe() -> None:
            if handler in handlers:
                handlers.remove(handler)

        return unsubscribe

    def pump(self, most: int = 10_000) -> int:
        """Hand out what is waiting, at most `most` events; returns how many. Only one thread may pump."""
        self._pumping_thread = threading.get_ident()
        was_pumping, self._is_pumping = self._is_pumping, True  # a handler's dialogue pumps within a pump
        try:
            for n_done in range(most):
                try:
                    event = self._queue.get_nowait()
                except queue.Empty:
                    return n_done
                self._dispatch(event)
            return most
        finally:
            self._is_pumping = was_pumping

    def wait(self, timeout_s: float) -> bool:
        """Sleep until an event came and hand it out; False when none came in time. For programs without a window."""
        try:
            event = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return False
        self._dispatch(event)
        return True

    def _dispatch(self, event: object) -> None:
        for handler in tuple(self._handlers[type(event)]):
            try:
                handler(event)
            except Exception as error:
                # One panel's fault must not silence the others; the door decides how it is shown.
                log.exception("a handler of %s failed", type(event).__name__)
                if self.on_error is not None:
                    self.on_error(error)
