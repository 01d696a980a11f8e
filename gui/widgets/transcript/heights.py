"""The heights of a list's rows and where each begins: estimates first, measured heights as they become known.

Opening 2,000 messages measures a dozen; the rest are estimates until they are seen. Beginnings
are prefix sums, added up again only from the first height that changed, so a message growing at the end costs one
addition. No Qt here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate


class RowHeights:
    """Heights in pixels of rows that follow one another from 0 down."""

    def __init__(self) -> None:
        self._heights: list[int] = []
        self._tops: list[int] = [0]  # one more than rows; right up to number `_n_right`
        self._n_right = 0

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, row: int) -> int:
        return self._heights[row]

    def reset(self, heights: Iterable[int]) -> None:
        """Forget everything and take these."""
        self._heights = list(heights)
        self._tops = [0] * (len(self._heights) + 1)
        self._n_right = 0

    def append(self, height: int) -> None:
        """Add a row at the end."""
        self._heights.append(height)
        self._tops.append(0)

    def truncate(self, n_rows: int) -> None:
        """Keep only the first `n_rows`."""
        del self._heights[n_rows:]
        del self._tops[n_rows + 1 :]
        self._n_right = min(self._n_right, n_rows)

    def set(self, row: int, height: int) -> bool:
        """Correct one height; False if it was right already."""
        if self._heights[row] == height:
            return False
        self._heights[row] = height
        self._n_right = min(self._n_right, row)
        return True

    def top(self, row: int) -> int:
        """Where the row begins; for the number of rows, where the last one ends."""
        self._add_up()
        return self._tops[row]

    @property
    def total(self) -> int:
        """The height of all rows together."""
        return self.top(len(self._heights))

    def row_at(self, y: int) -> int:
        """The row that covers `y`; the nearest one outside. There must be a row."""
        self._add_up()
        return min(max(0, bisect_right(self._tops, y) - 1), len(self._heights) - 1)

    def _add_up(self) -> None:
        first, last = self._n_right, len(self._heights)
        if first < last:
            self._tops[first:] = accumulate(self._heights[first:], initial=self._tops[first])
            self._n_right = last
