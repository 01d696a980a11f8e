"""The store's lane: every piece of work on the store runs there, in order, and its troubles are told once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.base.bus import Bus
from engine.base.clock import Clock
from engine.base.errors import KnownError, Trouble
from engine.base.jobs import Jobs, Task
from engine.store import Store, open_store
from engine.workbench.events import TroubleShown


class StoreLane:
    """Opens the store at its first use, on its own lane. Call it with work to do there."""

    def __init__(self, path: Path, bus: Bus, jobs: Jobs, clock: Clock) -> None:
        self._path, self._bus, self._jobs, self._clock = path, bus, jobs, clock
        self._store: Store | None = None
        self._trouble: Trouble | None = None

    def __call__(
        self,
        work: Callable[[Store], object],
        *,
        then: Callable[[Any], None] | None = None,
        title: str = "Saving",
        failed: Callable[[Trouble], None] | None = None,
    ) -> None:
        """Do `work` with the store; `then` takes its result on the pumping thread. Closing waits for it.

        `failed` takes the trouble of work that may well go wrong; without it, trouble is posted as `TroubleShown`.
        """

        def run(_task: Task) -> object:
            return work(self._opened())

        def done(result: Any) -> None:
            self._trouble = None
            if then is not None:
                then(result)

        def tell(trouble: Trouble) -> None:
            # A full disk refuses every batch of text; it is told once, and again when it was better in between.
            if self._trouble is None or self._trouble.what != trouble.what:
                self._bus.post(TroubleShown(trouble))
            self._trouble = trouble

        self._jobs.run(run, title=title, lane="store", then=done, failed=failed or tell, must_finish=True)

    def _opened(self) -> Store:
        """The store; on its lane. Where the file cannot be used, one that ends with the program, and a notice."""
        if self._store is None:
            try:
                self._store = open_store(self._path, clock=self._clock)
            except KnownError as error:
                told = error.trouble
                self._bus.post(
                    TroubleShown(
                        Trouble(
                            f"Chats are not being saved. {told.what}",
                            told.value,
                            told.next_step,
                            told.remedies,
                            told.details,
                        )
                    )
                )
                self._store = Store.in_memory(clock=self._clock)
        return self._store

    def close(self) -> None:
        """End the store after everything that is queued."""
        if self._store is not None:
            self(lambda store: store.close(), title="Closing the chats")
