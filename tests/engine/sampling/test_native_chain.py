"""The worker's native chain where llama.cpp itself would assert, draw anything, or end the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest

from engine.base.errors import BugError, KnownError
from engine.sampling.chain import Chain
from engine.sampling.stage import Candidates
from engine.worker.samplers import CHECK_EVERY, SamplerChain, check_logits
from engine.worker.samplers import Candidates as NativeCandidates

DEFAULT = Chain.default()


@pytest.fixture
def chain_of(small) -> Iterator[Any]:
    made: list[SamplerChain] = []

    def make(chain: Chain, **more: Any) -> SamplerChain:
        calls = chain.native_calls(3)
        made.append(SamplerChain(calls, n_vocab=small.n_vocab, n_ctx=256, vocab=small.vocab, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def context(smollm2: Path) -> Iterator[Any]:
    """A context of SmolLM2 after one token, whose logits a test may overwrite."""
    model = llama_cpp.llama_model_load_from_file(str(smollm2).encode(), llama_cpp.llama_model_default_params())
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_threads, params.n_threads_batch = 64, 1, 1
    found = llama_cpp.llama_init_from_model(model, params)
    tokens = (llama_cpp.llama_token * 1)(1)
    assert llama_cpp.llama_decode(found, llama_cpp.llama_batch_get_one(tokens, 1)) == 0
    yield found
    llama_cpp.llama_free(found)
    llama_cpp.llama_model_free(model)


def _logits(context: Any, n_vocab: int) -> np.ndarray:
    return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(n_vocab,))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("settings", [{}, {"top_k": 0, "top_p": 1.0, "min_p": 0.0}, {"temperature": 0.0}], ids=str)
def test_logits_that_are_no_numbers_are_told_and_never_drawn_from(small, context, chain_of, value, settings):
    logits_v = _logits(context, small.n_vocab)
    before = logits_v.copy()
    logits_v[:] = value
    try:
        with pytest.raises(KnownError, match="not usable"):
            chain_of(DEFAULT.with_values(settings)).sample(context)
        with pytest.raises(KnownError, match="not usable"):
            check_logits(logits_v)
    finally:
        logits_v[:] = before
    assert 0 <= chain_of(DEFAULT).sample(context) < small.n_vocab


def _sample_often(chain: Any, context: Any) -> None:
    for _ in range(CHECK_EVERY):
        chain.sample(context)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.0}], ids=str)
def test_logits_that_become_no_numbers_later_are_found_within_some_tokens(small, context, chain_of, settings):
    logits_v = _logits(context, small.n_vocab)
    before, chain = logits_v.copy(), chain_of(DEFAULT.with_values(settings))
    chain.sample(context)
    logits_v[:] = np.nan
    try:
        with pytest.raises(KnownError, match="not usable"):
            _sample_often(chain, context)
    finally:
        logits_v[:] = before


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_single_bad_logit_is_found_at_the_beginning_of_a_run(small, value):
    logits_v = small.logits_v.copy()
    check_logits(logits_v)
    logits_v[777] = value
    with pytest.raises(KnownError, match="not usable"):
        check_logits(logits_v)


def test_drawing_with_care_draws_what_llama_cpp_draws(small, context, chain_of):
    chain = DEFAULT.with_value("temperature", 1.5)
    plain, careful = chain_of(chain), chain_of(chain)
    logits_v = _logits(context, small.n_vocab)
    assert [careful.draw(logits_v) for _ in range(50)] == [plain.sample(context) for _ in range(50)]


def test_a_chain_with_everything_banned_says_so_and_goes_on_living(small, chain_of):
    everything = chain_of(DEFAULT, banned=range(small.n_vocab))
    with pytest.raises(KnownError, match="leave no token"):
        everything.draw(small.logits_v)
    with pytest.raises(KnownError, match="leave no token"):
        everything.draw(small.logits_v)


def test_a_grammar_refuses_an_answer_that_it_does_not_allow(small, chain_of):
    tokens = small.vocab.tokenize("no way", add_special=False, parse_special=False)
    chain = DEFAULT.with_value("grammar", 'root ::= "no" " "? [a-v]+')
    with pytest.raises(KnownError, match="does not fit the grammar"):
        chain_of(chain).accept_answer(tokens)
    chain_of(chain).accept_answer(tokens[:1])


def test_a_finished_grammar_allows_only_the_end(small, chain_of):
    chain = chain_of(DEFAULT.with_value("grammar", 'root ::= "a"'))
    first = chain.draw(small.logits_v)
    assert small.vocab.piece(first) == b"a"
    assert small.vocab.is_end(chain.draw(small.logits_v))
    banned = chain_of(DEFAULT.with_value("grammar", 'root ::= "a"'), banned=small.vocab.ends())
    banned.draw(small.logits_v)
    with pytest.raises(KnownError, match="grammar allows no token"):
        banned.draw(small.logits_v)


def test_the_prompt_is_told_to_penalties_and_not_to_a_grammar(small, chain_of):
    chain = chain_of(DEFAULT.with_values({"grammar": 'root ::= "a"', "repeat_penalty": 1.5}))
    chain.accept(small.prompt_tokens)
    assert small.vocab.piece(chain.draw(small.logits_v)) == b"a"


def test_a_stage_that_needs_the_vocabulary_says_so_when_there_is_none(small):
    chain = DEFAULT.with_value("dry_multiplier", 0.8)
    with pytest.raises(BugError, match="vocab"):
        SamplerChain(chain.native_calls(1), n_vocab=small.n_vocab, n_ctx=256)


def test_the_whole_chain_of_every_stage_leaves_what_its_reference_leaves(small, chain_of):
    chain = DEFAULT.with_values(
        {
            "grammar": "root ::= [a-z ]+",
            "logit_bias": ['" the"=1.5', "5=false"],
            "repeat_penalty": 1.2,
            "dry_multiplier": 0.8,
            "top_n_sigma": 3.0,
            "typical_p": 0.95,
            "dynatemp_range": 0.3,
        }
    )
    history = small.prompt_tokens * 3
    native = chain_of(chain)
    native.accept(history)
    array = NativeCandidates(small.logits_v)
    native.apply(array)
    last = chain.reference(small.logits_v, history, small.vocab)[-1].candidates
    left = array.left()
    assert set(left["id"].tolist()) == set(last.ids.tolist())
    theirs = Candidates(left["id"].copy(), left["logit"].copy()).probabilities()
    ours = dict(zip(last.ids.tolist(), last.probabilities().tolist(), strict=True))
    np.testing.assert_allclose(theirs, [ours[token] for token in left["id"].tolist()], atol=1e-4)
