"""What loads would take by the formula: at once, and for devices that are not in this machine.

The engine is not asked. The header is read once, as a job; after that an answer takes a fraction of a millisecond, so it
is given on the calling thread. What the dry run measured of the engine's process and of a model's tokenizer is used here
too, so that the two differ only where the formula does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import Trouble
from engine.base.fields import Value
from engine.base.jobs import Jobs
from engine.gguf.card import Card
from engine.hardware.processor import processor_flags
from engine.hardware.ram import ram_now
from engine.memory.fit import N_CTX_STEP, Verdict
from engine.memory.formula.placement import machine_of
from engine.memory.ledger import RAM, Ledger, Part, ledger_of
from engine.models.header_files import laid_out
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceInfo, DeviceKind
from engine.workbench.curve import kv_text

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

    def read(self, path: Path, then: Callable[[ModelFormula], None], failed: Callable[[Trouble], None]) -> None:
        """Read a model's header and make its formula, as a job; `failed` also where the formula does not know it."""

        def work(_task: object) -> ModelFormula:
            from engine.gguf.card import card_of
            from engine.gguf.splits import read_model
            from engine.memory.formula.prediction import Formula

            self._flags = self._flags or processor_flags()
            with laid_out(path) as file:
                first, *rest = read_model(file)
            return ModelFormula(path, card_of(first, path, tuple(rest)), Formula((first, *rest)))

        self._jobs.run(work, title=f"Reading {path.name}", lane="headers", then=then, failed=failed)

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
        predicted = model.formula.predict(
            options, machine_of(devices, self._flags), process=self._planner.process_of(model.path)
        )
        ram = ram_now()
        found = ledger_of(
            predicted.use,
            devices,
            ram_total_bytes=asked.get(RAM, ram.total_bytes),
            ram_free_bytes=asked.get(RAM, ram.free_bytes),
            kv_text=kv_text(predicted.use.n_ctx, str(options["type_k"]), str(options["type_v"])),
        )
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
        wanted = LOAD_OPTIONS.checked(options)
        started = time.perf_counter()
        found = self.ledger(model, wanted, what_if)
        took_s = time.perf_counter() - started
        freed = 0 if RAM in (what_if or {}) else self._planner.freed_bytes()
        limit = self._limit(model, wanted, what_if, freed) if with_limit else None
        verdict = self._planner.judge(found, wanted, freed)
        return FormulaEstimate(model.path, model.card, found, verdict, limit, took_s, freed)

    def _limit(
        self, model: ModelFormula, options: Mapping[str, Value], what_if: Mapping[str, int] | None, freed_bytes: int
    ) -> int | None:
        """The largest context that leaves the margin free, in steps of the engine's rounding."""

        def has_room(n_ctx: int) -> bool:
            ledger = self.ledger(model, {**options, "n_ctx": n_ctx}, what_if)
            return all(
                each.sum_bytes
                <= (1 - self._planner.margin) * ((each.free_bytes or 0) + (freed_bytes if at == 0 else 0))
                for at, each in enumerate(ledger.devices)
            )

        if any(each.free_bytes is None for each in self.ledger(model, options, what_if).devices):
            return None
        low, high = 0, MOST_N_CTX // N_CTX_STEP
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if has_room(middle * N_CTX_STEP) else (low, middle - 1)
        return low * N_CTX_STEP


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
