"""A transcript's messages and what is known of each: its place in the list, the text that came since, its height.

Text that streams in is kept in pieces and joined only when someone asks, so a token costs nothing while its message
is not on screen. No Qt here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from gui.widgets.transcript.heights import RowHeights
from gui.widgets.transcript.values import MessageState, MessageValue, Role

Stamp = tuple[int, int]  # the width and the version of the styles in which a height was measured


@dataclass(slots=True)
class Row:
    """One message in the list. `stamp` says in what its height was measured; None for an estimate."""

    value: MessageValue
    is_streaming: bool = False
    is_open: bool = False
    stamp: Stamp | None = None
    parts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)

    def settle(self) -> MessageValue:
        """The value with all the text that came."""
        if self.parts or self.thoughts:
            value = self.value
            self.value = replace(
                value, text=value.text + "".join(self.parts), thinking=value.thinking + "".join(self.thoughts)
            )
            self.parts.clear()
            self.thoughts.clear()
        return self.value

    def is_fold_changed_by(self, text: str, thoughts: str) -> bool:
        """Whether this is the first thought, or the first word after the thoughts: then the fold looks different."""
        has_text = bool(self.value.text or self.parts)
        has_thoughts = bool(self.value.thinking or self.thoughts)
        return bool(thoughts and not has_thoughts) or bool(text and has_thoughts and not has_text)


class Rows:
    """The list, by number and by id, with the heights."""

    def __init__(self) -> None:
        self.heights = RowHeights()
        self._rows: list[Row] = []
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Row:
        return self._rows[number]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._numbers

    def number(self, message_id: str) -> int:
        """Where the message stands, from 0. An unknown id raises `KeyError`."""
        return self._numbers[message_id]

    def reset(self, values: Sequence[MessageValue], width: int) -> None:
        """Take a new list. A message that was there before keeps its height and its fold."""
        known = {row.value.id: (row, self.heights[number]) for number, row in enumerate(self._rows)}
        self._rows, heights = [], []
        for value in values:
            old = known.get(value.id)
            if old is not None and old[0].value == value and not old[0].is_streaming:
                self._rows.append(old[0])
                heights.append(old[1])
            else:
                self._rows.append(_row(value, is_open=old is not None and old[0].is_open))
                heights.append(estimate(value, width))
        self._numbers = {row.value.id: number for number, row in enumerate(self._rows)}
        if len(self._numbers) != len(self._rows):
            raise ValueError("two messages have one id")
        self.heights.reset(heights)

    def append(self, value: MessageValue, width: int) -> None:
        """Add a message at the end."""
        if value.id in self._numbers:
            raise ValueError(f"there is a message {value.id} already")
        self._numbers[value.id] = len(self._rows)
        self._rows.append(_row(value))
        self.heights.append(estimate(value, width))

    def replace(self, number: int, value: MessageValue) -> None:
        """Put another value in a message's place; it may have another id."""
        row = self._rows[number]
        if value.id != row.value.id:
            del self._numbers[row.value.id]
            self._numbers[value.id] = number
        row.value = value
        row.parts.clear()
        row.thoughts.clear()
        row.stamp = None

    def truncate(self, n_rows: int) -> list[Row]:
        """Keep the first rows; returns the others."""
        removed = self._rows[n_rows:]
        del self._rows[n_rows:]
        for row in removed:
            del self._numbers[row.value.id]
        self.heights.truncate(n_rows)
        return removed


def _row(value: MessageValue, *, is_open: bool = False) -> Row:
    return Row(value, is_streaming=value.state is MessageState.WRITING, is_open=is_open)


def estimate(value: MessageValue, width: int) -> int:
    """About how high a message will be, in pixels, without looking at more than its length and its line ends."""
    per_line = max(20, width // 8)
    n_lines = value.text.count("\n") + len(value.text) // per_line + 1
    return 25 + 22 * n_lines + (26 if value.role is not Role.USER else 0) + (24 if value.thinking else 0)
