"""Memory against context: a few dry runs for each cache type, and the straight lines between them.

The KV cache grows by a fixed amount a token and so does the compute buffer, so two dry runs give a line that is right
in between; a sliding window adds a bend, for which a third is asked. What is read off a line is marked as an estimate:
it stands on screen only until the engine has been asked itself. Rejected: a dry run for every pixel of the slider.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.base.errors import Trouble
from engine.memory.fit import TIGHT_SHARE, largest_n_ctx
from engine.memory.ledger import DeviceLedger, Entry, Ledger, Part

GROWING = (Part.KV, Part.COMPUTE, Part.DRAFT)
"""The parts that a longer context changes; the others are what they were."""


@dataclass(frozen=True, slots=True)
class CurveLine:
    """One pair of cache types.

    Attributes:
        type_k, type_v: the formats of cached keys and values.
        ledgers: what the engine said, by ascending context; empty when it refused.
        max_n_ctx: the largest context that fits in what is free now, in tokens, as far as the engine was asked (it is
            the last one that was asked for if that fits); None where a free memory is unknown.
        trouble: why the engine refused this pair.
    """

    type_k: str
    type_v: str
    ledgers: tuple[Ledger, ...]
    max_n_ctx: int | None
    trouble: Trouble | None = None

    def at(self, n_ctx: int) -> Ledger | None:
        """The ledger at a context, as dry run where one was made there, else read off the line.

        None without a line, and beyond its end: from some context on the engine computes in another way.
        """
        for each in self.ledgers:
            if each.n_ctx == n_ctx:
                return each
        if len(self.ledgers) < 2 or n_ctx > self.ledgers[-1].n_ctx:
            return None
        place = bisect_right([each.n_ctx for each in self.ledgers], n_ctx)
        place = min(max(place, 1), len(self.ledgers) - 1)
        return ledger_between(
            self.ledgers[place - 1], self.ledgers[place], n_ctx, kv_text(n_ctx, self.type_k, self.type_v)
        )


@dataclass(frozen=True, slots=True)
class MemoryCurve:
    """The lines of one model with one set of load options.

    Attributes:
        path: the model's file.
        lines: one for each pair of cache types that was asked for, in that order.
        freed_bytes: RAM that comes back when the model that is loaded now goes.
    """

    path: str
    lines: tuple[CurveLine, ...]
    freed_bytes: int

    def line(self, type_k: str, type_v: str) -> CurveLine | None:
        """The line of these cache types, None when it was not asked for or refused."""
        return next(
            (each for each in self.lines if (each.type_k, each.type_v) == (type_k, type_v) and each.ledgers), None
        )


def kv_text(n_ctx: int, type_k: str, type_v: str) -> str:
    """How a KV cache comes about: "4,096 tokens · f16"."""
    return f"{n_ctx:,} tokens · {' and '.join(sorted({type_k, type_v}))}"


def ledger_between(low: Ledger, high: Ledger, n_ctx: int, kv_how: str) -> Ledger:
    """The ledger at another context, on the straight line through two of the same model; growing parts are estimates."""
    share = (n_ctx - low.n_ctx) / (high.n_ctx - low.n_ctx)
    others = {each.name: each for each in high.devices}
    devices = tuple(_device_between(each, others.get(each.name, each), share, kv_how) for each in low.devices)
    return Ledger(True, n_ctx, devices, low.loading)


def _device_between(low: DeviceLedger, high: DeviceLedger, share: float, kv_how: str) -> DeviceLedger:
    entries: list[Entry] = []
    for each in low.entries:
        if each.part in GROWING:
            end = high.size_of(each.part) or each.size_bytes
            size = max(0, round(each.size_bytes + (end - each.size_bytes) * share))
            how = kv_how if each.part is Part.KV else each.how
            entries.append(replace(each, size_bytes=size, how=how, is_estimate=True))
        else:
            entries.append(each)
    return replace(low, entries=tuple(entries))


def largest_on(ledgers: Sequence[Ledger], freed_bytes: int, margin: float = TIGHT_SHARE) -> int | None:
    """The largest context that fits, between the planned ones; the last of them if that fits, for beyond nobody asked.

    Args:
        ledgers: of one model and cache type, by ascending context; at least two.
        freed_bytes: RAM that counts as free too.
        margin: share of each memory that is to stay free.
    """
    for low, high in itertools.pairwise(ledgers):
        limit = largest_n_ctx(low, high, freed_bytes=freed_bytes, margin=margin)
        if limit is None or limit < high.n_ctx:
            return limit
    return ledgers[-1].n_ctx


def bends(n_ctx_train: int, sliding_window: int | None, n_ubatch: int, n_ctx: int = 0) -> Sequence[int]:
    """Contexts to ask the engine about, in tokens: the ends, and where a window's cache stops growing.

    `n_ctx` is the present choice; one beyond the trained context is asked about too.
    """
    low = min(512, max(256, n_ctx_train // 2))
    high = max(n_ctx_train, 2 * low)
    points = {low, high, max(high, -(-n_ctx // 256) * 256)}
    if sliding_window:
        knee = -(-(sliding_window + n_ubatch) // 256) * 256
        if low < knee < high:
            points.add(knee)
    return sorted(points)
