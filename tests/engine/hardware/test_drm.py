from __future__ import annotations

from pathlib import Path

import pytest

from engine.hardware.probes.drm import DrmProbe
from engine.hardware.snapshot import DeviceKind, Quantity
from tests.support.sysfs_tree import write_card, write_files

PID = 4321
I915 = """pos:\t0
flags:\t0100002
mnt_id:\t21
drm-driver:\ti915
drm-client-id:\t7
drm-pdev:\t0000:00:02.0
drm-total-system0:\t4096 KiB
drm-resident-system0:\t2048 KiB
drm-engine-render:\t{render} ns
drm-engine-copy:\t100 ns
drm-engine-video:\t{video} ns
drm-engine-capacity-video:\t2"""
XE = """drm-driver:\txe
drm-client-id:\t42
drm-pdev:\t0000:03:00.0
drm-total-vram0:\t64 MiB
drm-resident-vram0:\t48 MiB
drm-resident-gtt:\t4 MiB
drm-cycles-ccs:\t{work}
drm-total-cycles-ccs:\t{all}
drm-engine-capacity-ccs:\t4"""
AMDGPU = """drm-driver:\tamdgpu
drm-client-id:\t12
drm-pdev:\t0000:03:00.0
drm-memory-vram:\t1000 KiB
drm-memory-gtt: \t24 KiB
drm-memory-cpu: \t512 KiB
drm-engine-gfx:\t0 ns"""
PLAIN = "pos:\t0\nflags:\t02\nmnt_id:\t21"


class Machine:
    """A sysfs with one Intel GPU and the /proc of one process."""

    def __init__(self, folder: Path) -> None:
        self.fdinfo = folder / "proc" / str(PID) / "fdinfo"
        write_card(folder / "sys", 0, "i915", "8086:46A6", "0000:00:02.0", {})
        write_files(self.fdinfo, {"0": PLAIN, "1": PLAIN})
        self.probe = DrmProbe(folder / "sys", folder / "proc")

    def write(self, **files: str) -> None:
        write_files(self.fdinfo, {name.removeprefix("fd"): text for name, text in files.items()})

    def read(self, now_s: float) -> dict[Quantity, float | None]:
        readings = self.probe.read(now_s, {"worker": PID})
        assert {each.source for each in readings} <= {"worker"}
        return {each.quantity: each.value for each in readings}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_use_is_the_busiest_engines_share_of_the_time(machine: Machine) -> None:
    machine.write(fd9=I915.format(render=0, video=0))
    assert machine.read(10.0) == {Quantity.PROCESS_GPU_USE: None, Quantity.PROCESS_GPU_MEMORY: 2048 * 1024.0}
    machine.write(fd9=I915.format(render=250_000_000, video=300_000_000))
    assert machine.read(10.5)[Quantity.PROCESS_GPU_USE] == pytest.approx(50.0)


def test_an_engine_with_several_units_is_full_when_all_of_them_work(machine: Machine) -> None:
    machine.write(fd9=I915.format(render=0, video=0))
    machine.read(0.0)
    machine.write(fd9=I915.format(render=0, video=800_000_000))
    assert machine.read(1.0)[Quantity.PROCESS_GPU_USE] == pytest.approx(40.0)


def test_cycles_are_measured_against_the_engines_own_clock(machine: Machine) -> None:
    machine.write(fd9=XE.format(work=1_000, all=50_000))
    assert machine.read(0.0)[Quantity.PROCESS_GPU_MEMORY] == 52 << 20
    machine.write(fd9=XE.format(work=21_000, all=60_000))
    assert machine.read(0.7)[Quantity.PROCESS_GPU_USE] == pytest.approx(50.0)


def test_a_client_that_is_open_twice_counts_once_and_two_clients_add_up(machine: Machine) -> None:
    one, other = (
        I915.format(render=0, video=0),
        I915.format(render=0, video=0).replace("client-id:\t7", "client-id:\t8"),
    )
    machine.write(fd9=one, fd10=one, fd11=other)
    assert machine.read(0.0)[Quantity.PROCESS_GPU_MEMORY] == 2 * 2048 * 1024
    one, other = one.replace("render:\t0", "render:\t300000000"), other.replace("render:\t0", "render:\t200000000")
    machine.write(fd9=one, fd10=one, fd11=other)
    assert machine.read(1.0)[Quantity.PROCESS_GPU_USE] == pytest.approx(50.0)


def test_older_names_of_memory_count_and_what_was_moved_off_the_card_does_not(machine: Machine) -> None:
    machine.write(fd5=AMDGPU)
    assert machine.read(0.0)[Quantity.PROCESS_GPU_MEMORY] == 1024 * 1024


def test_a_process_without_a_gpu_file_has_no_readings(machine: Machine) -> None:
    assert machine.read(0.0) == {}


def test_a_gpu_that_is_opened_later_is_found_at_the_next_search(machine: Machine) -> None:
    machine.read(0.0)
    machine.write(fd9=I915.format(render=0, video=0))
    assert machine.read(1.0) == {}
    assert machine.read(2.0)[Quantity.PROCESS_GPU_MEMORY] == 2048 * 1024


def test_a_process_that_ends_reads_unknown_and_then_not_at_all(machine: Machine, tmp_path: Path) -> None:
    machine.write(fd9=I915.format(render=0, video=0))
    machine.read(0.0)
    machine.fdinfo.rename(tmp_path / "gone")
    assert machine.read(0.1) == {Quantity.PROCESS_GPU_USE: None, Quantity.PROCESS_GPU_MEMORY: None}
    machine.read(2.0)
    assert machine.read(2.1) == {}


def test_only_gpus_that_no_other_probe_knows_are_listed(tmp_path: Path) -> None:
    write_card(tmp_path, 0, "i915", "8086:46A6", "0000:00:02.0", {})
    write_card(tmp_path, 1, "xe", "8086:56A0", "0000:03:00.0", {})
    write_card(tmp_path, 2, "amdgpu", "1002:744C", "0000:0a:00.0", {})
    write_card(tmp_path, 3, "ast", "1A03:2000", "0000:0b:00.0", {})
    devices = DrmProbe(tmp_path, tmp_path).devices()
    assert [(each.key, each.name, each.kind, each.driver) for each in devices] == [
        ("drm0", "Intel GPU 8086:46a6", DeviceKind.IGPU, "i915"),
        ("drm1", "Intel GPU 8086:56a0", DeviceKind.GPU, "xe"),
    ]
    assert {each.total_bytes for each in devices} == {None}


def test_a_computer_without_graphics_is_absent_and_searches_no_process(machine: Machine, tmp_path: Path) -> None:
    machine.write(fd9=I915.format(render=0, video=0))
    probe = DrmProbe(tmp_path / "empty", tmp_path / "proc")
    assert probe.read(0.0, {"worker": PID}) == ()
    assert str(tmp_path / "empty") in (probe.why_absent() or "")
