"""One answer: prompt in, tokens out, until something ends it.

Text leaves as soon as it is known not to be the beginning of a stop text, bundled so that a fast model does not send
hundreds of frames a second.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from engine.chat.stream import StopMatcher
from engine.chat.template import Templates
from engine.sampling.chain import HIGHEST_SEED, Chain
from engine.wire.messages import (
    ChainLink,
    Event,
    FinishReason,
    Generate,
    PrefillProgress,
    RunDone,
    RunStarted,
    RunStats,
    Token,
)
from engine.wire.run_options import RUN_OPTIONS
from engine.worker.bench import CONTENDED_BELOW, CpuShare
from engine.worker.binding import SamplerChain
from engine.worker.prompting import prepare
from engine.worker.session import Aborted, Session

BUNDLE_S = 0.03
"""Pieces that come within so short a time travel in one frame: two ticks of a window."""


class RunControl(Protocol):
    """What can reach a run from outside while it goes on."""

    def is_cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        ...

    def take_chain(self) -> tuple[ChainLink, ...] | None:
        """A new sampler chain, once, when somebody sent one."""
        ...

    def answer_peeks(self, session: Session, history: Sequence[int], seed: int) -> None:
        """Let whoever asked look at the distribution of the next token; the run's samplers are left alone."""
        ...


def chain_of(links: tuple[ChainLink, ...]) -> Chain:
    """The chain as `engine.sampling` understands it; no links is the default chain. Raises `KnownError`."""
    if not links:
        return Chain.default()
    return Chain.from_wire([{"key": each.key, "enabled": each.enabled, "values": each.values} for each in links])


def draw_seed(asked: int) -> int:
    """The seed to use: the one that was asked for, or a random one for −1."""
    return asked if asked >= 0 else random.SystemRandom().randrange(HIGHEST_SEED)


def write_answer(
    session: Session,
    command: Generate,
    templates: Templates,
    control: RunControl,
    emit: Callable[[Event], None],
    received_s: float,
) -> None:
    """Do a whole Generate command: events go to `emit`, the last one is RunDone.

    Args:
        received_s: when the command arrived, on `time.monotonic`'s clock; first-token times count from there.

    Raises:
        KnownError: the prompt, the chain or an option is bad, or the engine failed.
    """
    options = RUN_OPTIONS.checked(command.options)
    max_tokens = int(str(options["max_tokens"]))
    limit = max_tokens if max_tokens >= 0 else session.n_ctx
    chain = chain_of(command.chain)
    seed = draw_seed(int(str(options["seed"])))
    prepared = prepare(
        command.prompt,
        session.facts,
        session.vocab,
        templates,
        n_reserve=max(1, min(limit, session.n_ctx // 4)),
        now=lambda: datetime.now(UTC),
    )
    rendered_s = time.monotonic()
    had_other_tokens = bool(session.cached)
    n_reused = session.begin(prepared.tokens)
    emit(
        RunStarted(
            run_id=command.run_id,
            n_prompt=len(prepared.tokens),
            n_reused=n_reused,
            seed=seed,
            n_dropped_messages=prepared.n_dropped,
            template_hash=prepared.template_hash,
            warnings=prepared.warnings,
            starts_in_thinking=prepared.starts_in_thinking,
            no_roll_back=had_other_tokens and n_reused == 0 and not session.facts.can_roll_back,
        )
    )
    stops = options["stop"]
    banned = session.vocab.ends() if options["ignore_eos"] else []
    writer = _Writer(command.run_id, (*(stops if isinstance(stops, tuple) else ()), *prepared.stops), emit)
    prefill_s = 0.0
    share: CpuShare | None = None
    reason, stop_text, native = FinishReason.CANCELLED, "", None
    try:
        session.prefill(prepared.tokens, lambda done, total: emit(PrefillProgress(command.run_id, done, total)))
        prefill_s = time.monotonic() - rendered_s
        history = list(prepared.tokens)
        native = _native(chain, seed, history, session, banned)
        share = CpuShare(session.facts.n_threads)
        while True:
            if control.is_cancelled():
                break
            if limit == 0:
                reason = FinishReason.LENGTH
                break
            control.answer_peeks(session, history, seed)
            token = session.sample(native)
            if session.vocab.is_end(token) and not banned:
                reason = FinishReason.STOP
                break
            history.append(token)
            stop_text = writer.add(session.vocab.piece(token), len(session.cached) + 1)
            if stop_text:
                reason = FinishReason.STOP
                break
            if writer.n_completion >= limit:
                reason = FinishReason.LENGTH
                break
            if len(session.cached) + 1 >= session.n_ctx:
                reason = FinishReason.CONTEXT
                break
            links = control.take_chain()
            if links is not None:
                native.close()
                chain = chain_of(links)
                native = _native(chain, (seed + writer.n_completion) % HIGHEST_SEED, history, session, banned)
            session.decode_one(token)
    except Aborted:
        reason = FinishReason.CANCELLED
    finally:
        if native is not None:
            native.close()
        writer.flush(len(session.cached))
    cpu_share = share.read() if share is not None and session.facts.devices == ("CPU",) else None
    stats = RunStats(
        n_prompt=len(prepared.tokens),
        n_reused=n_reused,
        n_completion=writer.n_completion,
        render_s=rendered_s - received_s,
        prefill_s=prefill_s,
        first_token_s=writer.first_s - received_s if writer.first_s is not None else None,
        decode_s=writer.last_s - writer.first_s if writer.first_s is not None else 0.0,
        cpu_share=cpu_share,
        contended=cpu_share is not None and cpu_share < CONTENDED_BELOW,
    )
    emit(RunDone(command.run_id, reason, stats, stop_text))


class _Writer:
    """Sends pieces on, held back by the stop texts and bundled by time."""

    def __init__(self, run_id: int, stops: tuple[str, ...], emit: Callable[[Event], None]) -> None:
        self._run_id, self._emit = run_id, emit
        self._matcher = StopMatcher(stops)
        self._waiting = bytearray()
        self._sent_s = 0.0
        self.n_completion = 0
        self.first_s: float | None = None
        self.last_s = 0.0

    def add(self, piece: bytes, n_past: int) -> str:
        """Take a token's bytes; returns the stop text that ended the answer, or ""."""
        self.n_completion += 1
        step = self._matcher.feed(piece)
        self._waiting += step.emit
        now = time.monotonic()
        self.last_s = now
        if self.first_s is None:
            self.first_s = now
            self._send(n_past, now)
        elif now - self._sent_s >= BUNDLE_S:
            self._send(n_past, now)
        return step.stopped or ""

    def flush(self, n_past: int) -> None:
        """Send what was held back."""
        self._waiting += self._matcher.flush()
        if self._waiting:
            self._send(n_past, time.monotonic())

    def _send(self, n_past: int, now: float) -> None:
        self._emit(Token(self._run_id, bytes(self._waiting), self.n_completion, n_past))
        self._waiting.clear()
        self._sent_s = now


def _native(chain: Chain, seed: int, history: list[int], session: Session, banned: list[int]) -> SamplerChain:
    native = SamplerChain(chain.native_calls(seed), n_vocab=session.vocab.n_vocab, n_ctx=session.n_ctx, banned=banned)
    if any(link.stage.uses_history for link in chain.active()):
        native.accept(history)
    return native
