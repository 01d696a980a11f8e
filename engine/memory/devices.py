"""Devices that are not in this computer: a table of published figures, and a device that somebody types in.

The table is one file, `resources/devices.json`; every row names the document that its figures come from, and what that
document does not say is left out, so a prefill speed can be unknown. Rejected: asking the network, and filling gaps
with what similar devices have.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.base.errors import KnownError
from resources import read_text

MOST_DEVICES = 8
GIB = 2**30


class DeviceClass(enum.Enum):
    """What software runs a device, which decides how much of its figures is reached; RAM is a CPU's."""

    CUDA = "cuda"
    ROCM = "rocm"
    SYCL = "sycl"
    METAL = "metal"
    UNIFIED = "unified"
    RAM = "ram"

    @property
    def holds_host_part(self) -> bool:
        """The processor uses the same memory, so what stays with it counts there too."""
        return self in (DeviceClass.METAL, DeviceClass.UNIFIED, DeviceClass.RAM)


@dataclass(frozen=True, slots=True)
class Rates:
    """What a device reached here: bytes a second while writing, operations a second while reading a prompt.

    Attributes:
        read_bytes_s: weights and cache that were read, a second.
        flops_s: None when only writing was measured.
        spread: the share by which repeated measurements differed, 0 to 1.
        model: the model that it was measured with.
    """

    read_bytes_s: float
    flops_s: float | None
    spread: float
    model: str


@dataclass(frozen=True, slots=True)
class Device:
    """One device.

    Attributes:
        key: its short name, for a command.
        name: the full one.
        kind: what runs it.
        memory_bytes: all of it, nominal.
        bandwidth_bytes_s: of its memory; None where nobody knows (this computer's RAM).
        flops_s: the peak operations a second by number type, dense, as pairs; "f16" is that of the matrix units, where there are.
        source: the document, or who typed it in.
        url: where the document is, "" where it has no address.
        measured: what it reached here, which then takes the place of the published figures.
    """

    key: str
    name: str
    kind: DeviceClass
    memory_bytes: int
    bandwidth_bytes_s: float | None
    flops_s: tuple[tuple[str, float], ...] = ()
    source: str = ""
    url: str = ""
    measured: Rates | None = None

    @property
    def peak_flops_s(self) -> float | None:
        """The peak that prompts are measured against: f16 matrix units, else int8 dot products, else f32."""
        known = dict(self.flops_s)
        return next((known[each] for each in ("f16", "int8", "f32") if each in known), None)

    @property
    def usable_bytes(self) -> int:
        """What a program may take: Metal gives two thirds to three quarters (recommendedMaxWorkingSetSize)."""
        if self.kind is not DeviceClass.METAL:
            return self.memory_bytes
        return self.memory_bytes * 3 // 4 if self.memory_bytes >= 36 * GIB else self.memory_bytes * 2 // 3


def read_devices() -> tuple[Device, ...]:
    """The table, one entry for each size of memory that a device is sold with."""
    raw = json.loads(read_text("devices.json"))
    found: list[Device] = []
    for row in raw["devices"]:
        source = raw["sources"][row["source"]]
        several = len(row["memory_gib"]) > 1
        for gib in row["memory_gib"]:
            found.append(
                Device(
                    key=f"{row['key']}-{gib}" if several else row["key"],
                    name=f"{row['name']}, {gib:,} GB" if several else row["name"],
                    kind=DeviceClass(row["kind"]),
                    memory_bytes=gib * GIB,
                    bandwidth_bytes_s=row["bandwidth_gb_s"] * 1e9,
                    flops_s=tuple((kind, value * 1e12) for kind, value in row["tflops"].items()),
                    source=source["title"],
                    url=source["url"],
                )
            )
    return tuple(found)


def search_devices(table: Sequence[Device], text: str) -> tuple[Device, ...]:
    """The devices whose name or key holds every word of `text`, in the table's order."""
    words = text.casefold().split()
    return tuple(each for each in table if all(word in f"{each.name} {each.key}".casefold() for word in words))


_TYPED = re.compile(
    r"(?:(?P<name>[^=@]+)=)?(?P<size>\d+(?:\.\d+)?)\s*(?:GiB|GB|G)?@(?P<rate>\d+(?:\.\d+)?)\s*(?:GB/s)?"
    r"(?:@(?P<flops>\d+(?:\.\d+)?)\s*(?:TFLOPS|TFLOP/s|T)?)?",
    re.IGNORECASE,
)


def typed_device(text: str) -> Device | None:
    """A device from "24GiB@936GB/s@142TFLOPS", with a name in front ("mine=…") or without; None when it is none.

    The operations a second may be left out; then prefill is unknown.
    """
    match = _TYPED.fullmatch(text.strip())
    if match is None or float(match["size"]) <= 0 or float(match["rate"]) <= 0:
        return None
    name = (match["name"] or "").strip() or f"{float(match['size']):g} GiB at {float(match['rate']):g} GB/s"
    peak = float(match["flops"]) * 1e12 if match["flops"] and float(match["flops"]) > 0 else None
    return Device(
        key=text.strip(),
        name=name,
        kind=DeviceClass.CUDA,
        memory_bytes=round(float(match["size"]) * GIB),
        bandwidth_bytes_s=float(match["rate"]) * 1e9,
        flops_s=(("f16", peak),) if peak else (),
        source="typed in",
    )


def device_named(table: Sequence[Device], text: str) -> Device:
    """The one device that a command names: by key, by a typed figure, or by words that only one name holds.

    Raises:
        KnownError: none, or several; the next step names some.
    """
    wanted = text.strip()
    spellings = (wanted.casefold(), "-".join(wanted.casefold().split()))
    exact = next(
        (each for each in table if each.key.casefold() in spellings or each.name.casefold() in spellings), None
    )
    if exact is not None:
        return exact
    if (typed := typed_device(wanted)) is not None:
        return typed
    found = search_devices(table, wanted) if wanted else ()
    sizes = tuple(each for each in found if each.key.rpartition("-")[0].casefold() == wanted.casefold())
    found = sizes or found
    if len(found) == 1:
        return found[0]
    if not found:
        raise KnownError(
            "No device of this name is in the table",
            value=wanted,
            next_step="write memory and bandwidth instead, as in 24GiB@936GB/s, or see “hardware --table”",
        )
    some = ", ".join(each.key for each in found[:6]) + (" …" if len(found) > 6 else "")
    raise KnownError("Several devices have this name", value=wanted, next_step=f"use one of {some}")


def device_described(table: Sequence[Device], description: str) -> Device | None:
    """The device that a driver describes so ("AMD Radeon RX 7900 XTX (RADV NAVI31)"); None for none, or an unclear one.

    A name that several sizes share will do where they have one bandwidth; a laptop's card is another one.
    """
    wanted = description.partition(" (")[0].strip().casefold()
    found = [each for each in table if wanted in (each.name.casefold(), each.name.partition(",")[0].casefold())]
    rates = {each.bandwidth_bytes_s for each in found}
    return found[0] if len(rates) == 1 else None


def with_rates(device: Device, rates: Rates | None) -> Device:
    """The device with what was measured on it."""
    return replace(device, measured=rates)
