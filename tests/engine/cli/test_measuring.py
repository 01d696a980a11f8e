"""Which way to compute attention `bench --tune-flash-attn` recommends."""

from __future__ import annotations

import pytest

from engine.cli.measuring import Attention, best
from engine.wire.messages import Benched, BenchPoint


def _attention(flash_attn: str, *points: BenchPoint) -> Attention:
    return Attention(flash_attn, Benched(1, (), points, (), 2, 0, contended=False), 0)


@pytest.mark.parametrize(
    ("on", "off", "spread", "wanted"),
    [
        (24.7, 50.2, 1.0, "off"),
        (50.2, 24.7, 1.0, "on"),
        (100.0, 104.0, 0.0, "equal"),  # within 5 %
        (100.0, 106.0, 0.0, "off"),
        (80.0, 100.0, 25.0, "equal"),  # apart, but the measurements spread as far
    ],
)
def test_the_faster_one_is_recommended_where_the_difference_is_no_noise(
    on: float, off: float, spread: float, wanted: str
) -> None:
    shallow = BenchPoint(0, 90.0, 0.0)
    found = best(
        _attention("on", BenchPoint(1024, on, spread), shallow),
        _attention("off", BenchPoint(1024, off, spread), shallow),
    )
    assert found == wanted
