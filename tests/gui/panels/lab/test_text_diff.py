"""The word diff of two answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gui.panels.lab.presenter.text_diff import DiffPiece, Side, word_diff

TEXTS = st.text(alphabet="ab \n.", max_size=40)


def test_words_that_only_one_has_stand_at_their_place() -> None:
    found = word_diff("The ship is small.", "The old ship is quick.")
    assert found == (
        DiffPiece(Side.BOTH, "The"),
        DiffPiece(Side.SECOND, " old"),
        DiffPiece(Side.BOTH, " ship is"),
        DiffPiece(Side.FIRST, " small."),
        DiffPiece(Side.SECOND, " quick."),
    )


@given(TEXTS, TEXTS)
def test_both_texts_can_be_put_together_again(first: str, second: str) -> None:
    pieces = word_diff(first, second)
    assert "".join(each.text for each in pieces if each.side is not Side.SECOND) == first
    assert "".join(each.text for each in pieces if each.side is not Side.FIRST) == second


def test_equal_texts_are_one_piece_and_empty_ones_none() -> None:
    assert word_diff("one two", "one two") == (DiffPiece(Side.BOTH, "one two"),)
    assert word_diff("", "") == ()
