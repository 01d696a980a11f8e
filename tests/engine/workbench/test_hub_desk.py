"""The workbench and models that are not here: one question at a time, and a header that cannot be loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.base.errors import RemedyKind, Trouble
from engine.base.paths import Paths
from engine.workbench import Workbench
from engine.workbench.events import TroubleShown
from engine.workbench.hub_desk import OnHub
from tests.support.fake_hub import FakeHub, fake_hub

REPO, NAME = "owner/SmolLM2-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        monkeypatch.setenv("NO_PROXY", "localhost")
        yield served


@pytest.fixture
def workbench(tmp_path: Path, hub: FakeHub) -> Iterator[Workbench]:
    made = Workbench(Paths.under(tmp_path))
    yield made
    made.close()


def pump(workbench: Workbench, ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until, "nothing came"
        workbench.bus.wait(0.05)


def test_a_model_on_the_hub_has_the_verdict_of_the_file(workbench: Workbench, hub: FakeHub, smollm2: Path) -> None:
    hub.files[REPO] = {NAME: smollm2}
    found: list[OnHub] = []
    troubles: list[Trouble] = []
    workbench.hub.find(f"hf:{REPO}", found.append, troubles.append)
    pump(workbench, lambda: bool(found or troubles))
    assert troubles == []
    path = found[0].path
    assert path is not None
    estimates: list[object] = []
    for each in (path, smollm2):
        workbench.estimate(each, {}, estimates.append, troubles.append, asker=str(each))
    pump(workbench, lambda: len(estimates) == 2 or bool(troubles))
    away, here = estimates
    assert away.path == str(path) != here.path  # type: ignore[attr-defined]
    assert away.ledger.n_ctx == here.ledger.n_ctx  # type: ignore[attr-defined]
    assert away.facts.path == str(path)  # type: ignore[attr-defined]


def test_a_newer_question_takes_the_place_of_the_older(workbench: Workbench, hub: FakeHub, smollm2: Path) -> None:
    hub.files[REPO] = {NAME: smollm2}
    answers: list[str] = []
    workbench.hub.find("no/body", lambda _found: answers.append("first"), lambda _trouble: answers.append("first"))
    workbench.hub.find(f"hf:{REPO}", lambda _found: answers.append("second"), lambda _trouble: answers.append("failed"))
    pump(workbench, lambda: bool(answers))
    assert answers == ["second"]


def test_a_header_alone_is_not_loaded_and_that_is_said(workbench: Workbench) -> None:
    found: list[Path] = []
    shown: list[Trouble] = []
    workbench.subscribe(TroubleShown, lambda event: shown.append(event.trouble))
    workbench.hub.describe({"params": "100M"}, found.append, shown.append)
    pump(workbench, lambda: bool(found or shown))
    workbench.open_model(found[0])
    pump(workbench, lambda: bool(shown))
    assert "sized and not loaded" in shown[0].what
    assert shown[0].remedies[0].kind is RemedyKind.CHOOSE_MODEL
    assert workbench.predicted is None
