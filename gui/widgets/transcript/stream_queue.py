"""Text that came and is not on screen yet: handed over together, at most twenty-five times a second.

A fast model's tokens share an update; the worker bundles them, for longer where the window takes its cores from it. After
an update that took long (a hostile text) the next one waits longer, so the window stays its reader's.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

FLUSH_MS = 40  # a little less than the worker bundles for, so that each of its frames is shown when it comes
LONGEST_MS = 600
PAUSE = 4  # times what the last update took, if that is longer than FLUSH_MS


class StreamQueue(QObject):
    """Collects text by message.

    Args:
        insert: called with a message's id, its new text and its new thoughts.
    """

    flushed = Signal()  # something was handed over

    def __init__(self, insert: Callable[[str, str, str], None], parent: QObject) -> None:
        super().__init__(parent)
        self._insert = insert
        self._waiting: dict[str, tuple[list[str], list[str]]] = {}
        self._pause_ms = FLUSH_MS
        self._since_flush = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.flush)

    def add(self, message_id: str, text: str, thoughts: str) -> None:
        """Keep this until the next flush, and see that one comes."""
        texts, all_thoughts = self._waiting.setdefault(message_id, ([], []))
        if text:
            texts.append(text)
        if thoughts:
            all_thoughts.append(thoughts)
        if not self._timer.isActive():
            # What comes after a pause is shown at once, so a slow model's tokens do not wait.
            waited_ms = self._since_flush.elapsed() if self._since_flush.isValid() else self._pause_ms
            self._timer.start(max(0, self._pause_ms - waited_ms))

    def flush(self) -> None:
        """Hand over what is waiting, now."""
        self._timer.stop()
        if not self._waiting:
            return
        took = QElapsedTimer()
        took.start()
        waiting, self._waiting = self._waiting, {}
        for message_id, (texts, thoughts) in waiting.items():
            self._insert(message_id, "".join(texts), "".join(thoughts))
        self.flushed.emit()
        self._since_flush.start()
        self._pause_ms = min(LONGEST_MS, max(FLUSH_MS, PAUSE * took.elapsed()))

    def drop(self, message_id: str) -> None:
        """Forget what waits for a message."""
        self._waiting.pop(message_id, None)

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._timer.stop()
