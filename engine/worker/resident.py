"""What of this process is in memory: the most since a moment, and how much of it is pages of files.

Pages of a mapped model are the page cache's: the system takes them back when it needs room, and reads them again. Linux
tells both; elsewhere they are None, and nobody guesses.
Source: proc(5), `/proc/pid/status` (VmHWM, RssFile) and `/proc/pid/clear_refs` (5 begins the peak anew).
"""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def begin_peak() -> bool:
    """Begin to count the most that is resident from now on; False where the system does not let us."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_bytes() -> int | None:
    """The most that was resident since `begin_peak`, in bytes; None where the system does not tell."""
    return _status("VmHWM")


def file_bytes() -> int | None:
    """The pages of files that are resident, in bytes; None where the system does not tell."""
    return _status("RssFile")


def _status(key: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        words = rest.split()
        if name == key and len(words) == 2 and words[1] == "kB" and words[0].isdigit():
            return int(words[0]) * 1024
    return None
