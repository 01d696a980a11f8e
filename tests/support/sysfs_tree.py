"""Folders with the files that graphics drivers publish, in the kernel's names, units and line ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_files(folder: Path, files: Mapping[str, object]) -> None:
    """Write each file with its value and a line end, making folders on the way."""
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")


def write_card(sysfs: Path, number: int, driver: str, pci_id: str, slot: str, files: Mapping[str, object]) -> Path:
    """A card's device folder, with a plug beside it as the kernel has."""
    (sysfs / "class" / "drm" / f"card{number}-DP-1").mkdir(parents=True)
    (sysfs / "class" / "drm" / f"renderD{128 + number}").mkdir()
    device = sysfs / "class" / "drm" / f"card{number}" / "device"
    facts = f"DRIVER={driver}\nPCI_CLASS=30000\nPCI_ID={pci_id}\nPCI_SLOT_NAME={slot}"
    write_files(device, {"uevent": facts, **files})
    return device
