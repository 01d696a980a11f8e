from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from engine.hardware.probes.cpu import CpuProbe
from engine.hardware.snapshot import DeviceKind, Quantity, Reading


def use(readings: tuple[Reading, ...], source: str, quantity: Quantity) -> float | None:
    return next(each.value for each in readings if each.source == source and each.quantity is quantity)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_first_look_knows_no_use_and_the_second_sees_a_busy_core() -> None:
    probe = CpuProbe()
    assert use(probe.read(0.0, {}), "cpu", Quantity.CPU_USE) is None
    burn(0.15)
    readings = probe.read(0.15, {})
    cores = [each.value for each in readings if each.quantity is Quantity.CPU_CORE_USE]
    assert len(cores) == psutil.cpu_count()
    assert all(each is None or 0 <= each <= 100 for each in cores)
    whole = use(readings, "cpu", Quantity.CPU_USE)
    assert whole is not None
    assert 50 / len(cores) < whole <= 100


def test_two_looks_within_one_tick_of_the_counters_are_unknown_and_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = psutil.cpu_times(percpu=True)
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: frozen)
    probe = CpuProbe()
    probe.read(0.0, {})
    assert use(probe.read(0.1, {}), "cpu", Quantity.CPU_USE) is None


def test_a_core_that_goes_offline_starts_the_count_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = CpuProbe()
    probe.read(0.0, {})
    times = psutil.cpu_times(percpu=True)
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: [*times, times[0]])
    assert use(probe.read(0.1, {}), "cpu", Quantity.CPU_USE) is None


def test_the_device_is_this_processor_with_this_computers_memory() -> None:
    (device,) = CpuProbe().devices()
    assert (device.key, device.kind, device.driver) == ("cpu", DeviceKind.CPU, None)
    assert device.name
    assert device.total_bytes is not None
    assert 0 < device.total_bytes <= psutil.virtual_memory().total
    assert f"{psutil.cpu_count()} logical" in dict(device.details)["Cores"]


def test_the_name_and_the_vector_units_come_from_cpuinfo(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: AMD Ryzen 7 7840U w/ Radeon 780M\nflags\t\t: fpu sse2 avx avx2 fma avx512f\n\n"
    )
    (device,) = CpuProbe(proc=tmp_path).devices()
    assert device.name == "AMD Ryzen 7 7840U w/ Radeon 780M"
    assert dict(device.details)["Vector units"] == "AVX, AVX2, FMA, AVX-512"


def test_a_computer_without_cpuinfo_still_has_a_name(tmp_path: Path) -> None:
    (device,) = CpuProbe(proc=tmp_path).devices()
    assert device.name
    assert "Vector units" not in dict(device.details)


def test_the_temperature_is_the_processors_own_sensor(tmp_path: Path) -> None:
    for number, (name, value) in enumerate((("nvme", "38850"), ("k10temp", "54125"), ("amdgpu", "47000"))):
        folder = tmp_path / "class" / "hwmon" / f"hwmon{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "temp1_input").write_text(f"{value}\n")
    readings = CpuProbe(sysfs=tmp_path).read(0.0, {})
    assert use(readings, "cpu", Quantity.CPU_TEMPERATURE) == 54.125


def test_without_a_sensor_the_temperature_is_unknown(tmp_path: Path) -> None:
    assert use(CpuProbe(sysfs=tmp_path).read(0.0, {}), "cpu", Quantity.CPU_TEMPERATURE) is None


def test_the_clock_is_read_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = iter((2000.0, 3000.0))
    monkeypatch.setattr(psutil, "cpu_freq", lambda: psutil._common.scpufreq(next(clocks), 0.0, 0.0))
    probe = CpuProbe()
    read = [use(probe.read(t, {}), "cpu", Quantity.CPU_FREQUENCY) for t in (0.0, 0.5, 0.9, 1.0)]
    assert read == [2000.0, 2000.0, 2000.0, 3000.0]
