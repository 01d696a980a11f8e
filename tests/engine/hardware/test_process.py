from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from engine.hardware.probes.process import ProcessProbe
from engine.hardware.snapshot import Quantity, Reading

WAITS = "import sys; sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A real process that does nothing until it is killed."""
    with subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        yield process
        process.kill()


def by_quantity(readings: tuple[Reading, ...], source: str) -> dict[Quantity, float | None]:
    return {each.quantity: each.value for each in readings if each.source == source}


def test_nothing_is_read_when_nothing_is_watched() -> None:
    assert ProcessProbe().read(0.0, {}) == ()


def test_resident_memory_is_known_at_once_and_rates_from_the_second_look_on() -> None:
    probe, start = ProcessProbe(), time.monotonic()
    first = by_quantity(probe.read(start, {"window": os.getpid()}), "window")
    assert first[Quantity.PROCESS_RSS] is not None
    assert first[Quantity.PROCESS_RSS] > 5e6
    assert first[Quantity.PROCESS_CPU] is None
    end = time.process_time() + 0.15
    while time.process_time() < end:
        pass
    second = by_quantity(probe.read(time.monotonic(), {"window": os.getpid()}), "window")
    assert second[Quantity.PROCESS_CPU] is not None
    assert second[Quantity.PROCESS_CPU] > 1
    if sys.platform == "linux":
        assert second[Quantity.DISK_READ] is not None
        assert second[Quantity.DISK_READ] >= 0


def test_memory_that_a_process_takes_shows_in_its_resident_size() -> None:
    probe = ProcessProbe()
    before = by_quantity(probe.read(0.0, {"window": os.getpid()}), "window")[Quantity.PROCESS_RSS]
    block = bytearray(b"\1") * (48 << 20)
    after = by_quantity(probe.read(1.0, {"window": os.getpid()}), "window")[Quantity.PROCESS_RSS]
    assert before is not None
    assert after is not None
    assert after - before > len(block) * 0.8


def test_a_killed_process_reads_unknown_as_a_zombie_and_after_it(child: subprocess.Popen[bytes]) -> None:
    probe = ProcessProbe()
    assert by_quantity(probe.read(0.0, {"worker": child.pid}), "worker")[Quantity.PROCESS_RSS] is not None
    child.kill()
    if sys.platform == "linux":
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, not yet reaped
        assert set(by_quantity(probe.read(1.0, {"worker": child.pid}), "worker").values()) == {None}
    child.wait()
    for t_s in (2.0, 3.0):
        assert set(by_quantity(probe.read(t_s, {"worker": child.pid}), "worker").values()) == {None}


def test_a_restarted_worker_is_read_again_under_the_same_label(child: subprocess.Popen[bytes]) -> None:
    probe = ProcessProbe()
    first = by_quantity(probe.read(0.0, {"worker": os.getpid()}), "worker")
    second = by_quantity(probe.read(1.0, {"worker": child.pid}), "worker")
    assert second[Quantity.PROCESS_RSS] not in (None, first[Quantity.PROCESS_RSS])
    assert second[Quantity.PROCESS_CPU] is None  # its counters are not the first one's


def test_a_process_that_never_was_reads_unknown(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    readings = ProcessProbe().read(0.0, {"worker": child.pid})
    assert by_quantity(readings, "worker") == {
        Quantity.PROCESS_RSS: None,
        Quantity.PROCESS_CPU: None,
        Quantity.DISK_READ: None,
    }
