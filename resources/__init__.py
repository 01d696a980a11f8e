"""Icons, the style sheet template, presets and translations; read through the package's loader, so a zip will do.

`pkgutil` and not `importlib.resources`: the latter's readers take 9 ms to import, a twentieth of the whole start.
"""

from __future__ import annotations

import pkgutil


def read_text(name: str) -> str:
    """A text file of this package by its path ("icons/chat.svg"). Raises `FileNotFoundError` when there is none."""
    raw = pkgutil.get_data(__name__, name)
    if raw is None:
        raise FileNotFoundError(name)
    return raw.decode("utf-8")
