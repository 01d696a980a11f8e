"""One answer: prompt in, tokens out, until something ends it.

Text leaves as soon as it is known not to be the beginning of a stop text, bundled so that a fast model does not send
hundreds of frames a second.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from engine.base.cores import HASTY_TPS, cores, takes_every_core
from engine.base.errors import KnownError
from engine.chat.context import overflow_trouble
from engine.chat.stream import StopMatcher
from engine.chat.template import Templates
from engine.sampling.chain import HIGHEST_SEED, Chain
from engine.sampling.stage import Memory, NativeCall, Schema
from engine.wire.messages import (
    ChainChange,
    ChainLink,
    Event,
    FinishReason,
    Generate,
    LogLine,
    PrefillProgress,
    RunDone,
    RunStarted,
    RunStats,
    Token,
)
from engine.wire.run_options import RUN_OPTIONS
from engine.worker.bench import CONTENDED_BELOW, CpuShare
from engine.worker.prompting import prepare, spelled
from engine.worker.samplers import SamplerChain, check_logits
from engine.worker.schemas import grammar_of_schema
from engine.worker.session import Aborted, Session
from engine.worker.speculation import refuse_speculation, steps_of

BUNDLE_S = 0.05
"""Pieces that come within so short a time travel in one frame: as often as a window draws them."""
CROWDED_BUNDLE_S = 0.1
"""The same where the engine's threads take every core, and each frame takes from all of them."""
HASTY_BUNDLE_S = 0.25
"""Where the engine's threads take every core and text comes faster than it can be read. On two cores, ten frames a second
cost a twentieth of the speed.
"""


class RunControl(Protocol):
    """What can reach a run from outside while it goes on."""

    def is_cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        ...

    def take_chain(self) -> tuple[ChainLink, ...] | None:
        """A new sampler chain, once, when somebody sent one."""
        ...

    def answer_peeks(self, session: Session, history: Sequence[int], n_answer: int, seed: int) -> None:
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
    warnings = schema_warnings(chain)
    refuse_speculation(options, session)
    prepared = prepare(
        command.prompt,
        session.facts,
        session.vocab,
        templates,
        n_reserve=max(1, min(limit, session.n_ctx // 4)),
        now=lambda: datetime.now(UTC),
    )
    n_prompt = len(prepared.tokens)
    history = [*prepared.tokens, *_begun(command.begun, n_prompt, session)]
    planned = {each.n_written: each.chain for each in command.changes}
    rendered_s = time.monotonic()
    had_other_tokens = bool(session.cached)
    banned = session.vocab.ends() if options["ignore_eos"] else []
    native = _native(chain, seed, history, session, banned)  # before the start is told: a bad chain begins no answer
    native.accept_answer(history[n_prompt:])
    report = _Progress(command.run_id, emit)
    if command.portions is not None:
        had_other_tokens = False
        with contextlib.suppress(Aborted):  # told below, when the run has begun
            session.repeat(history, command.portions, report)
    n_reused = session.begin(history)
    emit(
        RunStarted(
            run_id=command.run_id,
            n_prompt=n_prompt,
            n_reused=n_reused,
            seed=seed,
            n_dropped_messages=prepared.n_dropped,
            template_hash=prepared.template_hash,
            warnings=(*prepared.warnings, *warnings),
            starts_in_thinking=prepared.starts_in_thinking,
            no_roll_back=had_other_tokens and n_reused == 0 and not session.facts.can_roll_back,
            prompt_tokens=prepared.tokens,
            portions=session.portions(n_reused),
            stops=prepared.stops,
            begun_piece=session.vocab.piece(command.begun[-1], special=True) if command.begun else b"",
        )
    )
    stops = options["stop"]
    all_stops = (*(stops if isinstance(stops, tuple) else ()), *prepared.stops)
    is_crowded = takes_every_core(session.facts.devices, session.facts.n_threads, cores())
    writer = _Writer(command.run_id, all_stops, emit, is_crowded=is_crowded)
    changes: list[ChainChange] = []
    prefill_s = 0.0
    share: CpuShare | None = None
    grammar_from = 0
    reason, stop_text, steps = FinishReason.CANCELLED, "", None
    try:
        stop_text = writer.begin(command.begun, [session.vocab.piece(each) for each in command.begun], n_reused)
        ended = _end_of_begun(command.begun, session, stop_text, limit, bool(banned))
        del history[n_prompt + writer.n_completion :]  # chosen tokens beyond a stop text are not the answer's
        if ended is None:
            session.prefill(history, report)
            check_logits(session.logits())
        else:
            reason = ended
        prefill_s = time.monotonic() - rendered_s
        steps = steps_of(options, session, history, limit - writer.n_completion)
        steps.use(native)
        share = CpuShare(session.facts.n_threads)
        while ended is None:
            if control.is_cancelled():
                break
            if writer.n_completion >= limit:
                reason = FinishReason.LENGTH
                break
            control.answer_peeks(session, history, writer.n_completion - grammar_from, seed)
            token = session.sample(native)
            history.append(token)
            if session.vocab.is_end(token) and not banned:
                reason = FinishReason.STOP
                break
            stop_text = writer.add(token, session.vocab.piece(token), len(session.cached) + 1)
            if stop_text:
                reason = FinishReason.STOP
                break
            if writer.n_completion >= limit:
                reason = FinishReason.LENGTH
                break
            if len(session.cached) + 1 >= session.n_ctx:
                reason = FinishReason.CONTEXT
                break
            links = control.take_chain() or planned.get(writer.n_completion)
            if links is not None:
                try:
                    asked = chain_of(links)
                    fresh = _native(asked, (seed + writer.n_completion) % HIGHEST_SEED, history, session, banned)
                except KnownError as error:  # the run goes on as before
                    emit(LogLine("warning", error.trouble.sentence()))
                else:
                    native.close()
                    if grammar_calls(asked) != grammar_calls(chain):
                        grammar_from = writer.n_completion  # a grammar that is new begins where it was switched on
                        for warning in schema_warnings(asked):
                            emit(LogLine("warning", warning))
                    chain, native = asked, fresh
                    steps.use(native)
                    native.accept_answer(history[n_prompt + grammar_from :])
                    changes.append(ChainChange(writer.n_completion, links))
                    writer.change(changes[-1])
            steps.advance(token)
    except Aborted:
        reason = FinishReason.CANCELLED
    finally:
        native.close()
        if steps is not None:
            steps.close()
        writer.flush(len(session.cached))
    cpu_share = share.read() if share is not None and session.facts.devices == ("CPU",) else None
    stats = RunStats(
        n_prompt=n_prompt,
        n_reused=n_reused,
        n_completion=writer.n_completion,
        render_s=rendered_s - received_s,
        prefill_s=prefill_s,
        first_token_s=writer.first_s - received_s if writer.first_s is not None else None,
        decode_s=writer.last_s - writer.first_s if writer.first_s is not None else 0.0,
        cpu_share=cpu_share,
        contended=cpu_share is not None and cpu_share < CONTENDED_BELOW,
        n_begun=min(len(command.begun), writer.n_completion),
        n_drafted=steps.n_drafted if steps is not None else None,
        n_accepted=steps.n_accepted if steps is not None else None,
        no_shortcut=steps.no_shortcut if steps is not None else "",
    )
    emit(RunDone(command.run_id, reason, stats, stop_text, tuple(history[n_prompt:]), tuple(changes)))


def _begun(begun: tuple[int, ...], n_prompt: int, session: Session) -> tuple[int, ...]:
    """The tokens that the answer begins with, if they are the model's and leave room for one more."""
    list(spelled(begun, session.vocab))
    if begun and n_prompt + len(begun) >= session.n_ctx:
        trained = session.facts.n_ctx_train or None
        raise KnownError.of(overflow_trouble(n_prompt + len(begun), session.n_ctx, trained, False, 1))
    return begun


def _end_of_begun(
    begun: tuple[int, ...], session: Session, stop_text: str, limit: int, goes_on: bool
) -> FinishReason | None:
    """Why an answer ends with the tokens that it was begun with; None when the model is to go on."""
    if stop_text or (begun and session.vocab.is_end(begun[-1]) and not goes_on):
        return FinishReason.STOP
    return FinishReason.LENGTH if begun and len(begun) >= limit else None


class _Progress:
    """Tells how much of the prompt is computed."""

    def __init__(self, run_id: int, emit: Callable[[Event], None]) -> None:
        self._run_id, self._emit = run_id, emit

    def __call__(self, n_done: int, n_total: int) -> None:
        self._emit(PrefillProgress(self._run_id, n_done, n_total))


class _Writer:
    """Sends pieces on, held back by the stop texts and bundled by time."""

    def __init__(self, run_id: int, stops: tuple[str, ...], emit: Callable[[Event], None], *, is_crowded: bool) -> None:
        self._run_id, self._emit, self._is_crowded = run_id, emit, is_crowded
        self._matcher = StopMatcher(stops)
        self._waiting = bytearray()
        self._tokens: list[int] = []
        self._changes: list[ChainChange] = []
        self._sent_s = 0.0
        self.n_completion = 0
        self.first_s: float | None = None
        self.last_s = 0.0

    def begin(self, tokens: Sequence[int], pieces: Sequence[bytes], n_past: int) -> str:
        """Take the tokens that somebody chose and send their text at once; returns the stop text in it, or ""."""
        stopped = ""
        for token, piece in zip(tokens, pieces, strict=True):
            self.n_completion += 1
            self._tokens.append(token)
            step = self._matcher.feed(piece)
            self._waiting += step.emit
            if step.stopped:
                stopped = step.stopped
                break
        if self._waiting:
            self._send(n_past, time.monotonic())
        return stopped

    def change(self, change: ChainChange) -> None:
        """Another chain draws from here on."""
        self._changes.append(change)

    def add(self, token: int, piece: bytes, n_past: int) -> str:
        """Take a token and its bytes; returns the stop text that ended the answer, or ""."""
        self.n_completion += 1
        self._tokens.append(token)
        step = self._matcher.feed(piece)
        self._waiting += step.emit
        now = time.monotonic()
        self.last_s = now
        if self.first_s is None:
            self.first_s = now
            self._send(n_past, now)
        elif now - self._sent_s >= self._bundle_s(now - self.first_s):
            self._send(n_past, now)
        return step.stopped or ""

    def _bundle_s(self, writing_s: float) -> float:
        if not self._is_crowded:
            return BUNDLE_S
        return HASTY_BUNDLE_S if self.n_completion > HASTY_TPS * writing_s else CROWDED_BUNDLE_S

    def flush(self, n_past: int) -> None:
        """Send what was held back."""
        self._waiting += self._matcher.flush()
        if self._waiting:
            self._send(n_past, time.monotonic())

    def _send(self, n_past: int, now: float) -> None:
        tokens, changes = tuple(self._tokens), tuple(self._changes)
        self._emit(
            Token(self._run_id, bytes(self._waiting), self.n_completion, n_past, tokens, self._matcher.held, changes)
        )
        self._waiting.clear()
        self._tokens.clear()
        self._changes.clear()
        self._sent_s = now


def grammar_calls(chain: Chain) -> tuple[NativeCall, ...]:
    """The native samplers that follow the answer alone: a grammar goes on over a change that does not touch it."""
    return tuple(each for each in chain.native_calls(0) if each.memory is Memory.ANSWER)


def schema_warnings(chain: Chain) -> tuple[str, ...]:
    """What of a JSON Schema the engine's grammar does not hold. Raises `KnownError` where it can make none of it."""
    schemas = [arg for call in grammar_calls(chain) for arg in call.args if isinstance(arg, Schema)]
    return tuple(warning for each in schemas for warning in grammar_of_schema(each.text).warnings)


def _native(chain: Chain, seed: int, history: list[int], session: Session, banned: list[int]) -> SamplerChain:
    vocab = session.vocab
    native = SamplerChain(
        chain.native_calls(seed), n_vocab=vocab.n_vocab, n_ctx=session.n_ctx, banned=banned, vocab=vocab
    )
    native.accept(history)
    return native
