from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from engine.hardware.history import History
from engine.hardware.snapshot import Quantity

USE = ("cpu", Quantity.CPU_USE)
RAM = ("ram", Quantity.RAM_USED)
NUMBERS = st.one_of(st.none(), st.integers(0, 99).map(float))


def plain(values: list[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]


@given(
    st.integers(1, 7),
    st.lists(st.one_of(st.tuples(NUMBERS, NUMBERS), st.integers(1, 9)), max_size=40),
    st.integers(-1, 41),
)
def test_a_history_is_the_newest_samples_whatever_happens(
    capacity: int, steps: list[tuple[float | None, float | None] | int], from_s: int
) -> None:
    history = History(capacity)
    samples: list[tuple[float, float | None, float | None]] = []
    for t_s, step in enumerate(steps):
        if isinstance(step, int):
            capacity = step
            history.resize(step)
        else:
            samples.append((float(t_s), *step))
            history.add(float(t_s), 1e9 + t_s, {USE: step[0], RAM: step[1]})
        samples = samples[-capacity:]
        wanted = [each for each in samples if each[0] >= from_s]
        assert len(history) == len(samples)
        for column, key in ((1, USE), (2, RAM)):
            is_listed = any(each[column] is not None for each in samples)
            assert (key in history.series_keys()) is is_listed
            if is_listed:
                times, values = history.series(key, from_s)
                assert times == [each[0] for each in wanted]
                assert plain(values) == [each[column] for each in wanted]
        assert history.clock_times(from_s) == ([each[0] for each in wanted], [1e9 + each[0] for each in wanted])


def test_a_number_that_a_resize_dropped_is_not_listed_after_another_resize() -> None:
    history = History(3)
    history.add(0.0, 0.0, {RAM: 1.0})
    history.add(1.0, 1.0, {})
    history.resize(1)
    history.resize(4)
    assert history.series_keys() == ()


def test_a_source_that_is_gone_for_a_whole_turn_is_forgotten() -> None:
    history = History(4)
    history.add(0.0, 0.0, {USE: 1.0, RAM: 1.0})
    for t_s in range(1, 9):
        history.add(float(t_s), 0.0, {RAM: 2.0})
    assert history.series_keys() == (RAM,)
    assert history.series(USE, 0.0) == ([], [])


def test_a_series_that_begins_late_has_a_gap_before_it() -> None:
    history = History(4)
    history.add(0.0, 0.0, {RAM: 1.0})
    history.add(1.0, 0.0, {RAM: 1.0, USE: 7.0})
    assert plain(history.series(USE, 0.0)[1]) == [None, 7.0]
