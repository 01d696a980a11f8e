"""The definitions themselves, on distributions small enough to check by hand; and the stages' declarations."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import BugError, KnownError
from engine.base.fields import FieldError, FieldKind
from engine.sampling.stage import Candidates, Given, NativeCall, best_first, number, whole
from engine.sampling.stages import STAGES, stage_named
from engine.worker.samplers import native_arguments

TENTHS = (0.1, 0.2, 0.3, 0.4)


def _left(key: str, probabilities: tuple[float, ...], values: dict, history: tuple[int, ...] = ()) -> dict[int, float]:
    """Token id to probability, after one stage."""
    stage = stage_named(key)
    candidates = Candidates.of_logits(np.log(np.array(probabilities, dtype=np.float32)))
    after = stage.reference(candidates, stage.fields.checked(values), history).survivors()
    return dict(zip(after.ids.tolist(), after.probabilities().tolist(), strict=True))


# The numbers are llama.cpp's own expectations (tests/test-sampling.cpp), but for T = 0.5, which is p squared.
@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("top_k", {"top_k": 1}, {3: 1.0}),
        ("top_k", {"top_k": 3}, {3: 0.44444, 2: 0.33333, 1: 0.22222}),
        ("top_k", {"top_k": 4}, {3: 0.4, 2: 0.3, 1: 0.2, 0: 0.1}),
        ("top_k", {"top_k": 0}, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}),
        ("top_p", {"top_p": 0.0}, {3: 1.0}),
        ("top_p", {"top_p": 0.7}, {3: 0.571429, 2: 0.428571}),
        ("top_p", {"top_p": 0.8}, {3: 0.44444, 2: 0.33333, 1: 0.22222}),
        ("top_p", {"top_p": 1.0}, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}),
        ("min_p", {"min_p": 0.0}, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}),
        ("min_p", {"min_p": 0.24}, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}),
        ("min_p", {"min_p": 0.26}, {1: 0.2 / 0.9, 2: 0.3 / 0.9, 3: 0.4 / 0.9}),
        ("min_p", {"min_p": 0.49}, {1: 0.2 / 0.9, 2: 0.3 / 0.9, 3: 0.4 / 0.9}),
        ("min_p", {"min_p": 0.51}, {2: 0.3 / 0.7, 3: 0.4 / 0.7}),
        ("min_p", {"min_p": 0.76}, {3: 1.0}),
        ("min_p", {"min_p": 1.0}, {3: 1.0}),
        ("temperature", {"temperature": 1.0}, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}),
        ("temperature", {"temperature": 0.0}, {3: 1.0}),
        ("temperature", {"temperature": 0.5}, {0: 0.0333333, 1: 0.1333333, 2: 0.3, 3: 0.5333333}),
    ],
    ids=str,
)
def test_a_stage_meets_the_expectations_of_llama_cpp(key, values, expected):
    left = _left(key, TENTHS, values)
    assert list(left) == list(expected)
    assert left == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("history", "values", "expected"),
    [
        ((0,), {"repeat_penalty": 50.0}, (0, 0.25, 0.25, 0.25, 0.25)),
        ((0, 1, 2, 0, 0), {"repeat_penalty": 50.0}, (0, 0, 0, 0.5, 0.5)),
        (
            (0,),
            {"frequency_penalty": 5.0, "presence_penalty": 5.0},
            (0.000011, 0.249997, 0.249997, 0.249997, 0.249997),
        ),
        (
            (0, 1, 2, 0, 0),
            {"frequency_penalty": 5.0, "presence_penalty": 5.0},
            (0.000000, 0.000023, 0.000023, 0.499977, 0.499977),
        ),
    ],
    ids=str,
)
def test_penalties_meet_the_expectations_of_llama_cpp(history, values, expected):
    left = _left("penalties", (0.2,) * 5, values, history)
    assert [left[token] for token in range(5)] == pytest.approx(expected, abs=1e-5)


def test_top_p_keeps_the_token_that_crosses_p():
    assert sum(_left("top_p", TENTHS, {"top_p": 0.5}).values()) == pytest.approx(1.0)
    assert set(_left("top_p", TENTHS, {"top_p": 0.5})) == {3, 2}


def test_the_repeat_penalty_divides_positive_and_multiplies_negative_logits():
    stage = stage_named("penalties")
    candidates = Candidates.of_logits(np.array([2.0, -2.0, 0.0, 4.0], dtype=np.float32))
    after = stage.reference(candidates, stage.fields.checked({"repeat_penalty": 2.0}), (0, 0, 1, 2))
    assert after.logits.tolist() == [1.0, -4.0, 0.0, 4.0]


def test_tokens_of_the_history_that_are_outside_the_vocabulary_are_passed_over():
    assert set(_left("penalties", TENTHS, {"presence_penalty": 1.0}, (1, 99))) == {0, 1, 2, 3}


def test_of_equal_logits_the_first_is_the_best():
    logits = np.array([1, 3, 3, 0, 3], dtype=np.float32)
    assert best_first(logits, 2).tolist() == [1, 2]
    assert best_first(logits, 9).tolist() == [1, 2, 4, 0, 3]
    assert best_first(np.array([0.0, -0.0, -np.inf, 0.0, -1.0], dtype=np.float32), 9).tolist() == [0, 1, 3, 4, 2]


@settings(deadline=None)
@given(
    logits=st.lists(st.floats(-30, 30, width=32) | st.sampled_from([0.0, -0.0, 1.0, -np.inf]), min_size=1, max_size=60),
    n_best=st.integers(1, 70),
)
def test_the_best_are_what_sorting_everything_gives(logits, n_best):
    array = np.array(logits, dtype=np.float32)
    assert best_first(array, n_best).tolist() == np.argsort(-array, kind="stable")[:n_best].tolist()


def test_entropy_is_zero_for_one_token_and_log2_n_for_equal_ones():
    equal = Candidates.of_logits(np.zeros(8, dtype=np.float32))
    assert equal.entropy_bits() == pytest.approx(3.0)
    one = equal.with_logits(np.array([5.0] + [-np.inf] * 7, dtype=np.float32))
    assert one.entropy_bits() == 0.0
    assert len(one.survivors()) == 1
    nothing = equal.with_logits(np.full(8, -np.inf, dtype=np.float32))
    assert nothing.entropy_bits() == 0.0
    assert nothing.probabilities().sum() == 0.0


@settings(deadline=None)
@given(weights=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=50))
def test_entropy_is_the_mean_surprise(weights):
    candidates = Candidates.of_logits(np.log(np.array(weights)).astype(np.float32))
    p = candidates.probabilities()
    assert p.sum() == pytest.approx(1.0)
    assert candidates.entropy_bits() == pytest.approx(float(-(p * np.log2(p)).sum()), abs=1e-6)


def test_the_stages_stand_in_llama_cpps_default_order():
    plain = [each.key for each in STAGES if not each.draws]
    assert plain == [
        *("grammar", "logit_bias", "penalties", "dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc"),
        *("temperature", "infill"),
    ]
    assert [each.key for each in STAGES][len(plain) :] == ["mirostat", "adaptive_p"]


def test_no_two_stages_share_the_key_of_a_field():
    keys = [field.key for stage in STAGES for field in stage.fields]
    assert len(keys) == len(set(keys))


def test_every_stage_and_field_says_what_it_does_and_where_that_is_defined():
    for stage in STAGES:
        assert len(stage.help) > 80
        assert "llama_sampler_init_" in stage.source
        for field in stage.fields:
            assert field.help
            assert field.source
            if field.kind in (FieldKind.INT, FieldKind.FLOAT):
                assert field.minimum is not None
                assert field.maximum is not None
            assert field.neutral is not None
            assert field.check(field.neutral) == field.neutral


def test_the_whole_context_is_spelled_out_for_llama_cpp():
    stage = stage_named("penalties")
    call = stage.native(stage.fields.checked({"repeat_penalty": 1.5, "penalty_last_n": -1}))
    assert native_arguments(call, {Given.N_VOCAB: 1000, Given.N_CTX: 4096}, None)[0] == [1000, 4096, 1.5, 0.0, 0.0]


def test_what_nobody_gives_is_a_fault_of_ours():
    call = NativeCall("llama_sampler_init_infill", (Given.VOCAB,))
    with pytest.raises(BugError, match="vocab"):
        native_arguments(call, {}, None)


def test_a_call_takes_the_seed_in_its_place():
    call = NativeCall("llama_sampler_init_xtc", (0.5, 0.1, 1, Given.SEED))
    assert call.seeded(7).args == (0.5, 0.1, 1, 7)
    assert NativeCall("llama_sampler_init_top_p", (0.5, 1)).seeded(7).args == (0.5, 1)


def test_an_unknown_stage_is_named_with_the_known_ones():
    with pytest.raises(KnownError, match=r"top_z.*use one of grammar, logit_bias, penalties"):
        stage_named("top_z")


def test_a_value_of_the_wrong_type_is_a_fault_of_ours():
    with pytest.raises(BugError):
        number({"x": True}, "x")
    with pytest.raises(BugError):
        whole({"x": 1.0}, "x")


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_p", 1.01),
        ("min_p", float("inf")),
        ("repeat_penalty", 0.0),
        ("penalty_last_n", -2),
        ("penalty_last_n", True),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_field(key, bad):
    stage = next(each for each in STAGES if key in each.fields)
    with pytest.raises(FieldError):
        stage.fields.checked({key: bad})


def test_importing_the_chain_imports_neither_numpy_nor_llama_cpp():
    code = "import sys, engine.sampling.chain; print(sorted({'numpy', 'llama_cpp'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
