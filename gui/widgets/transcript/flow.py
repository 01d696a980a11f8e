"""The text of one message in a document: whole, or as it comes.

Between the splitter (what is finished, what is open) and the writer (what is on screen): counts how many of the
document's elements are finished, and gives the writer only the rest. At the end the whole message is parsed once
more, which puts right what a part cannot know (a link defined below, a loose list), and the difference is written.
"""

from __future__ import annotations

from gui.widgets.transcript.blocks import Block, BlockDone, CodeGrows, Grammar, Splitter, clean
from gui.widgets.transcript.elements import (
    BREAK,
    Code,
    Element,
    Paragraph,
    Place,
    elements_of_block,
    elements_of_text,
    language_of,
    literal,
    text_of,
)
from gui.widgets.transcript.plain_end import grown
from gui.widgets.transcript.writer import DocumentWriter


class TextFlow:
    """Shows Markdown through a writer. `n_done` elements of the document will not change any more."""

    def __init__(self, writer: DocumentWriter, grammar: Grammar) -> None:
        self.n_done = 0
        self._writer = writer
        self._grammar = grammar
        self._splitter: Splitter | None = None
        self._keep_breaks = False
        self._end: tuple[Block, list[Element]] | None = None  # the open end as it was shown last

    def show(self, text: str, *, keep_breaks: bool) -> None:
        """Show a whole message instead of whatever is there."""
        self._splitter = None
        self._writer.clear()
        self._writer.show(elements_of_text(self._grammar, text, keep_breaks=keep_breaks))

    def begin(self, text: str, *, keep_breaks: bool) -> None:
        """Show the beginning of a message to which more will be appended."""
        self._writer.clear()
        self._splitter, self._end = Splitter(self._grammar), None
        self._keep_breaks = keep_breaks
        self.n_done = 0
        self.append(text)

    def append(self, text: str) -> None:
        """Add text at the end. Costs the length of the open end at most, and of `text` inside a fence."""
        assert self._splitter is not None
        waiting: list[Element] = []  # everything after the finished elements, shown at once so that nothing is cut
        n_done = 0  # of those waiting
        for change in self._splitter.feed(text):
            if isinstance(change, BlockDone):
                waiting += self._elements(change.block)
                n_done = len(waiting)
            elif isinstance(change, CodeGrows):
                if change.is_first:
                    waiting.append(Code("", language_of(change.info), is_closed=False))
                    self._show_end(waiting, n_done)
                    waiting, n_done = [], 0
                self._writer.append_code(change.text)
            else:
                waiting += self._elements_of_end(change.block)
                self._show_end(waiting, n_done)

    def _show_end(self, elements: list[Element], n_done: int) -> None:
        self._writer.show(elements, self.n_done)
        self.n_done += n_done

    def finish(self, text: str) -> None:
        """The message is whole, and this is its text."""
        self._splitter = None
        self._writer.show(elements_of_text(self._grammar, text, keep_breaks=self._keep_breaks))

    def _elements_of_end(self, block: Block | None) -> list[Element]:
        before, self._end = self._end, None
        if block is None:
            return []
        elements = grown(*before, block) if before is not None else None
        if elements is None:
            elements = self._elements(block)
        self._end = block, elements
        return elements

    def _elements(self, block: Block) -> list[Element]:
        assert self._splitter is not None
        return elements_of_block(self._grammar, block, self._splitter.env, keep_breaks=self._keep_breaks)


class PlainFlow:
    """Shows text as it is; what has been written is looked at again only in the last paragraph. For thoughts."""

    def __init__(self, writer: DocumentWriter) -> None:
        self._writer = writer
        self._last = ""

    def show(self, text: str) -> None:
        """Show this text instead of whatever is there."""
        self._writer.clear()
        self._writer.show(self._paragraphs(text))

    def append(self, text: str) -> None:
        """Add text at the end."""
        start = max(0, len(self._writer.placed) - 1)
        self._writer.show(self._paragraphs(self._last + text), start)

    def _paragraphs(self, text: str) -> list[Paragraph]:
        paragraphs = list(literal(clean(text), Place("q")))
        self._last = text_of(paragraphs[-1].runs).replace(BREAK, "\n")
        return paragraphs
