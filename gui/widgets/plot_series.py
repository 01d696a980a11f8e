"""The data behind a plot: one series' numbers, its polygons for the painter, and the table they export to.

Numbers are kept in `array('d')` and copied into Qt's polygons as one block of memory, so that drawing 600 points costs
no Python call a point and numpy (0.18 s of import) is not needed. Gaps (None, NaN) split a series into runs.
"""

from __future__ import annotations

import csv
import io
import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence

import shiboken6
from PySide6.QtGui import QPolygonF

_NOTHING = array("d")


class Series:
    """One named line of a plot, in data coordinates. xs ascend."""

    def __init__(self, label: str, color_role: str | int, unit: str) -> None:
        self.label, self.color_role, self.unit = label, color_role, unit
        self.xs: array[float] = _NOTHING
        self.ys: array[float] = _NOTHING  # NaN where nothing was measured
        self._polygons: list[QPolygonF] | None = None
        self._has_gaps = False

    def set_data(self, xs: Sequence[float], ys: Sequence[float | None]) -> None:
        """Take new numbers. ValueError if there are not as many ys as xs."""
        if len(xs) != len(ys):
            raise ValueError(f"{self.label}: {len(xs)} x values but {len(ys)} y values")
        self.xs = array("d", xs)
        try:
            self.ys = array("d", ys)  # type: ignore[arg-type]  # None is the exception
            total = sum(self.ys)
            self._has_gaps = total != total or math.isinf(total)
        except TypeError:
            self.ys = array("d", (math.nan if y is None else y for y in ys))
            self._has_gaps = True
        self._polygons = None

    def largest(self) -> float | None:
        """The largest finite y, None if there is none."""
        return self._extreme(max)

    def smallest(self) -> float | None:
        """The smallest finite y, None if there is none."""
        return self._extreme(min)

    def last(self) -> float | None:
        """The newest y, None if there is none or it was not measured."""
        return self.ys[-1] if self.ys and math.isfinite(self.ys[-1]) else None

    def at(self, x: float) -> tuple[float, float | None] | None:
        """The point nearest to x: its x, and its y or None in a gap. None for an empty series."""
        if not self.xs:
            return None
        right = min(bisect_left(self.xs, x), len(self.xs) - 1)
        left = max(0, right - 1)
        nearest = left if abs(self.xs[left] - x) <= abs(self.xs[right] - x) else right
        y = self.ys[nearest]
        return self.xs[nearest], y if math.isfinite(y) else None

    def polygons(self, map_x: Callable[[float], float] | None = None) -> list[QPolygonF]:
        """The runs between gaps as polygons of (x, y); made once for each `set_data`.

        `map_x` bends the x axis (a logarithm); None keeps x as it is.
        """
        if self._polygons is None:
            xs = self.xs if map_x is None else array("d", map(map_x, self.xs))
            self._polygons = [_polygon(xs[a:b], self.ys[a:b]) for a, b in self._runs()]
        return self._polygons

    def _runs(self) -> list[tuple[int, int]]:
        if not self.xs:
            return []
        if not self._has_gaps:
            return [(0, len(self.xs))]
        runs, start = [], None
        for index, y in enumerate(self.ys):
            if math.isfinite(y):
                start = index if start is None else start
            elif start is not None:
                runs.append((start, index))
                start = None
        if start is not None:
            runs.append((start, len(self.ys)))
        return runs

    def _extreme(self, pick: Callable[..., float]) -> float | None:
        if not self.ys:
            return None
        if not self._has_gaps:
            return pick(self.ys)
        return pick((y for y in self.ys if math.isfinite(y)), default=None)


def csv_of(x_header: str, series: Sequence[Series]) -> str:
    """A table with one line an x value and one column a series; empty where a series has no point there."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([x_header, *(f"{each.label} ({each.unit})" if each.unit else each.label for each in series)])
    columns = [dict(zip(each.xs, each.ys, strict=True)) for each in series]
    for x in sorted({x for each in series for x in each.xs}):
        cells = [column.get(x, math.nan) for column in columns]
        writer.writerow([repr(x), *("" if math.isnan(cell) else repr(cell) for cell in cells)])
    return out.getvalue()


def _polygon(xs: array[float], ys: array[float]) -> QPolygonF:
    polygon = QPolygonF()
    n_points = len(xs)
    if not n_points:
        return polygon
    pairs = array("d", bytes(16 * n_points))
    pairs[0::2], pairs[1::2] = xs, ys
    polygon.resize(n_points)
    # QPolygonF is a vector of (double, double): fill it as the one block of memory that it is.
    address = shiboken6.getCppPointer(polygon.data())[0]
    block = memoryview(shiboken6.VoidPtr(address, 16 * n_points, True))  # type: ignore[call-arg,arg-type]
    block.cast("B")[:] = memoryview(pairs).cast("B")
    return polygon
