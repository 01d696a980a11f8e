"""What a step of the memory slider costs by the formula, and the dry run that then takes its place."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from engine.gguf.splits import read_model
from engine.hardware.processor import processor_flags
from engine.memory.formula.placement import machine_of
from engine.memory.formula.prediction import Formula
from engine.runtime.dry_run import plan_load
from engine.wire.load_options import LOAD_OPTIONS
from tests.benchmarks.report import Row
from tests.support import model_files

N_STEPS, N_PLANS = 200, 5


def formula_rows() -> list[Row]:
    """Gemma-3-270m: medians of the formula at other contexts, and of whole dry runs with their process."""
    path = model_files.gemma3()
    formula, machine = Formula(read_model(path)), machine_of((), processor_flags())
    options = LOAD_OPTIONS.defaults()
    steps = [
        _seconds(lambda n_ctx=256 * at: formula.predict({**options, "n_ctx": n_ctx}, machine)) * 1e3
        for at in range(1, N_STEPS + 1)
    ]
    plans = [_seconds(lambda: plan_load(str(path), {})) for _ in range(N_PLANS)]
    return [
        Row("memory by the formula: a step of the slider", statistics.median(steps), "≤ 1", "ms", rounds=steps),
        Row("memory by the engine's dry run, with its process", statistics.median(plans), "≤ 1", "s", rounds=plans),
    ]


def _seconds(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start
