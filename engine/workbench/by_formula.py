"""What loads would take by the formula: at once, and for devices that are not in this machine.

The engine is not asked. The header is read once, as a job; after that an answer takes a fraction of a millisecond, so it
is given on the calling thread. What the dry run measured of the engine's process and of a model's tokenizer is used here
too, so that the two differ only where the formula does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import KnownError, Trouble
from engine.base.fields import Value
from engine.base.jobs import JobHandle, Jobs, Task
from engine.gguf.card import Card
from engine.hardware.processor import processor_flags
from engine.hardware.ram import ram_now
from engine.memory.beside import with_files
from engine.memory.fit import N_CTX_STEP, Fits, Verdict, room_of
from engine.memory.fitting import Model, Proposal, confirmed, proposals
from engine.memory.formula.placement import machine_of
from engine.memory.ledger import ASSUMED, CALCULATED, RAM, Ledger, Part, ledger_of, with_shapes
from engine.models.header_files import laid_out
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceInfo, DeviceKind
from engine.workbench.beside_files import BesideFiles
from engine.workbench.curve import CurveLine, MemoryCurve, kv_text, largest_on

if TYPE_CHECKING:
    from engine.memory.formula.prediction import Formula
    from engine.workbench.planner import Planner

MOST_N_CTX = 16_777_216


@dataclass(frozen=True, slots=True)
class ModelFormula:
    """A model's file, its card, and the formula made from its header."""

    path: Path
    card: Card
    formula: Formula


@dataclass(frozen=True, slots=True)
class FormulaEstimate:
    """What a load would take by the formula.

    Attributes:
        path, card: the model.
        ledger: predicted, by device and part; what is no exact figure is marked as an estimate.
        verdict: against what is free now, or against the memories that were asked about.
        max_n_ctx: the largest context that fits, tokens; None where a free memory is unknown.
        took_s: how long the formula took.
        freed_bytes: RAM of the loaded model, which counts as free.
    """

    path: Path
    card: Card
    ledger: Ledger
    verdict: Verdict
    max_n_ctx: int | None
    took_s: float
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class GridCell:
    """One context with one cache type: bytes of all memories together, and whether it fits."""

    total_bytes: int
    fits: Fits


@dataclass(frozen=True, slots=True)
class Grid:
    """Contexts across, cache types down; `cells[row][column]` is None where the engine would refuse the type."""

    cache_types: tuple[tuple[str, str], ...]
    contexts: tuple[int, ...]
    cells: tuple[tuple[GridCell | None, ...], ...]


class Formulas:
    """Answers by the formula.

    Args:
        jobs: where headers are read.
        devices: what the engine sees, () before it said anything.
        planner: for what it measured, and for what the loaded model would give back.
    """

    def __init__(self, jobs: Jobs, devices: Callable[[], tuple[DeviceInfo, ...]], planner: Planner) -> None:
        self._jobs, self._devices, self._planner = jobs, devices, planner
        self._flags: frozenset[str] = frozenset()
        self._grid_job: JobHandle[Grid] | None = None
        self._fit_job: JobHandle[tuple[Proposal, ...]] | None = None

    @property
    def beside(self) -> BesideFiles:
        """The files that are counted beside a model, by the formula and in the engine's plans."""
        return self._planner.beside

    def read(self, path: Path, then: Callable[[ModelFormula], None], failed: Callable[[Trouble], None]) -> None:
        """Read a model's header and make its formula, as a job; `failed` also where the formula does not know it."""

        self._jobs.run(
            lambda _task: self._model_of(path), title=f"Reading {path.name}", lane="headers", then=then, failed=failed
        )

    def _model_of(self, path: Path) -> ModelFormula:
        from engine.gguf.card import card_of
        from engine.gguf.splits import read_model
        from engine.memory.formula.prediction import Formula

        self._flags = self._flags or processor_flags()
        with laid_out(path) as file:
            first, *rest = read_model(file)
        return ModelFormula(path, card_of(first, path, tuple(rest)), Formula((first, *rest)))

    def ledger(
        self, model: ModelFormula, options: Mapping[str, Value], what_if: Mapping[str, int] | None = None
    ) -> Ledger:
        """All parts by the formula, on the calling thread.

        Args:
            options: every load option, checked.
            what_if: bytes of memories that are asked about, by name: "RAM", and devices in place of this machine's.

        Raises:
            KnownError: the engine would refuse these options, or the formula does not take them.
        """
        asked = what_if or {}
        named = tuple(DeviceInfo(n, n, DeviceKind.GPU, size, size) for n, size in asked.items() if n != RAM)
        devices = named or self._devices()
        process = self._planner.process_of(model.path)
        predicted = model.formula.predict(options, machine_of(devices, self._flags), process=process)
        ram = ram_now()
        found = ledger_of(
            predicted.use,
            devices,
            ram_total_bytes=asked.get(RAM, ram.total_bytes),
            ram_free_bytes=asked.get(RAM, ram.free_bytes),
            ram_is_limited=ram.is_limited and RAM not in asked,
            kv_text=kv_text(predicted.use.n_ctx, str(options["type_k"]), str(options["type_v"])),
            sources=CALCULATED if process is not None else {**CALCULATED, Part.OVERHEAD: ASSUMED},
        )
        found = with_files(found, self.beside.entries_of(model.path))
        return found if predicted.is_compute_exact else _with_rough_compute(found)

    def estimate(
        self,
        model: ModelFormula,
        options: Mapping[str, Value],
        what_if: Mapping[str, int] | None = None,
        *,
        with_limit: bool = False,
    ) -> FormulaEstimate:
        """The ledger with its verdict, and the largest context that fits where it is wanted (17 more ledgers)."""
        from engine.memory.formula.shapes import shape_texts  # the start does without it

        wanted = LOAD_OPTIONS.checked(options)
        started = time.perf_counter()
        found = self.ledger(model, wanted, what_if)
        took_s = time.perf_counter() - started
        found = with_shapes(found, shape_texts(model.formula.architecture, wanted))
        freed = 0 if RAM in (what_if or {}) else self._planner.freed_bytes()
        limit = self._limit(model, wanted, what_if, freed) if with_limit else None
        verdict = self._planner.judge(found, wanted, freed)
        return FormulaEstimate(model.path, model.card, found, verdict, limit, took_s, freed)

    def _limit(
        self, model: ModelFormula, options: Mapping[str, Value], what_if: Mapping[str, int] | None, freed_bytes: int
    ) -> int | None:
        """The largest context that leaves the margin free, in steps of the engine's rounding."""

        def room(n_ctx: int) -> dict[str, int] | None:
            ledger = self.ledger(model, {**options, "n_ctx": n_ctx}, what_if)
            return room_of(ledger, freed_bytes, self._planner.margin)

        if room(N_CTX_STEP) is None:
            return None
        low, high = 0, MOST_N_CTX // N_CTX_STEP
        while low < high:
            middle = (low + high + 1) // 2
            left = room(middle * N_CTX_STEP)
            low, high = (middle, high) if left and min(left.values()) >= 0 else (low, middle - 1)
        return low * N_CTX_STEP

    def curve(
        self,
        model: ModelFormula,
        options: Mapping[str, Value],
        cache_types: Sequence[tuple[str, str]],
        contexts: Sequence[int],
    ) -> MemoryCurve:
        """Memory against context, for where the engine cannot be asked; on the calling thread, under a millisecond a line.

        Args:
            cache_types: pairs of K and V formats; one that is refused keeps its trouble.
            contexts: in tokens, ascending.
        """
        wanted, freed = LOAD_OPTIONS.checked(options), self._planner.freed_bytes()

        def line(pair: tuple[str, str]) -> CurveLine:
            typed = {**wanted, "type_k": pair[0], "type_v": pair[1]}
            try:
                ledgers = tuple(self.ledger(model, {**typed, "n_ctx": each}) for each in contexts)
            except KnownError as error:
                return CurveLine(*pair, (), None, error.trouble)
            limit = largest_on(ledgers, freed, self._planner.margin) if len(ledgers) > 1 else None
            return CurveLine(*pair, ledgers, limit)

        return MemoryCurve(str(model.path), tuple(line(each) for each in cache_types), freed)

    def compare(
        self,
        paths: Sequence[Path],
        options: Mapping[str, Value],
        then: Callable[[tuple[FormulaEstimate, ...]], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        """What each of these models would take with the same options and how long its context could be, as a job."""
        wanted = LOAD_OPTIONS.checked(options)

        def work(task: Task) -> tuple[FormulaEstimate, ...]:
            found = []
            for path in paths:
                task.check()
                found.append(self.estimate(self._model_of(path), wanted, with_limit=True))
            return tuple(found)

        self._jobs.run(work, title="Comparing quantizations", lane="fit", then=then, failed=failed)

    def grid(
        self,
        model: ModelFormula,
        options: Mapping[str, Value],
        cache_types: Sequence[tuple[str, str]],
        contexts: Sequence[int],
        then: Callable[[Grid], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        """What these contexts would take with these cache types, as a job; a newer grid takes an older one's place.

        Args:
            cache_types: pairs of K and V formats; what the engine would refuse is None in the grid.
            contexts: in tokens, ascending.
        """
        wanted = LOAD_OPTIONS.checked(options)
        freed = self._planner.freed_bytes()

        def cell(pair: tuple[str, str], n_ctx: int) -> GridCell | None:
            typed = {**wanted, "type_k": pair[0], "type_v": pair[1], "n_ctx": n_ctx}
            try:
                ledger = self.ledger(model, typed)
            except KnownError:
                return None
            return GridCell(ledger.sum_bytes, self._planner.judge(ledger, typed, freed).fits)

        def work(task: Task) -> Grid:
            rows = []
            for pair in cache_types:
                task.check()
                rows.append(tuple(cell(pair, n_ctx) for n_ctx in contexts))
            return Grid(tuple(cache_types), tuple(contexts), tuple(rows))

        if self._grid_job is not None:
            self._grid_job.cancel()
        self._grid_job = self._jobs.run(work, title="Trying contexts", lane="fit", then=then, failed=failed)

    def ways_to_fit(
        self,
        model: ModelFormula,
        options: Mapping[str, Value],
        then: Callable[[tuple[Proposal, ...]], None],
        failed: Callable[[Trouble], None],
        *,
        kept: Collection[str] = (),
        what_if: Mapping[str, int] | None = None,
    ) -> None:
        """What to change so that this load fits, as a job: searched with the formula, then confirmed by the engine.

        Args:
            kept: options that must stay as they are.
            what_if: as in `ledger`; devices that are not here cannot be confirmed.
        """
        wanted = LOAD_OPTIONS.checked(options)
        freed = 0 if RAM in (what_if or {}) else self._planner.freed_bytes()
        margin, architecture = self._planner.margin, model.formula.architecture
        shape = Model(architecture.n_layer_all, architecture.n_expert > 0, architecture.n_ctx_train)

        def left_by_formula(changed: Mapping[str, Value]) -> dict[str, int] | None:
            try:
                return room_of(self.ledger(model, changed, what_if), freed, margin)
            except KnownError:
                return None

        def left_by_plan(changed: Mapping[str, Value], task: Task) -> dict[str, int] | None:
            planned = self._planner.planned(model.path, changed, task)
            return room_of(self._planner.ledger_with_files(model.path, planned.memory, changed), freed, margin)

        def work(task: Task) -> tuple[Proposal, ...]:
            found = proposals(wanted, left_by_formula, shape, kept)
            if what_if:
                return found
            sure = (confirmed(each, wanted, lambda changed: left_by_plan(changed, task), shape) for each in found)
            return tuple(each for each in sure if each is not None)

        if self._fit_job is not None:
            self._fit_job.cancel()
        self._fit_job = self._jobs.run(work, title="Looking for what fits", lane="fit", then=then, failed=failed)


def best_of(estimates: Sequence[FormulaEstimate]) -> int | None:
    """Which of a model's quantizations is best here: the one with the most bits that fits with its margin; None if none."""
    fitting = [at for at, each in enumerate(estimates) if each.verdict.fits is Fits.YES]
    return max(fitting, key=lambda at: estimates[at].card.weights_bytes, default=None)


def differences(formula: Ledger, dry_run: Ledger) -> dict[Part, int]:
    """Bytes by which the formula is above (or below) the dry run, for each part that one of them has."""
    found = {}
    for part in Part:
        ours, theirs = formula.size_of(part), dry_run.size_of(part)
        if ours is not None or theirs is not None:
            found[part] = (ours or 0) - (theirs or 0)
    return found


def _with_rough_compute(ledger: Ledger) -> Ledger:
    devices = tuple(
        replace(
            device,
            entries=tuple(
                replace(each, is_estimate=True) if each.part is Part.COMPUTE else each for each in device.entries
            ),
        )
        for device in ledger.devices
    )
    return replace(ledger, devices=devices)
