"""A token as text on screen: what cannot be seen is made visible, and what is no text is shown as its bytes.

A token is bytes: it may be a blank, the end of a line, or half of a character. Rejected: Python's `repr` (quotes and
backslashes for every word of another script), replacing what is no UTF-8 by a question mark (two tokens would look alike).
"""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

BLANK, LINE_END, TAB = "␣", "↵", "⇥"
_VISIBLE = {" ": BLANK, "\n": LINE_END, "\t": TAB, "\r": "␍", "\N{NO-BREAK SPACE}": "⍽"}
_LEAST_SHOWN = 0.001  # a probability below it is given by its power of ten


def visible_text(piece: bytes) -> str:
    """The token with its blanks as ␣ and its line ends as ↵; bytes that are no whole character in hex: ⟨e2 82⟩."""
    text = _decoded(piece)
    if text is None:
        return hex_text(piece)
    return "".join(_VISIBLE.get(each, each if each.isprintable() else f"⟨U+{ord(each):04x}⟩") for each in text)


def flowing_text(piece: bytes) -> str:
    """The token as a part of running text: blanks between words stay blanks, what would be nothing at all is shown."""
    text = _decoded(piece)
    if text is None or not text.strip(" ") or not text.isprintable():
        return visible_text(piece)
    return text


def ends_line(piece: bytes) -> bool:
    """Whether the text goes on in the next line after this token."""
    return piece.endswith(b"\n")


def hex_text(piece: bytes) -> str:
    """The bytes: ⟨e2 82⟩."""
    return f"⟨{piece.hex(' ')}⟩"


def probability_text(p: float | None) -> str:
    """A probability with three decimals, a very small one as a power of ten, one that is not known as a word.

    Only certainty is 1 and only the impossible is 0.
    """
    if p is None:
        return QCoreApplication.translate("token_text", "unknown")
    if p <= 0:
        return "0"
    if p < _LEAST_SHOWN:
        digits, _, power = f"{p:.0e}".partition("e")
        return f"{digits}e\N{MINUS SIGN}{abs(int(power))}"
    if p < 1 and round(p, 3) >= 1:
        return ">0.999"
    return f"{p:.3f}"


def _decoded(piece: bytes) -> str | None:
    try:
        return piece.decode() or None
    except UnicodeDecodeError:
        return None
