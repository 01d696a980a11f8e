"""Many dry runs of the engine in one worker process, where a test needs dozens of them."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from pathlib import Path

from engine.base.bus import Bus
from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.runtime.client import FromWorker, WorkerClient, WorkerEnded
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import Failed, MemoryUse, Plan, Planned

TIMEOUT_S = 60.0


class DryRuns(Bus):
    """A worker that only plans. Use it in a `with`."""

    def __init__(self) -> None:
        super().__init__()
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._client = WorkerClient(self)
        self._n_asked = 0

    def post(self, event: object) -> None:
        self._events.put(event)

    def __enter__(self) -> DryRuns:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.kill()
        self._client.wait(2.0)

    def memory(self, path: Path, options: Mapping[str, Value]) -> MemoryUse:
        """What the engine says that this load takes. Raises `KnownError` when it refuses."""
        self._n_asked += 1
        wanted = dict(LOAD_OPTIONS.changed(LOAD_OPTIONS.checked(options)))
        self._client.send(Plan(self._n_asked, str(path), wanted))
        while True:
            match self._events.get(timeout=TIMEOUT_S):
                case FromWorker(event=Planned() as planned):
                    return planned.memory
                case FromWorker(event=Failed() as failed):
                    raise KnownError.of(failed.trouble)
                case WorkerEnded() as ended:
                    raise AssertionError(ended)
                case _:
                    pass
