"""Every stage's NumPy reference against llama.cpp's own sampler, on real logits of both models."""

from __future__ import annotations

import numpy as np
import pytest

from engine.base.fields import Value
from engine.sampling.chain import Chain
from engine.sampling.stage import Candidates, NativeCall
from engine.sampling.stages import STAGES, stage_named
from tests.support.native_samplers import apply_native, assert_same, native_chain

Settings = dict[str, Value]

# Values with which each stage changes something.
BUSY: dict[str, Settings] = {
    "logit_bias": {"logit_bias": ("100=5", "7=false")},
    "penalties": {"repeat_penalty": 1.5},
    "dry": {"dry_multiplier": 0.8},
    "top_n_sigma": {"top_n_sigma": 1.0},
    "typical_p": {"typical_p": 0.9},
    "xtc": {"xtc_probability": 1.0},
    "temperature": {"dynatemp_range": 0.5},
    "infill": {"infill": True},
    "mirostat": {"mirostat": "2"},
    "adaptive_p": {"adaptive_target": 0.4},
}

CASES: list[tuple[str, Settings]] = [
    *(("temperature", {"temperature": t}) for t in (0.0, 1e-9, 0.01, 0.5, 0.8, 1.0, 1.7, 100.0)),
    *(("top_k", {"top_k": k}) for k in (0, 1, 2, 40, 127, 128, 129, 5000, 49152, 1_000_000)),
    *(("top_p", {"top_p": p}) for p in (0.0, 0.1, 0.5, 0.7, 0.9, 0.95, 0.999, 1.0)),
    *(("min_p", {"min_p": p}) for p in (0.0, 1e-6, 0.01, 0.05, 0.3, 0.999, 1.0)),
]

PENALTIES: list[Settings] = [
    {"repeat_penalty": 1.1},
    {"repeat_penalty": 0.5},
    {"repeat_penalty": 50.0},
    {"frequency_penalty": 0.7},
    {"frequency_penalty": -1.5},
    {"presence_penalty": 1.3},
    {"presence_penalty": 100.0},
    {"repeat_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": 0.6},
    {"repeat_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": 0.6, "penalty_last_n": -1},
    {"repeat_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": 0.6, "penalty_last_n": 1},
    {"repeat_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": 0.6, "penalty_last_n": 0},
    {"repeat_penalty": 1.0, "penalty_last_n": -1},
]


def _values(key: str, settings: Settings) -> Settings:
    return stage_named(key).fields.checked(settings)


def _history(logits_v: np.ndarray, prompt_tokens: list[int]) -> list[int]:
    """Prompt tokens and some of the likeliest and unlikeliest ones, several times: 150 tokens, more than the window."""
    order = np.argsort(-logits_v, kind="stable")
    rng = np.random.default_rng(7)
    pool = [*order[:20], *order[-5:], *prompt_tokens]
    return [*prompt_tokens, *(int(each) for each in rng.choice(pool, size=150 - len(prompt_tokens)))]


@pytest.mark.parametrize(("key", "settings"), CASES, ids=[str(settings) for _, settings in CASES])
def test_a_stage_leaves_what_the_native_sampler_leaves(real, key, settings):
    stage, values = stage_named(key), _values(key, settings)
    candidates = Candidates.of_logits(real.logits_v)
    native = apply_native([stage.native(values)], candidates, (), real.n_vocab)
    assert_same(native, stage.reference(candidates, values, ()))


@pytest.mark.parametrize("settings", PENALTIES, ids=str)
def test_penalties_change_the_same_logits_as_the_native_sampler(real, settings):
    stage, values = stage_named("penalties"), _values("penalties", settings)
    candidates = Candidates.of_logits(real.logits_v)
    history = _history(real.logits_v, real.prompt_tokens)
    native = apply_native([stage.native(values)], candidates, history, real.n_vocab)
    assert_same(native, stage.reference(candidates, values, history))


def test_penalties_pass_over_tokens_that_an_earlier_stage_cut(real):
    top_k, penalties = stage_named("top_k"), stage_named("penalties")
    values = _values("penalties", {"repeat_penalty": 1.5, "frequency_penalty": 0.2})
    history = _history(real.logits_v, real.prompt_tokens)
    candidates = top_k.reference(Candidates.of_logits(real.logits_v), {"top_k": 10}, ())
    native = apply_native([penalties.native(values)], candidates, history, real.n_vocab)
    assert_same(native, penalties.reference(candidates, values, history))


# llama.h cannot make these so that they do nothing; the chain leaves them out when they are neutral.
NEVER_IDLE = {"infill", "mirostat", "adaptive_p"}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.key)
def test_neutral_values_change_nothing_neither_here_nor_natively(real, stage):
    neutral = {each.key: each.neutral for each in stage.fields}
    assert None not in neutral.values()
    assert stage.is_neutral(neutral)
    candidates = Candidates.of_logits(real.logits_v)
    history = _history(real.logits_v, real.prompt_tokens)
    for after in (
        stage.reference(candidates, neutral, history),
        *(
            apply_native(stage.calls(neutral, 1), candidates, history, real.n_vocab, real.vocab).candidates
            for _ in range(stage.key not in NEVER_IDLE and not stage.prepares)
        ),
    ):
        assert np.array_equal(after.ids, candidates.ids)
        assert np.array_equal(after.logits, candidates.logits)


def test_a_neutral_chain_has_no_stage_at_all():
    chain = Chain.default()
    for stage, field in Chain.default().fields():
        if stage.key not in ("penalties", "dry"):
            chain = chain.with_value(field.key, field.neutral)
    assert chain.native_calls(1) == (NativeCall("llama_sampler_init_dist", (1,)),)


def test_a_reference_never_changes_what_it_is_given(real):
    history = _history(real.logits_v, real.prompt_tokens)
    candidates = Candidates.of_logits(real.logits_v)
    for stage in STAGES:
        stage.reference(candidates, stage.fields.checked({}) | BUSY.get(stage.key, {}), history)
    assert np.array_equal(candidates.logits, real.logits_v)
    assert np.array_equal(candidates.ids, np.arange(real.n_vocab))


def test_temperature_going_to_zero_ends_at_the_most_likely_token(real):
    stage = stage_named("temperature")
    candidates = Candidates.of_logits(real.logits_v)
    best = int(real.logits_v.argmax())
    chances = [
        stage.reference(candidates, _values("temperature", {"temperature": t}), ()).probabilities()[best]
        for t in (1.0, 0.3, 0.1, 0.02, 0.001, 0.0)
    ]
    assert chances == sorted(chances)
    assert chances[-2] == pytest.approx(1.0, abs=1e-6)
    assert chances[-1] == 1.0


def test_a_tiny_temperature_is_greedy_where_dividing_would_overflow(small):
    stage = stage_named("temperature")
    values = _values("temperature", {"temperature": 1e-40})
    assert stage.native(values) == NativeCall("llama_sampler_init_temp", (0.0,))
    calls = [stage.native(values), NativeCall("llama_sampler_init_dist", (3,))]
    drawn = apply_native(calls, Candidates.of_logits(small.logits_v), (), small.n_vocab)
    assert drawn.token == small.logits_v.argmax()


def test_a_high_temperature_makes_the_survivors_equally_likely(real):
    top_k, temperature = stage_named("top_k"), stage_named("temperature")
    survivors = top_k.reference(Candidates.of_logits(real.logits_v), {"top_k": 25}, ())
    deviations = [
        np.abs(
            temperature.reference(survivors, _values("temperature", {"temperature": t}), ()).probabilities() - 1 / 25
        ).max()
        for t in (1.0, 5.0, 25.0, 100.0)
    ]
    assert deviations == sorted(deviations, reverse=True)
    far = survivors.with_logits(survivors.logits / np.float32(1e6))
    np.testing.assert_allclose(far.probabilities(), 1 / 25, atol=1e-5)
    hot = apply_native([temperature.native({"temperature": 1e6, "dynatemp_range": 0.0})], survivors, (), real.n_vocab)
    np.testing.assert_allclose(hot.candidates.probabilities(), 1 / 25, atol=1e-5)


def test_the_native_greedy_sampler_takes_the_argmax(real):
    candidates = Candidates.of_logits(real.logits_v)
    greedy = apply_native([NativeCall("llama_sampler_init_greedy")], candidates, (), real.n_vocab)
    assert greedy.token == real.logits_v.argmax()


def test_a_window_forgets_tokens_that_slid_out_of_it(small):
    stage = stage_named("penalties")
    candidates = Candidates.of_logits(small.logits_v)
    values = _values("penalties", {"presence_penalty": 2.0, "penalty_last_n": 3})
    with native_chain([stage.native(values)], small.n_vocab) as native:
        history: list[int] = []
        for token in (10, 11, 10, 12, 13, 14, 10):
            history.append(token)
            native.accept([token])
            assert_same(native.apply(candidates), stage.reference(candidates, values, history))
    after = stage.reference(candidates, values, history)
    assert set(np.flatnonzero(after.logits != candidates.logits)) == {13, 14, 10}
