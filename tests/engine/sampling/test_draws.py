"""Stages that roll dice or draw the token themselves: ten thousand native draws against the theory."""

from __future__ import annotations

import numpy as np
import pytest

from engine.sampling.chain import Chain
from engine.sampling.stage import Candidates, native_probabilities
from engine.sampling.stages import stage_named
from tests.support.chi_square import chi_square_chance
from tests.support.native_samplers import native_chain

N_DRAWS = 10_000
CUT = Chain.default().with_values({"top_k": 30, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0})


def _draws(chain: Chain, seed: int, small, n_draws: int = N_DRAWS) -> np.ndarray:
    """Tokens drawn one after the other from the same logits; none is accepted, so that every draw is a first one."""
    left = stage_named("top_k").reference(Candidates.of_logits(small.logits_v), {"top_k": 30}, ())
    calls = chain.with_enabled("top_k", False).native_calls(seed)
    with native_chain(calls, small.n_vocab) as native:
        return np.array([native.apply(left).token for _ in range(n_draws)])


@pytest.mark.parametrize(("probability", "threshold", "seed"), [(0.3, 0.05, 1), (0.5, 0.1, 2), (1.0, 0.02, 3)])
def test_xtc_strikes_as_often_as_it_says(small, probability, threshold, seed):
    chain = CUT.with_values({"xtc_probability": probability, "xtc_threshold": threshold})
    spared = CUT.reference(small.logits_v)[-1].candidates
    struck = chain.reference(small.logits_v)[-1].candidates
    assert len(struck) < len(spared)
    hit = dict(zip(struck.ids.tolist(), struck.probabilities().tolist(), strict=True))
    p = [
        (1 - probability) * p + probability * hit.get(token, 0.0)
        for token, p in zip(spared.ids.tolist(), spared.probabilities().tolist(), strict=True)
    ]
    assert chi_square_chance(_draws(chain, seed, small), spared.ids, np.array(p)) > 1e-4


@pytest.mark.parametrize(("tau", "seed"), [(1.0, 4), (1.5, 5), (3.0, 6)])
def test_mirostat_with_a_cut_that_stands_still_draws_from_its_first_step(small, tau, seed):
    for version in ("1", "2"):
        chain = CUT.with_values({"mirostat": version, "mirostat_tau": tau, "mirostat_eta": 0.0})
        last = chain.reference(small.logits_v)[-1].candidates
        drawn = _draws(chain, seed, small)
        if len(last) < 4:
            assert set(drawn.tolist()) <= set(last.ids.tolist())
        else:
            assert chi_square_chance(drawn, last.ids, last.probabilities()) > 1e-4


@pytest.mark.parametrize(("target", "seed"), [(0.1, 7), (0.3, 8), (0.9, 9)])
def test_adaptive_p_draws_from_its_first_step(small, target, seed):
    chain = CUT.with_value("adaptive_target", target)
    last = chain.reference(small.logits_v)[-1].candidates
    assert chi_square_chance(_draws(chain, seed, small), last.ids, last.probabilities()) > 1e-4


def test_mirostat_moves_its_cut_so_that_the_surprise_is_held_at_the_target(small):
    tau, eta = np.float32(2.0), np.float32(0.1)
    chain = CUT.with_values({"mirostat": "2", "mirostat_tau": float(tau), "mirostat_eta": 0.1})
    left = CUT.reference(small.logits_v)[-1].candidates
    surprise = -np.log2(native_probabilities(left.logits))
    mu, seen = 2 * tau, []
    for token in _draws(chain, 11, small, 3000).tolist():
        kept = left.taken(np.arange(max(1, int((surprise <= mu).sum()))))
        assert token in kept.ids
        seen.append(-np.log2(native_probabilities(kept.logits))[kept.ids == token][0])
        mu -= eta * (seen[-1] - tau)
    assert np.mean(seen[500:]) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    "settings", [{"mirostat": "1"}, {"mirostat": "2"}, {"adaptive_target": 0.3}, {"xtc_probability": 0.5}]
)
def test_the_same_seed_draws_the_same_tokens_and_another_does_not(small, settings):
    chain = CUT.with_values(settings)
    first, again, other = (_draws(chain, seed, small, 200) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
