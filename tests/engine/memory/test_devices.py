"""The table of devices: every figure with its source, found by name, or typed in."""

from __future__ import annotations

import pytest

from engine.base.errors import KnownError
from engine.memory.devices import (
    GIB,
    DeviceClass,
    device_described,
    device_named,
    read_devices,
    search_devices,
    typed_device,
)

TABLE = read_devices()


def test_every_device_has_a_key_of_its_own_a_size_a_bandwidth_and_a_source() -> None:
    assert len({each.key for each in TABLE}) == len({each.name for each in TABLE}) == len(TABLE) > 100
    for each in TABLE:
        assert 2 * GIB < each.memory_bytes < 2048 * GIB
        assert 10e9 < each.bandwidth_bytes_s < 10e12
        assert len(each.source) > 8
        assert not each.url or each.url.startswith("https://")
        assert all(1e12 < rate < 5e15 for _kind, rate in each.flops_s)


def test_every_class_of_device_is_there() -> None:
    assert {each.kind for each in TABLE} == set(DeviceClass)


@pytest.mark.parametrize(
    ("key", "gib", "gb_s"),
    [
        ("rtx-3090", 24, 936),  # 384 bits · 19.5 Gbit/s / 8
        ("rtx-4090", 24, 1008),  # 384 · 21 / 8
        ("rtx-5090", 32, 1792),  # 512 · 28 / 8
        ("m4-pro-48", 48, 273),  # 256 · 8.533 / 8
        ("ddr5-6400-2ch-64", 64, 102.4),  # 6400 · 8 · 2
    ],
)
def test_bandwidths_are_what_bus_and_clock_give(key: str, gib: int, gb_s: float) -> None:
    device = device_named(TABLE, key)
    assert (device.memory_bytes, device.bandwidth_bytes_s) == (gib * GIB, pytest.approx(gb_s * 1e9))


def test_a_name_is_found_by_its_words_in_any_order() -> None:
    assert [each.key for each in search_devices(TABLE, "4090 geforce")] == ["rtx-4090"]
    assert {each.key for each in search_devices(TABLE, "m1 max")} == {"m1-max-32", "m1-max-64"}
    assert device_named(TABLE, "nvidia geforce rtx 3090").key == "rtx-3090"
    assert device_named(TABLE, "7900 xtx").key == "rx-7900-xtx"
    assert device_named(TABLE, "RTX 3090").key == "rtx-3090"  # and not the Ti


def test_a_name_that_fits_several_says_which_and_one_that_fits_none_says_what_to_write() -> None:
    with pytest.raises(KnownError, match="m1-max-32, m1-max-64"):
        device_named(TABLE, "m1-max")
    with pytest.raises(KnownError, match="24GiB@936GB/s"):
        device_named(TABLE, "voodoo 2")


@pytest.mark.parametrize(
    ("description", "key"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", "rx-7900-xtx"),
        ("Apple M1 Max", "m1-max-32"),
        ("Apple M3 Max", None),  # two bandwidths have this name
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("llvmpipe (LLVM 15.0.6, 256 bits)", None),
    ],
)
def test_a_drivers_description_finds_its_device_or_none(description: str, key: str | None) -> None:
    found = device_described(TABLE, description)
    assert (found.key if found else None) == key


def test_a_device_is_typed_in() -> None:
    typed = typed_device("mine=24GiB@936GB/s@142TFLOPS")
    assert typed is not None
    assert (typed.name, typed.memory_bytes, typed.bandwidth_bytes_s) == ("mine", 24 * GIB, 936e9)
    assert typed.peak_flops_s == 142e12
    assert typed.source == "typed in"
    short = device_named(TABLE, "12@360")
    assert (short.memory_bytes, short.bandwidth_bytes_s, short.peak_flops_s) == (12 * GIB, 360e9, None)


@pytest.mark.parametrize("text", ["", "24", "24GiB", "@936", "0@936", "24@0", "a@b", "24@936@x"])
def test_what_is_no_device_is_none(text: str) -> None:
    assert typed_device(text) is None


def test_metal_gives_a_program_less_than_all() -> None:
    """recommendedMaxWorkingSetSize: 11,453 MB of 16 GiB, 17,180 MB of 24, as llama.cpp's logs print it."""
    assert device_named(TABLE, "m1-pro-16").usable_bytes == pytest.approx(11_453.25e6, rel=1e-4)
    assert device_named(TABLE, "m4-24").usable_bytes == pytest.approx(17_179.89e6, rel=1e-4)
    assert device_named(TABLE, "rtx-4090").usable_bytes == 24 * GIB
