"""A distribution of the next token as rows: what the model gives, what a stage of the chain leaves, and what is cut.

Pure functions of the worker's answer; the words are the view's. Survivors come first, in the chain's order, and what
was cut after them, so there is one line between the two even where a stage takes tokens out of the middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.sampling.chain import RAW
from engine.sampling.stages import stage_named
from engine.wire.messages import NextTaken, StageView, TokenChance, TokenTrace

MOST_CUT_ROWS = 2  # of those that are shown: enough to see where the line runs


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token, or (`token_id` None) how many more there are.

    Attributes:
        piece: the token's bytes.
        p: by the model alone, 0 to 1; None where it is too small to be among those that were sent.
        p_chain: after the stage; None where the model's own distribution is shown.
        is_cut: the stage, or one before it, took it out.
        logit: the model's score, None where it was not sent.
        rank: 1 for the likeliest by the model; None as with `p`.
        is_taken: the token that stands there, or was drawn.
        n_more: for a row without a token.
    """

    token_id: int | None
    piece: bytes = b""
    p: float | None = None
    p_chain: float | None = None
    is_cut: bool = False
    logit: float | None = None
    rank: int | None = None
    is_taken: bool = False
    n_more: int = 0


@dataclass(frozen=True, slots=True)
class StepRow:
    """What was left after a stage: see `StageView`. `label` is "" for the model's own distribution."""

    key: str
    label: str
    survivors: int
    mass_kept: float
    entropy_bits: float


def steps_of(taken: NextTaken, n_vocab: int) -> tuple[StepRow, ...]:
    """The model's own distribution, and what every stage left of it."""
    raw = StepRow(RAW, "", n_vocab, 1.0, taken.entropy_bits)
    return (raw, *(_step(each) for each in taken.stages))


def _step(view: StageView) -> StepRow:
    try:
        label = stage_named(view.key).label
    except KnownError:  # a sampler of the worker's own, which no stage stands for
        label = view.key.removeprefix("llama_sampler_init_").replace("_", " ")
    return StepRow(view.key, label, view.survivors, min(view.mass_kept, 1.0), view.entropy_bits)


def rows_of(taken: NextTaken, step: int, n_rows: int, taken_id: int | None) -> tuple[TokenRow, ...]:
    """At most `n_rows` rows for one step.

    Args:
        taken: the worker's answer.
        step: 0 for the model's own distribution, n for what is left after the n-th stage.
        n_rows: at least 4.
        taken_id: the token to mark; it is shown even where it is not among the likeliest, if anything is known of it.
    """
    raw = {each.id: (rank, each) for rank, each in enumerate(taken.raw, 1)}
    if step == 0:
        rows = [_raw_row(rank, each, taken_id) for rank, each in raw.values()]
        return _with_taken(rows, n_rows, taken_id)
    stage = taken.stages[step - 1]
    left = [_left_row(each, raw, taken_id) for each in stage.top]
    all_known = stage.survivors <= len(stage.top)
    kept = {each.id for each in stage.top}
    cut = [
        TokenRow(each.id, each.piece, each.p, None, True, each.logit, rank, each.id == taken_id)
        for rank, each in raw.values()
        if all_known and each.id not in kept
    ]
    n_cut = min(len(cut), max(MOST_CUT_ROWS, n_rows - len(left)))
    room = n_rows - n_cut
    if stage.survivors <= room:
        return (*left[:room], *_with_taken(cut, n_cut, taken_id))
    shown = _with_taken(left, room - 1, taken_id)
    return (*shown, TokenRow(None, n_more=stage.survivors - len(shown)), *_with_taken(cut, n_cut, taken_id))


def _with_taken(rows: Sequence[TokenRow], n_rows: int, taken_id: int | None) -> tuple[TokenRow, ...]:
    """The first rows; the last gives its place to the marked token where that stands further down."""
    shown = tuple(rows[:n_rows])
    behind = next((each for each in rows[n_rows:] if each.token_id == taken_id), None)
    return (*shown[:-1], behind) if behind is not None and shown else shown


def _raw_row(rank: int, chance: TokenChance, taken_id: int | None) -> TokenRow:
    return TokenRow(chance.id, chance.piece, chance.p, logit=chance.logit, rank=rank, is_taken=chance.id == taken_id)


def _left_row(chance: TokenChance, raw: dict[int, tuple[int, TokenChance]], taken_id: int | None) -> TokenRow:
    rank, own = raw.get(chance.id, (None, None))
    return TokenRow(
        chance.id,
        chance.piece,
        own.p if own else None,
        chance.p,
        logit=own.logit if own else None,
        rank=rank,
        is_taken=chance.id == taken_id,
    )


def rows_at_temperature(taken: NextTaken, n_vocab: int, temperature: float, n_rows: int) -> tuple[TokenRow, ...]:
    """The softmax of the model's own logits at another temperature, without asking the engine.

    `temperature` is at least 0, where the likeliest token has everything. The tokens that were sent are exact up to the
    share of all others, which are taken to be equally likely among themselves: at 0, at 1 and towards infinity that is
    exact too, between 1 and infinity they get a little too much. The last row is those others together.
    """
    raw = taken.raw
    if not raw:
        return ()
    if temperature <= 0:
        powers = [1.0, *(0.0 for _ in raw[1:])]
        rest = 0.0
    else:
        top = max(each.p for each in raw)
        powers = [(each.p / top) ** (1 / temperature) if each.p > 0 else 0.0 for each in raw]
        n_rest, p_rest = n_vocab - len(raw), 1.0 - math.fsum(each.p for each in raw)
        # Rounding leaves 1e-16 where there is nothing.
        rest = n_rest * (p_rest / n_rest / top) ** (1 / temperature) if n_rest > 0 and p_rest > 1e-12 else 0.0
    total = math.fsum(powers) + rest
    rows = [
        TokenRow(each.id, each.piece, each.p, power / total, logit=each.logit, rank=rank)
        for rank, (each, power) in enumerate(zip(raw, powers, strict=True), 1)
    ][: n_rows - 1]
    others = n_vocab - len(rows)
    return (
        *rows,
        TokenRow(None, p_chain=max(0.0, 1.0 - math.fsum(each.p_chain or 0.0 for each in rows)), n_more=others),
    )


def rows_of_trace(trace: TokenTrace) -> tuple[TokenRow, ...]:
    """What might have stood in a token's place, likeliest first, with what the chain would have left of each."""
    rows = [
        TokenRow(
            each.id, each.piece, each.p, None if each.p_chain <= 0 else each.p_chain, each.p_chain <= 0, None, rank,
            each.id == trace.id,
        )
        for rank, each in enumerate(trace.top, 1)
    ]  # fmt: skip
    if trace.p is not None and trace.rank is not None and all(each.token_id != trace.id for each in rows):
        is_cut = not trace.p_chain
        after = None if is_cut else trace.p_chain
        rows.append(TokenRow(trace.id, trace.piece, trace.p, after, is_cut, None, trace.rank + 1, True))
    return tuple(sorted(rows, key=lambda each: each.is_cut))
