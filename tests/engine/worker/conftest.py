"""One loaded SmolLM2 for all tests of this folder that only ask it something."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.benches import Driver, open_bench


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Driver]:
    """SmolLM2 with a context of 512 tokens."""
    with open_bench(tmp_path_factory.mktemp("bench"), start=False) as driver:
        driver.load(smollm2, n_ctx=512)
        yield driver
