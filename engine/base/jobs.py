"""Work off the window's thread: a job runs a plain function on a lane and brings the result back over the bus.

A lane is one thread that does its jobs in order (the store has one, so a message is never written before its
conversation). Rejected: concurrent.futures, whose callbacks run on the worker's thread.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from engine.base.bus import Bus
from engine.base.errors import Trouble, trouble_of

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Cancelled(Exception):
    """Raised inside a job by `Task.check()` after its handle was cancelled."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is. `fraction` is 0 to 1, None when the end is not known."""

    job_id: int
    title: str
    fraction: float | None
    text: str


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A job is over: its result, or the trouble, or neither when it was cancelled."""

    job_id: int
    title: str
    result: Any
    trouble: Trouble | None
    cancelled: bool


class Task:
    """What a running job sees of itself: report progress, ask whether to stop (`stop` is set then)."""

    def __init__(self, job_id: int, title: str, bus: Bus, stop: threading.Event) -> None:
        self._job_id, self._title, self._bus = job_id, title, bus
        self.stop = stop

    def progress(self, fraction: float | None, text: str = "") -> None:
        self._bus.post(JobProgress(self._job_id, self._title, fraction, text))

    def check(self) -> None:
        """Raise `Cancelled` if somebody cancelled this job."""
        if self.stop.is_set():
            raise Cancelled


@dataclass(frozen=True, slots=True)
class JobHandle(Generic[Result]):
    """A job that was started."""

    job_id: int
    title: str
    _stop: threading.Event

    def cancel(self) -> None:
        """Ask the job to stop; its `then` is not called any more."""
        self._stop.set()


class _Lane:
    def __init__(self, name: str) -> None:
        self.queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name=f"lane-{name}", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while (step := self.queue.get()) is not None:
            step()


class Jobs:
    """Runs jobs on named lanes. `then` and `failed` are called on the thread that pumps the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._lanes: dict[str, _Lane] = {}
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[Callable[[Any], None] | None, Callable[[Trouble], None] | None]] = {}
        self._stops: dict[int, threading.Event] = {}
        self._closed = False
        bus.subscribe(JobEnded, self._ended)

    def run(
        self,
        work: Callable[[Task], Result],
        *,
        title: str,
        lane: str = "disk",
        then: Callable[[Result], None] | None = None,
        failed: Callable[[Trouble], None] | None = None,
        must_finish: bool = False,
    ) -> JobHandle[Result]:
        """Start `work` on a lane. Called from the pumping thread only.

        Args:
            work: a function of the task; it may raise `KnownError`.
            title: what the job does, as shown beside its progress.
            lane: the name of the thread that does it; jobs of one lane run one after the other.
            then: takes the result.
            failed: takes the trouble; without it, a failure is only posted as `JobEnded`.
            must_finish: closing waits for this job instead of cancelling it (writes to the store).
        """
        if self._closed:
            raise RuntimeError("jobs are closed")
        job_id = next(self._ids)
        stop = threading.Event()
        task = Task(job_id, title, self._bus, stop)
        self._waiting[job_id] = (then, failed)
        if not must_finish:
            self._stops[job_id] = stop

        def step() -> None:
            result: Result | None = None
            trouble: Trouble | None = None
            cancelled = stop.is_set()
            if not cancelled:
                try:
                    result = work(task)
                except Cancelled:
                    cancelled = True
                except Exception as error:
                    trace = traceback.format_exc()
                    trouble = trouble_of(error, trace)
                    if trouble.is_bug:
                        log.error("job %r failed\n%s", title, trace)
            self._bus.post(JobEnded(job_id, title, result, trouble, cancelled))

        if lane not in self._lanes:
            self._lanes[lane] = _Lane(lane)
        self._lanes[lane].queue.put(step)
        return JobHandle(job_id, title, stop)

    def close(self, timeout_s: float = 5.0) -> None:
        """Do the jobs that must finish, cancel the others, end the lanes."""
        self._closed = True
        for stop in self._stops.values():
            stop.set()
        for each in self._lanes.values():
            each.queue.put(None)
        for each in self._lanes.values():
            each.thread.join(timeout_s)

    def _ended(self, event: JobEnded) -> None:
        then, failed = self._waiting.pop(event.job_id, (None, None))
        stop = self._stops.pop(event.job_id, None)
        if event.cancelled or (stop is not None and stop.is_set()):
            return
        if event.trouble is not None:
            if failed is not None:
                failed(event.trouble)
        elif then is not None:
            then(event.result)
