"""Where training could happen on this computer: its largest graphics card, else its RAM."""

from __future__ import annotations

from collections.abc import Iterable

from engine.hardware.ram import ram_now
from engine.hardware.snapshot import Device, DeviceKind
from engine.memory.ledger import RAM
from engine.memory.training.verdict import Room


def rooms_of(devices: Iterable[Device]) -> tuple[Room, Room]:
    """The memory to train in and RAM, as (name, free bytes) each; both are RAM where there is no card of its own memory.

    Args:
        devices: what the probes found.
    """
    ram = Room(RAM, ram_now().free_bytes)
    cards = [each for each in devices if each.kind is DeviceKind.GPU and each.total_bytes]
    if not cards:
        return ram, ram
    largest = max(cards, key=lambda each: each.total_bytes or 0)
    return Room(largest.name, largest.free_bytes), ram
