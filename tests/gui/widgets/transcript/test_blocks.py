"""The splitter finds the same blocks however the text is cut, and never takes one back."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gui.widgets.transcript.blocks import (
    Block,
    BlockDone,
    BlockKind,
    CodeGrows,
    Grammar,
    OpenEnd,
    Splitter,
    split_whole,
)

GRAMMAR = Grammar()
FRAGMENTS = (
    "# h", "\n", "\n", "\n\n", "para", "- a", "* b", "1. x", "2. y", " ", "  ", "    ", "```", "```py", "~~~", "`", "> q",
    "|a|b|", "|-|-|", "---", "===", "[foo]: /u", '"t"', "[foo]", "\r\n", "\r", "\t", "<b>", "**x**", "\\", "3) z", "+", "1.",
    "\0", "\u2028", "😀", "한",
)  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=18).map("".join)


def fed(text: str, cuts: list[int]) -> Splitter:
    splitter = Splitter(GRAMMAR)
    edges = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    for start, end in itertools.pairwise(edges):
        splitter.feed(text[start:end])
    splitter.finish()
    return splitter


@given(texts, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cutting_gives_the_blocks_of_the_whole(text: str, cuts: list[int]) -> None:
    assert fed(text, cuts).blocks == split_whole(GRAMMAR, text)


@given(texts)
@example("```\n\n\r")
def test_one_character_at_a_time_gives_the_blocks_of_the_whole(text: str) -> None:
    assert fed(text, list(range(len(text)))).blocks == split_whole(GRAMMAR, text)


@given(texts, st.lists(st.integers(0, 10_000), max_size=12))
def test_code_that_grew_is_the_code_that_is_done(text: str, cuts: list[int]) -> None:
    splitter = Splitter(GRAMMAR)
    edges = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    changes = [
        change
        for start, end in itertools.pairwise(edges)
        for change in splitter.feed(text[start:end])
    ]  # fmt: skip
    changes += splitter.finish()
    grown: str | None = None
    for change in changes:
        if isinstance(change, CodeGrows):
            grown = change.text if change.is_first else (grown or "") + change.text
        elif isinstance(change, BlockDone) and grown is not None:
            assert change.block.text == grown
            grown = None
        elif isinstance(change, OpenEnd):
            assert grown is None, "a fence that is open has no other open end"
    assert grown is None


def test_a_paragraph_stays_open_until_the_next_block_begins() -> None:
    splitter = Splitter(GRAMMAR)
    assert splitter.feed("one\ntwo\n") == [OpenEnd(Block(BlockKind.MARKDOWN, "one\ntwo\n"))]
    changes = splitter.feed("\nthree\n")
    assert changes == [
        BlockDone(Block(BlockKind.MARKDOWN, "one\ntwo")),
        OpenEnd(Block(BlockKind.MARKDOWN, "three\n")),
    ]


def test_a_line_that_has_only_begun_decides_nothing() -> None:
    splitter = Splitter(GRAMMAR)
    splitter.feed("para\n")
    assert splitter.feed("-") == [OpenEnd(Block(BlockKind.MARKDOWN, "para"))]
    assert splitter.feed(" item") == [OpenEnd(Block(BlockKind.MARKDOWN, "para\n- item"))]


def test_items_of_a_list_are_done_one_by_one_and_keep_their_numbers() -> None:
    splitter = Splitter(GRAMMAR)
    splitter.feed("3. a\n3. b\n3. c\n3. d")
    assert [(block.text, block.ordinal) for block in splitter.blocks] == [("3. a", 3), ("3. b", 4)]
    splitter.finish()
    assert [block.ordinal for block in splitter.blocks] == [3, 4, 5, 6]


def test_an_open_fence_hands_out_only_what_is_new() -> None:
    splitter = Splitter(GRAMMAR)
    assert splitter.feed("```py\na = 1\nb") == [CodeGrows("a = 1\nb", "py", True)]
    assert splitter.feed(" = 2\n") == [CodeGrows(" = 2", "py", False)]
    assert splitter.feed("``") == []
    assert splitter.feed("`\n") == [
        BlockDone(Block(BlockKind.FENCE, "a = 1\nb = 2", "py")),
        OpenEnd(None),
    ]


def test_a_fence_without_an_end_is_done_when_the_text_is() -> None:
    splitter = Splitter(GRAMMAR)
    assert splitter.feed("~~~\nx\n\n") == [CodeGrows("x\n", "", True)]
    assert splitter.finish() == [BlockDone(Block(BlockKind.FENCE, "x\n", is_closed=False))]


@pytest.mark.parametrize("text", ["x" * 9_000, "> " * 500 + "deep", "[\n" * 3_000])
def test_what_would_be_costly_to_parse_is_taken_as_typed(text: str) -> None:
    assert [block.kind for block in split_whole(GRAMMAR, text)] == [BlockKind.LITERAL]


def test_references_of_finished_blocks_are_known_to_later_ones() -> None:
    splitter = Splitter(GRAMMAR)
    splitter.feed("[a]: http://x.org\n\nsee [a]\n")
    assert "A" in splitter.env["references"]
