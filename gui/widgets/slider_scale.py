"""Where a number stands on a slider, and which number a place on it means; pure, so that a test can turn it around.

Linear sliders have one position a step. Sliders of contexts and batches move in powers: a thousand positions from the
first positive value to the end, in front of them one position for each special value (“no limit”, “the model's own”).
A field whose range has no end, or more positions than a hand can hit, has no slider. Rejected: Qt's QSlider with the
value as its position (no floats, no powers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.base.fields import Field, FieldKind

_LOG_POSITIONS = 1000
_MOST_POSITIONS = 20_000


@dataclass(frozen=True, slots=True)
class SliderScale:
    """The map between positions 0 … `last` and values.

    Attributes:
        low, high: the ends of the moving part; `low` is above zero if it moves in powers.
        step: the grid of the values.
        is_log: moves in powers.
        is_whole: values are ints.
        stops: values with a position of their own in front of the moving part.
    """

    low: float
    high: float
    step: float
    is_log: bool
    is_whole: bool
    stops: tuple[float, ...] = ()

    @property
    def last(self) -> int:
        """The last position; the first is 0."""
        return len(self.stops) + self._moving

    @property
    def _moving(self) -> int:
        return _LOG_POSITIONS if self.is_log else max(1, math.ceil((self.high - self.low) / self.step - 1e-9))

    def value_at(self, position: int) -> int | float:
        """The value at a position, on the grid of the step."""
        if position < len(self.stops):
            return self._typed(self.stops[max(0, position)])
        place = min(position - len(self.stops), self._moving)
        if not self.is_log:
            return self._typed(min(self.high, self.low + place * self.step))
        raw = self.low * (self.high / self.low) ** (place / self._moving)
        on_grid = round(raw / self.step) * self.step if self.is_whole else float(f"{raw:.3g}")
        return self._typed(min(self.high, max(self.low, on_grid)))

    def position_of(self, value: float) -> int:
        """The position nearest to a value; a value beyond an end stands at that end."""
        if value in self.stops:
            return self.stops.index(value)
        inside = min(self.high, max(self.low, value))
        if self.is_log:
            place = self._moving * math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            place = (inside - self.low) / self.step
        return len(self.stops) + min(self._moving, round(place))

    def _typed(self, value: float) -> int | float:
        return round(value) if self.is_whole else round(float(value), 12)


def step_of(field: Field) -> float:
    """The step of a number's editor: the field's own, else 1 for whole numbers and a hundredth of the range."""
    if field.step:
        return field.step
    if field.kind is FieldKind.INT:
        return 1.0
    high = field.soft_maximum if field.soft_maximum is not None else field.maximum
    if field.minimum is None or high is None or high <= field.minimum:
        return 0.01
    return float(10 ** math.floor(math.log10((high - field.minimum) / 100)))


def scale_of(field: Field, low: float | None = None, high: float | None = None) -> SliderScale | None:
    """The slider's scale, or None if the field is better typed.

    Args:
        field: a number's field.
        low, high: ends that hold here and now (a model's own context length), instead of the field's.
    """
    start = field.minimum if low is None else low
    end = (field.soft_maximum if field.soft_maximum is not None else field.maximum) if high is None else high
    if start is None or end is None or end <= start:
        return None
    step, whole = step_of(field), field.kind is FieldKind.INT
    if field.log_scale:
        first = start if start > 0 else step
        if end <= first:
            return None
        special = {float(value) for value, _ in field.special if isinstance(value, int | float) and value < first}
        stops = tuple(sorted(special if special or start > 0 else {start}))
        return SliderScale(first, end, step, True, whole, stops)
    if (end - start) / step > _MOST_POSITIONS:
        return None
    return SliderScale(start, end, step, False, whole)


def stepped(field: Field, value: float, n_steps: int) -> int | float:
    """The value `n_steps` steps further, on the grid of the step and inside the field's range."""
    step = step_of(field)
    moved = value + n_steps * step
    if step > 0 and abs(value / step - round(value / step)) > 1e-6:  # typed between two steps: go to the next one
        cell = math.floor(value / step)
        moved = (cell + (n_steps if n_steps > 0 else n_steps + 1)) * step
    return within(field, round(moved / step) * step)


def paged(field: Field, value: float, direction: int) -> int | float:
    """A large step: twice or half as much for numbers that move in powers, ten steps for others."""
    if field.log_scale and value > 0:
        return within(field, value * 2.0**direction)
    if field.log_scale and direction > 0:
        return within(field, step_of(field))
    return stepped(field, value, 10 * direction)


def within(field: Field, value: float) -> int | float:
    """The nearest value that the field's range allows, in the field's type."""
    if field.minimum is not None:
        value = max(value, field.minimum)
    if field.maximum is not None:
        value = min(value, field.maximum)
    return round(value) if field.kind is FieldKind.INT else round(float(value), 12)
