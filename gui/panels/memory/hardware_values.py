"""Other hardware on the Memory page, as values: a row of the comparison, what the section shows, and how devices are spelled.

“2 x rtx-3090 + ddr5-6000-2ch-64 / row”: devices with + between them, a number before one for several of them, and the
split behind a slash where it is not by layers. The settings keep rows so, and a person types them so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.memory.devices import MOST_DEVICES, Device, DeviceClass, device_named
from engine.memory.placement import Split
from engine.workbench.outlook import Configuration, Outlook

_TIMES = re.compile(r"(?P<times>\d)\s*(?:x|×|\*)\s+(?P<name>.+)", re.IGNORECASE)
_MAKER = re.compile(r"^(NVIDIA (GeForce )?|AMD (Radeon |Instinct )?|Intel |Apple )")
MOST_ROWS = 12


@dataclass(frozen=True, slots=True)
class HardwareView:
    """What the section shows.

    Attributes:
        configurations: the rows that were asked for, this computer not among them.
        outlooks: the answers, this computer first; empty before the first.
        is_asking: an answer to other options is on its way.
        complaint: what was wrong with what was typed.
        found: devices that the words in the box find.
        can_measure: the model is loaded, so its speed can be measured.
        measuring: how far a measurement is, 0 to 1; None without one.
        note: what came of the last measurement, "" for nothing to tell.
    """

    configurations: tuple[Configuration, ...] = ()
    outlooks: tuple[Outlook, ...] = ()
    is_asking: bool = False
    complaint: str = ""
    found: tuple[Device, ...] = ()
    can_measure: bool = False
    measuring: float | None = None
    note: str = ""


def configuration_of(text: str, table: Sequence[Device], split: Split = Split.LAYER) -> Configuration:
    """Devices from text; `split` holds where the text names none.

    Raises:
        KnownError: a name that is not known, too many devices, or RAM twice.
    """
    names, _, way = text.rpartition("/") if re.search(r"/\s*(layer|row|tensor)\s*$", text) else (text, "", "")
    devices: list[Device] = []
    for part in names.split("+"):
        match = _TIMES.fullmatch(part.strip())
        name, times = (match["name"], int(match["times"])) if match is not None else (part, 1)
        devices += [device_named(table, name.strip())] * times
    if len(devices) > MOST_DEVICES:
        raise KnownError(
            "Too many devices", value=f"{len(devices)}, {MOST_DEVICES} are possible", next_step="name fewer of them"
        )
    if sum(each.kind is DeviceClass.RAM for each in devices) > 1:
        raise KnownError("RAM stands there twice", value=text, next_step="name one kind of RAM beside the cards")
    if not devices:
        raise KnownError("No device is named", next_step="write one, as in rtx-4090")
    return Configuration(tuple(devices), Split(way.strip()) if way else split)


def spelled(configuration: Configuration) -> str:
    """A configuration as `configuration_of` reads it."""
    return _joined(configuration, [each.key for each in configuration.devices], "{n} x {name}")


def titled(configuration: Configuration) -> str:
    """A configuration for people: 2 × RTX 3090 + DDR5-6000, 2 channels, 64 GB."""
    names = [_MAKER.sub("", each.name) for each in configuration.devices]
    return _joined(configuration, names, "{n} \N{MULTIPLICATION SIGN} {name}")


def _joined(configuration: Configuration, names: Sequence[str], several: str) -> str:
    parts: list[tuple[str, int]] = []
    for name in names:
        if parts and parts[-1][0] == name:
            parts[-1] = (name, parts[-1][1] + 1)
        else:
            parts.append((name, 1))
    text = " + ".join(name if n == 1 else several.format(n=n, name=name) for name, n in parts)
    is_plain = configuration.split is Split.LAYER or len(names) == 1
    return text if is_plain else f"{text} / {configuration.split.value}"
