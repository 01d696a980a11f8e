"""Whole chains: the native one against the reference, the order of stages, and the draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sampling.chain import DRAW, Chain
from engine.sampling.stage import Candidates, NativeCall
from tests.support.chi_square import chi_square_chance
from tests.support.native_samplers import apply_native, assert_same, native_chain

DEFAULT = Chain.default()
N_DRAWS = 10_000
BUSY = DEFAULT.with_value("repeat_penalty", 1.2).with_value("frequency_penalty", 0.3).with_value("temperature", 1.4)

CHAINS = {
    "default": DEFAULT,
    "busy": BUSY,
    "temperature first": BUSY.moved("temperature", 0),
    "penalties last": BUSY.moved("penalties", 4),
    "min-p first": BUSY.moved("min_p", 0).with_enabled("top_k", False),
    "no cut": BUSY.with_enabled("top_k", False).with_enabled("top_p", False).with_enabled("min_p", False),
    "top-p alone on the whole vocabulary": DEFAULT.with_enabled("top_k", False).with_enabled("min_p", False),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_a_native_chain_leaves_what_its_reference_leaves(real, chain):
    history = real.prompt_tokens * 3
    native = apply_native(chain.native_calls(1), Candidates.of_logits(real.logits_v), history, real.n_vocab)
    last = chain.reference(real.logits_v, history)[-1]
    assert_same(native, last.candidates)
    np.testing.assert_allclose(native.p, last.candidates.probabilities(), atol=1e-5)
    assert 0 <= native.selected < last.survivors


def test_the_order_of_temperature_and_min_p_changes_the_survivors_as_the_reference_says(real):
    hot = DEFAULT.with_enabled("top_k", False).with_enabled("top_p", False).with_value("temperature", 2.0)
    counts = []
    for chain in (hot, hot.moved("temperature", 0)):
        native = apply_native(chain.native_calls(1), Candidates.of_logits(real.logits_v), (), real.n_vocab)
        last = chain.reference(real.logits_v)[-1]
        assert len(native.candidates) == last.survivors
        counts.append(last.survivors)
    assert counts[0] < counts[1]


def test_each_stage_reports_survivors_mass_and_entropy(small):
    results = DEFAULT.reference(small.logits_v)
    raw, top_k = results[0], results[1]
    p = np.sort(raw.candidates.probabilities())[::-1]
    assert raw.survivors == small.n_vocab
    assert raw.mass_kept == 1.0
    assert raw.entropy_bits == pytest.approx(float(-(p * np.log2(p)).sum()), abs=1e-4)
    assert top_k.survivors == 40
    assert top_k.mass_kept == pytest.approx(float(p[:40].sum()), abs=1e-6)
    assert results[-1].key == DRAW
    assert results[-1].mass_kept == results[-2].mass_kept


def test_a_greedy_chain_takes_the_most_likely_token_and_no_other(real):
    chain = DEFAULT.with_value("temperature", 0)
    native = apply_native(chain.native_calls(9), Candidates.of_logits(real.logits_v), (), real.n_vocab)
    last = chain.reference(real.logits_v)[-1]
    assert native.token == real.logits_v.argmax() == last.candidates.ids[0]
    assert (last.survivors, last.entropy_bits) == (1, 0.0)


LOGITS = st.lists(st.integers(-400, 400), min_size=2, max_size=30, unique=True)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), scaled=LOGITS, order=st.permutations(DEFAULT.keys()))
def test_the_shortened_greedy_chain_takes_the_token_of_the_whole_chain(data, scaled, order):
    """What `native_calls` leaves out of a greedy chain could not have changed the token, in any order of stages."""
    chain = (
        DEFAULT.with_value("temperature", 0)
        .with_value("top_k", data.draw(st.integers(0, 4)))
        .with_value("top_p", data.draw(st.sampled_from([0.1, 0.6, 1.0])))
        .with_value("min_p", data.draw(st.sampled_from([0.0, 0.2, 0.9])))
        .with_value("repeat_penalty", data.draw(st.sampled_from([0.5, 1.0, 1.7])))
        .with_value("presence_penalty", data.draw(st.sampled_from([-1.5, 0.0, 2.0])))
    )
    for place, key in enumerate(order):
        chain = chain.moved(key, place)
    candidates = Candidates.of_logits(np.array(scaled, dtype=np.float32) / np.float32(37))
    history = data.draw(st.lists(st.integers(0, len(scaled) - 1), max_size=6))
    whole = [
        *(each.stage.native(each.values) for each in chain.active()),
        NativeCall("llama_sampler_init_dist", (1,)),
    ]
    short = apply_native(chain.native_calls(1), candidates, history, len(scaled))
    assert short.token == apply_native(whole, candidates, history, len(scaled)).token


def _draws(chain: Chain, seed: int, logits_v: np.ndarray, n_draws: int, history: list[int]) -> np.ndarray:
    """Token ids drawn one after the other from the same logits, history unchanged."""
    candidates = Candidates.of_logits(logits_v)
    # All but the last sampler do the same every time, so they run once; the drawing one runs n_draws times.
    *stages, dist = chain.native_calls(seed)
    left = apply_native(stages, candidates, history, len(logits_v)).candidates
    with native_chain([dist], len(logits_v)) as native:
        return np.array([native.apply(left).token for _ in range(n_draws)])


DRAW_CHAINS = {
    "default": (DEFAULT, 11),
    "hot and wide": (DEFAULT.with_value("temperature", 1.8).with_value("top_k", 100).with_value("min_p", 0.01), 12),
    "penalised": (BUSY.with_value("top_p", 0.8), 13),
}


@pytest.mark.parametrize(("chain", "seed"), DRAW_CHAINS.values(), ids=DRAW_CHAINS.keys())
def test_ten_thousand_native_draws_follow_the_reference(small, chain, seed):
    history = small.prompt_tokens * 3
    drawn = _draws(chain, seed, small.logits_v, N_DRAWS, history)
    last = chain.reference(small.logits_v, history)[-1].candidates
    assert chi_square_chance(drawn, last.ids, last.probabilities()) > 1e-4


def test_the_chi_square_test_notices_a_temperature_that_is_off_by_a_tenth(small):
    drawn = _draws(DEFAULT, 11, small.logits_v, N_DRAWS, [])
    other = DEFAULT.with_value("temperature", 0.9).reference(small.logits_v)[-1].candidates
    assert chi_square_chance(drawn, other.ids, other.probabilities()) < 1e-4


def test_the_same_seed_draws_the_same_tokens_and_another_does_not(small):
    first, again, other = (_draws(DEFAULT, seed, small.logits_v, 200, []) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
