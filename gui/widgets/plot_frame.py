"""The geometry of a plot: which data the axes span, where a value stands in pixels, where the lines and words go.

No painting and no widget, so that a test can ask it and another back end can use it.
"""

from __future__ import annotations

import enum
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QRectF

from gui.widgets.plot_series import Series
from gui.widgets.quantities import MINUS, axis_step, axis_texts

_TIME_STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600)
_LINE_PX, _WORD_PX = 44, 90


class XAxis(enum.Enum):
    """What x means: seconds with now at the right end, or a quantity, linear or in powers of two."""

    TIME = "time"
    LINEAR = "linear"
    POWERS = "powers"


@dataclass(frozen=True, slots=True)
class Limit:
    """A value that should not be passed, in the first series' unit."""

    y: float
    label: str


class PlotFrame:
    """Series and what of them is in view. `rect` is where the lines are, in pixels; set it before asking for any."""

    def __init__(self, x_axis: XAxis, x_unit: str) -> None:
        self.x_axis, self.x_unit = x_axis, x_unit
        self.series: dict[str, Series] = {}
        self.limit: Limit | None = None
        self.fixed_x: tuple[float, float] | None = None
        self.window_s = 60.0
        self.fixed_y: dict[str, tuple[float, float]] = {}
        self.rect = QRectF(0, 0, 100, 100)

    @property
    def first_unit(self) -> str:
        """The unit that the y axis is lettered in."""
        return next((each.unit for each in self.series.values()), "")

    @property
    def has_mixed_units(self) -> bool:
        return len({each.unit for each in self.series.values()}) > 1

    def x_range(self) -> tuple[float, float]:
        """The ends of the x axis, in data units."""
        if self.fixed_x is not None:
            return self.fixed_x
        lasts = [each.xs[-1] for each in self.series.values() if each.xs]
        if self.x_axis is XAxis.TIME:
            now = max(lasts, default=0.0)
            return now - self.window_s, now
        low = min((each.xs[0] for each in self.series.values() if each.xs), default=1.0)
        high = max(lasts, default=2.0)
        return (low, high) if high > low else (low, low + 1)

    def y_range(self, unit: str) -> tuple[float, float]:
        """The ends of the y axis for a unit: fixed ones, else from 0 to a round number above everything."""
        if unit in self.fixed_y:
            return self.fixed_y[unit]
        mine = [each for each in self.series.values() if each.unit == unit]
        high = max((value for each in mine if (value := each.largest()) is not None), default=0.0)
        low = min((value for each in mine if (value := each.smallest()) is not None), default=0.0)
        if self.limit is not None and unit == self.first_unit:
            high = max(high, self.limit.y)
        low = min(0.0, low)
        if high <= low:
            high = low + 1.0
        step = axis_step(high - low, unit, self._n_lines())
        return math.floor(low / step) * step, math.ceil(high / step * 0.9999) * step

    def bend(self) -> Callable[[float], float] | None:
        """How the x axis bends: a logarithm, or None for straight."""
        return _log2 if self.x_axis is XAxis.POWERS else None

    def bent_x_range(self) -> tuple[float, float]:
        """The ends of the x axis after bending."""
        low, high = self.x_range()
        return (_log2(low), _log2(high)) if self.x_axis is XAxis.POWERS else (low, high)

    def to_x(self, x: float) -> float:
        low, high = self.bent_x_range()
        bent = _log2(x) if self.x_axis is XAxis.POWERS else x
        return self.rect.left() + (bent - low) / ((high - low) or 1.0) * self.rect.width()

    def from_x(self, pixel: float) -> float:
        low, high = self.bent_x_range()
        bent = low + (pixel - self.rect.left()) / (self.rect.width() or 1.0) * (high - low)
        return float(2**bent) if self.x_axis is XAxis.POWERS else bent

    def to_y(self, y: float, unit: str) -> float:
        low, high = self.y_range(unit)
        return self.rect.bottom() - (y - low) / ((high - low) or 1.0) * self.rect.height()

    def snapped(self, x: float) -> float:
        """The x of the measured point nearest to x."""
        points = [point for each in self.series.values() if (point := each.at(x)) is not None]
        return min((point[0] for point in points), key=lambda candidate: abs(candidate - x), default=x)

    def next_x(self, x: float, direction: int) -> float:
        """The x of a measured point to the right (1) or left (−1) of x, about a fortieth of the axis away; x at the end."""
        target = self.from_x(self.to_x(x) + direction * max(1.0, self.rect.width() / 40))
        found: list[float] = []
        for each in self.series.values():
            xs = each.xs
            if direction > 0:
                first = bisect_right(xs, x)
                found += xs[max(first, bisect_left(xs, target) - 1) :][:2]
            else:
                last = bisect_left(xs, x)
                found += xs[: min(last, bisect_right(xs, target) + 1)][-2:]
        return min(found, key=lambda candidate: abs(candidate - target), default=x)

    def y_ticks(self) -> tuple[list[float], list[str]]:
        """The lines of the y axis and their texts; no texts if the series have different units."""
        unit = self.first_unit
        low, high = self.y_range(unit)
        step = axis_step(high - low, unit, self._n_lines())
        ticks = [low + n * step for n in range(int((high - low) / step + 1.001))]
        return ticks, [] if self.has_mixed_units else axis_texts(ticks, unit)

    def x_ticks(self, now: str) -> list[tuple[float, str]]:
        """The words of the x axis and where they stand; `now` is the word for the right end of a time axis."""
        low, high = self.x_range()
        n_words = max(2, int(self.rect.width() / _WORD_PX))
        if self.x_axis is XAxis.TIME:
            span = high - low
            step = next((s for s in _TIME_STEPS_S if span / s <= min(6, n_words)), _TIME_STEPS_S[-1])
            n_steps = int(span / step + 1e-9)
            unit, seconds = ("min", 60) if step % 60 == 0 else ("s", 1)
            return [
                (high - n * step, f"{MINUS}{n * step / seconds:g} {unit}" if n else now) for n in range(n_steps + 1)
            ]
        if self.x_axis is XAxis.POWERS:
            first, last = math.ceil(_log2(low) - 1e-9), math.floor(_log2(high) + 1e-9)
            every = max(1, math.ceil((last - first) / n_words))
            return [(2.0**power, _short_count(2.0**power)) for power in range(last, first - 1, -every)]
        width = axis_step(high - low, self.x_unit, n_words)
        start = math.ceil(low / width) * width
        values = [start + n * width for n in range(int((high - start) / width + 1.001))]
        return list(zip(values, axis_texts(values, self.x_unit), strict=True))

    def _n_lines(self) -> int:
        return max(2, min(6, int(self.rect.height() / _LINE_PX)))


def _log2(x: float) -> float:
    return math.log2(max(x, 1e-12))


def _short_count(number: float) -> str:
    return f"{number / 1024:g}k" if number >= 1024 else f"{number:g}"
