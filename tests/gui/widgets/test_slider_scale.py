"""Where a number stands on a slider: there and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.fields import Field, FieldKind
from engine.wire.load_options import N_CTX
from engine.wire.run_options import RUN_OPTIONS
from gui.widgets.slider_scale import SliderScale, paged, scale_of, stepped

TEMPERATURE = Field(
    "temp", FieldKind.FLOAT, 0.8, "Temperature", "help", minimum=0.0, maximum=5.0, soft_maximum=2.0, step=0.05
)
RATE = Field("rate", FieldKind.FLOAT, 1e-4, "Rate", "help", minimum=1e-6, maximum=1.0, step=1e-6, log_scale=True)


def scale(field: Field) -> SliderScale:
    found = scale_of(field)
    assert found is not None
    return found


@pytest.mark.parametrize("field", [TEMPERATURE, N_CTX, RATE, RUN_OPTIONS["max_tokens"]], ids=lambda field: field.key)
def test_every_place_means_a_value_that_stands_there_again(field: Field) -> None:
    it = scale(field)
    for position in range(it.last + 1):
        value = it.value_at(position)
        assert field.check(value) == value
        assert it.value_at(it.position_of(value)) == value


@given(st.integers(256, 131_072))
def test_a_context_comes_back_from_its_place_within_one_position_or_step(n_ctx: int) -> None:
    it = scale(N_CTX)
    back = it.value_at(it.position_of(n_ctx))
    assert abs(back - n_ctx) <= 256 / 2 + n_ctx * 0.0035


def test_a_slider_in_powers_gives_each_doubling_the_same_way() -> None:
    it = scale(N_CTX)
    doublings = [it.position_of(2 * n) - it.position_of(n) for n in (512, 2048, 16_384, 65_536)]
    assert max(doublings) - min(doublings) <= 1


def test_special_values_have_a_place_of_their_own_before_the_powers() -> None:
    assert scale(N_CTX).value_at(0) == 0
    assert scale(N_CTX).value_at(1) == 256
    assert scale(RUN_OPTIONS["max_tokens"]).value_at(0) == -1
    assert scale(RUN_OPTIONS["max_tokens"]).value_at(1) == 1


def test_the_slider_ends_at_the_soft_maximum_and_larger_values_stand_there() -> None:
    it = scale(N_CTX)
    assert it.value_at(it.last) == 131_072
    assert it.position_of(1_000_000) == it.last


def test_floats_land_on_the_step_without_binary_dust() -> None:
    it = scale(TEMPERATURE)
    assert it.value_at(it.position_of(0.15)) == 0.15
    assert it.value_at(3) == 0.15


def test_a_field_without_reachable_ends_has_no_slider() -> None:
    assert scale_of(RUN_OPTIONS["seed"]) is None
    assert scale_of(Field("n", FieldKind.INT, 0, "N", "help", minimum=0)) is None


def test_other_ends_can_hold_for_a_moment() -> None:
    it = scale_of(N_CTX, high=8192)
    assert it is not None
    assert it.value_at(it.last) == 8192


def test_steps_stay_on_the_grid_and_inside_the_range() -> None:
    assert stepped(TEMPERATURE, 0.8, 1) == 0.85
    assert stepped(TEMPERATURE, 0.82, 1) == 0.85
    assert stepped(TEMPERATURE, 0.82, -1) == 0.8
    assert stepped(TEMPERATURE, 0.0, -1) == 0.0
    assert stepped(N_CTX, 4096, 1) == 4352


def test_a_large_step_doubles_what_moves_in_powers() -> None:
    assert paged(N_CTX, 4096, 1) == 8192
    assert paged(N_CTX, 4096, -1) == 2048
    assert paged(N_CTX, 0, 1) == 256
    assert paged(TEMPERATURE, 0.8, 1) == pytest.approx(1.3)
