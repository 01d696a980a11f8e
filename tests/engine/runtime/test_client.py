"""How a worker is started: what its environment says of its threads."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.base.bus import Bus
from engine.base.paths import Paths
from engine.runtime.client import SPIN_COUNT, WorkerClient, WorkerEnded, worker_environment
from engine.workbench import Workbench

TELL = "import os, sys; sys.stderr.write(os.environ.get('GOMP_SPINCOUNT', 'its own'))"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)


def test_threads_spin_as_libgomp_has_them_unless_they_are_to_be_patient() -> None:
    assert "GOMP_SPINCOUNT" not in worker_environment()
    assert worker_environment(is_patient=True)["GOMP_SPINCOUNT"] == str(SPIN_COUNT)


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_variables_of_ones_own_are_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "5")
    environment = worker_environment(is_patient=True)
    assert environment[name] == "5"
    assert environment.get("GOMP_SPINCOUNT", "5") == "5"


@pytest.mark.parametrize(("is_patient", "told"), [(False, "its own"), (True, str(SPIN_COUNT))])
def test_the_process_is_started_so(is_patient: bool, told: str) -> None:
    bus = Bus()
    ended: list[WorkerEnded] = []
    bus.subscribe(WorkerEnded, ended.append)
    WorkerClient(bus, (sys.executable, "-c", TELL), is_patient=is_patient)
    until = time.monotonic() + 20
    while not ended and time.monotonic() < until:
        bus.wait(0.1)
    assert ended[0].stderr_tail == told


@pytest.mark.parametrize("is_patient", [False, True])
def test_the_setting_decides(is_patient: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    class Client(WorkerClient):
        def __init__(self, bus: Bus, *, is_patient: bool, rpc_servers: Sequence[str]) -> None:
            asked.append(is_patient)
            super().__init__(bus, (sys.executable, "-c", ""), is_patient=is_patient, rpc_servers=rpc_servers)

    monkeypatch.setattr("engine.workbench.workbench.WorkerClient", Client)
    workbench = Workbench(Paths.under(tmp_path))
    workbench.set_setting("patient_threads", is_patient)
    workbench.supervisor.ensure_worker()
    workbench.close()
    assert asked == [is_patient]
