"""Bands: the stretches of time that the plots colour, because a model was loaded, a prompt read or an answer written.

Kept beside the samples and on the same clock, so that a plot can say what the computer did while its numbers rose.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, replace

MOST_BANDS = 2000


class BandKind(enum.Enum):
    """What went on; the value is the word that a plot knows it by."""

    LOAD = "load"
    READ = "prefill"
    WRITE = "decode"


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of monotonic seconds; `end_s` is None while it goes on."""

    id: int
    kind: BandKind
    start_s: float
    end_s: float | None
    label: str


class BandLog:
    """The bands in the order in which they were marked; at most `MOST_BANDS`, the oldest go first."""

    def __init__(self) -> None:
        self._bands: deque[Band] = deque(maxlen=MOST_BANDS)
        self._next_id = 1

    def mark(self, kind: BandKind, start_s: float, end_s: float | None, label: str) -> int:
        """Add a band and return its id. ValueError if it ends before it starts."""
        if end_s is not None and end_s < start_s:
            raise ValueError(f"a band from {start_s} cannot end at {end_s}")
        band = Band(self._next_id, kind, start_s, end_s, label)
        self._next_id += 1
        self._bands.append(band)
        return band.id

    def end(self, band_id: int, end_s: float) -> None:
        """Close a band. One that has ended already, or is no longer kept, stays as it is."""
        for index, band in enumerate(self._bands):
            if band.id == band_id and band.end_s is None:
                self._bands[index] = replace(band, end_s=max(band.start_s, end_s))
                return

    def since(self, from_s: float) -> tuple[Band, ...]:
        """The bands that reach past a time; those that ended before it are forgotten."""
        kept = [band for band in self._bands if band.end_s is None or band.end_s >= from_s]
        if len(kept) < len(self._bands):
            self._bands = deque(kept, maxlen=MOST_BANDS)
        return tuple(kept)
