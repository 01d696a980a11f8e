"""How far a child process is, read from the lines it prints: ninja's "[12/345]" and pip's raw progress."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """`fraction` done, 0 to 1, None where unknown; `note` says on what."""

    fraction: float | None = None
    note: str = ""


Reader = Callable[[str, Progress], Progress]  # one line and what was known before it

_NINJA = re.compile(r"^\s*\[(\d+)/(\d+)\]")
_PIP_BYTES = re.compile(r"^\s*Progress (\d+) of (\d+)")
_PIP_FILE = re.compile(r"^\s*(?:Downloading|Using cached) (\S+?)(?: \(([^)]+)\))?$")


def read_ninja(line: str, before: Progress) -> Progress:
    """Steps done of all steps; after the last one comes the packing, whose length nobody tells."""
    found = _NINJA.match(line)
    if not found:
        return before
    done, total = int(found[1]), int(found[2])
    return Progress(done / total, "") if total and done < total else Progress(None, "packing")


def read_pip(line: str, before: Progress) -> Progress:
    """The file that is being fetched and how much of it has come; then the installing."""
    found = _PIP_BYTES.match(line)
    if found:
        total = int(found[2])
        return replace(before, fraction=int(found[1]) / total if total else None)
    found = _PIP_FILE.match(line)
    if found:
        name = found[1].rsplit("/", 1)[-1].split("-")[0]
        return Progress(None, f"{name} ({found[2]})" if found[2] else name)
    if line.startswith("Installing collected packages"):
        return Progress(None, "unpacking")
    return before


def read_nothing(line: str, before: Progress) -> Progress:
    """For programs whose lines tell nothing."""
    return before


def clock_text(seconds: float) -> str:
    """Minutes and seconds, "4:05"; hours in front where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_left_s(first: tuple[float, float], now: tuple[float, float]) -> float | None:
    """Seconds until the end if it goes on as it did, from two (time in s, fraction) points; None while it is a guess.

    Two points and not one, because a resumed build starts in the middle.
    """
    elapsed_s, gained = now[0] - first[0], now[1] - first[1]
    if elapsed_s < 10 or gained <= 0.02:
        return None
    return elapsed_s * (1 - now[1]) / gained


def progress_text(text: str, progress: Progress, elapsed_s: float, left_s: float | None) -> str:
    """One line: what, how far, since when, how long still."""
    parts = [text]
    if progress.note:
        parts.append(progress.note)
    if progress.fraction is not None:
        parts.append(f"{progress.fraction:4.0%}")
    parts.append(clock_text(elapsed_s))
    if left_s is not None:
        parts.append(f"about {clock_text(left_s)} left")
    return "  ".join(parts)
