"""In which portions the cache's tokens were computed, so that a run can be repeated to the last bit.

A token's keys and values depend on how many tokens went through the engine in the same call: other kernels are used
for one token than for many, and they round differently. On a processor that rearranges weights, Gemma-3-270m's logits
for the same prompt differ by up to 0.9 between one call and one call a token. A run that found half of its prompt in the
cache is therefore repeated exactly only when that half is computed again in the same portions.

Rejected: emptying the cache before each answer (every turn of a long chat would read everything again).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.wire.messages import Portion


class Calls:
    """The calls of the engine that computed what the cache holds, in order of position."""

    def __init__(self) -> None:
        self._rows: list[list[int]] = []  # [tokens kept, tokens computed, how many such calls]
        self.n_tokens = 0

    def add(self, n_tokens: int) -> None:
        """One call computed the next `n_tokens` tokens."""
        self.n_tokens += n_tokens
        last = self._rows[-1] if self._rows else None
        if last is not None and last[0] == last[1] == n_tokens:
            last[2] += 1
        else:
            self._rows.append([n_tokens, n_tokens, 1])

    def cut(self, n_keep: int) -> None:
        """Only the first `n_keep` tokens are left."""
        self._rows = [[each.n_kept, each.n_computed, each.times] for each in self.portions(n_keep)]
        self.n_tokens = min(self.n_tokens, n_keep)

    def clear(self) -> None:
        """The cache is empty."""
        self._rows.clear()
        self.n_tokens = 0

    def portions(self, n_tokens: int) -> tuple[Portion, ...]:
        """How the first `n_tokens` tokens were computed."""
        found: list[Portion] = []
        left = n_tokens
        for kept, computed, times in self._rows:
            whole = min(times, left // kept)
            if whole:
                found.append(Portion(kept, computed, whole))
                left -= whole * kept
            if left <= 0:
                break
            if whole < times:
                found.append(Portion(left, computed, 1))
                break
        return tuple(found)


def each_call(portions: Sequence[Portion]) -> Iterator[tuple[int, int]]:
    """The calls one by one, as (tokens kept, tokens computed)."""
    for portion in portions:
        for _ in range(portion.times):
            yield portion.n_kept, portion.n_computed
