"""Numbers as text: units always, unknown said, nothing rounded across a border."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.widgets.quantities import (
    axis_step,
    axis_texts,
    bytes_of_text,
    bytes_text,
    count_text,
    estimated_text,
    percent_text,
    quantity_text,
    rate_text,
    seconds_text,
    tokens_text,
    unbroken,
)

MIB = 1 << 20
GIB = 1 << 30


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (96_573_849, "92.1 MiB"),
        (MIB, "1.0 MiB"),
        (GIB - 1, "1.00 GiB"),
        (round(11.28 * GIB), "11.28 GiB"),
        (3 << 40, "3.00 TiB"),
        (-12 * MIB, "−12.0 MiB"),
        (None, "unknown"),
        (math.nan, "unknown"),
    ],
)
def test_bytes_are_binary_and_say_so(n_bytes: float | None, text: str) -> None:
    assert bytes_text(n_bytes) == text


@given(st.integers(0, 1 << 50))
def test_no_size_shows_more_than_1023_of_a_unit_that_has_a_larger_one(n_bytes: int) -> None:
    number, unit = bytes_text(n_bytes).split(" ")
    factor = {"B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": GIB, "TiB": 1 << 40}[unit]
    assert float(number) < 1024 or unit == "TiB"
    assert abs(float(number) * factor - n_bytes) <= 0.051 * factor


def test_a_wrapping_sentence_keeps_numbers_with_their_units() -> None:
    text = unbroken("Fits: needs ~242.0 MiB, 20.00 GiB free in RAM. 1 token in 3 min 5 s at 8.4 tok/s is 98 %")
    assert text.replace("\N{NO-BREAK SPACE}", "_") == (
        "Fits: needs ~242.0_MiB, 20.00_GiB free in RAM. 1_token in 3_min 5_s at 8.4_tok/s is 98_%"
    )
    assert unbroken("2 sizes, 4 Ministral") == "2 sizes, 4 Ministral"


def test_used_of_total_has_one_unit() -> None:
    assert bytes_of_text(round(5.2 * GIB), 24 * GIB) == "5.2 / 24.0 GiB"
    assert bytes_of_text(None, 24 * GIB) == "unknown / 24.00 GiB"


def test_an_estimate_is_marked_and_the_unknown_is_not() -> None:
    assert estimated_text("100.0 MiB") == "~100.0 MiB"
    assert estimated_text(bytes_text(None)) == "unknown"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0004, "0.40 ms"),
        (0.004, "4 ms"),
        (0.31, "0.31 s"),
        (1.84, "1.8 s"),
        (12, "12 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (7440, "2 h 4 min"),
        (None, "unknown"),
    ],
)
def test_durations_are_in_the_units_a_person_says(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(212.4, "212 tok/s"), (8.43, "8.4 tok/s"), (0.421, "0.42 tok/s"), (0, "0 tok/s"), (None, "unknown")],
)
def test_rates_have_three_digits_at_most(per_second: float | None, text: str) -> None:
    assert rate_text(per_second) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.0, "0 %"),
        (0.004, "0.4 %"),
        (0.98, "98 %"),
        (0.9949, "99 %"),
        (0.999, ">99 %"),
        (1.0, "100 %"),
        (None, "unknown"),
    ],
)
def test_only_all_of_it_is_100_percent(fraction: float | None, text: str) -> None:
    assert percent_text(fraction) == text


def test_counts_and_tokens_have_separated_thousands() -> None:
    assert count_text(1204) == "1,204"
    assert count_text(None) == "unknown"
    assert tokens_text(1) == "1 token"
    assert tokens_text(1204) == "1,204 tokens"
    assert tokens_text(None) == "unknown"


def test_a_quantity_takes_its_units_own_spelling() -> None:
    assert quantity_text(2 * GIB, "B") == "2.00 GiB"
    assert quantity_text(3 * MIB, "B/s") == "3.0 MiB/s"
    assert quantity_text(98.2, "%") == "98 %"
    assert quantity_text(41.5, "W") == "41.5 W"
    assert quantity_text(math.nan, "W") == "unknown"


def test_axis_texts_share_one_unit() -> None:
    assert axis_texts([0, 8 * GIB, 16 * GIB], "B") == ["0 GiB", "8 GiB", "16 GiB"]
    assert axis_texts([0, 0.5, 1.0], "V") == ["0.0 V", "0.5 V", "1.0 V"]
    assert axis_texts([], "B") == []


@given(st.floats(1e-3, 1e15), st.sampled_from(["B", "%", "tok/s"]))
def test_axis_lines_are_few_and_evenly_apart(span: float, unit: str) -> None:
    step = axis_step(span, unit)
    assert step > 0
    assert span / step <= 4.1
