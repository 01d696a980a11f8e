"""A chain that is led through a text leaves at each place what the chain that wrote it left there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from engine.sampling.chain import Chain
from engine.worker.binding import Vocabulary
from engine.worker.following import FollowedChain
from engine.worker.samplers import Candidates, SamplerChain
from tests.support.native_samplers import open_vocabulary

DEFAULT = Chain.default()
SEED, N_CTX, N_STEPS = 11, 256, 60
CHAINS = {
    "mirostat 1": DEFAULT.with_values({"mirostat": "1", "mirostat_tau": 2.0, "mirostat_eta": 0.4}),
    "mirostat 2": DEFAULT.with_values({"mirostat": "2", "mirostat_tau": 2.0, "mirostat_eta": 0.4, "top_k": 200}),
    "adaptive-p": DEFAULT.with_values({"adaptive_target": 0.4, "adaptive_decay": 0.8}),
    "xtc": DEFAULT.with_values({"xtc_probability": 0.5, "xtc_threshold": 0.05}),
    "penalties": DEFAULT.with_values({"repeat_penalty": 1.5, "mirostat": "2", "mirostat_tau": 3.0}),
}


@pytest.fixture(scope="module")
def vocab(smollm2: Path) -> Iterator[Vocabulary]:
    """SmolLM2's tokens."""
    with open_vocabulary(smollm2) as found:
        yield found


def follow(vocab: Vocabulary, chain: Chain, *, read: int | None = 0, moves: bool = True) -> FollowedChain:
    """The chain before the first token of an answer to a prompt of three tokens."""
    return FollowedChain(chain, SEED, vocab=vocab, n_ctx=N_CTX, history=(1, 2, 3), n_written=0, read=read, moves=moves)


@pytest.mark.parametrize("name", CHAINS)
def test_it_leaves_what_the_chain_that_drew_left(vocab: Vocabulary, name: str) -> None:
    chain = CHAINS[name]
    random = np.random.default_rng(3)
    writing = SamplerChain(chain.native_calls(SEED), n_vocab=vocab.n_vocab, n_ctx=N_CTX, vocab=vocab)
    writing.accept((1, 2, 3))
    followed, stuck = follow(vocab, chain), follow(vocab, chain, moves=False)
    n_kept, differs = set(), False
    for _ in range(N_STEPS):
        # A few likely tokens and a long tail, as a model's own are: what is left depends on the state of the chain.
        logits_v = (random.standard_normal(vocab.n_vocab) * 2).astype(np.float32)
        logits_v[random.choice(vocab.n_vocab, 30, replace=False)] += np.float32(9)
        candidates = Candidates(logits_v)
        writing.apply(candidates)
        token = candidates.selected
        assert token is not None
        left = candidates.left()
        expected = dict(zip(left["id"].tolist(), left["p"].tolist(), strict=True))
        n_kept.add(len(expected))
        others = np.argsort(-logits_v)[:40]
        wanted = np.array([token, *others], dtype=np.intp)
        found = followed.p_of(logits_v, wanted)
        assert found == pytest.approx([expected.get(each, 0.0) for each in wanted.tolist()], abs=1e-5)
        differs |= stuck.p_of(logits_v, wanted) != pytest.approx(found, abs=1e-3)
        llama.llama_sampler_accept(writing.pointer, token)
        followed.take(token)
        stuck.take(token)
    assert followed.troubles == []
    assert len(n_kept) > 1 or name == "adaptive-p"
    if chain.draws_itself:  # one that stays at its beginning leaves something else: the test would see it
        assert differs
    for each in (writing, followed, stuck):
        each.close()


def test_a_grammar_is_read_token_by_token_and_left_where_the_text_leaves_it(vocab: Vocabulary) -> None:
    followed = follow(vocab, DEFAULT.with_value("grammar", 'root ::= "yes" | "no"').with_enabled("top_k", False))
    yes, no, maybe = (
        vocab.tokenize(each, add_special=False, parse_special=False)[0] for each in ("yes", "no", "maybe")
    )
    logits_v = np.zeros(vocab.n_vocab, dtype=np.float32)
    logits_v[[yes, no]] = 5.0
    wanted = np.array([maybe, yes, no], dtype=np.intp)
    p = followed.p_of(logits_v, wanted)
    assert p[0] == 0.0
    assert p[1] == pytest.approx(p[2])
    assert p[1] > 0.4
    followed.take(yes)
    # The grammar has read "yes": nothing but an end may follow.
    p = followed.p_of(logits_v, np.array([no, *vocab.ends()], dtype=np.intp))
    assert p[0] == 0.0
    assert sum(p) == pytest.approx(1.0)
    followed.take(no)
    assert len(followed.troubles) == 1
    assert "Token 2 does not follow the grammar" in followed.troubles[0]
    assert followed.p_of(logits_v, wanted)[1] > 0.0
    followed.close()


def test_a_token_that_the_chain_would_have_cut_is_told_once(vocab: Vocabulary) -> None:
    followed = follow(vocab, DEFAULT.with_values({"mirostat": "2", "mirostat_tau": 1.0}))
    logits_v = np.zeros(vocab.n_vocab, dtype=np.float32)
    logits_v[7] = 30.0
    for _ in range(3):
        assert followed.p_of(logits_v, np.array([8, 7], dtype=np.intp)) == [0.0, 1.0]
        followed.take(8)
    assert len(followed.troubles) == 1
    assert "token 1" in followed.troubles[0]
    followed.close()


def test_samplers_that_leave_nothing_are_told_and_not_raised(vocab: Vocabulary) -> None:
    chain = DEFAULT.with_value("grammar", 'root ::= "yes"').moved("grammar", 99)
    followed = follow(vocab, chain)
    logits_v = np.zeros(vocab.n_vocab, dtype=np.float32)
    logits_v[7] = 30.0
    assert followed.p_of(logits_v, np.array([7], dtype=np.intp)) == [0.0]
    assert "At token 1" in followed.troubles[0]
    followed.close()
