"""What every test may ask for: the two real models, and folders of its own."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from tests.support import model_files

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# A busy machine must not fail a property: what is slow is measured in tests/benchmarks.
hypothesis.settings.register_profile("llamarium", deadline=None)
hypothesis.settings.load_profile("llamarium")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct Q4_1: a small chat model with a template."""
    return model_files.smollm2()


@pytest.fixture(scope="session")
def gemma3() -> Path:
    """Gemma-3-270m Q4_K_M: a base model with sliding-window attention and 262,144 tokens."""
    return model_files.gemma3()
