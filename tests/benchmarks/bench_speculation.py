"""What guessing saves: processor time of a plain run over that of the same run with guesses, and in the graph.

The engine's own functions in this process, one thread: processor time, so that a busy neighbour spoils less. Paired: each
round does both, one after the other; the median of the rounds' ratios counts. A text that repeats its prompt, and an
open story.

There is no smaller model of the real ones' families here. So SmolLM2's numbers in F32 are the model and its Q4_1 file the
draft model: a real pair whose larger one takes about twice as long. Random weights that guess for SmolLM2 are the worst
that can be, and SmolLM2 for itself is the dearest; in so short a text the tries before either is left alone cost the most.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.base.fields import Value
from engine.chat.template import Templates
from engine.gguf.card import read_card
from engine.sampling.chain import Chain
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import ChainLink, Event, Generate, Prompt, RunDone, RunStats, Token
from engine.worker.binding import AbortFlag, Ggml, NativeLog, start_backends
from engine.worker.drafting import open_models
from engine.worker.session import Session
from engine.worker.writing import write_answer
from tests.benchmarks.report import Row
from tests.support.made_models import random_llama, unquantized

N_TOKENS = 64
ROUNDS = 3
CODE = """def area(width, height):
    return width * height

def perimeter(width, height):
    return 2 * (width + height)

def volume(width, height, depth):
    return width * height * depth
"""
REPEATS = f"{CODE}\n# The same code again:\n\n{CODE}\n# The same code again:\n\n"
STORY = "Once upon a time, a llama crossed the mountains."
GREEDY = Chain.default().with_value("temperature", 0)
LOOKUP: dict[str, Value] = {"speculate": "lookup"}
DRAFT: dict[str, Value] = {"speculate": "draft"}
INSIDE: dict[str, Value] = {"backend_sampling": True}


class NoControl:
    """Nobody stops the run, changes its chain or looks at it."""

    def is_cancelled(self) -> bool:
        return False

    def take_chain(self) -> tuple[ChainLink, ...] | None:
        return None

    def answer_peeks(self, session: Session, history: Sequence[int], n_answer: int, seed: int) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what it wrote, its figures, and the seconds of processor time it took."""

    text: bytes
    stats: RunStats
    cpu_s: float


class Engine:
    """A session in this process."""

    def __init__(self, model: Path, draft: Path | None = None) -> None:
        self._log = NativeLog()
        start_backends()
        given = {"n_ctx": 1024, "n_threads": 1, "n_outputs_max": 8, "model_draft": str(draft or "")}
        options = LOAD_OPTIONS.checked(given)
        self.session: Session = open_models(
            model,
            read_card(model),
            options,
            ggml=Ggml(),
            log=self._log,
            abort=AbortFlag(),
            on_progress=lambda _fraction: True,
            base_rss_bytes=0,
        )
        self._templates = Templates()

    def run(self, prompt: str, chain: Chain, seed: int, options: dict[str, Value]) -> Run:
        """One answer of `N_TOKENS` tokens."""
        events: list[Event] = []
        links = tuple(ChainLink(each["key"], each["enabled"], each["values"]) for each in chain.to_wire())
        given: dict[str, Any] = {"max_tokens": N_TOKENS, "ignore_eos": True, "seed": seed, **options}
        command = Generate(1, Prompt(text=prompt), links, given)
        begun = time.process_time()
        write_answer(self.session, command, self._templates, NoControl(), events.append, time.monotonic())
        cpu_s = time.process_time() - begun
        done = events[-1]
        assert isinstance(done, RunDone)
        return Run(b"".join(each.piece for each in events if isinstance(each, Token)), done.stats, cpu_s)


def speculation_rows(model: Path) -> Iterator[Row]:
    """Lookup over plain on both texts, and backend sampling over plain; each row as it is measured."""
    engine = Engine(model)
    name = model.stem
    cases: tuple[tuple[str, str, str, Chain, dict[str, Value]], ...] = (
        ("lookup over plain, a text that repeats", "≥ 1.05", REPEATS, GREEDY, LOOKUP),
        ("lookup over plain, an open story", "≥ 0.90", STORY, GREEDY, LOOKUP),
        ("lookup over plain, a drawn story", "≥ 0.90", STORY, Chain.default(), LOOKUP),
        ("sampling in the graph over plain", "", STORY, Chain.default(), INSIDE),
    )
    try:
        for text, target, prompt, chain, options in cases:
            yield _row(f"{name}: {text}", target, engine, prompt, chain, options)
    finally:
        engine.session.close()


def draft_rows(model: Path) -> Iterator[Row]:
    """A draft model over none: a real pair, the worst, the dearest; each row as it is measured."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full = unquantized(folder / "f32.gguf", model)
        random = random_llama(folder / "random.gguf", model)
        cases: tuple[tuple[str, str, Path, Path, str, Chain], ...] = (
            ("F32 drafted by Q4_1 over plain, a text that repeats", "", full, model, REPEATS, GREEDY),
            ("F32 drafted by Q4_1 over plain, an open story", "", full, model, STORY, GREEDY),
            ("F32 drafted by Q4_1 over plain, a drawn story", "", full, model, STORY, Chain.default()),
            ("drafted by random weights over plain, an open story", "≥ 0.70", model, random, STORY, GREEDY),
            ("drafted by itself over plain, an open story", "≥ 0.60", model, model, STORY, GREEDY),
        )
        for text, target, main, draft, prompt, chain in cases:
            engine = Engine(main, draft)
            try:
                yield _row(f"{model.stem}: {text}", target, engine, prompt, chain, DRAFT)
            finally:
                engine.session.close()


def _row(name: str, target: str, engine: Engine, prompt: str, chain: Chain, options: dict[str, Value]) -> Row:
    engine.run(prompt, chain, 0, {"max_tokens": 1})  # the prompt is read now, and not in the first round
    ratios, same, last = [], 0, None
    for seed in range(ROUNDS):
        plain = engine.run(prompt, chain, seed, {})
        last = engine.run(prompt, chain, seed, options)
        ratios.append(plain.cpu_s / last.cpu_s)
        same += plain.text == last.text
    assert last is not None
    return Row(name, statistics.median(ratios), target, "×", _note(last.stats, same), ratios)


def _note(stats: RunStats, n_same: int) -> str:
    text = f"{n_same} of {ROUNDS} texts equal"
    if stats.acceptance_rate is not None:
        text += f", accepted {stats.acceptance_rate:.0%} of {stats.n_drafted}"
    return text


def all_rows(models: Iterable[Callable[[], Path]]) -> Iterator[Row]:
    """The rows of every model, each as it is measured, and those of draft models for the first."""
    paths = [each() for each in models]
    for each in paths:
        yield from speculation_rows(each)
    yield from draft_rows(paths[0])
