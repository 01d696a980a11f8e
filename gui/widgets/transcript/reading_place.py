"""Where the reader is: at the end and following it, or at a message that must not move.

A scroll position in pixels means nothing while most heights are estimates. So the place is kept as a message and how
far its top is above the view's; the position is worked out from it whenever a height changes. No Qt here.
"""

from __future__ import annotations

from gui.widgets.transcript.rows import Rows, Stamp

TOP, BOTTOM = 20, 20  # pixels above the first and below the last message


class ReadingPlace:
    """The reader's place in `rows`. All positions are pixels from the top of the whole list."""

    def __init__(self, rows: Rows) -> None:
        self.is_following = True
        self._rows = rows
        self._anchor: tuple[str, int] | None = None

    def most(self, view_height: int) -> int:
        """The position at which the end is in sight."""
        return max(0, TOP + self._rows.heights.total + BOTTOM - view_height)

    def position(self, view_height: int) -> int:
        """Where the view must stand now."""
        most = self.most(view_height)
        if self.is_following or self._anchor is None:
            return most
        message_id, offset = self._anchor
        return max(0, min(most, self.top(self._rows.number(message_id)) + offset))

    def top(self, number: int) -> int:
        """Where a row begins."""
        return TOP + self._rows.heights.top(number)

    def in_sight(self, position: int, view_height: int) -> range:
        """The rows that a view at this position shows."""
        if not len(self._rows):
            return range(0)
        heights = self._rows.heights
        return range(heights.row_at(position - TOP), heights.row_at(position - TOP + view_height) + 1)

    def keep(self, position: int, view_height: int, stamp: Stamp) -> None:
        """The view was moved to `position`: from now on a row there stays where it is.

        The first row whose height is known (measured with `stamp`) is taken, because an estimate above it will change.
        """
        shown = self.in_sight(position, view_height)
        if not shown:
            self._anchor = None
            return
        number = next((each for each in shown if self._rows[each].stamp == stamp), shown.start)
        self._anchor = (self._rows[number].value.id, position - self.top(number))

    def pin(self, message_id: str, offset: int) -> None:
        """Stand `offset` pixels below the top of a message, and stay there."""
        self._anchor = (message_id, offset)

    def rename(self, old: str, new: str) -> None:
        """The message has another id now."""
        if self._anchor is not None and self._anchor[0] == old:
            self._anchor = (new, self._anchor[1])

    def is_lost(self) -> bool:
        """Whether the message it was tied to is gone, or it never was tied to one."""
        return self._anchor is None or self._anchor[0] not in self._rows

    def go_to_end(self) -> None:
        """Forget the message and follow the end."""
        self.is_following, self._anchor = True, None
