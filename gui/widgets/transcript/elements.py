"""Markdown tokens as a flat list of values to draw: paragraphs, code, tables, each with everything it needs.

Two lists can be compared, so the writer changes only what differs, and what a message looks like can be tested
without a window. Rejected: writing from the token stream straight into the document (nothing to compare with, so
every update would have to set the open end again) and HTML in between (loses block formats at the seams). No Qt here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gui.widgets.transcript.blocks import (
    BLOCK_LIMIT,
    BRACKET_LIMIT,
    LINE_LIMIT,
    NESTING_LIMIT,
    Block,
    BlockKind,
    Grammar,
    clean,
    split_whole,
)

if TYPE_CHECKING:
    from markdown_it.token import Token

BULLETS = ("•", "◦", "▪")
IMAGE_MARK = "▣ "  # stands before the words of a picture, which is never loaded
TASK_MARKERS = {"[ ] ": "☐", "[x] ": "☑", "[X] ": "☑"}
MAX_COLUMNS, MAX_ROWS = 40, 1_000  # a larger table is shown as lines
BREAK = "\u2028"  # a line's end inside a paragraph
PIECE = 2_000  # characters: Qt lays out a longer word without a blank in quadratic time


class Style(enum.Flag):
    """How a run is set. IMAGE marks the stand-in of a picture that is not loaded."""

    NONE = 0
    BOLD = enum.auto()
    ITALIC = enum.auto()
    STRIKE = enum.auto()
    CODE = enum.auto()
    IMAGE = enum.auto()


class Tint(enum.Enum):
    """What a piece of code is, for its colour."""

    PLAIN = enum.auto()
    KEYWORD = enum.auto()
    NAME = enum.auto()
    STRING = enum.auto()
    NUMBER = enum.auto()
    COMMENT = enum.auto()
    ERROR = enum.auto()


class Align(enum.Enum):
    """How a table's column is set."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one look. `href` makes it a link."""

    text: str
    style: Style = Style.NONE
    tint: Tint = Tint.PLAIN
    href: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element stands.

    Attributes:
        path: what it stands in, from outside in: "q" a quote, "i" a list item. "qi" is an item of a quoted list.
        marker: the item's bullet or number, at the item's first element only.
    """

    path: str = ""
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines of text. `heading` 0 is none, 1 to 6 a level; `is_rule` a line across; `is_tight` close to the next one."""

    runs: tuple[Run, ...]
    place: Place = field(default_factory=Place)
    heading: int = 0
    is_tight: bool = False
    is_rule: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """A block of code. While it is open (`is_closed` False) it is only ever added to."""

    text: str
    language: str = ""
    place: Place = field(default_factory=Place)
    is_closed: bool = True


Cell = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, all of the same length; the first row is the header."""

    rows: tuple[tuple[Cell, ...], ...]
    aligns: tuple[Align, ...]
    place: Place = field(default_factory=Place)


Element = Paragraph | Code | Table


def elements_of_text(grammar: Grammar, text: str, *, keep_breaks: bool) -> list[Element]:
    """A whole message. `keep_breaks`: a line's end in the source is a line's end on screen."""
    source = clean(text)
    if _is_harmless(source):
        tokens = grammar.parse(source)
        if not any(token.level >= NESTING_LIMIT for token in tokens):
            return list(_Walk(keep_breaks).elements(tokens))
    env: dict[str, Any] = {}
    grammar.outline(source, env)
    blocks = split_whole(grammar, source)
    return [each for block in blocks for each in elements_of_block(grammar, block, env, keep_breaks=keep_breaks)]


def elements_of_block(
    grammar: Grammar, block: Block, env: MutableMapping[str, Any], *, keep_breaks: bool
) -> list[Element]:
    """One block of a `Splitter`. `env` has the link references seen so far and is not changed."""
    if block.kind is BlockKind.FENCE:
        return [Code(block.text, language_of(block.info), is_closed=block.is_closed)]
    if block.kind is BlockKind.LITERAL:
        return list(literal(block.text.strip("\n")))
    known = {"references": dict(env.get("references", {}))}
    return list(_Walk(keep_breaks, block.ordinal).elements(grammar.parse(block.text, known)))


def literal(text: str, place: Place | None = None) -> Iterator[Paragraph]:
    """Text as it was typed. What is made of its beginning stays the same when the text grows, but for the last."""
    group: list[str] = []
    size = 0
    for line in text.split("\n"):
        for piece in cut(line):
            if group and size + len(piece) > PIECE:
                yield _literal(group, place)
                group, size = [], 0
            group.append(piece)
            size += len(piece) + 1
    yield _literal(group, place)


def _literal(lines: Sequence[str], place: Place | None) -> Paragraph:
    words = BREAK.join(lines)
    return Paragraph((Run(words),) if words else (), place or Place(), is_tight=True)


def cut(line: str) -> Iterator[str]:
    """A line in pieces that Qt can lay out; after a blank if there is one near the limit."""
    start = 0
    while len(line) - start > PIECE:
        end = line.rfind(" ", start + PIECE - 200, start + PIECE) + 1 or start + PIECE
        yield line[start:end]
        start = end
    yield line[start:]


def language_of(info: str) -> str:
    """The language's name in what stands behind a fence: `python {.numbered}` is "python"."""
    words = info.replace("{", " ").replace(",", " ").split()
    return words[0].strip(".}").lower()[:24] if words else ""


def plain_text(elements: Sequence[Element]) -> str:
    """The words alone, a line an element or a cell: what the document's own plain text says."""
    return "\n".join(_plain(element) for element in elements)


def text_of(runs: Sequence[Run]) -> str:
    """The words of the runs."""
    return "".join(run.text for run in runs)


def _plain(element: Element) -> str:
    if isinstance(element, Code):
        return element.text
    if isinstance(element, Table):
        return "\n".join(text_of(cell) for row in element.rows for cell in row)
    return text_of(element.runs).replace(BREAK, "\n")


def _is_harmless(source: str) -> bool:
    """Whether one parse of everything is safe: no paragraph for which inline parsing would take seconds."""
    if source.count("[") > BRACKET_LIMIT or max(map(len, source.split("\n"))) > LINE_LIMIT:
        return False
    return len(source) <= BLOCK_LIMIT or max(map(len, source.split("\n\n"))) <= BLOCK_LIMIT


class _Walk:
    """One pass over the tokens, with the lists and quotes that are open."""

    def __init__(self, keep_breaks: bool, ordinal: int | None = None) -> None:
        self._soft_break = BREAK if keep_breaks else " "
        self._ordinal = ordinal
        self._path = ""
        self._numbers: list[tuple[int, str] | None] = []  # the open lists: next number and its point; None for bullets
        self._marker = ""

    def elements(self, tokens: Sequence[Token]) -> Iterator[Element]:
        index = 0
        while index < len(tokens):
            token = tokens[index]
            if token.type in ("paragraph_open", "heading_open"):
                yield self._paragraph(token, tokens[index + 1])
                index += 2
            elif token.type in ("fence", "code_block"):
                yield from self._bare_marker()
                yield self._code(token)
            elif token.type == "hr":
                yield Paragraph((), self._place(), is_rule=True)
            elif token.type == "table_open":
                yield from self._bare_marker()
                end = next(i for i in range(index, len(tokens)) if tokens[i].type == "table_close")
                yield from self._table(tokens[index:end])
                index = end
            elif token.type == "list_item_close":
                yield from self._bare_marker()
                self._path = self._path[:-1]
            else:
                self._enter_or_leave(token)
            index += 1

    def _enter_or_leave(self, token: Token) -> None:
        if token.type == "bullet_list_open":
            self._numbers.append(None)
        elif token.type == "ordered_list_open":
            start = int(token.attrs.get("start", 1)) if self._ordinal is None else self._ordinal
            self._numbers.append((start, token.markup))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            self._numbers.pop()
        elif token.type == "list_item_open":
            self._path += "i"
            self._marker = self._next_marker()
        elif token.type == "blockquote_open":
            self._path += "q"
        elif token.type == "blockquote_close":
            self._path = self._path[:-1]
        self._ordinal = None

    def _next_marker(self) -> str:
        number = self._numbers[-1]
        if number is None:
            depth = sum(1 for each in self._numbers if each is None)
            return BULLETS[(depth - 1) % len(BULLETS)]
        self._numbers[-1] = (number[0] + 1, number[1])
        return f"{number[0]}{number[1]}"

    def _place(self) -> Place:
        place = Place(self._path, self._marker)
        self._marker = ""
        return place

    def _bare_marker(self) -> Iterator[Element]:
        """An item that begins with something that cannot stand beside its marker gets an empty line for it."""
        if self._marker:
            yield Paragraph((), self._place(), is_tight=True)

    def _paragraph(self, opening: Token, inline: Token) -> Paragraph:
        runs = tuple(self._runs(inline.children or ()))
        if self._marker in BULLETS and runs and runs[0].text[:4] in TASK_MARKERS:
            self._marker = TASK_MARKERS[runs[0].text[:4]]
            first = Run(runs[0].text[4:], runs[0].style, runs[0].tint, runs[0].href)
            runs = (first, *runs[1:]) if first.text else runs[1:]
        heading = int(opening.tag[1]) if opening.type == "heading_open" else 0
        return Paragraph(runs, self._place(), heading, is_tight=opening.hidden)

    def _code(self, token: Token) -> Code:
        text = token.content.removesuffix("\n")
        return Code(text, language_of(token.info) if token.type == "fence" else "", self._place())

    def _table(self, tokens: Sequence[Token]) -> Iterator[Element]:
        rows: list[list[Cell]] = []
        aligns: list[Align] = []
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "th_open":
                aligns.append(_align(str(token.attrs.get("style", ""))))
            elif token.type == "inline":
                rows[-1].append(tuple(self._runs(token.children or ())))
        place = self._place()
        if len(aligns) > MAX_COLUMNS or len(rows) > MAX_ROWS:
            for row in rows:
                yield Paragraph((Run(" | ".join(map(text_of, row))),), place, is_tight=True)
            return
        whole = (tuple((row + [()] * len(aligns))[: len(aligns)]) for row in rows)
        yield Table(tuple(whole), tuple(aligns), place)

    def _runs(self, children: Sequence[Token]) -> Iterator[Run]:
        """The runs of a line of tokens; neighbours of one look are one run."""
        pending: Run | None = None
        for run in self._pieces(children):
            if _BLOCK_ENDS.search(run.text):
                run = Run(_BLOCK_ENDS.sub(" ", run.text), run.style, href=run.href)
            if pending is None:
                pending = run
            elif (pending.style, pending.href) == (run.style, run.href):
                pending = Run(pending.text + run.text, run.style, href=run.href)
            else:
                yield pending
                pending = run
        if pending is not None:
            yield pending

    def _pieces(self, children: Sequence[Token]) -> Iterator[Run]:
        looks = [(Style.NONE, "")]
        for token in children:
            style, href = looks[-1]
            if token.nesting == 1:
                href = str(token.attrs.get("href", "")) if token.type == "link_open" else href
                looks.append((style | _STYLES.get(token.type, Style.NONE), href))
            elif token.nesting == -1:
                if len(looks) > 1:
                    looks.pop()
            elif token.type == "softbreak":
                yield Run(self._soft_break, style, href=href)
            elif token.type == "hardbreak":
                yield Run(BREAK, style, href=href)
            elif token.type == "code_inline":
                yield Run(token.content, style | Style.CODE, href=href)
            elif token.type == "image":
                source = str(token.attrs.get("src", ""))
                yield Run(IMAGE_MARK + (token.content or source), style | Style.IMAGE, href=href or source)
            elif token.content:
                yield Run(token.content, style, href=href)


_BLOCK_ENDS = re.compile("[\n\r\x00\u2029\ufdd0\ufdd1\ufffc]")  # an entity (&#10;) can still make one
_STYLES = {"strong_open": Style.BOLD, "em_open": Style.ITALIC, "s_open": Style.STRIKE}


def _align(style: str) -> Align:
    for align in (Align.RIGHT, Align.CENTER):
        if align.value in style:
            return align
    return Align.LEFT
