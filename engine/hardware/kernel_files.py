"""The small text files in which Linux tells what it knows: one line, one number, or lines of KEY=VALUE.

A file that is missing, forbidden or unreadable at this moment is None, never an error: drivers differ in what they
publish, and a device can go between two looks. Source: Documentation/filesystems/sysfs.rst.
"""

from __future__ import annotations

from pathlib import Path


def text_of(path: Path) -> str | None:
    """What stands in the file, without the white space around it; None when it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return None


def number_of(path: Path) -> int | None:
    """The whole number in the file; None when there is none (the word “max”, an empty file)."""
    text = text_of(path)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def pairs_of(path: Path, separator: str) -> dict[str, str]:
    """The file's lines as key and value, split at the first separator; the last of equal keys wins."""
    pairs = (line.partition(separator) for line in (text_of(path) or "").splitlines())
    return {key.strip(): value.strip() for key, found, value in pairs if found}
