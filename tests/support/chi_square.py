"""Whether drawn tokens follow a distribution: Pearson's chi-square test, rare tokens taken together."""

from __future__ import annotations

import math

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
