"""What the tests of models that are not here share: a hub on the loopback address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_hub import FakeHub, fake_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub of its own for each test; a login is there, and no proxy stands between."""
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    monkeypatch.setenv("NO_PROXY", "localhost")
    with fake_hub() as served:
        yield served
