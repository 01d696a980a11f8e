"""In which portions a cache was computed: remembered through cuts, and computed again to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from engine.gguf.card import read_card
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import Portion
from engine.worker.binding import AbortFlag, Ggml, NativeLog, start_backends
from engine.worker.calls import Calls, each_call
from engine.worker.capture import logits_of
from engine.worker.session import Session, open_session


def test_calls_of_one_size_are_counted_and_a_cut_call_keeps_its_size() -> None:
    calls = Calls()
    for n_tokens in (37, 1, 1, 1, 12):
        calls.add(n_tokens)
    assert calls.portions(52) == (Portion(37, 37), Portion(1, 1, 3), Portion(12, 12))
    assert calls.portions(45) == (Portion(37, 37), Portion(1, 1, 3), Portion(5, 12))
    calls.cut(36)
    calls.add(1)
    assert calls.portions(37) == (Portion(36, 37), Portion(1, 1))
    calls.clear()
    assert (calls.n_tokens, calls.portions(0)) == (0, ())


@given(st.lists(st.one_of(st.integers(1, 9), st.floats(0, 1)), max_size=30), st.floats(0, 1))
def test_every_token_belongs_to_the_call_that_computed_it(steps: list[int | float], share: float) -> None:
    """Against the plainest way: a list with the size of its call for each token."""
    calls, plain = Calls(), []
    for step in steps:
        if isinstance(step, int):
            calls.add(step)
            plain += [(step, place) for place in range(step)]
        else:
            n_keep = int(step * len(plain))
            calls.cut(n_keep)
            del plain[n_keep:]
    n_tokens = int(share * len(plain))
    told = [
        (n_computed, place) for n_kept, n_computed in each_call(calls.portions(n_tokens)) for place in range(n_kept)
    ]
    assert told == plain[:n_tokens]


@pytest.fixture(scope="module")
def session(gemma3: Path) -> Iterator[Session]:
    """Gemma-3, whose logits depend on how many tokens a call computes."""
    log = NativeLog()
    start_backends()
    opened = open_session(
        gemma3,
        read_card(gemma3),
        {**LOAD_OPTIONS.defaults(), "n_ctx": 256, "n_threads": 1, "n_threads_batch": 1},
        ggml=Ggml(),
        log=log,
        abort=AbortFlag(),
        on_progress=lambda _fraction: True,
        base_rss_bytes=0,
    )
    yield opened
    opened.close()
    log.close()


def test_the_same_portions_give_the_same_bits(session: Session) -> None:
    text = "The quick brown fox jumps over the lazy dog and then goes home to eat soup with its friends"
    tokens = session.vocab.tokenize(text, add_special=True, parse_special=True)
    session.prefill(tokens[:12], _no_progress)
    for token in tokens[12:15]:
        session.decode_one(token)
    session.begin(tokens[:9])
    session.prefill(tokens[:14], _no_progress)
    n_reused = session.begin(tokens)
    portions = session.portions(n_reused)
    assert sum(each.n_kept * each.times for each in portions) == n_reused == 14
    session.prefill(tokens, _no_progress)
    first = logits_of(session)
    session.repeat(tokens, portions, _no_progress)
    assert session.begin(tokens) == n_reused
    assert session.portions(n_reused) == portions
    session.prefill(tokens, _no_progress)
    assert np.array_equal(logits_of(session), first)


def test_portions_that_this_context_cannot_hold_are_left(session: Session) -> None:
    tokens = session.vocab.tokenize("one two three four five", add_special=True, parse_special=True)
    session.repeat(tokens, (Portion(3, 100_000), Portion(1, 1)), _no_progress)
    assert session.begin(tokens) in (0, 4)
    session.prefill(tokens, _no_progress)
    assert session.cached == tokens


def _no_progress(_n_done: int, _n_total: int) -> None:
    """Nobody looks."""
