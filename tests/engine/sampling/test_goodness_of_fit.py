"""The chi-square test and the total variation distance, against printed tables and against draws that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sampling.goodness_of_fit import chi_square_tail, count_deviation, goodness_of_fit

# Abramowitz & Stegun, table 26.8: the chi-square that is exceeded with probability Q.
TABLE = [
    (1, 0.05, 3.84146),
    (1, 0.001, 10.828),
    (2, 0.05, 5.99147),
    (3, 0.5, 2.36597),
    (10, 0.05, 18.3070),
    (10, 0.995, 2.15585),
    (29, 0.01, 49.5879),
    (30, 0.1, 40.2560),
    (100, 0.05, 124.342),
    (100, 0.95, 77.9295),
]


@pytest.mark.parametrize(("degrees", "q", "chi_square"), TABLE)
def test_the_tail_is_that_of_the_printed_table(degrees: int, q: float, chi_square: float) -> None:
    assert chi_square_tail(chi_square, degrees) == pytest.approx(q, rel=4e-4)


@given(st.floats(0, 3000), st.integers(1, 1200))
def test_the_tail_is_a_probability_and_grows_with_the_degrees(chi_square: float, degrees: int) -> None:
    tail = chi_square_tail(chi_square, degrees)
    assert 0.0 <= tail <= 1.0
    assert chi_square_tail(chi_square, degrees + 2) >= tail - 1e-12


def test_many_degrees_do_not_underflow() -> None:
    assert chi_square_tail(2000.0, 2000) == pytest.approx(0.5, abs=0.01)
    assert chi_square_tail(0.0, 5) == 1.0
    assert chi_square_tail(math.inf, 5) == 0.0


@pytest.mark.parametrize(("chi_square", "degrees"), [(1.0, 0), (-1.0, 3), (math.nan, 3)])
def test_what_has_no_tail_is_refused(chi_square: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="degrees of freedom"):
        chi_square_tail(chi_square, degrees)


def test_draws_of_the_distribution_itself_have_p_values_that_are_spread_evenly() -> None:
    random = np.random.default_rng(11)
    p_v = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    found = []
    for _ in range(400):
        n_v = random.multinomial(500, p_v)
        fit = goodness_of_fit([(int(n), float(p)) for n, p in zip(n_v, p_v, strict=True)], 500)
        assert fit.degrees == 4
        found.append(fit.p_value)
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.09
    assert 0.42 < np.mean(np.array(found) < 0.5) < 0.58


def test_draws_of_another_distribution_are_found_out() -> None:
    fit = goodness_of_fit([(500, 0.6), (500, 0.4)], 1000)
    assert fit.total_variation == pytest.approx(0.1)
    assert fit.chi_square == pytest.approx(100**2 / 600 + 100**2 / 400)
    assert fit.p_value is not None
    assert fit.p_value < 1e-6


def test_rare_tokens_share_a_cell_with_what_was_never_drawn() -> None:
    fit = goodness_of_fit([(700, 0.7), (280, 0.28), (3, 0.004), (2, 0.002), (15, 0.001)], 1000)
    assert fit.n_pooled == 3
    assert fit.degrees == 2  # two likely tokens, and one cell for all the others
    # Three rare ones and the 1.3 % that nobody drew: 20 drawn, 20 expected.
    assert fit.chi_square == pytest.approx(0.0, abs=1e-9)


def test_a_few_leftovers_join_the_smallest_cell_and_cost_no_degree() -> None:
    fit = goodness_of_fit([(600, 0.6), (399, 0.399), (1, 0.001)], 1000)
    assert (fit.degrees, fit.n_pooled) == (1, 1)
    assert fit.p_value == pytest.approx(1.0)


def test_one_token_with_all_the_probability_is_no_test() -> None:
    fit = goodness_of_fit([(1000, 1.0)], 1000)
    assert (fit.total_variation, fit.chi_square, fit.p_value, fit.degrees) == (0.0, None, None, 0)


def test_the_deviation_of_a_count_is_the_binomials() -> None:
    assert count_deviation(1000, 0.5) == pytest.approx(15.811, abs=1e-3)
    assert count_deviation(1000, 1.0) == 0.0
    assert count_deviation(1000, 0.0) == 0.0
