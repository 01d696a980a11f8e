"""A workbench on a folder of its own whose engine is never started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.benches import Driver, open_bench

Start = Callable[[], Driver]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a workbench; a second call ends the first one and starts on the same folder."""
    open_ones = []

    def begin() -> Driver:
        close()
        context = open_bench(tmp_path / "data", start=False)
        driver = context.__enter__()
        open_ones.append(context)
        driver.workbench.read_settings()
        driver.workbench.presets.read()
        driver.settle("presets", "store")
        return driver

    def close() -> None:
        while open_ones:
            open_ones.pop().__exit__(None, None, None)

    yield begin
    close()
