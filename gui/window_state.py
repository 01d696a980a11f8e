"""What the window remembers of itself: where it stood, which page, the splitters, the folds.

A small JSON file of its own, because it is no setting: losing it costs nothing, and nonsense in it (a screen that is
gone, a hand edit, half a file) must never stop the window. Rejected: QSettings (an ini of binary blobs nobody can
read), the settings file (it would be rewritten at each close).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QRect
from PySide6.QtWidgets import QSplitter

log = logging.getLogger(__name__)

DEFAULT_SIZE = (1440, 900)
MINIMUM_SIZE = (1024, 720)
_LARGEST = 100_000


class WindowState:
    """The remembered values. Read once when the window is made, written once when it closes.

    Args:
        path: the file; None remembers nothing (tests, a second window).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        stored = _read(path)
        self.page: str = stored["page"] if isinstance(stored.get("page"), str) else ""
        self.maximized: bool = stored.get("maximized") is True
        self.rect: QRect | None = _rect(stored.get("rect"))
        self._sizes: dict[str, list[int]] = {
            key: sizes for key, sizes in _mapping(stored.get("splitters")).items() if _is_sizes(sizes)
        }
        self._flags: dict[str, bool] = {
            key: flag for key, flag in _mapping(stored.get("flags")).items() if isinstance(flag, bool)
        }
        self._splitters: dict[str, Callable[[], list[int]]] = {}

    def attach_splitter(self, key: str, splitter: QSplitter) -> None:
        """Give the splitter the sizes it had, and remember those it has when the window closes."""
        sizes = self._sizes.get(key)
        if sizes is not None and len(sizes) == splitter.count():
            splitter.setSizes(sizes)
        self._splitters[key] = splitter.sizes

    def flag(self, key: str, default: bool) -> bool:
        """A remembered yes or no: a fold, a collapsed column."""
        return self._flags.get(key, default)

    def set_flag(self, key: str, value: bool) -> None:
        self._flags[key] = value

    def save(self) -> None:
        """Write the file; a folder that takes nothing is logged and costs only the memory."""
        for key, sizes in self._splitters.items():
            with contextlib.suppress(RuntimeError):  # the splitter is already gone with its page
                present = sizes()
                if any(present):
                    self._sizes[key] = present
        if self._path is None:
            return
        rect = self.rect
        stored = {
            "page": self.page,
            "maximized": self.maximized,
            "rect": None if rect is None else [rect.x(), rect.y(), rect.width(), rect.height()],
            "splitters": self._sizes,
            "flags": self._flags,
        }
        partial = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(stored, indent=1), encoding="utf-8")
            os.replace(partial, self._path)
        except OSError as error:
            log.warning("the window's place is not remembered: %s", error)


def placed(wanted: QRect | None, available: QRect) -> QRect:
    """Where to put the window on a screen with this free area: as it was, or centred in the default size.

    The result is never larger than the screen and never outside of it; where the screen allows it, it is at least
    `MINIMUM_SIZE`.
    """
    width, height = DEFAULT_SIZE if wanted is None else (wanted.width(), wanted.height())
    width = min(max(width, MINIMUM_SIZE[0]), available.width())
    height = min(max(height, MINIMUM_SIZE[1]), available.height())
    if wanted is None:
        x = available.x() + (available.width() - width) // 2
        y = available.y() + (available.height() - height) // 2
    else:
        x = min(max(wanted.x(), available.x()), available.x() + available.width() - width)
        y = min(max(wanted.y(), available.y()), available.y() + available.height() - height)
    return QRect(x, y, width, height)


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("the window begins in its default place: %s", error)
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_sizes(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_int(each) and each >= 0 for each in value)


def _rect(value: object) -> QRect | None:
    if not isinstance(value, list) or len(value) != 4 or not all(_is_int(each) for each in value):
        return None
    rect = QRect(*value)
    return rect if rect.width() > 0 and rect.height() > 0 else None
