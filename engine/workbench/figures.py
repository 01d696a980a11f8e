"""Figures of devices: what a model would do on others, how fast this computer's are, how well loads were predicted.

The decisions are pure functions of `engine.workbench.outlook` and `engine.memory`; here stands what they are asked with:
the header's profile, the engine's plan, and what was measured on this machine, which the store keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import Trouble
from engine.base.jobs import Jobs, Task
from engine.memory.ledger import Ledger
from engine.models.labels import model_label
from engine.runtime.supervisor import EngineState
from engine.store import Store
from engine.store.measurements import DeviceRates, LoadMeasured
from engine.wire.messages import Benched
from engine.workbench.seams import InStore

if TYPE_CHECKING:
    from engine.memory.profile import ModelProfile
    from engine.workbench.outlook import Outlook, Question

LANE = "outlook"


class Figures:
    """Answers questions about devices, and learns from loads and measurements.

    Args:
        jobs: where it is computed.
        in_store: the store's lane.
        database: the store's file; where it is not there yet, nothing was measured.
        told: called when a device's rates were kept.
        machine: what this computer is called, so that another's figures are not taken for its own.
    """

    def __init__(
        self, jobs: Jobs, in_store: InStore, database: Path, told: Callable[[], None], machine: str = ""
    ) -> None:
        self._jobs, self._in_store, self._database, self._machine = jobs, in_store, database, machine
        self._told = told
        self._rates: tuple[DeviceRates, ...] | None = None
        self._profiles: dict[tuple[Path, float], ModelProfile] = {}

    @property
    def machine(self) -> str:
        """What this computer is called."""
        if not self._machine:
            import platform  # the start does without it

            self._machine = platform.node() or "this computer"
        return self._machine

    def ask(
        self,
        question: Question,
        then: Callable[[tuple[Outlook, ...]], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        """This computer first, then the others in their order."""

        def work(_task: Task) -> tuple[Outlook, ...]:
            from engine.workbench.outlook import outlooks

            return outlooks(self._profile(question.path), question, self._rates or ())

        def go() -> None:
            self._jobs.run(work, title="Comparing devices", lane=LANE, then=then, failed=failed)

        def known(rates: tuple[DeviceRates, ...]) -> None:
            self._rates = rates
            go()

        if self._rates is None and self._database.exists():
            self._in_store(lambda store: store.measurements.rates(self.machine), then=known, failed=failed)
        else:
            go()

    def loads(self, path: Path, then: Callable[[tuple[LoadMeasured, ...]], None]) -> None:
        """What the last loads of this model took here, newest first."""
        self._in_store(lambda store: store.measurements.loads(self.machine, str(path)), then=then)

    def remember_load(self, path: str, predicted: Ledger | None, measured: Ledger) -> None:
        """Keep what a load took, if it was predicted."""
        if predicted is None or predicted.sum_bytes <= 0:
            return
        load = LoadMeasured(predicted.sum_bytes, measured.sum_bytes, measured.n_ctx)
        self._in_store(lambda store: store.measurements.add_load(self.machine, path, load), title="Keeping the load")

    def learn(self, state: EngineState, ledger: Ledger | None, found: Benched) -> None:
        """Keep how fast the device is that a measurement ran on: one device, and nobody else in the way."""
        from engine.workbench.outlook import only_device, rates_of

        if state.facts is None or ledger is None or found.contended:
            return
        path, place_name = Path(state.facts.path), only_device(ledger, state.devices)
        if place_name is None:
            return

        def kept(rates: DeviceRates | None) -> None:
            if rates is not None:
                others = tuple(each for each in self._rates or () if each.device != rates.device)
                self._rates = None if self._rates is None else (*others, rates)
                self._told()

        def work(store: Store) -> DeviceRates | None:
            from engine.gguf.splits import read_model
            from engine.memory.profile import need_of, profile_of

            rates = rates_of(profile_of(read_model(path)), need_of(ledger), found, place_name, model_label(path))
            if rates is not None:
                store.measurements.keep_rates(self.machine, rates)
            return rates

        self._in_store(work, then=kept, title="Keeping what was measured")

    def _profile(self, path: Path) -> ModelProfile:
        from engine.gguf.splits import read_model
        from engine.memory.profile import profile_of
        from engine.models.header_files import headers_of, is_header_file, read_header_file

        key = (path, path.stat().st_mtime if path.exists() else 0.0)
        if key not in self._profiles:
            is_away = is_header_file(path)
            headers = headers_of(read_header_file(path)) if is_away else read_model(path)
            self._profiles[key] = profile_of(headers)
        return self._profiles[key]
