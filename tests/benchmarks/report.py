"""One row of the bench table, and whether it keeps its promise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """A measured figure. `target` is "≥ 0.97", "≤ 30" or "" for a figure without a promise."""

    name: str
    value: float
    target: str = ""
    unit: str = ""
    note: str = ""
    rounds: Sequence[float] = field(default=())

    @property
    def is_kept(self) -> bool:
        """Whether the promise is kept."""
        if not self.target:
            return True
        sign, bound = self.target.split()
        return self.value >= float(bound) if sign == "≥" else self.value <= float(bound)

    def line(self) -> str:
        """The row as text."""
        spread = f"  [{min(self.rounds):.3g} … {max(self.rounds):.3g}]" if self.rounds else ""
        mark = "ok  " if self.is_kept else "MISS"
        return f"{mark}  {self.name:<64}{self.value:>9.3f} {self.unit:<4} {self.target:<8}{spread}  {self.note}"


def show(rows: Iterable[Row]) -> bool:
    """Print rows; True when all promises are kept."""
    kept = True
    for row in rows:
        print(row.line(), flush=True)
        kept = kept and row.is_kept
    return kept
