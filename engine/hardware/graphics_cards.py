"""The graphics cards that the Linux kernel knows, from their folders in sysfs.

Source: Documentation/gpu/drm-uapi.rst (`card0` is a card, `card0-HDMI-A-1` one of its plugs), the `uevent` file of a PCI
device (DRIVER, PCI_ID, PCI_SLOT_NAME).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from engine.hardware.kernel_files import pairs_of

SYSFS = Path("/sys")
_CARD = re.compile(r"card(\d+)\Z")


@dataclass(frozen=True, slots=True)
class GraphicsCard:
    """A card: its device folder, driver (“amdgpu”), PCI address (“0000:03:00.0”) and ids (vendor, device), "" if none."""

    folder: Path
    driver: str
    slot: str
    vendor_id: str
    device_id: str


def graphics_cards(sysfs: Path = SYSFS) -> tuple[GraphicsCard, ...]:
    """The cards in the kernel's order; none where there is no such folder (other systems, bare containers)."""
    try:
        names = [each.name for each in (sysfs / "class" / "drm").iterdir()]
    except OSError:
        return ()
    numbers = sorted(int(found[1]) for name in names if (found := _CARD.match(name)))
    cards = []
    for number in numbers:
        folder = sysfs / "class" / "drm" / f"card{number}" / "device"
        facts = pairs_of(folder / "uevent", "=")
        vendor, _, device = facts.get("PCI_ID", "").partition(":")
        cards.append(GraphicsCard(folder, facts.get("DRIVER", ""), facts.get("PCI_SLOT_NAME", ""), vendor, device))
    return tuple(cards)
