"""How many times faster than gguf's GGUFReader our header reader is, on the two real models.

Run: python -m tests.benchmarks.bench_header. GGUFReader takes 10 to 40 s for each model, so it runs once; ours runs
nine times and its median counts. Both read a file that the system already has in memory.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from engine.gguf.reader import read_header
from tests.support import model_files

WANTED_RATIO = 50.0
N_RUNS = 9


def ratios() -> dict[str, float]:
    """GGUFReader's seconds divided by ours, by file name; at least `WANTED_RATIO` is wanted."""
    return {path.name: _theirs_s(path) / _ours_s(path) for path in (model_files.smollm2(), model_files.gemma3())}


def _ours_s(path: Path) -> float:
    read_header(path)
    return statistics.median(_seconds(lambda: read_header(path)) for _ in range(N_RUNS))


def _theirs_s(path: Path) -> float:
    from gguf import GGUFReader

    return _seconds(lambda: GGUFReader(path))


def _seconds(read: Callable[[], object]) -> float:
    start = time.perf_counter()
    read()
    return time.perf_counter() - start


def main() -> int:
    """Print one line for each model; 1 when a ratio is below what is wanted."""
    found = ratios()
    for name, ratio in found.items():
        print(f"header read, {name}: {ratio:,.0f} times GGUFReader's speed (at least {WANTED_RATIO:.0f} wanted)")
    return 0 if min(found.values()) >= WANTED_RATIO else 1


if __name__ == "__main__":
    raise SystemExit(main())
