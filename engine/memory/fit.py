"""Does it fit: a ledger against the memory that is free, as a verdict, a sentence, and what would help.

“Tight” is an answer of its own: with less than a twentieth to spare some systems do not fail, they crawl.
Source: the margin is the practice of llama.cpp's own fit (1 GiB, or a share of the device).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from engine.base.errors import Remedy, RemedyKind
from engine.base.fields import Value
from engine.memory.ledger import DeviceLedger, Ledger, Part

TIGHT_SHARE = 0.05
"""Less than this share of a memory left free is tight, where nobody chose another margin."""

N_CTX_STEP = 256


class Fits(enum.Enum):
    """Whether a load fits in what is free now."""

    YES = "yes"
    TIGHT = "tight"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: the worst device decides.

    Attributes:
        fits: the answer.
        device: the device that decides.
        needed_bytes, free_bytes: on that device, in RAM with what the load takes for a moment; free is None when unknown.
        advice: what would help, as buttons, best first; empty when it fits.
        margin: the share of the memory that was to stay free.
        is_limited: the memory is less than the machine's, by a control group's limit (a container's, a service's).
        passing_bytes: what of the needed bytes only the load takes, for a moment.
    """

    fits: Fits
    device: str
    needed_bytes: int
    free_bytes: int | None
    advice: tuple[Remedy, ...]
    margin: float = TIGHT_SHARE
    is_limited: bool = False
    passing_bytes: int = 0


def judge(
    ledger: Ledger, options: Mapping[str, Value], *, freed_bytes: int = 0, margin: float = TIGHT_SHARE
) -> Verdict:
    """Compare a ledger with what is free.

    Args:
        ledger: predicted.
        options: the load options it was predicted with.
        freed_bytes: RAM that will be free once the model that is loaded now is gone.
        margin: the share of each memory that is to stay free; less is tight.
    """
    worst: tuple[Fits, DeviceLedger] | None = None
    order = (Fits.YES, Fits.UNKNOWN, Fits.TIGHT, Fits.NO)
    for index, device in enumerate(ledger.devices):
        fits = _fits(device, freed_bytes if index == 0 else 0, margin, 0 if index else ledger.passing_bytes)
        if worst is None or order.index(fits) > order.index(worst[0]):
            worst = (fits, device)
    assert worst is not None
    fits, device = worst
    free = (
        None if device.free_bytes is None else device.free_bytes + (freed_bytes if device is ledger.devices[0] else 0)
    )
    usable = usable_bytes(device, freed_bytes if device is ledger.devices[0] else 0, margin)
    advice = _advice(ledger, device, options, usable) if fits in (Fits.NO, Fits.TIGHT) else ()
    passing = ledger.passing_bytes if device is ledger.devices[0] else 0
    return Verdict(fits, device.name, device.sum_bytes + passing, free, advice, margin, device.is_limited, passing)


def largest_n_ctx(shorter: Ledger, longer: Ledger, *, freed_bytes: int = 0, margin: float = TIGHT_SHARE) -> int | None:
    """The largest context that fits, from two ledgers of the same model at different contexts, to 256 tokens.

    The cache grows linearly, and so does the rest but for steps; the straight line through the two is exact for the
    cache. None when a free memory is unknown; 0 when not even the smallest context fits.
    """
    if longer.n_ctx <= shorter.n_ctx:
        return None
    best: float | None = None
    for index, (low, high) in enumerate(zip(shorter.devices, longer.devices, strict=True)):
        room = usable_bytes(low, freed_bytes if index == 0 else 0, margin)
        if room is None:
            return None
        slope = (high.sum_bytes - low.sum_bytes) / (longer.n_ctx - shorter.n_ctx)
        if slope <= 0:
            if low.sum_bytes > room:
                return 0
            continue
        limit = shorter.n_ctx + (room - low.sum_bytes) / slope
        best = limit if best is None else min(best, limit)
    if best is None:
        return None
    return max(0, int(best) // N_CTX_STEP * N_CTX_STEP)


def locked_beyond(ledger: Ledger, options: Mapping[str, Value], lockable: int | None) -> int | None:
    """Bytes of weights in RAM that `mlock` cannot lock because this user may lock no more; None where all can be.

    The engine then loads all the same and leaves them unlocked. Source: llama-mmap.cpp (`llama_mlock`).

    Args:
        lockable: what may be locked, None without a limit.
    """
    if not options.get("mlock") or lockable is None:
        return None
    beyond = (ledger.devices[0].size_of(Part.WEIGHTS) or 0) - lockable
    return beyond if beyond > 0 else None


def usable_bytes(device: DeviceLedger, freed_bytes: int = 0, margin: float = TIGHT_SHARE) -> int | None:
    """What a model may take of a memory: what is free less the share of the whole that is to stay so; None if unknown."""
    if device.free_bytes is None:
        return None
    free = device.free_bytes + freed_bytes
    return int(free - margin * (device.total_bytes or free))


def room_of(ledger: Ledger, freed_bytes: int = 0, margin: float = TIGHT_SHARE) -> dict[str, int] | None:
    """Bytes left of each memory beyond the margin, by name, less than 0 where it does not fit; None if one is unknown."""
    found = {}
    for at, device in enumerate(ledger.devices):
        usable = usable_bytes(device, freed_bytes if at == 0 else 0, margin)
        if usable is None:
            return None
        found[device.name] = usable - device.sum_bytes
    return found


def _fits(device: DeviceLedger, freed_bytes: int, margin: float, passing_bytes: int) -> Fits:
    usable, needed = usable_bytes(device, freed_bytes, margin), device.sum_bytes + passing_bytes
    if device.free_bytes is None or usable is None:
        return Fits.UNKNOWN
    if needed > device.free_bytes + freed_bytes:
        return Fits.NO
    return Fits.TIGHT if needed > usable else Fits.YES


def _advice(
    ledger: Ledger, device: DeviceLedger, options: Mapping[str, Value], usable: int | None
) -> tuple[Remedy, ...]:
    advice: list[Remedy] = []
    cache = device.size_of(Part.KV) or 0
    if cache and usable is not None and ledger.n_ctx > N_CTX_STEP:
        room = usable - (device.sum_bytes - cache)
        n_ctx = int(room / (cache / ledger.n_ctx)) // N_CTX_STEP * N_CTX_STEP
        if N_CTX_STEP <= n_ctx < ledger.n_ctx:
            advice.append(Remedy(RemedyKind.SET_OPTION, f"Use {n_ctx:,} context", f"n_ctx={n_ctx}"))
    if device.size_of(Part.DRAFT):
        advice.append(Remedy(RemedyKind.SET_OPTION, "Leave the draft model out", "model_draft="))
    if cache and options.get("type_k") == "f16":
        advice.append(Remedy(RemedyKind.SET_OPTION, "Use q8_0 for the KV cache", "type_k=q8_0,type_v=q8_0"))
    if device.name != ledger.devices[0].name:
        advice.append(Remedy(RemedyKind.SET_OPTION, "Use the CPU only", "n_gpu_layers=0"))
    advice.append(Remedy(RemedyKind.CHOOSE_MODEL, "Choose a smaller model"))
    return tuple(advice)
