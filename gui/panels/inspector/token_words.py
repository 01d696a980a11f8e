"""Values of the sections Next token and Tokens as texts and bars: the one place where their numbers get words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from engine.wire.messages import TokenTrace
from gui.panels.inspector.presenter.distribution import StepRow, TokenRow
from gui.panels.inspector.presenter.next_token import NextView, Place
from gui.panels.inspector.presenter.tokens import BranchRow, Sums
from gui.widgets.branch_list import Branch
from gui.widgets.chain_steps import Step, bits_text
from gui.widgets.distribution_bars import Bar
from gui.widgets.quantities import MINUS, count_text, tokens_text
from gui.widgets.token_scale import Surprise
from gui.widgets.token_strip import StripToken
from gui.widgets.token_text import probability_text, visible_text

_LONGEST = 60  # characters of an answer's beginning
_LEAST_PERPLEXITY_WITHOUT_DECIMALS, _MOST_PERPLEXITY_IN_FULL = 100, 1e6


def _tr(text: str) -> str:
    return QCoreApplication.translate("token_words", text)


def bars_of(rows: Sequence[TokenRow]) -> tuple[Bar, ...]:
    """The rows as bars."""
    return tuple(
        Bar(None, _tr("{n} more").format(n=count_text(row.n_more)), p_chain=row.p_chain)
        if row.token_id is None
        else Bar(
            row.token_id,
            visible_text(row.piece),
            row.p,
            row.p_chain,
            row.is_cut,
            row.logit,
            row.rank,
            row.is_taken,
        )
        for row in rows
    )


def steps_of_chain(rows: Sequence[StepRow]) -> tuple[Step, ...]:
    """The steps with their names."""
    return tuple(
        Step(row.key, row.label or _tr("Model"), row.survivors, row.mass_kept, row.entropy_bits) for row in rows
    )


def chain_summary(rows: Sequence[StepRow]) -> str:
    """The header's text: 49,152 → 40 → 9 · 1.7 bit. A stage that cuts nothing is left out."""
    if not rows:
        return ""
    counts: list[int] = []
    for row in rows:
        if not counts or row.survivors != counts[-1]:
            counts.append(row.survivors)
    ways = " → ".join(count_text(each) for each in counts)
    return _tr("{counts} · {bits}").format(counts=ways, bits=bits_text(rows[-1].entropy_bits))


def place_text(view: NextView) -> str:
    """What is looked at, and the token that stands there, or was drawn."""
    token = visible_text(view.taken) if view.taken is not None else ""
    if view.place is Place.LIVE:
        return _tr("Where the answer is being written")
    if view.place is Place.TOKEN and view.position is not None:
        return _tr("In place of token {n}, {token}").format(n=count_text(view.position), token=token)
    if view.place is Place.DRAFT:
        words = _tr("After the draft, seed {seed}: {token}") if token else _tr("After the draft")
        return words.format(seed=view.seed, token=token)
    if not token:
        return _tr("At the end of the chat")
    words = (
        _tr("At the end of the chat, seed {seed}: {token}") if view.is_drawn else _tr("At the end of the chat: {token}")
    )
    return words.format(seed=view.seed, token=token)


def in_place_text(trace: TokenTrace, position: int) -> str:
    """The token that others might have stood in place of, by its number from 1."""
    return _tr("In place of token {n}, {text}").format(n=count_text(position), text=visible_text(trace.piece))


def strip_tokens(traces: Sequence[TokenTrace]) -> list[StripToken]:
    """The tokens for the strip."""
    return [StripToken(each.piece, Surprise(each.p, each.rank, each.entropy_bits)) for each in traces]


def trace_tip(trace: TokenTrace, position: int, n_alternatives: int = 5) -> str:
    """A token in words: its figures, and what might have stood there, before and after the chain."""
    lines = [_tr("token {n}: {text}").format(n=count_text(position), text=visible_text(trace.piece))]
    if trace.p is None or trace.rank is None:
        return "\n".join([*lines, _tr("nothing stands before it")])
    lines.append(
        _tr("probability {p}, after the chain {after}").format(
            p=probability_text(trace.p), after=after_text(trace.p_chain)
        )
    )
    lines.append(
        _tr("rank {rank}, entropy {bits}").format(rank=count_text(trace.rank + 1), bits=bits_text(trace.entropy_bits))
    )
    for each in trace.top[:n_alternatives]:
        lines.append(f"{probability_text(each.p)} → {after_text(each.p_chain)}  {visible_text(each.piece)}")
    return "\n".join(lines)


def after_text(p_chain: float | None) -> str:
    """A probability after the chain; what it cut is said to be cut."""
    return _tr("cut") if p_chain is not None and p_chain <= 0 else probability_text(p_chain)


def logprob_text(logprob: float | None) -> str:
    """The natural log of a probability: −12.4 nat."""
    return "" if logprob is None else f"{logprob:.1f} nat".replace("-", MINUS)


def perplexity_text(perplexity: float) -> str:
    """A perplexity: 3.21, 1,204, 2e8."""
    if perplexity >= _MOST_PERPLEXITY_IN_FULL:
        digits, _, power = f"{perplexity:.0e}".partition("e")
        return f"{digits}e{int(power)}"
    return f"{perplexity:,.0f}" if perplexity >= _LEAST_PERPLEXITY_WITHOUT_DECIMALS else f"{perplexity:.2f}"


def sums_text(sums: Sums) -> str:
    """The figures of a text on one line."""
    return _tr("{tokens} · log-probability {logprob} · perplexity {perplexity} · mean rank {rank}").format(
        tokens=tokens_text(sums.n_tokens),
        logprob=logprob_text(sums.logprob),
        perplexity=perplexity_text(sums.perplexity),
        rank=f"{sums.mean_rank:,.1f}",
    )


def tokens_summary(sums: Sums) -> str:
    """The header's text."""
    return _tr("{tokens} · perplexity {perplexity}").format(
        tokens=tokens_text(sums.n_tokens), perplexity=perplexity_text(sums.perplexity)
    )


def branch_lines(rows: Sequence[BranchRow]) -> tuple[Branch, ...]:
    """The tree of answers as lines."""
    return tuple(
        Branch(
            str(row.message_id), row.depth, _branch_text(row), logprob_text(row.logprob), row.is_shown, _branch_tip(row)
        )
        for row in rows
    )


def _branch_text(row: BranchRow) -> str:
    if row.position is not None:
        token = visible_text(row.token_text.encode())
        return _tr("{number} · token {n}: {token}").format(number=row.number, n=count_text(row.position), token=token)
    return _tr("{number} · {text}").format(number=row.number, text=_beginning(row.text))


def _branch_tip(row: BranchRow) -> str:
    lines = [_tr("Answer {number}").format(number=row.number), _beginning(row.text)]
    if row.logprob is not None:
        lines.append(_tr("log-probability of all its tokens {value}").format(value=logprob_text(row.logprob)))
    else:
        lines.append(_tr("Its log-probability is known when its tokens were read"))
    return "\n".join(lines)


def _beginning(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1].rstrip() + "…"
