"""What every test may ask for: the two real models, and folders of its own."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import psutil
import pytest

from tests.support import model_files

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# A busy machine must not fail a property: what is slow is measured in tests/benchmarks.
hypothesis.settings.register_profile(
    "llamarium", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("llamarium")

MOST_PROCESSES = 4
PROCESS_BYTES = 3 * 1024**3  # a window, its worker with a model, and a second worker that plans: 1 GiB, with room


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` starts: one for each core that we may use and for each 3 GiB, at most four.

    One alone would only stand between the tests and the terminal, so then there is none.
    """
    n_processes = min(len(_cores()), psutil.virtual_memory().total // PROCESS_BYTES, MOST_PROCESSES)
    return n_processes if n_processes > 1 else 0


def pytest_configure() -> None:
    """Give each process of `-n` a core of its own.

    The workers that its tests start inherit it and take one thread, so no test waits for the threads of another's.
    """
    name = os.environ.get("PYTEST_XDIST_WORKER")
    if name is not None and hasattr(os, "sched_setaffinity"):
        cores = _cores()
        os.sched_setaffinity(0, {cores[int(name.removeprefix("gw")) % len(cores)]})


def _cores() -> list[int]:
    """The cores that this process may use, by number."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct Q4_1: a small chat model with a template."""
    return model_files.smollm2()


@pytest.fixture(scope="session")
def gemma3() -> Path:
    """Gemma-3-270m Q4_K_M: a base model with sliding-window attention and 262,144 tokens."""
    return model_files.gemma3()
