"""Prefix sums that are added up again only from where they changed are still right."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from gui.widgets.transcript.heights import RowHeights

steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 30), st.integers(1, 500)),
        st.tuples(st.just("append"), st.just(0), st.integers(1, 500)),
        st.tuples(st.just("truncate"), st.integers(1, 30), st.just(0)),
        st.tuples(st.just("top"), st.integers(0, 30), st.just(0)),
    ),
    max_size=40,
)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20), steps, st.integers(-50, 12_000))
def test_tops_are_sums_of_the_heights_before(first: list[int], changes: list[tuple[str, int, int]], y: int) -> None:
    heights, expected = RowHeights(), list(first)
    heights.reset(first)
    for what, row, value in changes:
        if what == "set":
            expected[row % len(expected)] = value
            heights.set(row % len(heights), value)
        elif what == "append":
            expected.append(value)
            heights.append(value)
        elif what == "truncate":
            del expected[row:]
            heights.truncate(min(row, len(heights)))
        else:
            heights.top(row % len(heights))
    tops = [0, *accumulate(expected)]
    assert [heights.top(row) for row in range(len(tops))] == tops
    assert heights.total == sum(expected)
    row = heights.row_at(y)
    assert tops[row] <= max(0, min(y, tops[-1] - 1)) < tops[row + 1]
