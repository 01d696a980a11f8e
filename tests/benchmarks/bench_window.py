"""The window itself: how soon it is shown, how late its ticks come while text streams, what it and the worker weigh."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from tests.benchmarks.report import Row
from tests.benchmarks.window import BenchWindow

STARTS = 7
N_STREAMED = 2000


def start_row() -> Row:
    """Time to first paint over that of a bare PySide6 window, median of paired starts."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment.setdefault("QT_QPA_PLATFORM", "xcb" if os.environ.get("DISPLAY") else "offscreen")

    folder = tempfile.TemporaryDirectory()
    # The program's own places, inside a folder that is thrown away.
    environment |= {f"XDG_{name}_HOME": folder.name for name in ("DATA", "CONFIG", "STATE", "CACHE")}

    def start(kind: str) -> float:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.start_once", kind],
            capture_output=True,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
            check=True,
        )
        return float(done.stdout.split()[0])

    start("bare")
    start("window")  # the first start of all compiles the modules
    pairs = [(start("bare"), start("window")) for _ in range(STARTS)]
    folder.cleanup()
    ratios = [window / bare for bare, window in pairs]
    note = f"bare {1000 * statistics.median(bare for bare, _ in pairs):.0f} ms"
    return Row("start: window shown over bare PySide6 window", statistics.median(ratios), "≤ 2.5", "×", note, ratios)


def streaming_rows(window: BenchWindow) -> list[Row]:
    """Tick delays over a long answer, and what both processes have resident after it."""
    window.workbench.dialogue.new()
    window.wiring.bridge.forget_delays()
    told = window.say("Tell a very long story.", N_STREAMED)
    delays = sorted(window.wiring.bridge.delays_ms())
    assert told.stats.n_completion == N_STREAMED
    predicted = window.workbench.predicted
    assert predicted is not None
    own = psutil.Process().memory_info().rss
    return [
        Row(f"tick delay over {N_STREAMED:,} tokens, 99th percentile", delays[int(0.99 * len(delays))], "≤ 16", "ms"),
        Row(f"tick delay over {N_STREAMED:,} tokens, worst", delays[-1], "≤ 100", "ms"),
        Row("window process, resident", own / 1e6, "≤ 200", "MB"),
        Row("worker, resident over predicted", window.worker_rss_bytes() / predicted.sum_bytes, "≤ 1.05", "×"),
    ]
