"""The message views of a transcript: a dozen, given one message after the other.

A view that leaves the screen keeps what it shows for a while, so scrolling back draws nothing again. A view with a
selection is the last to be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from PySide6.QtWidgets import QWidget

from gui.widgets.transcript.message_view import MessageView

N_SPARE = 6  # views off the screen that keep what they show


class ViewPool:
    """Views by the id of their message. `make` is called when there is none to reuse."""

    def __init__(self, make: Callable[[], MessageView]) -> None:
        self._make = make
        self._live: dict[str, MessageView] = {}
        self._spare: list[MessageView] = []  # the longest unused first

    def __len__(self) -> int:
        """All views there are."""
        return len(self._live) + len(self._spare)

    def prepare(self, n_views: int) -> bool:
        """Make one view more for messages to come, unless `n_views` wait already; True when more are missing."""
        n_missing = n_views - sum(view.value is None for view in self._spare)
        if n_missing <= 0 or len(self._spare) >= N_SPARE:
            return False
        view = self._make()
        view.hide()
        self._spare.insert(0, view)
        return n_missing > 1

    def live(self, message_id: str) -> MessageView | None:
        """The view that is on screen for a message."""
        return self._live.get(message_id)

    def __iter__(self) -> Iterator[MessageView]:
        """The views on screen."""
        return iter(self._live.values())

    def ids(self) -> list[str]:
        """The messages on screen."""
        return list(self._live)

    def take(self, message_id: str) -> MessageView:
        """A view for a message that has none on screen; best the one that showed it last."""
        view = self._find(message_id)
        self._live[message_id] = view
        return view

    def release(self, message_id: str) -> None:
        """The message left the screen."""
        view = self._live.pop(message_id)
        view.hide()
        self._spare.append(view)

    def rename(self, old: str, new: str) -> None:
        """The message has another id now."""
        if old in self._live:
            self._live[new] = self._live.pop(old)

    def order_focus(self, before: QWidget, ids: Sequence[str]) -> None:
        """Let Tab go through these messages in this order, behind `before`, whatever order the views were made in."""
        for message_id in ids:
            for widget in self._live[message_id].focus_chain():
                QWidget.setTabOrder(before, widget)
                before = widget

    def _find(self, message_id: str) -> MessageView:
        for index, view in enumerate(self._spare):
            if view.value is not None and view.value.id == message_id:
                return self._spare.pop(index)
        if self._spare and self._spare[0].value is None:  # prepared, and never used
            return self._spare.pop(0)
        if len(self._spare) >= N_SPARE:
            index = next((i for i, view in enumerate(self._spare) if not view.has_selection()), 0)
            return self._spare.pop(index)
        return self._make()
