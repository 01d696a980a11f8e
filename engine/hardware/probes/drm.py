"""What watched processes do on any GPU whose Linux driver keeps accounts, and the GPUs that no other probe knows.

The kernel keeps, per open graphics file, the time that each engine worked for it and the memory that it holds; this is the only
source for Intel, and tells the worker's share on AMD. Not in it: NVIDIA's own driver, and ROCm's compute queues on
older kernels. A process has hundreds of files of which few are a GPU's, so all are looked through every two seconds
and only the found ones at every sample. Source: Documentation/gpu/drm-usage-stats.rst.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.hardware.graphics_cards import SYSFS, GraphicsCard, graphics_cards
from engine.hardware.kernel_files import pairs_of
from engine.hardware.snapshot import Device, DeviceKind, Quantity, Reading

PROC = Path("/proc")
SEARCH_EVERY_S = 2.0
INTEGRATED_SLOT = "0000:00:02.0"

_MAKERS = {
    "i915": "Intel",
    "xe": "Intel",
    "panfrost": "ARM Mali",
    "panthor": "ARM Mali",
    "msm": "Adreno",
    "v3d": "VideoCore",
}
"""Drivers that keep these accounts and whose cards no other probe lists."""
_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True)
class Account:
    """One moment's account of a process: engines' work by (card, engine), and bytes on all cards.

    Attributes:
        busy: nanoseconds of work, or cycles where the driver counts those.
        clock: the cycles that could have been worked; an engine that is not in it is measured against the time.
        capacity: how many units of its kind an engine has.
        memory_bytes: what is on the cards or in RAM that they reach; None when no file told.
    """

    busy: Mapping[tuple[str, str], int]
    clock: Mapping[tuple[str, str], int]
    capacity: Mapping[tuple[str, str], int]
    memory_bytes: int | None


@dataclass(slots=True)
class _Watch:
    pid: int
    files: tuple[Path, ...] = ()
    searched_s: float | None = None
    at_s: float = 0.0
    last: Account | None = field(default=None)


class DrmProbe:
    """Devices “drm0” … and, for each watched process that has a GPU open, its use and memory under its label."""

    key = "drm"

    def __init__(self, sysfs: Path = SYSFS, proc: Path = PROC) -> None:
        self._sysfs, self._proc = sysfs, proc
        self._cards: tuple[GraphicsCard, ...] | None = None
        self._watches: dict[str, _Watch] = {}

    def devices(self) -> tuple[Device, ...]:
        ours = [card for card in self._all_cards() if card.driver in _MAKERS]
        return tuple(_device(f"{self.key}{n}", card) for n, card in enumerate(ours))

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        if not self._all_cards():
            return ()
        for label in self._watches.keys() - watched.keys():
            del self._watches[label]
        readings: list[Reading] = []
        for label, pid in watched.items():
            watch = self._watches.get(label)
            if watch is None or watch.pid != pid:
                watch = self._watches[label] = _Watch(pid)
            had_files = bool(watch.files)
            account = self._account(watch, now_s)
            if not had_files and not watch.files:
                continue
            use = None
            if watch.last is not None and account is not None:
                use = use_between(watch.last, account, now_s - watch.at_s)
            watch.last, watch.at_s = account, now_s
            readings += (
                Reading(label, Quantity.PROCESS_GPU_USE, use),
                Reading(label, Quantity.PROCESS_GPU_MEMORY, None if account is None else _float(account.memory_bytes)),
            )
        return tuple(readings)

    def why_absent(self) -> str | None:
        if self._all_cards():
            return None
        return f"no graphics card in {self._sysfs / 'class' / 'drm'}"

    def close(self) -> None:
        self._watches.clear()

    def _all_cards(self) -> tuple[GraphicsCard, ...]:
        if self._cards is None:
            self._cards = graphics_cards(self._sysfs)
        return self._cards

    def _account(self, watch: _Watch, now_s: float) -> Account | None:
        if watch.searched_s is None or now_s - watch.searched_s >= SEARCH_EVERY_S:
            watch.searched_s = now_s
            watch.files = _graphics_files(self._proc / str(watch.pid) / "fdinfo")
        told = [facts for file in watch.files if "drm-driver" in (facts := pairs_of(file, ":"))]
        return account_of(told) if told else None


def account_of(files: list[dict[str, str]]) -> Account:
    """Sum the accounts of a process's graphics files; a client that is open through several files counts once."""
    busy: dict[tuple[str, str], int] = defaultdict(int)
    clock: dict[tuple[str, str], int] = {}
    capacity: dict[tuple[str, str], int] = {}
    memory_bytes: int | None = None
    seen: set[tuple[str, str]] = set()
    for facts in files:
        card = facts.get("drm-pdev", facts["drm-driver"])
        client = (card, facts.get("drm-client-id", ""))
        if client[1] and client in seen:
            continue
        seen.add(client)
        for name, value in facts.items():
            number = _bytes_or_count(value)
            if number is None:
                continue
            if name.startswith("drm-engine-capacity-"):
                capacity[card, name.removeprefix("drm-engine-capacity-")] = number
            elif name.startswith("drm-engine-"):
                busy[card, name.removeprefix("drm-engine-")] += number
            elif name.startswith("drm-total-cycles-"):
                clock[card, name.removeprefix("drm-total-cycles-")] = number
            elif name.startswith("drm-cycles-"):
                busy[card, name.removeprefix("drm-cycles-")] += number
        held = _memory(facts)
        if held is not None:
            memory_bytes = held + (memory_bytes or 0)
    return Account(dict(busy), clock, capacity, memory_bytes)


def use_between(before: Account, now: Account, seconds: float) -> float | None:
    """Percent that the busiest engine worked between two accounts; None when no engine is in both."""
    shares = []
    for engine, work in now.busy.items():
        if engine not in before.busy:
            continue
        if engine in now.clock:
            possible = float(now.clock[engine] - before.clock.get(engine, now.clock[engine]))
        else:
            possible = seconds * 1e9
        possible *= max(1, now.capacity.get(engine, 1))
        if possible > 0:
            shares.append(100 * min(1.0, max(0, work - before.busy[engine]) / possible))
    return max(shares, default=None)


def _memory(facts: Mapping[str, str]) -> int | None:
    """Bytes that the card can reach: what is resident, or under its older names. “cpu” is what was moved out of reach."""
    for prefix in ("drm-resident-", "drm-memory-", "drm-total-"):
        regions = {name.removeprefix(prefix): value for name, value in facts.items() if name.startswith(prefix)}
        sizes = {name: _bytes_or_count(value) for name, value in regions.items() if not name.startswith("cycles-")}
        known = [size for name, size in sizes.items() if size is not None and name != "cpu"]
        if known:
            return sum(known)
    return None


def _graphics_files(folder: Path) -> tuple[Path, ...]:
    try:
        files = sorted(folder.iterdir(), key=lambda file: file.name)
    except OSError:
        return ()
    return tuple(file for file in files if "drm-driver" in pairs_of(file, ":"))


def _bytes_or_count(text: str) -> int | None:
    """The number of `123 KiB`, `123 ns` or `123`; sizes in bytes."""
    number, _, unit = text.partition(" ")
    return int(number) * _UNITS.get(unit.strip(), 1) if number.isdigit() else None


def _device(key: str, card: GraphicsCard) -> Device:
    name = f"{_MAKERS[card.driver]} GPU"
    if card.device_id:
        name += f" {card.vendor_id}:{card.device_id}".lower()
    # Intel's integrated GPU has had this address since it is in the processor; only PCI cards have memory of their own.
    is_integrated = card.slot in ("", INTEGRATED_SLOT)
    return Device(
        key=key,
        name=name,
        kind=DeviceKind.IGPU if is_integrated else DeviceKind.GPU,
        driver=card.driver,
        total_bytes=None,  # these drivers publish none in sysfs; the engine's own device list knows
        free_bytes=None,
        details=(("PCI address", card.slot),) if card.slot else (),
    )


def _float(number: int | None) -> float | None:
    return None if number is None else float(number)
