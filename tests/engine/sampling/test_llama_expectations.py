"""llama.cpp's own expectations of its samplers (tests/test-sampling.cpp), of the native samplers and of the references."""

from __future__ import annotations

import math
from collections.abc import Sequence

import llama_cpp
import numpy as np
import pytest

from engine.base.fields import Value
from engine.sampling.chain import Chain
from engine.sampling.stage import Candidates, Given
from engine.sampling.stages import stage_named
from engine.worker.samplers import Candidates as NativeCandidates
from engine.worker.samplers import SamplerChain, make_sampler

Settings = dict[str, Value]
TENTHS = (0.1, 0.2, 0.3, 0.4)
FALLING = (0.4, 0.3, 0.2, 0.1)
FIFTHS = (0.2,) * 5
QUARTERS = (0.25,) * 4
NO_BREAKERS: tuple[str, ...] = ()

EXPECTED: list[tuple[str, Settings, Sequence[float], Sequence[int], dict[int, float]]] = [
    ("temperature", {"temperature": 1.0, "dynatemp_range": 0.0}, TENTHS, (), dict(enumerate(TENTHS))),
    ("temperature", {"temperature": 0.0, "dynatemp_range": 0.0}, TENTHS, (), {3: 1.0}),
    ("top_k", {"top_k": 1}, TENTHS, (), {3: 1.0}),
    ("top_k", {"top_k": 3}, TENTHS, (), {3: 0.44444, 2: 0.33333, 1: 0.22222}),
    ("top_p", {"top_p": 0.7}, TENTHS, (), {3: 0.571429, 2: 0.428571}),
    ("top_p", {"top_p": 0.8}, TENTHS, (), {3: 0.44444, 2: 0.33333, 1: 0.22222}),
    ("min_p", {"min_p": 0.24}, TENTHS, (), dict(enumerate(TENTHS))),
    ("min_p", {"min_p": 0.51}, TENTHS, (), {2: 0.3 / 0.7, 3: 0.4 / 0.7}),
    ("min_p", {"min_p": 0.74}, TENTHS, (), {2: 0.3 / 0.7, 3: 0.4 / 0.7}),
    ("xtc", {"xtc_probability": 0.99, "xtc_threshold": 0.09}, FALLING, (), {3: 1.0}),
    ("xtc", {"xtc_probability": 0.99, "xtc_threshold": 0.19}, FALLING, (), {2: 2 / 3, 3: 1 / 3}),
    ("xtc", {"xtc_probability": 0.99, "xtc_threshold": 0.29}, FALLING, (), {1: 0.5, 2: 1 / 3, 3: 1 / 6}),
    ("xtc", {"xtc_probability": 0.99, "xtc_threshold": 0.39}, FALLING, (), dict(enumerate(FALLING))),
    ("typical_p", {"typical_p": 0.5}, (0.97, 0.01, 0.01, 0.01), (), {0: 1.0}),
    ("typical_p", {"typical_p": 0.5}, (0.4, 0.2, 0.2, 0.2), (), {1: 1 / 3, 2: 1 / 3, 3: 1 / 3}),
    ("penalties", {"repeat_penalty": 50.0}, FIFTHS, (0, 1, 2), {0: 0, 1: 0, 2: 0, 3: 0.5, 4: 0.5}),
    (
        "penalties",
        {"frequency_penalty": 5.0, "presence_penalty": 5.0},
        FIFTHS,
        (0, 1, 2),
        {0: 0.000023, 1: 0.000023, 2: 0.000023, 3: 0.499966, 4: 0.499966},
    ),
    ("dry", {"dry_multiplier": 1.0, "dry_base": 1.1}, QUARTERS, (0, 1), dict(enumerate(QUARTERS))),
    (
        "dry",
        {"dry_multiplier": 1.0, "dry_base": 1.1},
        QUARTERS,
        (0, 1, 2, 0, 1),
        {0: 0.296923, 1: 0.296923, 2: 0.109232, 3: 0.296923},
    ),
    (
        "dry",
        {"dry_multiplier": 2.0, "dry_base": 1.1},
        FIFTHS,
        (0, 1, 2, 0, 1),
        {0: 0.241818, 1: 0.241818, 2: 0.032727, 3: 0.241818, 4: 0.241818},
    ),
    (
        "dry",
        {"dry_multiplier": 2.0, "dry_base": 1.1, "dry_allowed_length": 4},
        FIFTHS,
        (0, 1, 2, 3, 4, 0, 1),
        dict(enumerate(FIFTHS)),
    ),
    ("top_n_sigma", {"top_n_sigma": 1.0}, TENTHS, (), {2: 0.428571, 3: 0.571429}),
    ("top_n_sigma", {"top_n_sigma": 0.0}, TENTHS, (), dict(enumerate(TENTHS))),
    ("top_n_sigma", {"top_n_sigma": 3.0}, TENTHS, (), dict(enumerate(TENTHS))),
]


@pytest.mark.parametrize(("key", "settings", "given", "history", "expected"), EXPECTED, ids=lambda each: str(each)[:40])
def test_native_sampler_and_reference_meet_the_expectation(key, settings, given, history, expected):
    stage = stage_named(key)
    values = stage.fields.checked(settings | ({"dry_sequence_breakers": NO_BREAKERS} if key == "dry" else {}))
    logits_v = np.log(np.array(given, dtype=np.float32))

    array = NativeCandidates(logits_v)
    for call in stage.calls(values, 0):
        sampler = make_sampler(call, {Given.N_VOCAB: len(given), Given.N_CTX: 64, Given.VOCAB: None}, None)
        for token in history:
            llama_cpp.llama_sampler_accept(sampler, token)
        array.apply(sampler)
        llama_cpp.llama_sampler_free(sampler)
    left = array.left()
    native = Candidates(left["id"].copy(), left["logit"].copy())

    for after in (native, stage.reference(Candidates.of_logits(logits_v), values, history)):
        after = after.survivors()
        found = dict(zip(after.ids.tolist(), after.probabilities().tolist(), strict=True))
        expected_here = {token: p for token, p in expected.items() if token in found}
        assert found == pytest.approx(expected_here, abs=1e-5)
        assert all(p < 1e-5 for token, p in expected.items() if token not in found)


def _survivors(n_vocab: int, order: str, top_k: int, top_p: float, min_p: float) -> int:
    """How many tokens are left where token i has probability proportional to i, by whole numbers."""
    lowest, highest = 0, n_vocab - 1
    for each in order:
        n = highest - lowest + 1
        if each == "k":
            n = min(n, top_k)
        elif each == "p" and top_p < 1:
            wanted, total = top_p * sum(range(lowest, n_vocab)), 0
            for n_taken in range(1, n + 1):
                total += highest - n_taken + 1
                if total >= wanted:
                    n = n_taken
                    break
        elif each == "m" and min_p > 0:
            n = min(n, highest - max(1, math.ceil(min_p * highest)) + 1)
        lowest = highest - n + 1
    return highest - lowest + 1


QUEUES = ["k", "p", "m", "kp", "km", "pk", "pm", "mk", "mp", "kpm", "kmp", "pkm", "pmk", "mkp", "mpk"]


@pytest.mark.parametrize(("top_k", "top_p", "min_p"), [(100, 0.8, 0.1), (100, 0.35, 0.9), (2000, 0.95, 0.42)])
@pytest.mark.parametrize("order", QUEUES)
def test_cuts_in_any_order_leave_as_many_as_counting_says(order, top_k, top_p, min_p):
    n_vocab = 10_000
    with np.errstate(divide="ignore"):
        logits_v = np.log(np.arange(n_vocab, dtype=np.float32))
    keys = [{"k": "top_k", "p": "top_p", "m": "min_p"}[each] for each in order]
    chain = Chain(tuple(each for each in Chain.default().links if each.key in keys))
    for place, key in enumerate(keys):
        chain = chain.moved(key, place)
    wanted = {"top_k": top_k, "top_p": top_p, "min_p": min_p}
    chain = chain.with_values({key: wanted[key] for key in keys})
    expected = _survivors(n_vocab, order, top_k, top_p, min_p)
    assert abs(chain.reference(logits_v)[-1].survivors - expected) <= 1, "float32 may round a sum over the cut"
    native = SamplerChain(chain.native_calls(0), n_vocab=n_vocab, n_ctx=64)
    array = NativeCandidates(logits_v)
    native.apply(array)
    native.close()
    assert abs(array.array.size - expected) <= 1
    assert array.selected is not None
    assert array.selected >= n_vocab - array.array.size
