"""Does a training run fit: a range against what a device has.

The range answers in three words: even the low end is too much, only the high end is, or neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.memory.fit import Fits
from engine.memory.training.cost import DeviceCost, Place, TrainingCost


@dataclass(frozen=True, slots=True)
class Room:
    """Memory to train in: a name, and the bytes that are free there (None: unknown)."""

    name: str
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class TrainVerdict:
    """The answer. `rooms` are those of the cost's devices, in their order."""

    fits: Fits
    rooms: tuple[Room, ...]
    each: tuple[Fits, ...]


def judge_training(cost: TrainingCost, device: Room, ram: Room) -> TrainVerdict:
    """Compare a cost with what is free; the worst memory decides.

    Args:
        cost: the decomposition.
        device: one training device. On a computer without one it is RAM, and then both are taken from it.
        ram: the computer's RAM, for what is offloaded.
    """
    rooms = tuple(device if each.place is Place.DEVICE else ram for each in cost.devices)
    if device == ram and (len(rooms) > 1 or cost.recipe.n_devices > 1):
        low, high = cost.total_low, cost.total_high
        each = tuple(_fits(low, high, ram.free_bytes) for _ in rooms)
    else:
        each = tuple(_of(one, room) for one, room in zip(cost.devices, rooms, strict=True))
    order = (Fits.YES, Fits.UNKNOWN, Fits.TIGHT, Fits.NO)
    return TrainVerdict(max(each, key=order.index), rooms, each)


def _of(cost: DeviceCost, room: Room) -> Fits:
    return _fits(cost.low, cost.high, room.free_bytes)


def _fits(low: int, high: int, free_bytes: int | None) -> Fits:
    if free_bytes is None:
        return Fits.UNKNOWN
    if low > free_bytes:
        return Fits.NO
    return Fits.TIGHT if high > free_bytes else Fits.YES
