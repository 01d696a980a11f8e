"""Code as lines of coloured runs, by Pygments.

Only the kinds of token that help a reader get a colour; the colours themselves belong to the theme. Pygments is
imported at the first block of code. A small cache keeps what was coloured, because scrolling shows the same code
again. Rejected: QSyntaxHighlighter (one lexer state a document, but a message has many languages) and Pygments'
own styles (colours outside the theme). No Qt here.

Source: Pygments 2.21 token types.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from gui.widgets.transcript.elements import PIECE, Run, Tint

if TYPE_CHECKING:
    from pygments.lexer import Lexer

Line = tuple[Run, ...]

TEXT_LIMIT = 200_000  # characters; longer code stays plain
CACHE_CHARS = 2_000_000


class Highlighter:
    """Colours code. One object a transcript; it keeps what it coloured last."""

    def __init__(self) -> None:
        self._lexers: dict[str, Lexer | None] = {}
        self._tints: dict[object, Tint] = {}
        self._cache: OrderedDict[tuple[str, str], tuple[Line, ...]] = OrderedDict()
        self._cached_chars = 0

    def lines(self, code: str, language: str) -> tuple[Line, ...]:
        """The lines of `code`, each as runs whose texts join to it. An unknown language is plain."""
        key = (language, code)
        found = self._cache.get(key)
        if found is not None:
            self._cache.move_to_end(key)
            return found
        result = self._color(code, language)
        self._cache[key] = result
        self._cached_chars += len(code)
        while self._cached_chars > CACHE_CHARS and len(self._cache) > 1:
            (_, old), _ = self._cache.popitem(last=False)
            self._cached_chars -= len(old)
        return result

    def line(self, text: str, language: str) -> Line:
        """One line by itself, as good as can be known without the lines above it. Not kept."""
        return self._color(text, language)[0]

    def _color(self, code: str, language: str) -> tuple[Line, ...]:
        plain = tuple((Run(line),) if line else () for line in code.split("\n"))
        lexer = self._lexer(language)
        if lexer is None or len(code) > TEXT_LIMIT or max(len(line) for line in code.split("\n")) > PIECE:
            return plain
        lines: list[list[Run]] = [[]]
        for kind, value in lexer.get_tokens(code):
            tint = self._tint(kind)
            for index, part in enumerate(value.split("\n")):
                if index:
                    lines.append([])
                if part:
                    _add(lines[-1], part, tint)
        result = tuple(tuple(line) for line in lines)
        is_whole = len(result) == len(plain) and all(
            "".join(run.text for run in line) == text for line, text in zip(result, code.split("\n"), strict=True)
        )
        return result if is_whole else plain

    def _lexer(self, language: str) -> Lexer | None:
        if not language or language in ("text", "txt", "plain", "plaintext"):
            return None
        if language not in self._lexers:
            from pygments.lexers import get_lexer_by_name
            from pygments.util import ClassNotFound

            try:
                self._lexers[language] = get_lexer_by_name(language, stripnl=False, ensurenl=False)
            except ClassNotFound:
                self._lexers[language] = None
        return self._lexers[language]

    def _tint(self, kind: object) -> Tint:
        found = self._tints.get(kind)
        if found is None:
            found = self._tints[kind] = _tint_of(kind)
        return found


def _add(line: list[Run], text: str, tint: Tint) -> None:
    if line and line[-1].tint is tint:
        text = line.pop().text + text
    line.append(Run(text, tint=tint))


def _tint_of(kind: object) -> Tint:
    from pygments.token import Token

    table = (
        (Token.Comment.Preproc, Tint.KEYWORD),
        (Token.Comment, Tint.COMMENT),
        (Token.Keyword, Tint.KEYWORD),
        (Token.Operator.Word, Tint.KEYWORD),
        (Token.Literal.String, Tint.STRING),
        (Token.Literal.Number, Tint.NUMBER),
        (Token.Name.Function, Tint.NAME),
        (Token.Name.Class, Tint.NAME),
        (Token.Name.Decorator, Tint.NAME),
        (Token.Name.Tag, Tint.KEYWORD),
        (Token.Name.Attribute, Tint.NAME),
        (Token.Generic.Inserted, Tint.STRING),
        (Token.Generic.Deleted, Tint.ERROR),
        (Token.Generic.Heading, Tint.KEYWORD),
    )
    return next((tint for parent, tint in table if kind in parent), Tint.PLAIN)
