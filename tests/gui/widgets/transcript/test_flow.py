"""A message written piece by piece is the message written at once, and what is finished is not touched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QApplication

from gui.theme import Mode, Theme
from gui.widgets.transcript.blocks import Block, Grammar, OpenEnd, Splitter
from gui.widgets.transcript.elements import (
    Code,
    Element,
    Paragraph,
    Table,
    elements_of_block,
    elements_of_text,
    plain_text,
)
from gui.widgets.transcript.flow import PlainFlow, TextFlow
from gui.widgets.transcript.highlight import Highlighter
from gui.widgets.transcript.plain_end import grown
from gui.widgets.transcript.styles import TextStyles
from gui.widgets.transcript.writer import DocumentWriter

GRAMMAR = Grammar()
HIGHLIGHTER = Highlighter()
SAMPLE = """# Title 한국어

Some *text* with **bold** and `code` 😀 and [a link][later].

1. one
2. two

   loose
3. three
   - nested
     - deeper

| a | b |
|---|--:|
| 1 | **2** |
| 3 | 4 |

---

```python
def f():
    '''doc
    string'''
    return 1
```

> quote
> > nested
> - item

~~~
open at the end

[later]: http://example.com
"""
FRAGMENTS = (
    "# h",
    "\n",
    "\n\n",
    "para ",
    "- a",
    "1. x",
    "  ",
    "```",
    "```py",
    "> q",
    "|a|b|",
    "|-|-|",
    "|1|2|",
    "---",
    "**b**",
    "😀",
)


@pytest.fixture(scope="module")
def styles(qapp: QApplication) -> TextStyles:
    return TextStyles(Theme(Mode.DARK))


@pytest.fixture
def writer(styles: TextStyles) -> Iterator[DocumentWriter]:
    document = QTextDocument()
    document.documentLayout()  # a document without one does not tell what changed
    yield DocumentWriter(document, styles, HIGHLIGHTER)
    document.deleteLater()


def new_writer(styles: TextStyles) -> DocumentWriter:
    return DocumentWriter(QTextDocument(), styles, HIGHLIGHTER)


def look(document: QTextDocument) -> list[tuple[object, ...]]:
    """Everything a reader could see: text, margins, and each run with its look."""
    found: list[tuple[object, ...]] = []
    block = document.firstBlock()
    while block.isValid():
        style = block.blockFormat()
        runs = []
        iterator = block.begin()
        while not iterator.atEnd():
            fragment = iterator.fragment()
            char = fragment.charFormat()
            run = (char.font().toString(), char.foreground().color().name(), char.anchorHref())
            if runs and runs[-1][1:] == run:
                runs[-1] = (runs[-1][0] + fragment.text(), *run)
            else:
                runs.append((fragment.text(), *run))
            iterator += 1
        found.append((block.text(), style.leftMargin(), style.topMargin(), style.bottomMargin(), tuple(runs)))
        block = block.next()
    return found


def stream(flow: TextFlow, text: str, size: int) -> None:
    flow.begin("", keep_breaks=False)
    for start in range(0, len(text), size):
        flow.append(text[start : start + size])


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_streamed_and_finished_is_the_same_as_written_at_once(styles: TextStyles, size: int) -> None:
    streamed, whole = new_writer(styles), new_writer(styles)
    flow = TextFlow(streamed, GRAMMAR)
    stream(flow, SAMPLE, size)
    flow.finish(SAMPLE)
    TextFlow(whole, GRAMMAR).show(SAMPLE, keep_breaks=False)
    assert look(streamed.document) == look(whole.document)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join), size=st.integers(1, 5))
def test_any_text_streamed_and_finished_is_the_same_as_written_at_once(
    styles: TextStyles, text: str, size: int
) -> None:
    streamed, whole = new_writer(styles), new_writer(styles)
    flow = TextFlow(streamed, GRAMMAR)
    stream(flow, text, size)
    flow.finish(text)
    TextFlow(whole, GRAMMAR).show(text, keep_breaks=False)
    assert look(streamed.document) == look(whole.document)


def test_the_document_says_what_the_elements_say(writer: DocumentWriter) -> None:
    text = "# A\n\nb  \nc\n\n```\nx\ny\n```\n\n> q"
    TextFlow(writer, GRAMMAR).show(text, keep_breaks=False)
    elements = elements_of_text(GRAMMAR, text, keep_breaks=False)
    assert writer.document.toPlainText() == plain_text(elements)


def test_finished_blocks_are_not_touched_while_text_comes(writer: DocumentWriter) -> None:
    flow = TextFlow(writer, GRAMMAR)
    flow.begin("# Title\n\nFirst paragraph.\n\n- item\n\nThe open end", keep_breaks=False)
    done = writer.placed[flow.n_done].block.position()
    changed: list[int] = []
    writer.document.contentsChange.connect(lambda position, _removed, _added: changed.append(position))
    flow.append(" goes on\n\n```py\nx = 1\n```\n\nand **on**")
    assert min(changed) >= done


def test_plain_words_are_inserted_and_nothing_is_removed(writer: DocumentWriter) -> None:
    flow = TextFlow(writer, GRAMMAR)
    flow.begin("Some words", keep_breaks=False)
    removed: list[int] = []
    writer.document.contentsChange.connect(lambda _position, gone, _added: removed.append(gone))
    for piece in (" and", " more **bold** words", "\n\n```py\n", "x = 1\ny", " = 2\n"):
        flow.append(piece)
    assert sum(removed) <= 2, "Qt itself reports a changed block's end as removed and added"


def test_an_open_fence_shows_its_lines_at_once_and_closes_with_colours(writer: DocumentWriter) -> None:
    flow = TextFlow(writer, GRAMMAR)
    flow.begin("```python\ns = '''a\nb", keep_breaks=False)
    assert writer.document.toPlainText() == "s = '''a\nb"
    flow.append("'''\n```\n")
    element = writer.placed[-1].element
    assert element == Code("s = '''a\nb'''", "python")
    last = QTextCursor(writer.document.lastBlock())
    last.movePosition(QTextCursor.MoveOperation.Right)
    first = QTextCursor(writer.document)
    first.movePosition(QTextCursor.MoveOperation.Right, n=6)
    assert last.charFormat().foreground() == first.charFormat().foreground(), "both are in the string"


def test_a_table_grows_row_by_row(writer: DocumentWriter) -> None:
    flow = TextFlow(writer, GRAMMAR)
    flow.begin("| a | b |\n|---|---|\n| 1 | 2 |\n", keep_breaks=False)
    table = writer.placed[0].table
    flow.append("| 3 | 4")
    assert table is not None
    assert writer.placed[0].table == table
    assert (table.rows(), table.columns()) == (3, 2)
    assert table.cellAt(2, 1).firstCursorPosition().block().text() == "4"


def test_elements_of_every_kind_can_replace_each_other(writer: DocumentWriter) -> None:
    texts = ("a", "|a|\n|-|\n|1|", "---", "|a|\n|-|\n|1|\n\n---", "```\nx\n```", "|a|\n|-|\n|1|\n\nb", "", "1. x")
    for before in texts:
        for after in texts:
            TextFlow(writer, GRAMMAR).show(before, keep_breaks=False)
            writer.show(elements_of_text(GRAMMAR, after, keep_breaks=False))
            expected = [type(each) for each in elements_of_text(GRAMMAR, after, keep_breaks=False)]
            assert [type(each.element) for each in writer.placed] == expected
            words = [word for word in writer.document.toPlainText().split() if word]
            assert words == plain_text(elements_of_text(GRAMMAR, after, keep_breaks=False)).split()


def test_a_rule_below_a_table_does_not_lie_in_it(writer: DocumentWriter) -> None:
    writer.show(elements_of_text(GRAMMAR, "|a|\n|-|\n|1|\n\n---", keep_breaks=False))
    writer.document.setTextWidth(400)
    layout = writer.document.documentLayout()
    table, rule = writer.placed
    assert isinstance(table.element, Table)
    assert isinstance(rule.element, Paragraph)
    assert table.table is not None
    assert layout.blockBoundingRect(rule.block).top() >= layout.frameBoundingRect(table.table).bottom() - 1


def test_thoughts_are_plain_and_only_the_last_line_is_looked_at(writer: DocumentWriter) -> None:
    flow = PlainFlow(writer)
    flow.show("# not a heading\n**sta")
    flow.append("rs**\n\nend")
    assert writer.document.toPlainText() == "# not a heading\n**stars**\n\nend"


PLAIN_STREAMS = (
    "The llama walked on, and looked at the sky (it was blue); then 3 of them sat down. ",
    "- an item that goes on in plain words, with 1.5 of them",
    "12. twelve goes on and on, well-made",
    "Some **bold words** and then plain ones that go on",
    "# A title of many words",
    "a line\nand the next line of it",
    "> quoted words that go on",
    "ends in **two stars** x** and goes on",
    "an &amp; entity, a \\* star, a [link](x), `code`, <http://a.b>, words behind them",
    "| a | b |\n|---|---|\n| words in a cell that go on",
    "1\\. no list. snake_case_word and _it is_ so",
    "    code that is set in by four blanks goes on",
    "word\n===\nafter the heading, words",
)


@pytest.mark.parametrize("text", PLAIN_STREAMS)
@pytest.mark.parametrize("size", [1, 3, 7])
def test_an_end_that_goes_on_in_plain_words_is_what_the_parser_says(text: str, size: int) -> None:
    old: Block | None = None
    elements: list[Element] = []
    splitter, n_grown = Splitter(GRAMMAR), 0
    for start in range(0, len(text), size):
        for change in splitter.feed(text[start : start + size]):
            new = change.block if isinstance(change, OpenEnd) else None
            right = elements_of_block(GRAMMAR, new, splitter.env, keep_breaks=False) if new is not None else []
            if old is not None and new is not None and (guessed := grown(old, elements, new)) is not None:
                n_grown += 1
                assert guessed == right, (old.text, new.text)
            old, elements = new, right
    assert n_grown or text not in PLAIN_STREAMS[:4], "plain words are parsed again"


@given(st.lists(st.sampled_from((*FRAGMENTS, "word", " ", ".", " a", "1", "x y", "-", ":", "!")), max_size=40))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_grows_into_something_else_than_the_parser_says(pieces: list[str]) -> None:
    old: Block | None = None
    elements: list[Element] = []
    splitter = Splitter(GRAMMAR)
    for piece in pieces:
        for change in splitter.feed(piece):
            new = change.block if isinstance(change, OpenEnd) else None
            right = elements_of_block(GRAMMAR, new, splitter.env, keep_breaks=True) if new is not None else []
            if old is not None and new is not None and (guessed := grown(old, elements, new)) is not None:
                assert guessed == right, (old.text, new.text)
            old, elements = new, right
