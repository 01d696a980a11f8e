"""The search of a large model folder: how fast headers are read, and how live the window stays."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.workbench.events import LibraryChanged
from tests.benchmarks.report import Row
from tests.benchmarks.window import BenchWindow
from tests.support import model_files

N_FILES = 1_000
GEMMA_EVERY = 10
"""Every tenth file has the header with 262,144 tokens, the others the one with 49,152."""


@contextmanager
def large_folders(n_files: int = N_FILES) -> Iterator[tuple[Path, ...]]:
    """Folders with so many models: hard links to the two real ones, beside them as links cannot leave a file's disk."""
    sources = (model_files.smollm2(), model_files.gemma3())
    folders = tuple(Path(tempfile.mkdtemp(prefix=".scan-", dir=path.parent)) for path in sources)
    try:
        for number in range(n_files):
            which = int(number % GEMMA_EVERY == 0)
            os.link(sources[which], folders[which] / f"model-{number:05}.gguf")
        yield folders
    finally:
        for folder in folders:
            shutil.rmtree(folder)


def scan_rows() -> list[Row]:
    """Files a second, and the window's tick delay meanwhile; and a second search, of the same files."""
    with large_folders() as folders, BenchWindow(model_files.smollm2(), n_ctx=2048) as window:
        workbench, bridge = window.workbench, window.wiring.bridge
        window.rest(1.0)
        bridge.forget_delays()
        begun = time.perf_counter()
        workbench.set_setting("model_folders", tuple(map(str, folders)))
        workbench.scan_library()
        window.until(LibraryChanged, _is_whole)
        first_s = time.perf_counter() - begun
        delays = sorted(bridge.delays_ms())
        begun = time.perf_counter()
        workbench.scan_library()
        window.until(LibraryChanged, _is_whole)
        again_s = time.perf_counter() - begun
    name = f"search of {N_FILES:,} models"
    note = f"99th percentile {delays[int(0.99 * len(delays))]:.0f} ms; {N_FILES / first_s:.0f} files a second"
    return [
        Row(f"{name}: tick delay, worst", delays[-1], "≤ 50", "ms", note),
        Row(f"{name}: the second over the first", again_s / first_s, "≤ 0.10", "×", f"{again_s:.2f} s"),
    ]


def _is_whole(event: object) -> bool:
    return isinstance(event, LibraryChanged) and not event.scanning and len(event.entries) >= N_FILES
