"""What a probe found, as values: devices, quantities with their units, readings, and the readings of one moment.

`None` is “not known” and stays so on every screen: a card that does not publish its power does not draw 0 W.
Rejected: one class per device with a field per quantity (a new sensor would change every reader).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from engine.wire.messages import DeviceKind

__all__ = ["Device", "DeviceKind", "Quantity", "Reading", "Snapshot", "Unit"]


class Unit(enum.Enum):
    """What a reading is counted in; the value is the unit's sign."""

    PERCENT = "%"
    BYTES = "B"
    BYTES_PER_S = "B/s"
    WATTS = "W"
    CELSIUS = "°C"
    MEGAHERTZ = "MHz"


class Quantity(enum.Enum):
    """What was measured. `.value` is its key, `.unit` what it is counted in, `.label` its name in plain English.

    The whole processor's use is 0 to 100 over all cores; a process's use is 100 for each core that it keeps busy.
    """

    _value_: str
    unit: Unit
    label: str

    CPU_USE = "cpu_use", Unit.PERCENT, "Processor use"
    CPU_CORE_USE = "cpu_core_use", Unit.PERCENT, "Core use"
    CPU_FREQUENCY = "cpu_frequency", Unit.MEGAHERTZ, "Processor clock"
    CPU_TEMPERATURE = "cpu_temperature", Unit.CELSIUS, "Processor temperature"
    RAM_USED = "ram_used", Unit.BYTES, "Memory used"
    SWAP_USED = "swap_used", Unit.BYTES, "Swap used"
    PROCESS_RSS = "process_rss", Unit.BYTES, "Resident memory"
    PROCESS_CPU = "process_cpu", Unit.PERCENT, "Process processor use"
    PROCESS_GPU_USE = "process_gpu_use", Unit.PERCENT, "Process GPU use"
    PROCESS_GPU_MEMORY = "process_gpu_memory", Unit.BYTES, "Process GPU memory"
    DISK_READ = "disk_read", Unit.BYTES_PER_S, "Read from disk"
    GPU_USE = "gpu_use", Unit.PERCENT, "GPU use"
    VRAM_USED = "vram_used", Unit.BYTES, "GPU memory used"
    GTT_USED = "gtt_used", Unit.BYTES, "System memory used by the GPU"
    GPU_POWER = "gpu_power", Unit.WATTS, "GPU power"
    GPU_TEMPERATURE = "gpu_temperature", Unit.CELSIUS, "GPU temperature"

    def __new__(cls, key: str, unit: Unit, label: str) -> Quantity:
        member = object.__new__(cls)
        member._value_ = key
        member.unit = unit
        member.label = label
        return member


@dataclass(frozen=True, slots=True)
class Reading:
    """One number of one source at one moment.

    Attributes:
        source: a device's key (“cpu”, “nvidia0”), a core (“cpu3”), “ram”, or the label of a watched process.
        quantity: what was measured, and with it the unit.
        value: the number; None when it could not be measured.
    """

    source: str
    quantity: Quantity
    value: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All readings of one moment: `t_s` monotonic seconds, `utc` the time of day."""

    t_s: float
    utc: datetime
    readings: tuple[Reading, ...]

    def value(self, source: str, quantity: Quantity) -> float | None:
        """The number of one source, None when it was not measured."""
        for each in self.readings:
            if each.source == source and each.quantity is quantity:
                return each.value
        return None


@dataclass(frozen=True, slots=True)
class Device:
    """Something that computes, with the memory that it computes in.

    Attributes:
        key: its name in readings, unique on this computer (“cpu”, “nvidia0”, “amd0”, “drm0”).
        name: what it is called by its maker.
        kind: processor, GPU with memory of its own, GPU in the processor's memory, other.
        driver: the driver's name and version; None for the processor.
        total_bytes: its memory: RAM for the processor, VRAM for a card, carve-out and GTT for an AMD APU.
        free_bytes: what of it can be taken now.
        details: further lines for its card, as label and text.
    """

    key: str
    name: str
    kind: DeviceKind
    driver: str | None
    total_bytes: int | None
    free_bytes: int | None
    details: tuple[tuple[str, str], ...] = ()
