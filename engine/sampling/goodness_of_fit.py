"""How well drawn tokens agree with a distribution: total variation distance, and Pearson's chi-square test.

The tail of chi-square is summed exactly for whole degrees of freedom, in logarithms so that a thousand degrees do not
underflow. Rejected: Wilson and Hilferty's cube root (a few percent off where p is small, which is where one looks), SciPy
(tens of megabytes for one function).

Source: Pearson 1900; Abramowitz & Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5 (the tail); Cochran 1954
(expected counts of at least 5, rarer cells pooled).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_EXPECTED = 5.0
"""A cell that is expected less often is pooled with the others of its kind: the test is wrong for small counts."""


@dataclass(frozen=True, slots=True)
class GoodnessOfFit:
    """Drawn counts against a distribution.

    Attributes:
        total_variation: half the sum of |drawn share − probability| over all tokens, 0 (the same) to 1.
        chi_square: Pearson's sum of (drawn − expected)² / expected over the cells; None with fewer than two cells.
        degrees: degrees of freedom, the number of cells less one.
        p_value: the chance of a chi-square at least so large if the draws follow the distribution, 0 to 1; None with
            `chi_square`.
        n_pooled: how many of the given tokens stand in the one cell of rare ones.
    """

    total_variation: float
    chi_square: float | None
    degrees: int
    p_value: float | None
    n_pooled: int


def goodness_of_fit(counts: Sequence[tuple[int, float]], n_draws: int) -> GoodnessOfFit:
    """Compare counts with their probabilities.

    Args:
        counts: (times drawn, probability) of every token that was drawn or is likely; the rest of the probability
            belongs to tokens that were never drawn.
        n_draws: how many were drawn, at least 1; the counts sum to it.
    """
    rest_p = max(0.0, 1.0 - math.fsum(p for _n, p in counts))
    distance = 0.5 * (math.fsum(abs(n / n_draws - p) for n, p in counts) + rest_p)
    cells = [(float(n), n_draws * p) for n, p in counts if n_draws * p >= LEAST_EXPECTED]
    rare = [(n, n_draws * p) for n, p in counts if n_draws * p < LEAST_EXPECTED]
    pooled_n = float(sum(n for n, _ in rare))
    pooled_expected = math.fsum(expected for _, expected in rare) + n_draws * rest_p
    if pooled_expected >= LEAST_EXPECTED:
        cells.append((pooled_n, pooled_expected))
    elif cells and (pooled_n or pooled_expected):
        # Too few even together: they join the smallest cell.
        at = min(range(len(cells)), key=lambda index: cells[index][1])
        cells[at] = (cells[at][0] + pooled_n, cells[at][1] + pooled_expected)
    if len(cells) < 2:
        return GoodnessOfFit(min(distance, 1.0), None, 0, None, len(rare))
    chi_square = math.fsum((n - expected) ** 2 / expected for n, expected in cells)
    degrees = len(cells) - 1
    return GoodnessOfFit(min(distance, 1.0), chi_square, degrees, chi_square_tail(chi_square, degrees), len(rare))


def chi_square_tail(chi_square: float, degrees: int) -> float:
    """The probability that a chi-square variable is at least so large, 0 to 1.

    Args:
        chi_square: at least 0.
        degrees: of freedom, at least 1.

    Raises:
        ValueError: outside of these.

    Source: Abramowitz & Stegun 26.4.5 (even degrees: a Poisson sum) and 26.4.4 (odd ones: erfc and a sum of the same
    form, with half-integer powers).
    """
    if degrees < 1 or not chi_square >= 0:
        raise ValueError(f"no chi-square of {chi_square} with {degrees} degrees of freedom")
    half, odd = chi_square / 2, degrees % 2
    if half == 0:
        return 1.0
    if math.isinf(half):
        return 0.0
    log_half = math.log(half)
    powers = (index + odd / 2 for index in range(degrees // 2))
    terms = [math.exp(power * log_half - half - math.lgamma(power + 1)) for power in powers]
    first = math.erfc(math.sqrt(half)) if odd else 0.0
    return min(1.0, math.fsum([first, *terms]))


def count_deviation(n_draws: int, p: float) -> float:
    """The standard deviation of how often a token of probability `p` (0 to 1) is drawn (binomial)."""
    return math.sqrt(n_draws * p * (1.0 - p)) if 0.0 < p < 1.0 else 0.0
