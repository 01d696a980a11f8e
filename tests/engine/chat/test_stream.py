"""Text comes out the same however the bytes were cut, and nothing that was held back is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.chat.stream import Chunk, ChunkKind, StopMatcher, ThinkingSplitter, Utf8Stream, opens_thinking

ANSWER, THINKING = ChunkKind.ANSWER, ChunkKind.THINKING
KOREAN = "안녕하세요 🙂 family 👨‍👩‍👧 naïve"


def decoded(pieces: list[bytes]) -> str:
    stream = Utf8Stream()
    return "".join(stream.feed(piece) for piece in pieces) + stream.flush()


def cut(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(whole), *(place % (len(whole) + 1) for place in cuts)})
    return [whole[start:end] for start, end in pairwise(places)]


def stopped(stops: list[str], pieces: list[bytes]) -> tuple[bytes, str | None]:
    matcher = StopMatcher(stops)
    text = b""
    for piece in pieces:
        step = matcher.feed(piece)
        text += step.emit
        if step.stopped is not None:
            return text, step.stopped
    return text + matcher.flush(), None


def naive_stop(stops: list[str], whole: bytes) -> tuple[bytes, str | None]:
    """The first stop string to be complete; of two, the one that starts earlier."""
    found = [(whole.find(stop.encode()), stop) for stop in stops if stop]
    ends = [(start + len(stop.encode()), start, stop) for start, stop in found if start >= 0]
    if not ends:
        return whole, None
    _, start, stop = min(ends)
    return whole[:start], stop


def split(pieces: list[str], *, starts_inside: bool = False) -> list[Chunk]:
    splitter = ThinkingSplitter(starts_inside)
    chunks = [chunk for piece in pieces for chunk in splitter.feed(piece)] + list(splitter.flush())
    joined: list[Chunk] = []
    for chunk in chunks:
        if joined and joined[-1].kind is chunk.kind:
            joined[-1] = Chunk(chunk.kind, joined[-1].text + chunk.text)
        else:
            joined.append(chunk)
    return joined


# UTF-8


def test_no_half_character_is_given_out() -> None:
    stream = Utf8Stream()
    given_out = [stream.feed(bytes([byte])) for byte in KOREAN.encode()]
    assert "".join(given_out) + stream.flush() == KOREAN
    assert "\ufffd" not in "".join(given_out)


def test_a_character_cut_off_at_the_end_is_one_replacement() -> None:
    stream = Utf8Stream()
    assert stream.feed("a🙂".encode()[:-1]) == "a"
    assert stream.flush() == "\ufffd"
    assert stream.feed("é".encode()) + stream.flush() == "é"


@given(st.one_of(st.binary(max_size=60), st.text(max_size=20).map(str.encode)), st.lists(st.integers(0, 60)))
def test_any_cut_of_any_bytes_decodes_as_the_whole(whole: bytes, cuts: list[int]) -> None:
    assert decoded(cut(whole, cuts)) == whole.decode("utf-8", "replace")


# Stop strings


@given(
    st.lists(st.text("abé", max_size=4), max_size=4),
    st.text("abé", max_size=30),
    st.lists(st.integers(0, 80), max_size=12),
)
def test_any_cut_stops_where_a_search_of_the_whole_would(stops: list[str], whole: str, cuts: list[int]) -> None:
    assert stopped(stops, cut(whole.encode(), cuts)) == naive_stop(stops, whole.encode())


@given(st.lists(st.text("ab<", min_size=1, max_size=4), max_size=3), st.text("ab<", max_size=30))
def test_no_more_is_held_back_than_a_stop_string_could_begin_with(stops: list[str], whole: str) -> None:
    matcher = StopMatcher(stops)
    seen = shown = b""
    for char in whole.encode():
        step = matcher.feed(bytes([char]))
        seen, shown = seen + bytes([char]), shown + step.emit
        if step.stopped is not None:
            return
        held = seen[len(shown) :]
        assert not held or any(stop.encode().startswith(held) for stop in stops)
    assert shown + matcher.flush() == whole.encode()


def test_without_stop_strings_every_piece_passes_at_once() -> None:
    matcher = StopMatcher(["", ""])
    piece = b"anything\n"
    assert matcher.feed(piece).emit is piece
    assert matcher.flush() == b""


def test_a_stop_string_over_three_pieces_is_never_shown() -> None:
    matcher = StopMatcher(["\nUser:"])
    steps = [matcher.feed(piece) for piece in (b"Fine.", b"\nUs", b"er", b": hello")]
    assert b"".join(step.emit for step in steps) == b"Fine."
    assert steps[-1].stopped == "\nUser:"


@pytest.mark.parametrize("cuts", [[], [1], [2], [3], [1, 2, 3]])
def test_of_overlapping_stop_strings_the_first_to_be_complete_wins(cuts: list[int]) -> None:
    assert stopped(["abcd", "bc"], cut(b"xabcd", cuts)) == (b"xa", "bc")
    assert stopped(["bc", "abc"], cut(b"xabcd", cuts)) == (b"x", "abc")
    assert stopped(["abc", "ab"], cut(b"xabcd", cuts)) == (b"x", "ab")


def test_after_a_stop_nothing_comes_out_any_more() -> None:
    matcher = StopMatcher(["END"])
    assert matcher.feed(b"a END b").stopped == "END"
    assert matcher.feed(b"more").emit == b""
    assert matcher.feed(b"more").stopped == "END"
    assert matcher.flush() == b""


@pytest.mark.parametrize("stop", ["]", "^", "-", "\\", "]^-a", "끝"])
def test_stop_strings_of_any_characters_work(stop: str) -> None:
    assert stopped([stop, "-z"], [("x" + stop + "y").encode()]) == (b"x", stop)


def test_half_a_korean_stop_string_waits_for_its_other_half() -> None:
    encoded = "끝".encode()
    matcher = StopMatcher(["끝"])
    assert matcher.feed(b"a" + encoded[:2]).emit == b"a"
    assert matcher.feed(encoded[2:]).stopped == "끝"


# Thinking


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<think>", "</think>"),
        ("<thinking>", "</thinking>"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("[THINK]", "[/THINK]"),
    ],
)
def test_thinking_is_told_from_the_answer(opening: str, closing: str) -> None:
    assert split([f"{opening}hm, 음…{closing}\n\nYes 🙂"]) == [Chunk(THINKING, "hm, 음…"), Chunk(ANSWER, "\n\nYes 🙂")]


def test_a_block_that_the_template_opened_ends_with_its_closing_tag() -> None:
    assert split(["hm</th", "ink>yes"], starts_inside=True) == [Chunk(THINKING, "hm"), Chunk(ANSWER, "yes")]


def test_a_block_that_never_ends_is_all_thinking() -> None:
    assert split(["<think>hm </thin"]) == [Chunk(THINKING, "hm </thin")]


def test_only_the_matching_tag_closes_a_block() -> None:
    assert split(["<think>a</thinking>b</think>c"]) == [Chunk(THINKING, "a</thinking>b"), Chunk(ANSWER, "c")]


def test_a_tag_in_the_middle_of_a_line_is_part_of_the_answer() -> None:
    text = "Qwen writes <think> and </think> around it"
    assert split(list(text)) == [Chunk(ANSWER, text)]


def test_thinking_between_two_lines_of_the_answer_is_found() -> None:
    chunks = split(["One.\n  <think>hm</think>\nTwo."])
    assert chunks == [Chunk(ANSWER, "One.\n  "), Chunk(THINKING, "hm"), Chunk(ANSWER, "\nTwo.")]


def test_text_without_a_possible_tag_is_not_held_back() -> None:
    splitter = ThinkingSplitter()
    assert splitter.feed("Hello") == (Chunk(ANSWER, "Hello"),)
    assert splitter.feed(" 1 <") == (Chunk(ANSWER, " 1 <"),)
    assert splitter.feed("\n<") == (Chunk(ANSWER, "\n"),)
    assert splitter.feed(" 2") == (Chunk(ANSWER, "< 2"),)


WORDS = ["<think>", "</think>", "<thinking>", "</thinking>", "[THINK]", "[/THINK]", "\n", " ", "a", "<", "</th", "음"]


@given(st.lists(st.sampled_from(WORDS), max_size=14), st.lists(st.integers(0, 80), max_size=14), st.booleans())
def test_any_cut_splits_as_the_whole(words: list[str], cuts: list[int], starts_inside: bool) -> None:
    whole = "".join(words)
    places = sorted({0, len(whole), *(place % (len(whole) + 1) for place in cuts)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    assert split(pieces, starts_inside=starts_inside) == split([whole], starts_inside=starts_inside)


@given(st.text("ab <>\n/", max_size=40), st.lists(st.integers(0, 40), max_size=8))
def test_text_without_tags_comes_out_whole(whole: str, cuts: list[int]) -> None:
    chunks = split([piece.decode() for piece in cut(whole.encode(), cuts)])
    assert "".join(chunk.text for chunk in chunks) == whole


def test_a_prompt_that_ends_in_an_open_block_is_recognised() -> None:
    assert opens_thinking("<|im_start|>assistant\n<think>\n")
    assert not opens_thinking("<|im_start|>assistant\n<think>\n\n</think>\n\n")
