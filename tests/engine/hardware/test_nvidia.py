from __future__ import annotations

import sys

import pynvml
import pytest

from engine.hardware.probes.nvidia import NvidiaProbe
from engine.hardware.snapshot import DeviceKind, Quantity
from tests.support.nvml_cards import Card, NvmlDriver


def has_driver() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    pynvml.nvmlShutdown()
    return True


def values(probe: NvidiaProbe) -> dict[tuple[str, Quantity], float | None]:
    return {(each.source, each.quantity): each.value for each in probe.read(0.0, {})}


def test_a_card_is_read_in_our_units() -> None:
    assert values(NvidiaProbe(NvmlDriver(Card()))) == {
        ("nvidia0", Quantity.GPU_USE): 43.0,
        ("nvidia0", Quantity.VRAM_USED): 1_371_537_408.0,
        ("nvidia0", Quantity.GPU_POWER): 212.48,
        ("nvidia0", Quantity.GPU_TEMPERATURE): 61.0,
    }


def test_a_card_is_described_with_its_driver_and_memory() -> None:
    (device,) = NvidiaProbe(NvmlDriver(Card())).devices()
    assert (device.key, device.name, device.kind) == ("nvidia0", "NVIDIA GeForce RTX 4090", DeviceKind.GPU)
    assert device.driver == "NVIDIA 580.95.05"
    assert (device.total_bytes, device.free_bytes) == (25_757_220_864, 25_757_220_864 - 1_371_537_408)
    assert dict(device.details) == {"Power limit": "450 W", "PCI address": "00000000:01:00.0"}


def test_what_a_card_does_not_support_is_unknown_and_the_rest_is_read() -> None:
    laptop = Card(power_mw=None, gpu_percent=None, limit_mw=None, name=b"NVIDIA GeForce MX150")
    probe = NvidiaProbe(NvmlDriver(laptop))
    read = values(probe)
    assert read["nvidia0", Quantity.GPU_POWER] is None
    assert read["nvidia0", Quantity.GPU_USE] is None
    assert read["nvidia0", Quantity.GPU_TEMPERATURE] == 61.0
    (device,) = probe.devices()
    assert device.name == "NVIDIA GeForce MX150"
    assert "Power limit" not in dict(device.details)


def test_a_chip_on_shared_memory_has_an_unknown_total() -> None:
    probe = NvidiaProbe(NvmlDriver(Card(name="NVIDIA GB10", total=None)))
    (device,) = probe.devices()
    assert (device.total_bytes, device.free_bytes) == (None, None)
    assert values(probe)["nvidia0", Quantity.VRAM_USED] is None


def test_a_card_that_may_not_be_opened_does_not_hide_the_others() -> None:
    probe = NvidiaProbe(NvmlDriver(Card(opens=False), Card(name="NVIDIA A100", used=7)))
    assert [device.name for device in probe.devices()] == ["NVIDIA A100"]
    assert probe.why_absent() is None


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (NvmlDriver(init_fails_with=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND), "no NVIDIA driver"),
        (NvmlDriver(init_fails_with=pynvml.NVML_ERROR_DRIVER_NOT_LOADED), "Driver Not Loaded"),
        (NvmlDriver(), "sees no card"),
        (NvmlDriver(Card(opens=False)), "cannot be opened"),
    ],
)
def test_an_absent_card_reads_as_empty_and_says_why(driver: NvmlDriver, reason: str) -> None:
    probe = NvidiaProbe(driver)
    assert (probe.devices(), probe.read(0.0, {})) == ((), ())
    assert reason in (probe.why_absent() or "")


@pytest.mark.skipif(has_driver(), reason="this computer has an NVIDIA driver")
def test_the_real_library_without_a_driver_is_absent_and_names_the_file() -> None:
    probe = NvidiaProbe()
    assert (probe.devices(), probe.read(0.0, {})) == ((), ())
    file = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
    assert probe.why_absent() == f"no NVIDIA driver: {file} not found"
    probe.close()


@pytest.mark.skipif(not has_driver(), reason="no NVIDIA driver here")
def test_a_real_card_is_read() -> None:
    probe = NvidiaProbe()
    assert probe.devices()
    assert any(value is not None for value in values(probe).values())
    probe.close()


def test_without_the_binding_the_reason_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "nvidia-ml-py" in (NvidiaProbe().why_absent() or "")


def test_the_driver_is_opened_at_the_first_look_and_given_back_once() -> None:
    driver = NvmlDriver(Card())
    probe = NvidiaProbe(driver)
    assert driver.n_open == 0
    probe.read(0.0, {})
    probe.devices()
    assert driver.n_open == 1
    probe.close()
    probe.close()
    assert driver.n_open == 0
    assert probe.read(1.0, {}) == ()


def test_the_stand_in_uses_names_that_the_real_binding_has() -> None:
    names = [name for name in dir(NvmlDriver) if name.lower().startswith("nvml")]
    assert len(names) > 10
    assert [name for name in names if not hasattr(pynvml, name)] == []
    assert {"total", "used", "free"} <= {name for name, _ in pynvml.c_nvmlMemory_t._fields_}
    assert "gpu" in {name for name, _ in pynvml.c_nvmlUtilization_t._fields_}
    assert "busId" in {name for name, *_ in pynvml.nvmlPciInfo_t._fields_}
