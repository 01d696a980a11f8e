from __future__ import annotations

from pathlib import Path

import pytest

from engine.hardware.probes.amd import AmdProbe
from engine.hardware.snapshot import DeviceKind, Quantity
from tests.support.sysfs_tree import write_card

GIB = 1 << 30
CARD = {
    "revision": "0xc8",
    "gpu_busy_percent": 37,
    "mem_busy_percent": 4,
    "mem_info_vram_total": 25_753_026_560,
    "mem_info_vram_used": 1_289_584_640,
    "mem_info_gtt_total": 33_559_187_456,
    "mem_info_gtt_used": 98_832_384,
    "hwmon/hwmon3/name": "amdgpu",
    "hwmon/hwmon3/power1_average": 95_000_000,
    "hwmon/hwmon3/power1_cap": 303_000_000,
    "hwmon/hwmon3/temp1_input": 52_000,
    "hwmon/hwmon3/in0_input": 706,
}
APU = {
    "revision": "0xc4",
    "gpu_busy_percent": 9,
    "mem_info_vram_total": 512 << 20,
    "mem_info_vram_used": 431_259_648,
    "mem_info_gtt_total": 15 * GIB,
    "mem_info_gtt_used": 1 * GIB,
    "hwmon/hwmon5/name": "amdgpu",
    "hwmon/hwmon5/power1_input": 15_046_000,
    "hwmon/hwmon5/temp1_input": 44_000,
    "hwmon/hwmon5/in0_input": 1_261,
    "hwmon/hwmon5/in1_input": 950,
    "hwmon/hwmon5/in1_label": "vddnb",
}


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """libdrm's table of names."""
    path = tmp_path / "amdgpu.ids"
    path.write_text(
        "# List of AMDGPU IDs\n1.0.0\n15BF,\tC4,\tAMD Radeon 780M Graphics\n"
        "744C,\tC8,\tAMD Radeon RX 7900 XTX\n744C,\tCC,\tAMD Radeon RX 7900 XT\n"
    )
    return path


def values(probe: AmdProbe) -> dict[tuple[str, Quantity], float | None]:
    return {(each.source, each.quantity): each.value for each in probe.read(0.0, {})}


def test_a_card_is_read_in_our_units(tmp_path: Path, names: Path) -> None:
    write_card(tmp_path, 1, "amdgpu", "1002:744C", "0000:03:00.0", CARD)
    assert values(AmdProbe(tmp_path, names)) == {
        ("amd0", Quantity.GPU_USE): 37.0,
        ("amd0", Quantity.VRAM_USED): 1_289_584_640.0,
        ("amd0", Quantity.GTT_USED): 98_832_384.0,
        ("amd0", Quantity.GPU_POWER): 95.0,
        ("amd0", Quantity.GPU_TEMPERATURE): 52.0,
    }


def test_a_card_has_its_name_by_revision_and_only_its_own_memory(tmp_path: Path, names: Path) -> None:
    write_card(tmp_path, 1, "amdgpu", "1002:744C", "0000:03:00.0", CARD)
    (device,) = AmdProbe(tmp_path, names).devices()
    assert (device.key, device.name, device.kind) == ("amd0", "AMD Radeon RX 7900 XTX", DeviceKind.GPU)
    assert device.driver == "amdgpu"
    assert (device.total_bytes, device.free_bytes) == (25_753_026_560, 25_753_026_560 - 1_289_584_640)
    assert dict(device.details)["PCI address"] == "0000:03:00.0"
    assert dict(device.details)["Power limit"] == "303 W"


def test_an_apu_counts_its_slice_and_the_memory_that_it_may_borrow(tmp_path: Path, names: Path) -> None:
    write_card(tmp_path, 0, "amdgpu", "1002:15BF", "0000:c4:00.0", APU)
    probe = AmdProbe(tmp_path, names)
    (device,) = probe.devices()
    assert (device.name, device.kind) == ("AMD Radeon 780M Graphics", DeviceKind.IGPU)
    assert device.total_bytes == (512 << 20) + 15 * GIB
    assert device.free_bytes == (512 << 20) + 15 * GIB - 431_259_648 - GIB
    details = dict(device.details)
    assert (details["Dedicated memory"], details["Shared memory (GTT)"]) == ("0.5 GiB", "15.0 GiB")
    read = values(probe)
    assert read["amd0", Quantity.VRAM_USED] == 431_259_648 + GIB
    assert read["amd0", Quantity.GTT_USED] == GIB
    assert read["amd0", Quantity.GPU_POWER] == 15.046


def test_two_cards_are_counted_in_the_kernels_order_and_others_are_left_out(tmp_path: Path, names: Path) -> None:
    write_card(tmp_path, 10, "amdgpu", "1002:744C", "0000:03:00.0", CARD)
    write_card(tmp_path, 2, "amdgpu", "1002:15BF", "0000:c4:00.0", APU)
    write_card(tmp_path, 0, "i915", "8086:46A6", "0000:00:02.0", {})
    assert [(each.key, each.kind) for each in AmdProbe(tmp_path, names).devices()] == [
        ("amd0", DeviceKind.IGPU),
        ("amd1", DeviceKind.GPU),
    ]


def test_what_the_driver_does_not_publish_is_unknown(tmp_path: Path) -> None:
    write_card(tmp_path, 0, "amdgpu", "1002:6798", "0000:01:00.0", {})
    probe = AmdProbe(tmp_path, tmp_path / "no-names")
    assert set(values(probe).values()) == {None}
    (device,) = probe.devices()
    assert (device.name, device.total_bytes, device.free_bytes) == ("AMD GPU 1002:6798", None, None)


def test_a_file_that_holds_no_number_is_unknown(tmp_path: Path, names: Path) -> None:
    files = CARD | {"gpu_busy_percent": "", "hwmon/hwmon3/temp1_input": "busy"}
    write_card(tmp_path, 0, "amdgpu", "1002:744C", "0000:03:00.0", files)
    read = values(AmdProbe(tmp_path, names))
    assert read["amd0", Quantity.GPU_USE] is None
    assert read["amd0", Quantity.GPU_TEMPERATURE] is None
    assert read["amd0", Quantity.GPU_POWER] == 95.0


def test_a_sleeping_card_is_not_woken_by_reading_its_sensors(tmp_path: Path, names: Path) -> None:
    device = write_card(
        tmp_path, 0, "amdgpu", "1002:744C", "0000:03:00.0", CARD | {"power/runtime_status": "suspended"}
    )
    probe = AmdProbe(tmp_path, names)
    assert set(values(probe).values()) == {None}
    (device / "power" / "runtime_status").write_text("active\n")
    assert values(probe)["amd0", Quantity.GPU_USE] == 37.0


def test_a_card_that_is_pulled_out_reads_unknown(tmp_path: Path, names: Path) -> None:
    device = write_card(tmp_path, 0, "amdgpu", "1002:744C", "0000:03:00.0", CARD)
    probe = AmdProbe(tmp_path, names)
    assert values(probe)["amd0", Quantity.GPU_USE] == 37.0
    device.rename(tmp_path / "gone")
    assert set(values(probe).values()) == {None}


def test_without_a_card_it_is_empty_and_says_where_it_looked(tmp_path: Path) -> None:
    probe = AmdProbe(tmp_path / "sys")
    assert (probe.devices(), probe.read(0.0, {})) == ((), ())
    assert str(tmp_path / "sys" / "class" / "drm") in (probe.why_absent() or "")
