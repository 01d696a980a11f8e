"""What would be better: the remedies of a load that does not fit, and the chances of one that does.

Values with the numbers in them; the words are the view's. Pure functions, so that a test can lay out every case.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from engine.base.errors import Remedy, RemedyKind
from engine.base.fields import Value
from engine.gguf.card import Card
from engine.memory.fit import Fits, Verdict
from engine.memory.fitting import Proposal
from engine.memory.ledger import Ledger, Part
from engine.workbench.curve import CurveLine, MemoryCurve

WORTH_SAVING = 0.10
"""A smaller cache is offered from this share of the whole on."""
MOST = 2


class AdviceKind(enum.Enum):
    """What the advice is about."""

    TOO_BIG = "too big"  # nothing fits: `remedies` are the engine room's
    TIGHT = "tight"
    BEYOND = "beyond"  # more context than the model was trained for: `n_ctx` is that
    SMALLER_CACHE = "smaller cache"  # `saved_bytes`, and `n_ctx` if a longer context becomes possible
    LONGER = "longer"  # the trained context `n_ctx` fits and takes `needed_bytes`


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice; which numbers it has stands beside the kinds."""

    kind: AdviceKind
    remedies: tuple[Remedy, ...]
    n_ctx: int | None = None
    saved_bytes: int | None = None
    needed_bytes: int | None = None


def advice_for(
    verdict: Verdict,
    ledger: Ledger,
    options: Mapping[str, Value],
    card: Card | None,
    curve: MemoryCurve | None,
    line: CurveLine | None,
    ways: tuple[Proposal, ...] = (),
) -> tuple[Advice, ...]:
    """What to say under a verdict, most important first, at most two.

    Args:
        verdict, ledger, options: the choice that is judged.
        card: the model's, for the context it was trained for.
        curve: for what other cache types would take.
        line: the one of the present cache types.
        ways: what would make it fit, where it was looked for; the engine room's own remedies stand in until then.
    """
    if verdict.fits in (Fits.NO, Fits.TIGHT):
        kind = AdviceKind.TOO_BIG if verdict.fits is Fits.NO else AdviceKind.TIGHT
        return (Advice(kind, _remedies(ways) if ways else verdict.advice),)
    found: list[Advice] = []
    n_ctx, trained = ledger.n_ctx, card.n_ctx_train if card is not None else None
    if trained and n_ctx > trained:
        found.append(Advice(AdviceKind.BEYOND, (_use_context(trained),), n_ctx=trained))
    limit = line.max_n_ctx if line is not None else None
    smaller = curve.line("q8_0", "q8_0") if curve is not None and options.get("type_k") == "f16" else None
    lighter = smaller.at(n_ctx) if smaller is not None else None
    if smaller is not None and lighter is not None:
        saved = (ledger.size_of(Part.KV) or 0) - (lighter.size_of(Part.KV) or 0)
        is_limited = trained is not None and limit is not None and limit < trained and smaller.max_n_ctx is not None
        longer = min(smaller.max_n_ctx or 0, trained or 0) if is_limited else None
        if saved > 0 and (is_limited or saved >= WORTH_SAVING * ledger.sum_bytes):
            change = Remedy(RemedyKind.SET_OPTION, "Use q8_0", "type_k=q8_0,type_v=q8_0")
            found.append(Advice(AdviceKind.SMALLER_CACHE, (change,), n_ctx=longer, saved_bytes=saved))
    full = line.at(trained) if line is not None and trained and n_ctx < trained else None
    if full is not None and trained is not None and limit is not None and limit >= trained:
        found.append(Advice(AdviceKind.LONGER, (_use_context(trained),), n_ctx=trained, needed_bytes=full.sum_bytes))
    return tuple(found[:MOST])


def _remedies(ways: tuple[Proposal, ...]) -> tuple[Remedy, ...]:
    found = [Remedy(RemedyKind.SET_OPTION, "", each.argument) for each in ways]
    return (*found, Remedy(RemedyKind.CHOOSE_MODEL, "Choose a smaller model"))


def _use_context(n_ctx: int) -> Remedy:
    return Remedy(RemedyKind.SET_OPTION, f"Use {n_ctx:,}", f"n_ctx={n_ctx}")
