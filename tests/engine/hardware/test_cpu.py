from __future__ import annotations

import time
from pathlib import Path

import psutil

from engine.hardware.probes.cpu import CoreTimes, CpuProbe, clock_mhz, use_between
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


def test_use_is_the_busy_share_between_two_looks() -> None:
    assert use_between(CoreTimes(10.0, 100.0), CoreTimes(10.25, 101.0)) == 25.0


def test_two_looks_within_one_tick_of_the_counters_are_unknown_and_not_zero() -> None:
    assert use_between(CoreTimes(10.0, 100.0), CoreTimes(10.0, 100.0)) is None


def test_counters_that_run_backwards_stay_within_the_scale() -> None:
    assert use_between(CoreTimes(10.0, 100.0), CoreTimes(9.9, 100.1)) == 0.0
    assert use_between(CoreTimes(10.0, 100.0), CoreTimes(10.3, 100.1)) == 100.0


def test_the_whole_is_the_mean_of_the_cores() -> None:
    looks = iter(([CoreTimes(0.0, 0.0)] * 2, [CoreTimes(1.0, 1.0), CoreTimes(0.5, 1.0)]))
    probe = CpuProbe(times=lambda: next(looks))
    probe.read(0.0, {})
    readings = probe.read(1.0, {})
    assert use(readings, "cpu", Quantity.CPU_USE) == 75.0
    assert use(readings, "cpu1", Quantity.CPU_CORE_USE) == 50.0


def test_a_core_that_goes_offline_starts_the_count_anew() -> None:
    looks = iter(([CoreTimes(0.0, 0.0)] * 2, [CoreTimes(1.0, 1.0)], [CoreTimes(1.5, 2.0)]))
    probe = CpuProbe(times=lambda: next(looks))
    assert [use(probe.read(t_s, {}), "cpu", Quantity.CPU_USE) for t_s in (0.0, 1.0, 2.0)] == [None, None, 50.0]


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


def test_the_clock_is_read_once_a_second() -> None:
    clocks = iter((2000.0, 3000.0))
    probe = CpuProbe(clock=lambda: next(clocks))
    read = [use(probe.read(t_s, {}), "cpu", Quantity.CPU_FREQUENCY) for t_s in (0.0, 0.5, 0.9, 1.0)]
    assert read == [2000.0, 2000.0, 2000.0, 3000.0]


def test_the_real_clock_is_plausible_or_unknown() -> None:
    clock = clock_mhz()
    assert clock is None or 100 < clock < 10_000
