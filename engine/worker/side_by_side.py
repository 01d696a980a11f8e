"""Small pieces of work, done on several threads while the engine computes nothing.

Between two batches the engine's own threads sleep, and drawing eight tokens from a large vocabulary takes as long as a
tenth of the batch. The work is native (llama.cpp's samplers, NumPy's loops), so that Python's lock is free meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor


class SideBySide:
    """So many threads, the caller's among them."""

    def __init__(self, n_threads: int) -> None:
        self._n_others = max(0, n_threads - 1)
        self._others = ThreadPoolExecutor(self._n_others, thread_name_prefix="beside") if self._n_others else None

    def run(self, works: Sequence[Callable[[], object]]) -> None:
        """Do all of them, in any order; returns when no thread is at one of them. Raises what one of them raised."""
        waiting = deque(works)

        def drain() -> None:
            while True:
                try:
                    work = waiting.popleft()
                except IndexError:
                    return
                work()

        others: list[Future[None]] = []
        if self._others is not None:
            others = [self._others.submit(drain) for _ in range(min(self._n_others, len(works) - 1))]
        try:
            drain()
        finally:
            waiting.clear()
            errors = [error for each in others if (error := each.exception()) is not None]
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End the threads."""
        if self._others is not None:
            self._others.shutdown()
