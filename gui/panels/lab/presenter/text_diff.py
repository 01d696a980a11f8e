"""Two texts word by word: what both have, what only one has. Words keep the white space before them, so pieces join.

Source: Ratcliff & Metzener 1988, as Python's difflib has it; without its junk rule, which would drop frequent words.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORDS = re.compile(r"\s*\S+|\s+\Z")


class Side(enum.Enum):
    """Whose a piece of text is."""

    BOTH = "both"
    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class DiffPiece:
    """Neighbouring words of one side."""

    side: Side
    text: str


def word_diff(first: str, second: str) -> tuple[DiffPiece, ...]:
    """The pieces in order; at a place where both differ, the first's stands before the second's.

    Joined without the second's pieces they are the first text again, and the other way round.
    """
    a, b = _WORDS.findall(first), _WORDS.findall(second)
    return tuple(each for each in _pieces(a, b) if each.text)


def _pieces(a: list[str], b: list[str]) -> Iterator[DiffPiece]:
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    for what, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        if what == "equal":
            yield DiffPiece(Side.BOTH, "".join(a[a_from:a_to]))
        else:
            yield DiffPiece(Side.FIRST, "".join(a[a_from:a_to]))
            yield DiffPiece(Side.SECOND, "".join(b[b_from:b_to]))
