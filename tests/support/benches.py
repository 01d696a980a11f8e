"""A real workbench in a folder of the test's own, and waiting for what it posts without sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from engine.base.errors import Trouble
from engine.base.paths import Paths
from engine.runtime.supervisor import Phase
from engine.workbench import Workbench
from engine.workbench.events import TroubleShown

Event = TypeVar("Event")


class Driver:
    """Pumps a workbench's bus as a window would, and collects what is asked for."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        self.troubles: list[Trouble] = []
        workbench.subscribe(TroubleShown, lambda event: self.troubles.append(event.trouble))

    def until(self, ready: Callable[[], object], timeout_s: float = 180.0) -> None:
        """Pump until `ready` is true; fail with what the engine was doing when it never is."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing came; engine {self.workbench.state.phase}, troubles {self.troubles}")
            self.workbench.bus.wait(0.05)

    def settle(self, *lanes: str) -> None:
        """Wait until these lanes have done what was asked of them until now, and the bus is empty."""
        done: list[object] = []
        for lane in lanes:
            self.workbench.jobs.run(lambda _task: None, title="settle", lane=lane, then=done.append)
        self.until(lambda: len(done) == len(lanes))
        while self.workbench.bus.pump():
            pass

    def collect(self, kind: type[Event]) -> list[Event]:
        """A list that fills with every event of this type from now on."""
        found: list[Event] = []
        self.workbench.subscribe(kind, found.append)
        return found

    def load(self, path: Path, *, planned: bool = False, **options: object) -> None:
        """Load a model and wait until it is ready; `planned` by a dry run first, which takes a second worker."""
        wanted = {**self.workbench.load_options, **options}
        self.workbench.set_load_options(wanted)  # type: ignore[arg-type]
        self.workbench.open_model(path, anyway=not planned)
        refused = (Phase.EMPTY, Phase.LOST)
        assert self.workbench.state.phase in (Phase.PLANNING, Phase.LOADING)
        self.until(lambda: self.workbench.state.phase is Phase.READY or self.workbench.state.phase in refused)
        assert self.workbench.state.phase is Phase.READY, self.troubles

    def worker(self) -> psutil.Process:
        """The worker's process."""
        pid = self.workbench.state.pid
        assert pid is not None
        return psutil.Process(pid)


@contextmanager
def open_bench(folder: Path, *, start: bool = True) -> Iterator[Driver]:
    """A workbench under `folder`, closed at the end whatever happens."""
    workbench = Workbench(Paths.under(folder))
    driver = Driver(workbench)
    if start:
        workbench.start()
    else:
        workbench.start_beating()
    try:
        yield driver
    finally:
        workbench.close()
