"""A recording as a table that spreadsheets and pandas read: RFC 4180, one line a sample, units in the header."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.hardware.bands import Band
from engine.hardware.snapshot import Quantity


@dataclass(frozen=True, slots=True)
class Column:
    """One series: as many values as the table has lines, NaN where nothing was measured."""

    source: str
    quantity: Quantity
    values: Sequence[float]


def csv_of(times_s: Sequence[float], utc_s: Sequence[float], columns: Sequence[Column], bands: Sequence[Band]) -> str:
    """The table.

    Args:
        times_s: the samples' monotonic seconds, as the bands have them; written as seconds after the first.
        utc_s: the samples' seconds since 1970, written as ISO 8601.
        columns: the series; an empty cell is “not measured”.
        bands: what went on; a sample within one names it in the last column.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    headers = (f"{each.source} {each.quantity.value} ({each.quantity.unit.value})" for each in columns)
    writer.writerow(["utc", "seconds", *headers, "doing"])
    for row, (t_s, seconds) in enumerate(zip(times_s, utc_s, strict=True)):
        doing = (_name(band) for band in bands if band.start_s <= t_s and (band.end_s is None or t_s <= band.end_s))
        writer.writerow(
            [
                datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds"),
                f"{t_s - times_s[0]:.3f}",
                *(_cell(each.values[row]) for each in columns),
                "; ".join(doing),
            ]
        )
    return out.getvalue()


def _name(band: Band) -> str:
    return f"{band.kind.value} {band.label}".rstrip()


def _cell(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() else f"{value:.3f}"
