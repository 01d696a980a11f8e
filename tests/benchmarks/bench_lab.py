"""The decoding laboratory's promises: the next-token view of a large vocabulary, the chain's own cost, eight at once.

The first two are measured in this process, on the worker's own parts and real logits; the third against a plain loop of
the same C functions in a process of its own. Paired: each round measures all, and the median of the rounds counts.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama

from engine.gguf.card import read_card
from engine.sampling.chain import Chain
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import Prompt, RunDone, SampledMany
from engine.worker.binding import AbortFlag, Ggml, NativeLog, start_backends
from engine.worker.capture import Place
from engine.worker.control import Control
from engine.worker.samplers import SamplerChain
from engine.worker.session import Session, open_session
from tests.benchmarks.bench_decode import Peer
from tests.benchmarks.plain import N_COLUMNS
from tests.benchmarks.report import Row
from tests.support import model_files
from tests.support.benches import open_bench

N_CTX = 2048
N_TOKENS = 64
ROUNDS = 7
N_TOP = 20
PROMPT = "Once upon a time, in a valley between two mountains, there lived a llama who"


def next_row() -> Row:
    """The next-token view of Gemma's 262,144 tokens when a slider is dragged: raw top and every stage, in the worker."""
    with _session(model_files.gemma3()) as session:
        place = _place(session)
        chains = [Chain.default().with_value("temperature", 0.5 + 0.02 * step) for step in range(40)]
        times_ms = [1000 * _timed(lambda each=each: _view(place, each)) for each in chains]  # type: ignore[misc]
        uncut = Chain.default()
        for each in ("top_k", "top_p"):
            uncut = uncut.with_enabled(each, False)
        uncut_ms = statistics.median(1000 * _timed(lambda: _view(place, uncut)) for _ in range(15))
        first_ms = 1000 * _timed(lambda: _view(_place(session), chains[0]))
    note = f"without top-k and top-p {uncut_ms:.1f} ms; with the copy of the logits {first_ms:.1f} ms"
    return Row("next token of 262,144, another chain", statistics.median(times_ms), "≤ 16", "ms", note, times_ms)


def sampling_rows() -> Iterator[Row]:
    """What the writing loop does to draw a token by the default chain, over `llama_sampler_sample` with those stages."""
    for path in (model_files.smollm2(), model_files.gemma3()):
        with _session(path) as session:
            _place(session)
            control = Control(session.abort, lambda _event: None)
            ours, alone = _default_chain(session), _default_chain(session)
            write, plain = _our_draws(session, control, ours), _plain_draws(session, alone)
            ratios, times = [], []
            for number in range(101):
                # Who goes first changes, so that a drift of the machine's speed favours neither.
                first, second = (write, plain) if number % 2 else (plain, write)
                one, other = _timed(first), _timed(second)
                ratios.append(one / other if number % 2 else other / one)
                times.append(1e4 * (other if number % 2 else one))
            ours.close()
            alone.close()
        note = f"llama_sampler_sample {statistics.median(times):.0f} µs a token"
        yield Row(f"{path.stem}: default chain over the C call", statistics.median(ratios), "≤ 1.02", "×", note, ratios)


def batch_row(path: Path) -> Row:
    """How much eight continuations in one batch gain over one, ours over the plain loop's."""
    with tempfile.TemporaryDirectory() as folder, open_bench(Path(folder), start=False) as driver:
        driver.load(path, n_ctx=N_CTX)
        facts = driver.workbench.state.facts
        assert facts is not None
        single, batch = Peer("plain", path, facts.n_threads), Peer("batch", path, facts.n_threads)
        try:
            gains, ratios, plain_gains = [], [], []
            for number in range(ROUNDS):
                prompt = f"{number}. {PROMPT}"
                alone: list[RunDone] = driver.collect(RunDone)
                driver.workbench.generate(
                    Prompt(text=prompt), options={"max_tokens": N_TOKENS, "seed": number, "ignore_eos": True}
                )
                driver.until(lambda alone=alone: alone)  # type: ignore[misc]
                plain_one = single.run(prompt, N_TOKENS, number)
                many: list[Any] = []
                lab = driver.workbench.lab
                columns = [lab.column(seed=number + place) for place in range(N_COLUMNS)]
                lab.sample_many(Prompt(text=prompt), columns, N_TOKENS, many.append, many.append)
                driver.until(lambda many=many: many)  # type: ignore[misc]
                plain_many = batch.run(prompt, N_TOKENS, number)
                done, tps = many[0], alone[0].stats.decode_tps
                assert isinstance(done, SampledMany), done
                assert done.tps is not None
                assert tps is not None
                if any(len(each.tokens) < N_TOKENS for each in done.columns):
                    continue  # a column has ended early and made the batch smaller: no comparison
                gain = done.tps / tps
                plain_tps = (plain_many["n"] - N_COLUMNS) / plain_many["decode_s"]
                plain_gain = plain_tps / ((N_TOKENS - 1) / plain_one["decode_s"])
                gains.append(gain)
                plain_gains.append(plain_gain)
                ratios.append(gain / plain_gain)
        finally:
            single.close()
            batch.close()
    note = f"gain {statistics.median(gains):.2f}, plain loop's {statistics.median(plain_gains):.2f}"
    return Row(
        f"{path.stem}: gain of 8 at once over the plain loop's", statistics.median(ratios), "≥ 0.95", "×", note, ratios
    )


def _default_chain(session: Session) -> SamplerChain:
    return SamplerChain(Chain.default().native_calls(1), n_vocab=session.vocab.n_vocab, n_ctx=session.n_ctx)


def _our_draws(session: Session, control: Control, chain: SamplerChain) -> Callable[[], None]:
    history = [1] * 64

    def draw() -> None:
        for _ in range(100):
            control.answer_peeks(session, history, 0, 1)
            session.sample(chain)

    return draw


def _plain_draws(session: Session, chain: SamplerChain) -> Callable[[], None]:
    context, pointer = session._context, chain.pointer

    def draw() -> None:
        for _ in range(100):
            llama.llama_sampler_sample(pointer, context, -1)

    return draw


def _view(place: Place, chain: Chain) -> None:
    place.raw_top(N_TOP)
    place.stage_views(chain, 1, N_TOP)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _place(session: Session) -> Place:
    tokens = session.vocab.tokenize(PROMPT, add_special=True, parse_special=True)
    session.begin(tokens)
    session.prefill(tokens, lambda _done, _total: None)
    return Place.at_end(session, tokens)


@contextmanager
def _session(path: Path) -> Iterator[Session]:
    log = NativeLog()
    start_backends()
    session = open_session(
        path,
        read_card(path),
        LOAD_OPTIONS.checked({**LOAD_OPTIONS.defaults(), "n_ctx": N_CTX}),
        ggml=Ggml(),
        log=log,
        abort=AbortFlag(),
        on_progress=lambda _fraction: True,
        base_rss_bytes=0,
    )
    try:
        yield session
    finally:
        session.close()
