"""How much RAM there is and how much a new model may take: the system's word, and the container's where it is less."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class RamNow:
    """Bytes of RAM: all there is for us, and what can be taken without pushing others out."""

    total_bytes: int
    free_bytes: int


def ram_now(cgroup: Path = CGROUP) -> RamNow:
    """RAM at this moment. Page cache counts as free, as the system's own “available” does.

    Args:
        cgroup: where the control group's files are (a container's limit); missing files mean no limit.
    """
    memory = psutil.virtual_memory()
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is None or limit >= memory.total:
        return RamNow(memory.total, memory.available)
    cached = _inactive_file(cgroup / "memory.stat")
    return RamNow(limit, max(0, min(memory.available, limit - (used or 0) + cached)))


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _inactive_file(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
