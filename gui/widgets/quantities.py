"""Numbers as text: one spelling of bytes, tokens, rates, seconds and shares for the whole window.

Every text has its unit and unknown is said, never drawn as 0. Bytes are binary and named as such (MiB, GiB), because
the engine allocates in them and a mixed spelling hides 7 % at a gibibyte. Rejected: QLocale.formattedDataSize (it
rounds 92.1 MiB and 92.09 MiB differently by locale and has no unknown).

Source: ARCHITECTURE.md, “Rules”, on honest numbers; IEC 80000-13 for the binary prefixes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

MINUS = "\N{MINUS SIGN}"
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:[KMGT]iB|B|%|ms|s|min|h|W|°C|MHz|tok|tokens?)(?!\w))")
_BINARY = (("TiB", 1 << 40, 2), ("GiB", 1 << 30, 2), ("MiB", 1 << 20, 1), ("KiB", 1 << 10, 1))


def _tr(text: str) -> str:
    return QCoreApplication.translate("quantities", text)


def unknown_text() -> str:
    """The word for a number that nobody measured."""
    return _tr("unknown")


def unbroken(text: str) -> str:
    """A sentence for a label that wraps: no line ends between a number and its unit.

    The texts of this module keep their plain blanks, because they are also copied, spoken and compared.
    """
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


def _is_unknown(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def bytes_text(n_bytes: float | None) -> str:
    """Bytes with one decimal up to MiB and two from GiB on: 92.1 MiB, 11.28 GiB. None is “unknown”.

    A number that would round up to 1,024 of a unit is shown in the next one.
    """
    if n_bytes is None or _is_unknown(n_bytes):
        return unknown_text()
    sign, size = (MINUS if n_bytes < 0 else ""), abs(n_bytes)
    for index, (unit, factor, decimals) in enumerate(_BINARY):
        if size >= factor:
            return f"{sign}{size / factor:.{decimals}f} {unit}"
        smaller = _BINARY[index + 1] if index + 1 < len(_BINARY) else ("B", 1, 0)
        if round(size / smaller[1], smaller[2]) >= 1024:
            return f"{sign}{size / factor:.{decimals}f} {unit}"
    return f"{sign}{size:.0f} B"


def estimated_text(text: str) -> str:
    """The text marked as an estimate: ~100 MiB. “unknown” stays as it is."""
    return text if text == unknown_text() else "~" + text


def bytes_of_text(used_bytes: float | None, total_bytes: float | None) -> str:
    """Used of total in the total's unit: 5.2 / 24.0 GiB."""
    if used_bytes is None or total_bytes is None or _is_unknown(used_bytes) or _is_unknown(total_bytes):
        return f"{bytes_text(used_bytes)} / {bytes_text(total_bytes)}"
    unit, factor = _binary_unit(total_bytes)
    decimals = 0 if factor == 1 else 1
    return f"{used_bytes / factor:.{decimals}f} / {total_bytes / factor:.{decimals}f} {unit}"


def count_text(number: int | None) -> str:
    """A whole number with thousands separated: 4,096."""
    if number is None:
        return unknown_text()
    return f"{MINUS}{-number:,}" if number < 0 else f"{number:,}"


def tokens_text(n_tokens: int | None) -> str:
    """A number of tokens: 1 token, 1,204 tokens."""
    if n_tokens is None:
        return unknown_text()
    return _tr("1 token") if n_tokens == 1 else _tr("{count} tokens").format(count=count_text(n_tokens))


def rate_text(per_second: float | None, unit: str = "tok") -> str:
    """A speed with three digits at most: 212 tok/s, 8.4 tok/s, 0.42 tok/s."""
    if per_second is None or _is_unknown(per_second):
        return unknown_text()
    return f"{_three_digits(per_second)} {unit}/s"


def seconds_text(seconds: float | None) -> str:
    """A duration in the units a person would say: 4 ms, 0.31 s, 12 s, 3 min 5 s, 2 h 4 min."""
    if seconds is None or _is_unknown(seconds):
        return unknown_text()
    sign, length = (MINUS if seconds < 0 else ""), abs(seconds)
    if length < 0.0995:
        return f"{sign}{length * 1000:.0f} ms" if length >= 0.00095 or length == 0 else f"{sign}{length * 1000:.2f} ms"
    if length < 9.995:
        return f"{sign}{length:.2f} s" if length < 0.9995 else f"{sign}{length:.1f} s"
    whole = round(length)
    if whole < 60:
        return f"{sign}{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{sign}{minutes} min {rest} s" if rest else f"{sign}{minutes} min"
    hours, rest = divmod(round(length / 60), 60)
    return f"{sign}{hours} h {rest} min" if rest else f"{sign}{hours} h"


def percent_text(fraction: float | None) -> str:
    """A share of one as percent: 0.98 is 98 %, 0.004 is 0.4 %. Nothing but all is 100 %."""
    if fraction is None or _is_unknown(fraction):
        return unknown_text()
    percent = fraction * 100
    if 0 < abs(percent) < 0.95:
        return f"{percent:.1f} %".replace("-", MINUS)
    if percent < 100 and round(percent) == 100:
        return "99 %" if percent < 99.5 else ">99 %"
    return f"{percent:.0f} %".replace("-", MINUS)


def quantity_text(value: float | None, unit: str) -> str:
    """A number in the unit of a plot's series: B, B/s, %, s, tok/s, W, °C, MHz, tokens or any other word.

    Percent are given as 0 to 100 here, as probes measure them.
    """
    if value is None or _is_unknown(value):
        return unknown_text()
    if unit == "B":
        return bytes_text(value)
    if unit == "B/s":
        return bytes_text(value) + "/s"
    if unit == "%":
        return f"{value:.0f} %".replace("-", MINUS)
    if unit == "s":
        return seconds_text(value)
    if unit == "tokens":
        return tokens_text(round(value))
    text = _three_digits(value)
    return f"{text} {unit}" if unit else text


def axis_step(span: float, unit: str, n_steps: int = 4) -> float:
    """The distance of an axis' lines: 1, 2 or 5 times a power of ten, or a power of two for bytes.

    `span` is what the axis covers; about `n_steps` lines fit on it. Always above zero.
    """
    rough = max(span, 1e-12) / max(1, n_steps)
    if unit in ("B", "B/s"):
        return float(2 ** max(0, math.ceil(math.log2(max(rough, 1.0)))))
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5, 10):
        if factor * power >= rough * 0.999:
            return factor * power
    return 10 * power


def axis_texts(values: Sequence[float], unit: str) -> list[str]:
    """The texts of an axis' lines, all in one unit with the same decimals: 0 GiB, 4 GiB, 8 GiB."""
    if not values:
        return []
    largest = max(abs(value) for value in values)
    factor, name = 1.0, unit
    if unit in ("B", "B/s"):
        binary, size = _binary_unit(largest)
        factor, name = float(size), binary + unit[1:]
    shown = [value / factor for value in values]
    decimals = next((n for n in range(4) if all(abs(round(v, n) - v) < 1e-6 * max(1, abs(v)) for v in shown)), 3)
    return [f"{value:,.{decimals}f} {name}".rstrip().replace("-", MINUS) for value in shown]


def _binary_unit(size_bytes: float) -> tuple[str, int]:
    for unit, factor, _ in _BINARY:
        if abs(size_bytes) >= factor:
            return unit, factor
    return "B", 1


def _three_digits(value: float) -> str:
    size = abs(value)
    if size == 0 or size >= 99.95:
        decimals = 0
    elif size >= 0.995:
        decimals = 1
    else:
        decimals = 2 if size >= 0.0995 else 3
    text = f"{value:,.{decimals}f}"
    return text.replace("-", MINUS)
