"""The engine's dry run, in a process of its own: what a load would take, to the byte, without reading weights.

A wrong flag or hostile metadata ends the process that asks llama.cpp, and on some GPUs asking leaves a driver context
behind; so it is asked in a worker that lives for one question.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence

from engine.base.bus import Bus
from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.base.fields import Value
from engine.runtime.client import FromWorker, WorkerClient, WorkerEnded, ending_in_words
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import Failed, Hello, Plan, Planned

TIMEOUT_S = 60.0


class _OneQuestion(Bus):
    """A bus that only collects, so that the answer can be waited for on a job's thread."""

    def __init__(self) -> None:
        super().__init__()
        self.events: queue.SimpleQueue[object] = queue.SimpleQueue()

    def post(self, event: object) -> None:
        self.events.put(event)


def plan_load(
    path: str,
    options: Mapping[str, Value],
    stop: threading.Event | None = None,
    rpc_servers: Sequence[str] = (),
) -> tuple[Planned, Hello]:
    """Ask the engine what loading this file with these options would take. Blocks: run it in a job.

    Args:
        path: a GGUF file, or the first part of a split one.
        options: load options; missing ones are at their default.
        stop: set from another thread to give up.
        rpc_servers: addresses of servers whose devices count too.

    Raises:
        KnownError: the file or an option is refused, or the engine could not plan.
    """
    events = _OneQuestion()
    client = WorkerClient(events, rpc_servers=rpc_servers)
    hello: Hello | None = None
    waited_s = 0.0
    try:
        while True:
            try:
                event = events.events.get(timeout=0.1)
            except queue.Empty:
                waited_s += 0.1
                if stop is not None and stop.is_set():
                    raise KnownError("Planning was stopped") from None
                if waited_s > TIMEOUT_S:
                    raise KnownError(
                        "The engine took too long to plan the load",
                        value=f"{TIMEOUT_S:.0f} s",
                        next_step="try again, or load the model without a plan",
                    ) from None
                continue
            match event:
                case FromWorker(event=Hello() as said):
                    hello = said
                    client.send(Plan(1, path, dict(LOAD_OPTIONS.changed(LOAD_OPTIONS.checked(options)))))
                case FromWorker(event=Planned() as planned):
                    assert hello is not None
                    return planned, hello
                case FromWorker(event=Failed() as failed):
                    raise KnownError.of(failed.trouble)
                case WorkerEnded() as ended:
                    raise KnownError(
                        "The engine ended while it planned the load",
                        value=ending_in_words(ended.exit_code),
                        next_step="change the settings, or choose another model",
                        remedies=(Remedy(RemedyKind.CHOOSE_MODEL, "Choose another model"),),
                        details=ended.stderr_tail,
                    )
                case _:
                    pass
    finally:
        client.kill()
        client.wait(2.0)
