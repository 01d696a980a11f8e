"""Markdown that arrives in pieces, split into blocks that will not change any more and one that still may.

Laying out a whole answer again for each token costs 134 ms at 20,000 tokens; laying out only its open end stays at
1.5 ms. The splitter decides where that open end begins, from whole lines only, so the blocks are
the same however the text was cut. Items of a list outside everything else are blocks of their own, and an open fence
is not parsed at all: its text only grows. No Qt here.

Rejected: cutting at blank lines outside fences (wrong for loose lists and indented code), parsing everything each
time, and a partial line deciding anything ("#" is a heading, "#1" is not).

Source: CommonMark 0.31.2 section 4 and 5 by markdown-it-py, with tables and strikethrough of GFM.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Generator, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

NESTING_LIMIT = 60  # deeper than this a block is shown as it was typed
LINE_LIMIT = 8_000  # characters; inline parsing of longer lines is quadratic for some inputs
BLOCK_LIMIT = 60_000  # characters; as above, for one paragraph
BRACKET_LIMIT = 2_000  # opening brackets in a block: each one is looked for to the block's end

# Characters that Qt's documents use as marks of their own, and half surrogates that no encoding can carry.
_FOREIGN = re.compile("[\x00\ufdd0\ufdd1\ufffc\ud800-\udfff]")
_BLANKS = " \t\n"  # what CommonMark calls blank; Python's strip() takes far more
# A line that has only just begun, and may become a heading, an item, an underline, a fence: shown when it is decided.
_UNDECIDED = re.compile(r" {0,3}(?:[#>*+\-=`~_|: ]{1,12}|\d{1,3}[.)]?)[ \t]*$")
_OPENING = re.compile(r"(`{3,}|~{3,})[ \t]*([^\n]*)$")


def clean(text: str) -> str:
    """The text as it can be shown: one kind of line end, and no character that would break a document."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2029", "\u2028")
    return _FOREIGN.sub("\ufffd", text)


class Grammar:
    """The dialect: CommonMark with tables and strikethrough, without HTML. The parser is imported at first use."""

    def __init__(self) -> None:
        self._full: MarkdownIt | None = None
        self._outline: MarkdownIt | None = None

    def prepare(self) -> None:
        """Import the parser now (a tenth of a second), so that the first message need not wait. From any thread."""
        self.parse("")

    def parse(self, text: str, env: MutableMapping[str, Any] | None = None) -> list[Token]:
        """All tokens. `env` carries link references in and out."""
        if self._full is None:
            self._full = self._parser()
        return self._full.parse(text, {} if env is None else env)

    def outline(self, text: str, env: MutableMapping[str, Any] | None = None) -> list[Token]:
        """The block tokens alone, each with its lines; nothing inline is parsed."""
        if self._outline is None:
            self._outline = self._parser()
            self._outline.core.ruler.enableOnly(["normalize", "block"])
        return self._outline.parse(text, {} if env is None else env)

    @staticmethod
    def _parser() -> MarkdownIt:
        from markdown_it import MarkdownIt

        options = {"html": False, "maxNesting": NESTING_LIMIT + 2}
        return MarkdownIt("commonmark", options).enable(["table", "strikethrough"])


class BlockKind(enum.Enum):
    """How a block is read: as Markdown, as the inside of a fence, or as it was typed."""

    MARKDOWN = "markdown"
    FENCE = "fence"
    LITERAL = "literal"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece that can be shown by itself.

    Attributes:
        text: its lines without the blank ones after it; for a fence only the code, without the last line end.
        info: what stands behind the opening fence.
        ordinal: the number of the first item when it is part of a numbered list.
        is_closed: False for a fence whose end has not come.
    """

    kind: BlockKind
    text: str
    info: str = ""
    ordinal: int | None = None
    is_closed: bool = True


@dataclass(frozen=True, slots=True)
class BlockDone:
    """The open end (or its first part) has become this block, for good."""

    block: Block


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """What stands after the finished blocks now. Replaces the open end shown before; None for nothing."""

    block: Block | None


@dataclass(frozen=True, slots=True)
class CodeGrows:
    """The open end is a fence: `text` comes after what it has. The first one of a fence carries its `info`."""

    text: str
    info: str
    is_first: bool


Change = BlockDone | OpenEnd | CodeGrows


@dataclass(frozen=True, slots=True)
class _Unit:
    """A block of the outline: its lines [start, end), and whether anything can still be added to it."""

    start: int
    end: int
    kind: BlockKind
    info: str = ""
    ordinal: int | None = None
    is_closed: bool = True
    fence: str = ""


class Splitter:
    """Takes text in any pieces; hands out what changed. `blocks` has what is finished so far."""

    def __init__(self, grammar: Grammar) -> None:
        self.blocks: list[Block] = []
        self.env: dict[str, Any] = {}
        self._grammar = grammar
        self._lines: list[str] = []  # whole lines of the open end
        self._partial = ""  # the line that has no end yet
        self._held_return = False
        self._ordinal: int | None = None
        self._fence: _OpenFence | None = None

    def feed(self, text: str) -> list[Change]:
        """Add text at the end. Costs no more than the open end's length, and nothing but itself inside a fence."""
        if self._held_return:
            text = "\r" + text
        self._held_return = text.endswith("\r")
        text = clean(text[:-1] if self._held_return else text)
        if not text:
            return []
        *whole, self._partial = (self._partial + text).split("\n")
        return list(self._take(whole))

    def finish(self) -> list[Change]:
        """No more text comes: everything becomes finished blocks."""
        whole = [self._partial] if self._partial or self._held_return else []  # a "\r" at the very end ends a line
        self._partial, self._held_return = "", False
        return [each for each in self._take(whole, is_last=True) if not isinstance(each, OpenEnd)]

    def _take(self, whole: list[str], is_last: bool = False) -> Iterator[Change]:
        if self._is_in_fence():
            whole = yield from self._grow_fence(whole, is_last)
            if self._is_in_fence():
                return
        self._lines.extend(whole)
        if whole or is_last:
            yield from self._settle(is_last)
        if self._is_in_fence():
            yield from self._grow_fence([], is_last)
        else:
            yield OpenEnd(self._open_end())

    def _is_in_fence(self) -> bool:
        return self._fence is not None

    def _open_end(self) -> Block | None:
        lines = self._lines if _UNDECIDED.match(self._partial) else [*self._lines, self._partial]
        text = "\n".join(lines)
        if not text.strip(_BLANKS):
            return None
        kind = BlockKind.LITERAL if _is_costly(lines) else BlockKind.MARKDOWN
        return Block(kind, text, ordinal=self._ordinal)

    def _settle(self, is_last: bool) -> Iterator[Change]:
        """Hand out every block of the open end that later lines cannot change."""
        if not any(line.strip(_BLANKS) for line in self._lines):
            self._lines.clear()
            return
        units = units_of(self._grammar, self._lines, self._ordinal)
        n_done = self._n_final(units, is_last)
        for unit in units[:n_done]:
            block = _block(self._lines, unit)
            self.blocks.append(block)
            yield BlockDone(block)
        if n_done == len(units):
            cut = len(self._lines) if is_last else units[-1].end if units else 0
            self._ordinal = None
        else:
            cut = units[n_done].start
            self._ordinal = units[n_done].ordinal
        self._remember_references(self._lines[:cut])
        del self._lines[:cut]
        if n_done < len(units) and units[n_done].fence:
            self._fence = _OpenFence(units[n_done], self._lines[1:])
            self._lines.clear()

    def _n_final(self, units: Sequence[_Unit], is_last: bool) -> int:
        if is_last:
            return len(units)
        if not units:
            return 0
        if units[-1].kind is BlockKind.FENCE and units[-1].is_closed:
            return len(units)
        n_done = len(units) - 1
        # Text between two blocks that belongs to neither is a link reference, whose title may yet go on.
        while n_done:
            between = self._lines[units[n_done - 1].end : units[n_done].start]
            if not between or not between[-1].strip(_BLANKS):
                break
            n_done -= 1
        return n_done

    def _remember_references(self, lines: Sequence[str]) -> None:
        text = "\n".join(lines)
        if "]:" in text:
            self._grammar.outline(text, self.env)

    def _grow_fence(self, whole: list[str], is_last: bool) -> Generator[Change, None, list[str]]:
        """Add lines to the open fence; the value returned is the lines after its end."""
        fence = self._fence
        assert fence is not None
        pending = [*fence.waiting, *whole]
        fence.waiting = []
        added: list[str] = []
        for index, line in enumerate(pending):
            if fence.closes(line):
                yield from fence.changes(added)
                block = fence.block(is_closed=True)
                self.blocks.append(block)
                self._fence = None
                yield BlockDone(block)
                return pending[index + 1 :]
            added.append(fence.end_line(line))
        if self._partial and not is_last:
            added.append(fence.part_of_line(self._partial))
        yield from fence.changes(added)
        if is_last:
            block = fence.block(is_closed=False)
            self.blocks.append(block)
            self._fence = None
            yield BlockDone(block)
        return []


class _OpenFence:
    """A fence at the left margin whose end has not come: remembers how much of it was already handed out."""

    def __init__(self, unit: _Unit, lines: Sequence[str]) -> None:
        self.info = unit.info
        self.waiting = list(lines)  # that came with the opening one
        self._lines: list[str] = []
        self._closing = closing_pattern(unit.fence)
        self._maybe_closing = re.compile(rf" {{0,3}}{re.escape(unit.fence[0])}*[ \t]*$")
        self._shown = 0  # characters of the unfinished line that were handed out
        self._has_begun = False

    def closes(self, line: str) -> bool:
        return self._closing.match(line) is not None

    def end_line(self, line: str) -> str:
        """What is new in a line that is now whole."""
        new = line[self._shown :] if self._shown else self._break() + line
        self._lines.append(line)
        self._shown = 0
        return new

    def part_of_line(self, part: str) -> str:
        """What is new in a line that is not whole; nothing while it may become the closing fence."""
        if not self._shown and self._maybe_closing.match(part):
            return ""
        new = part[self._shown :] if self._shown else self._break() + part
        self._shown = len(part)
        return new

    def changes(self, added: Sequence[str]) -> Iterator[Change]:
        text = "".join(added)
        if text or not self._has_begun:
            yield CodeGrows(text, self.info, not self._has_begun)
        self._has_begun = True

    def block(self, *, is_closed: bool) -> Block:
        return Block(BlockKind.FENCE, "\n".join(self._lines), self.info, is_closed=is_closed)

    def _break(self) -> str:
        return "\n" if self._lines else ""


def split_whole(grammar: Grammar, text: str) -> list[Block]:
    """The blocks of a text that is all there: what a `Splitter` comes to, by one parse."""
    lines = clean(text).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [_block(lines, unit) for unit in units_of(grammar, lines, None)]


def closing_pattern(fence: str) -> re.Pattern[str]:
    """What a line must look like to end a fence opened with these marks."""
    return re.compile(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$")


def units_of(grammar: Grammar, lines: Sequence[str], ordinal: int | None) -> list[_Unit]:
    """The outline of whole lines. `ordinal` is the number of the first unit if a numbered list goes on there."""
    tokens = grammar.outline("\n".join(lines))
    units: list[_Unit] = []
    for first, last in _top_level(tokens):
        token = tokens[first]
        if token.map is None:
            continue
        inside = tokens[first : last + 1]
        if token.type in ("bullet_list_open", "ordered_list_open"):
            is_ordered = token.type == "ordered_list_open"
            number = ordinal if not units and ordinal is not None else int(token.attrs.get("start", 1))
            for begin, close in _items(inside):
                item = inside[begin]
                assert item.map is not None
                kind = _kind(lines, item.map, inside[begin : close + 1])
                units.append(_Unit(item.map[0], item.map[1], kind, ordinal=number if is_ordered else None))
                number += 1
        elif token.type == "fence":
            units.append(_fence_unit(lines, token))
        else:
            units.append(_Unit(token.map[0], token.map[1], _kind(lines, token.map, inside)))
    return units


def _fence_unit(lines: Sequence[str], token: Token) -> _Unit:
    assert token.map is not None
    start, end = token.map
    opening = _OPENING.match(lines[start])
    is_closed = end - start >= 2 and closing_pattern(token.markup).match(lines[end - 1]) is not None
    if opening is None:  # set in from the margin: markdown-it takes the indent off each line
        return _Unit(start, end, BlockKind.MARKDOWN, is_closed=is_closed)
    fence = "" if is_closed else token.markup
    if not is_closed:
        end = len(lines)  # blank lines at the end are part of it
    return _Unit(start, end, BlockKind.FENCE, token.info.strip(), is_closed=is_closed, fence=fence)


def _top_level(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The index of the first and the last token of each block that stands in no other."""
    first = 0
    for index, token in enumerate(tokens):
        if token.level == 0 and token.nesting <= 0:
            yield first, index
            first = index + 1


def _items(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The same for the items of a list: `tokens[0]` opens the list."""
    first = 1
    for index, token in enumerate(tokens):
        if token.type == "list_item_close" and token.level == tokens[0].level + 1:
            yield first, index
            first = index + 1


def _kind(lines: Sequence[str], where: Sequence[int], tokens: Sequence[Token]) -> BlockKind:
    is_deep = any(token.level >= NESTING_LIMIT for token in tokens)
    return BlockKind.LITERAL if is_deep or _is_costly(lines[where[0] : where[1]]) else BlockKind.MARKDOWN


def _is_costly(lines: Sequence[str]) -> bool:
    """Whether inline parsing of these lines could take seconds."""
    longest, whole, brackets = 0, 0, 0
    for line in lines:
        longest = max(longest, len(line))
        whole += len(line) + 1
        brackets += line.count("[")
    return longest > LINE_LIMIT or whole > BLOCK_LIMIT or brackets > BRACKET_LIMIT


def _block(lines: Sequence[str], unit: _Unit) -> Block:
    start, end = unit.start, unit.end
    if unit.kind is BlockKind.FENCE:
        body = lines[start + 1 : end - 1 if unit.is_closed else end]
        return Block(unit.kind, "\n".join(body), unit.info, is_closed=unit.is_closed)
    while end > start + 1 and not lines[end - 1].strip(_BLANKS):
        end -= 1
    return Block(unit.kind, "\n".join(lines[start:end]), ordinal=unit.ordinal)
