"""Many continuations of one prompt: computed once, then written side by side, all of them in one batch a step.

A batch of eight tokens reads the weights once, as a batch of one does; that is the whole gain. Continuations that have
ended leave the batch. They share the prompt's part of the cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from engine.base.errors import KnownError
from engine.wire.messages import (
    ColumnKind,
    ColumnResult,
    ColumnText,
    Event,
    FinishReason,
    SampleColumn,
    SampledMany,
    SampleMany,
)
from engine.worker.capture import Floats
from engine.worker.control import Control
from engine.worker.laboratory import LabContext, Size, n_outputs_that_fit
from engine.worker.prompting import Prepared
from engine.worker.samplers import SamplerChain
from engine.worker.session import Aborted, Session
from engine.worker.writers import BestPathWriter, Bounds, ContrastWriter, StepWriter, Writer, distinct
from engine.worker.writing import chain_of, draw_seed

MOST_COLUMNS = 32
MOST_WIDTH = 16
BUNDLE_S = 0.08
"""Texts of a column that come within so short a time travel together."""


def sample_many(
    session: Session, command: SampleMany, prepared: Prepared, control: Control, emit: Callable[[Event], None]
) -> None:
    """Do a whole SampleMany command: ColumnText events, then SampledMany, with what there is where it was stopped.

    Raises:
        KnownError: too many or no columns, a width or length out of range, a bad chain, or no memory.
    """
    _refuse_bad(command)
    bounds = _bounds(session, command, prepared)
    widths = [_n_sequences(each) for each in command.columns]
    with_states = any(each.kind is ColumnKind.CONTRAST for each in command.columns)
    n_seq = sum(widths)
    # A path of a beam that others left behind gives its cells back, but all of them may be apart from the start.
    n_cells = len(prepared.tokens) + n_seq * (bounds.limit + 1)
    n_outputs = max(n_seq, n_outputs_that_fit(session.vocab.n_vocab) if with_states else 1)
    seeds = [draw_seed(each.seed) if each.kind is ColumnKind.CHAIN else 0 for each in command.columns]
    results = _Told(command, emit)
    writers: list[Writer] = []
    prefill_s, decode_s, cancelled = 0.0, 0.0, False
    with LabContext(session, Size.of(n_cells, n_seq, n_outputs, with_states=with_states)) as lab:
        try:
            begun = time.monotonic()
            states = lab.prefill(prepared.tokens)
            prefill_s = time.monotonic() - begun
            begun = time.monotonic()
            try:
                first = 0
                for column, width, seed in zip(command.columns, widths, seeds, strict=True):
                    seqs = range(first, first + width)
                    writers.append(_writer(session, column, seqs, seed, prepared.tokens, bounds, states))
                    first += width
                for seq in range(1, n_seq):
                    lab.copy(0, seq)
                lab.side_by_side([look for each in writers for look in each.looks(lab, -1)])
                for each in writers:
                    each.begin(lab)
                results.tell(writers)
                while wishes := [(each, wanted) for each in writers if (wanted := each.wishes())]:
                    if control.is_cancelled():
                        raise Aborted
                    lab.decode_each([wish for _each, wanted in wishes for wish in wanted])
                    steps: list[tuple[Writer, int]] = []
                    place = 0
                    for each, wanted in wishes:
                        steps.append((each, place))
                        place += len(wanted)
                    lab.side_by_side([look for each, place in steps for look in each.looks(lab, place)])
                    for each, place in steps:
                        each.go_on(lab, place)
                    results.tell(writers)
            finally:
                decode_s = time.monotonic() - begun
        except Aborted:
            cancelled = True
        finally:
            for each in writers:
                each.finish(FinishReason.CANCELLED)
                each.close()
    results.tell(writers, is_last=True)
    columns = results.columns(writers, seeds)
    # The first token of each is there with the prompt.
    n_decoded = sum(max(0, len(each.tokens) - 1) for each in columns)
    texts = [each.text.decode(errors="replace") for each in columns]
    emit(
        SampledMany(
            command.request_id,
            columns,
            len(prepared.tokens),
            prefill_s,
            decode_s,
            n_decoded / decode_s if n_decoded > 1 and decode_s > 0 else None,
            distinct(texts, 1),
            distinct(texts, 2),
            cancelled,
        )
    )


class _Told:
    """What was sent of each column, and when."""

    def __init__(self, command: SampleMany, emit: Callable[[Event], None]) -> None:
        n = len(command.columns)
        self._request_id, self._emit, self._n = command.request_id, emit, n
        self._texts = [bytearray() for _ in range(n)]
        self._waiting = [bytearray() for _ in range(n)]
        self._sent_s = 0.0

    def tell(self, writers: Sequence[Writer], *, is_last: bool = False) -> None:
        for place, each in enumerate(writers):
            self._waiting[place] += each.take_text()
        now = time.monotonic()
        if not is_last and now - self._sent_s < BUNDLE_S:
            return
        self._sent_s = now
        for place, each in enumerate(writers):
            if self._waiting[place]:
                piece = bytes(self._waiting[place])
                self._texts[place] += piece
                self._waiting[place].clear()
                self._emit(ColumnText(self._request_id, place, piece, each.n_written))

    def columns(self, writers: Sequence[Writer], seeds: Sequence[int]) -> tuple[ColumnResult, ...]:
        """The results, after the last `tell`. Columns that were never begun are empty."""
        found = []
        for place in range(self._n):
            raw = bytes(self._texts[place])
            text = raw.decode(errors="replace")
            writer = writers[place] if place < len(writers) else None
            found.append(
                ColumnResult(
                    raw,
                    tuple(writer.tokens) if writer is not None else (),
                    seeds[place],
                    (writer.reason if writer is not None else None) or FinishReason.CANCELLED,
                    writer.logprob if writer is not None else 0.0,
                    distinct((text,), 1),
                    distinct((text,), 2),
                )
            )
        return tuple(found)


def _writer(
    session: Session,
    column: SampleColumn,
    seqs: Sequence[int],
    seed: int,
    prompt: tuple[int, ...],
    bounds: Bounds,
    states: Floats | None,
) -> Writer:
    vocab = session.vocab
    match column.kind:
        case ColumnKind.GREEDY:
            return StepWriter(vocab, bounds, seqs[0], None)
        case ColumnKind.BEST_PATH:
            return BestPathWriter(vocab, bounds, seqs)
        case ColumnKind.CONTRAST:
            assert states is not None
            return ContrastWriter(vocab, bounds, seqs, column.alpha, states)
        case ColumnKind.CHAIN:
            chain = chain_of(column.chain)
            native = SamplerChain(
                chain.native_calls(seed), n_vocab=vocab.n_vocab, n_ctx=session.n_ctx, banned=bounds.banned, vocab=vocab
            )
            native.accept(prompt)
            return StepWriter(vocab, bounds, seqs[0], native)


def _n_sequences(column: SampleColumn) -> int:
    return column.width if column.kind in (ColumnKind.BEST_PATH, ColumnKind.CONTRAST) else 1


def _bounds(session: Session, command: SampleMany, prepared: Prepared) -> Bounds:
    room = session.n_ctx - len(prepared.tokens)
    limit, reason = command.max_tokens, FinishReason.LENGTH
    if limit < 0 or limit > room:
        limit, reason = room, FinishReason.CONTEXT
    banned = tuple(session.vocab.ends()) if command.ignore_eos else ()
    return Bounds(len(prepared.tokens), limit, reason, (*command.stop, *prepared.stops), banned)


def _refuse_bad(command: SampleMany) -> None:
    if not 1 <= len(command.columns) <= MOST_COLUMNS:
        raise KnownError(
            "So many continuations cannot be written at once",
            value=str(len(command.columns)),
            next_step=f"ask for 1 to {MOST_COLUMNS}",
        )
    if command.max_tokens == 0:
        raise KnownError("Continuations of no token say nothing", next_step="let each write at least one token")
    for each in command.columns:
        if each.kind in (ColumnKind.BEST_PATH, ColumnKind.CONTRAST) and not 2 <= each.width <= MOST_WIDTH:
            raise KnownError("This search cannot be so wide", value=str(each.width), next_step=f"use 2 to {MOST_WIDTH}")
        if each.kind is ColumnKind.CONTRAST and not 0.0 <= each.alpha <= 1.0:
            raise KnownError(
                "The weight of the contrast is out of range", value=f"{each.alpha:g}", next_step="use 0 to 1"
            )
