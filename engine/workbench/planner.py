"""What loads would take: the engine's dry runs as ledgers, remembered, for a load to come, an estimate or a curve.

The plans run in processes of their own on lanes of their own; each is asked for once as long as the file and the
options stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.base.fields import Value
from engine.base.jobs import JobHandle, Jobs, Task
from engine.hardware.ram import ram_now
from engine.memory.beside import with_files
from engine.memory.fit import TIGHT_SHARE, Verdict, judge, largest_n_ctx
from engine.memory.formula.placement import RPC
from engine.memory.ledger import RAM, Ledger, ledger_of, with_sizes
from engine.models.header_files import laid_out
from engine.models.labels import model_label
from engine.runtime.dry_run import plan_load
from engine.runtime.supervisor import EngineState
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceInfo, MemoryUse, Planned
from engine.workbench.beside_files import BesideFiles
from engine.workbench.curve import CurveLine, MemoryCurve, kv_text, largest_on
from engine.workbench.events import Estimate


class Planner:
    """Asks the engine what loads would take.

    Args:
        jobs: where the plans run.
        state: the engine's state now, for its devices and for what the loaded model would give back.
        margin: the share of each memory that is to stay free, as the settings have it now.
        rpc_servers: addresses of the RPC servers that count, as the settings have them now.

    Attributes:
        beside: the files that estimates and curves count beside a model.
    """

    def __init__(
        self,
        jobs: Jobs,
        state: Callable[[], EngineState],
        margin: Callable[[], float] = lambda: TIGHT_SHARE,
        rpc_servers: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._jobs, self._state, self._margin, self._rpc_servers = jobs, state, margin, rpc_servers
        self.beside = BesideFiles(jobs)
        self._devices: tuple[DeviceInfo, ...] = ()
        self._estimate_jobs: dict[str, JobHandle[Any]] = {}
        self._curve_job: JobHandle[Any] | None = None
        self._plans: dict[tuple[object, ...], Planned] = {}
        self._vocab_bytes: int | None = None
        self._processes: dict[Path, MemoryUse] = {}

    def close(self) -> None:
        """Give up what is still being planned."""
        for job in (*self._estimate_jobs.values(), self._curve_job):
            if job is not None:
                job.cancel()

    def estimate(
        self,
        path: Path,
        options: Mapping[str, Value],
        then: Callable[[Estimate], None],
        failed: Callable[[Trouble], None],
        *,
        with_limit: bool = False,
        asker: str = "",
        what_if: Mapping[str, int] | None = None,
    ) -> None:
        """Plan a load without doing it. A newer estimate takes the place of the same asker's that is still going on.

        Args:
            with_limit: also find the largest context that fits, which takes a second plan.
            asker: who wants to know (a page's key); different askers do not cancel each other.
            what_if: bytes that memories of the engine shall be taken to have free, by name ("RAM", "CUDA0").
        """
        if (older := self._estimate_jobs.pop(asker, None)) is not None:
            older.cancel()
        wanted = LOAD_OPTIONS.checked(options)

        def plan(task: Task) -> tuple[Planned, Planned | None]:
            first = self.planned(path, wanted, task)
            second = None
            if with_limit:
                n_ctx = first.memory.n_ctx
                other = n_ctx * 2 if n_ctx < 65_536 else n_ctx // 2
                second = self.planned(path, {**wanted, "n_ctx": other}, task)
            return first, second

        def arrived(found: tuple[Planned, Planned | None]) -> None:
            self._estimate_jobs.pop(asker, None)
            then(self._estimate_of(path, wanted, *found, what_if or {}))

        def went_wrong(trouble: Trouble) -> None:
            self._estimate_jobs.pop(asker, None)
            failed(trouble)

        self._estimate_jobs[asker] = self._jobs.run(
            plan, title="Asking the engine", lane="estimate", then=arrived, failed=went_wrong
        )

    def memory_curve(
        self,
        path: Path,
        options: Mapping[str, Value],
        cache_types: Sequence[tuple[str, str]],
        contexts: Sequence[int],
        then: Callable[[MemoryCurve], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        """Plan this load at several contexts for several cache types. A newer curve takes an older one's place.

        Args:
            cache_types: pairs of K and V formats; one that the engine refuses keeps its trouble, the others go on.
            contexts: in tokens, ascending.
            failed: takes the first trouble when every pair was refused.
        """
        if self._curve_job is not None:
            self._curve_job.cancel()
        wanted = LOAD_OPTIONS.checked(options)

        def plan(task: Task) -> list[tuple[tuple[str, str], list[Planned] | Trouble]]:
            found: list[tuple[tuple[str, str], list[Planned] | Trouble]] = []
            for pair in cache_types:
                typed = {**wanted, "type_k": pair[0], "type_v": pair[1]}
                try:
                    found.append((pair, [self.planned(path, {**typed, "n_ctx": each}, task) for each in contexts]))
                except KnownError as error:
                    task.check()
                    found.append((pair, error.trouble))
            return found

        def arrived(found: list[tuple[tuple[str, str], list[Planned] | Trouble]]) -> None:
            self._curve_job = None
            lines = tuple(self._curve_line(path, pair, wanted, answer) for pair, answer in found)
            trouble = next((each.trouble for each in lines if each.trouble is not None), None)
            if trouble is not None and not any(each.ledgers for each in lines):
                failed(trouble)
            else:
                then(MemoryCurve(str(path), lines, self.freed_bytes()))

        self._curve_job = self._jobs.run(
            plan, title="Drawing the memory curve", lane="curve", then=arrived, failed=failed
        )

    def freed_bytes(self) -> int:
        """RAM that comes back when the loaded model goes."""
        state = self._state()
        if state.facts is None or state.memory is None or state.rss_bytes is None:
            return 0
        return max(0, state.rss_bytes - state.memory.base_rss_bytes)

    def ledger(self, use: MemoryUse, options: Mapping[str, Value]) -> Ledger:
        """The engine's figures, planned or measured, against the memory that is free now."""
        if use.vocab_bytes is not None:
            self._vocab_bytes = use.vocab_bytes
        ram = ram_now()
        return ledger_of(
            use,
            self.devices,
            ram_total_bytes=ram.total_bytes,
            ram_free_bytes=ram.free_bytes,
            ram_is_limited=ram.is_limited,
            kv_text=kv_text(use.n_ctx, str(options["type_k"]), str(options["type_v"])),
            vocab_bytes=self._vocab_bytes,
        )

    def ledger_with_files(self, path: Path, use: MemoryUse, options: Mapping[str, Value]) -> Ledger:
        """The same of a plan, with the files that are counted beside the model."""
        return with_files(self.ledger(use, options), self.beside.entries_of(path))

    @property
    def margin(self) -> float:
        """The share of a memory that is to stay free."""
        return self._margin()

    def judge(self, ledger: Ledger, options: Mapping[str, Value], freed_bytes: int) -> Verdict:
        """Whether it fits, with the margin that the settings ask for."""
        return judge(ledger, options, freed_bytes=freed_bytes, margin=self._margin())

    def planned(self, path: Path, options: Mapping[str, Value], task: Task, *, is_fresh: bool = False) -> Planned:
        """A plan, remembered for the same file and options, or asked for anew. Blocks: call it in a job."""
        task.check()
        servers = self._rpc_servers()
        stamps = (_stamp(path), _stamp(Path(str(options.get("model_draft", "")))), servers)
        key = (str(path), stamps, tuple(sorted((key, str(value)) for key, value in options.items())))
        if is_fresh or key not in self._plans:
            with laid_out(path) as file:
                found = self._ask(str(file), options, task)
            # The stand-in of a model that is not here is gone by now; the model is known by its header's path.
            self._plans[key] = found if file == path else replace(found, facts=replace(found.facts, path=str(path)))
            self._processes[path] = self._plans[key].memory
        return self._plans[key]

    def _ask(self, path: str, options: Mapping[str, Value], task: Task) -> Planned:
        """A fresh plan of a file that is here; the devices that the engine named in it are remembered."""
        found, hello = plan_load(path, options, stop=task.stop, rpc_servers=self._rpc_servers())
        facts = self._state().facts
        if hello.troubles and facts is not None and any(each.startswith(RPC) for each in facts.devices):
            raise KnownError(
                "The engine cannot plan beside a model that is on RPC servers",
                value=facts.name,
                next_step="unload it first; until then the formula answers",
            )
        self._devices = hello.devices
        return found

    @property
    def devices(self) -> tuple[DeviceInfo, ...]:
        """What the engine saw when it was last asked, () before it ever said anything."""
        return self._devices or self._state().devices

    def process_of(self, path: Path) -> MemoryUse | None:
        """A dry run of this model, for what it measured of the engine's process; None before there was one."""
        return self._processes.get(path)

    def _curve_line(
        self, path: Path, pair: tuple[str, str], options: Mapping[str, Value], answer: list[Planned] | Trouble
    ) -> CurveLine:
        if isinstance(answer, Trouble):
            return CurveLine(*pair, (), None, answer)
        typed = {**options, "type_k": pair[0], "type_v": pair[1]}
        ledgers = tuple(self.ledger_with_files(path, each.memory, typed) for each in answer)
        limit = largest_on(ledgers, self.freed_bytes(), self._margin()) if len(ledgers) > 1 else None
        return CurveLine(*pair, ledgers, limit)

    def _estimate_of(
        self,
        path: Path,
        options: Mapping[str, Value],
        planned: Planned,
        other: Planned | None,
        what_if: Mapping[str, int],
    ) -> Estimate:
        freed = 0 if RAM in what_if else self.freed_bytes()
        ledger = with_sizes(self.ledger_with_files(path, planned.memory, options), what_if)
        limit = None
        if other is not None:
            second = with_sizes(self.ledger_with_files(path, other.memory, options), what_if)
            low, high = sorted((ledger, second), key=lambda each: each.n_ctx)
            limit = largest_n_ctx(low, high, freed_bytes=freed, margin=self._margin())
        return Estimate(
            path=str(path),
            options=dict(LOAD_OPTIONS.changed(dict(options))),
            ledger=ledger,
            verdict=self.judge(ledger, options, freed),
            facts=planned.facts,
            max_n_ctx=limit,
            took_s=planned.memory.took_s,
            freed_bytes=freed,
        )


def too_big(path: Path, verdict: Verdict) -> Trouble:
    """What to tell when a load does not fit: how much it needs, how much there is, what would help, and “anyway”."""
    free = "unknown" if verdict.free_bytes is None else f"{_gib(verdict.free_bytes)} free"
    return Trouble(
        f"{model_label(path)} does not fit in {verdict.device}",
        f"needs {_gib(verdict.needed_bytes)}, {free}",
        "use a shorter context, a smaller KV cache type or a smaller model",
        (*verdict.advice, Remedy(RemedyKind.LOAD_ANYWAY, "Load anyway")),
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB" if size_bytes >= 2**30 else f"{size_bytes / 2**20:.0f} MiB"


def _stamp(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
