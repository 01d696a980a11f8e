"""AMD cards and APUs from the files of the amdgpu driver.

An APU has no memory of its own: its “VRAM” is a slice of the RAM that the firmware set aside, and beyond it the driver hands out
ordinary RAM (GTT); so both count as its memory. On a card, GTT is where allocations go that did not fit, and is kept
apart. A card that sleeps is not read, because reading would wake it. Rejected: amdsmi (prints to stdout and fails
without ROCm), pyadl (fails on import). Source: Documentation/gpu/amdgpu/driver-misc.rst, thermal.rst; libdrm's amdgpu.ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.hardware.graphics_cards import SYSFS, GraphicsCard, graphics_cards
from engine.hardware.kernel_files import number_of, text_of
from engine.hardware.snapshot import Device, DeviceKind, Quantity, Reading

NAMES = Path("/usr/share/libdrm/amdgpu.ids")


@dataclass(frozen=True, slots=True)
class _Amd:
    """A card of ours: where its sensors are, whether it is an APU, its name."""

    key: str
    card: GraphicsCard
    sensors: Path | None
    is_apu: bool
    name: str

    def memory(self) -> tuple[int | None, int | None]:
        """Bytes in all and in use, of the memory that counts as its own."""
        folder = self.card.folder
        total, used = number_of(folder / "mem_info_vram_total"), number_of(folder / "mem_info_vram_used")
        if not self.is_apu:
            return total, used
        gtt_total, gtt_used = number_of(folder / "mem_info_gtt_total"), number_of(folder / "mem_info_gtt_used")
        return _sum(total, gtt_total), _sum(used, gtt_used)


class AmdProbe:
    """Sources “amd0” … in the kernel's order."""

    key = "amd"

    def __init__(self, sysfs: Path = SYSFS, names: Path = NAMES) -> None:
        self._sysfs, self._names = sysfs, names
        self._found: tuple[_Amd, ...] | None = None

    def devices(self) -> tuple[Device, ...]:
        return tuple(_device(each) for each in self._cards())

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        return tuple(reading for each in self._cards() for reading in _readings(each))

    def why_absent(self) -> str | None:
        if self._cards():
            return None
        return f"no AMD GPU: no card in {self._sysfs / 'class' / 'drm'} is driven by amdgpu"

    def close(self) -> None:
        """Nothing is held."""

    def _cards(self) -> tuple[_Amd, ...]:
        if self._found is None:
            ours = [card for card in graphics_cards(self._sysfs) if card.driver == "amdgpu"]
            self._found = tuple(self._describe(n, card) for n, card in enumerate(ours))
        return self._found

    def _describe(self, n: int, card: GraphicsCard) -> _Amd:
        sensors = next(iter(sorted(card.folder.glob("hwmon/hwmon*"))), None)
        # The driver publishes the northbridge's voltage for APUs only (amdgpu_pm.c: “only APUs have vddnb”).
        is_apu = sensors is not None and (sensors / "in1_input").exists()
        name = text_of(card.folder / "product_name") or self._name(card) or f"AMD GPU {card.vendor_id}:{card.device_id}"
        return _Amd(f"{self.key}{n}", card, sensors, is_apu, name)

    def _name(self, card: GraphicsCard) -> str | None:
        """The name in libdrm's table, by device and revision: lines of `744C,\\tC8,\\tAMD Radeon RX 7900 XTX`."""
        revision = (text_of(card.folder / "revision") or "").removeprefix("0x")
        for line in (text_of(self._names) or "").splitlines():
            parts = [part.strip() for part in line.split(",", 2)]
            if len(parts) == 3 and (parts[0].lower(), parts[1].lower()) == (card.device_id.lower(), revision.lower()):
                return parts[2]
        return None


def _device(amd: _Amd) -> Device:
    total, used = amd.memory()
    folder = amd.card.folder
    details = [("PCI address", amd.card.slot)]
    for label, file in (("Dedicated memory", "mem_info_vram_total"), ("Shared memory (GTT)", "mem_info_gtt_total")):
        size_bytes = number_of(folder / file)
        if size_bytes is not None:
            details.append((label, f"{size_bytes / 2**30:.1f} GiB"))
    limit_microwatts = None if amd.sensors is None else number_of(amd.sensors / "power1_cap")
    if limit_microwatts is not None:
        details.append(("Power limit", f"{limit_microwatts / 1e6:.0f} W"))
    return Device(
        key=amd.key,
        name=amd.name,
        kind=DeviceKind.IGPU if amd.is_apu else DeviceKind.GPU,
        driver="amdgpu",
        total_bytes=total,
        free_bytes=None if total is None or used is None else max(0, total - used),
        details=tuple(details),
    )


def _readings(amd: _Amd) -> tuple[Reading, ...]:
    use = used = gtt = watts = degrees = None
    folder = amd.card.folder
    if text_of(folder / "power" / "runtime_status") != "suspended":
        use = number_of(folder / "gpu_busy_percent")
        used = amd.memory()[1]
        gtt = number_of(folder / "mem_info_gtt_used")
        if amd.sensors is not None:
            watts = _scaled(amd.sensors, ("power1_average", "power1_input"), 1e6)
            degrees = _scaled(amd.sensors, ("temp1_input",), 1e3)
    return (
        Reading(amd.key, Quantity.GPU_USE, _float(use)),
        Reading(amd.key, Quantity.VRAM_USED, _float(used)),
        Reading(amd.key, Quantity.GTT_USED, _float(gtt)),
        Reading(amd.key, Quantity.GPU_POWER, watts),
        Reading(amd.key, Quantity.GPU_TEMPERATURE, degrees),
    )


def _scaled(folder: Path, names: tuple[str, ...], divisor: float) -> float | None:
    numbers = (number_of(folder / name) for name in names)
    return next((number / divisor for number in numbers if number is not None), None)


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def _float(number: int | None) -> float | None:
    return None if number is None else float(number)
