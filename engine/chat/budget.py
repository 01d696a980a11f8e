"""Time and memory of one render, and the errors that a template's own doings raise.

Why apart from the sandbox: this part needs no Jinja2, so `template` may name the errors without importing it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

TEXT_CAP = 16 * 1024 * 1024  # characters of any one text, and UTF-8 bytes of the output
SPENDING_CAP = 512 * 1024 * 1024  # bytes of all texts and lists made in one render, dead or alive
WIDTH_CAP = 10_000  # a width, an indent, a number of columns
INT_BITS_CAP = 4096


class RaisedByTemplate(Exception):
    """The template called `raise_exception`; the message is its own."""


class OutOfTime(Exception):
    """The deadline passed."""


class TooLarge(Exception):
    """A value would be larger than the limits. The message says which and how large."""


class Budget:
    """Time and memory of one render."""

    __slots__ = ("_n_bytes_left", "_now_s", "_until_s")

    def __init__(self, now_s: Callable[[], float], until_s: float) -> None:
        """`until_s`: the moment on `now_s`'s clock when time is up."""
        self._now_s, self._until_s = now_s, until_s
        self._n_bytes_left = SPENDING_CAP

    def tick(self) -> bool:
        """True, or `OutOfTime`."""
        if self._now_s() >= self._until_s:
            raise OutOfTime
        return True

    def allow(self, n_chars: int) -> None:
        """`TooLarge` if a text of that length may not be made."""
        if n_chars > TEXT_CAP:
            raise TooLarge(f"a text of {n_chars:,} characters; the limit is {TEXT_CAP:,}")

    def spend(self, n_bytes: int) -> None:
        """Account for memory that was or will be taken."""
        self._n_bytes_left -= n_bytes
        if self._n_bytes_left < 0:
            raise TooLarge(f"more than {SPENDING_CAP:,} bytes of text in one prompt")


def check_bits(number: int) -> None:
    """`TooLarge` for a whole number that takes too long to multiply or print."""
    if number.bit_length() > INT_BITS_CAP:
        raise TooLarge(f"a number of more than {INT_BITS_CAP:,} bits")


def check_widths(values: Iterable[object]) -> None:
    """`TooLarge` if one of the values is a number beyond the widest field; other types pass."""
    for value in values:
        if isinstance(value, int | float) and abs(value) > WIDTH_CAP:
            raise TooLarge(f"a width of {value:,}; the limit is {WIDTH_CAP:,}")


def check_spec(spec: str) -> None:
    """`TooLarge` for a format (of `%` or `str.format`) with a number of five digits or more anywhere."""
    if re.search(r"\d{5}", spec):
        raise TooLarge("a format with a width of more than four digits")


def raise_exception(message: object = "") -> None:
    """The template's own way to refuse a conversation."""
    raise RaisedByTemplate(str(message)[:500] if isinstance(message, str | int | float) else "")
