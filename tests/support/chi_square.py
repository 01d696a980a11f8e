"""Whether drawn tokens follow a distribution: Pearson's chi-square test, rare tokens taken together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping

import numpy as np


def _chance_of_at_least(chi_square: float, n_degrees: int) -> float:
    """Upper tail of the chi-square distribution (Wilson and Hilferty 1931; good to a few percent of p at these sizes)."""
    spread = 2 / (9 * n_degrees)
    z = ((chi_square / n_degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))


def chi_square_chance(drawn: np.ndarray, ids: np.ndarray, p: np.ndarray) -> float:
    """How likely draws at least this far from the distribution are, if it is the true one: p over these token ids."""
    expected = p * len(drawn)
    counts = np.array([(drawn == token).sum() for token in ids])
    assert counts.sum() == len(drawn), "a token was drawn that the reference had cut"
    rare = expected < 5
    if rare.any():
        expected = np.append(expected[~rare], expected[rare].sum())
        counts = np.append(counts[~rare], counts[rare].sum())
        if expected[-1] < 5:
            expected[-2] += expected[-1]
            counts[-2] += counts[-1]
            expected, counts = expected[:-1], counts[:-1]
    assert len(expected) > 2
    return _chance_of_at_least(float(((counts - expected) ** 2 / expected).sum()), len(expected) - 1)


def chance_of_one_source(one: Mapping[Hashable, int], other: Mapping[Hashable, int]) -> float:
    """How likely two counts of equally many draws are at least this far apart, if both are drawn from one distribution."""
    assert sum(one.values()) == sum(other.values())
    seen = [(one.get(each, 0), other.get(each, 0)) for each in {*one, *other}]
    common = [pair for pair in seen if sum(pair) >= 10]
    rare = [pair for pair in seen if sum(pair) < 10]
    groups = [*common, (sum(a for a, _ in rare), sum(b for _, b in rare))] if rare else common
    assert len(groups) > 1
    chi_square = sum((a - b) ** 2 / (a + b) for a, b in groups)
    return _chance_of_at_least(chi_square, len(groups) - 1)
