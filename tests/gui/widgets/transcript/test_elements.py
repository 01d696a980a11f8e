"""What Markdown becomes before it is drawn: places, markers, looks; and nothing of HTML."""

from __future__ import annotations

import pytest

from gui.widgets.transcript.blocks import Grammar
from gui.widgets.transcript.elements import (
    Align,
    Code,
    Element,
    Paragraph,
    Run,
    Style,
    Table,
    Tint,
    elements_of_text,
    language_of,
    plain_text,
)
from gui.widgets.transcript.highlight import Highlighter

GRAMMAR = Grammar()


def elements(text: str, keep_breaks: bool = False) -> list[Element]:
    return elements_of_text(GRAMMAR, text, keep_breaks=keep_breaks)


def test_nested_lists_know_their_path_and_marker() -> None:
    found = elements("1. a\n2. b\n   - c\n     - d\n\n> - e")
    places = [(each.place.path, each.place.marker) for each in found]
    assert places == [("i", "1."), ("i", "2."), ("ii", "•"), ("iii", "◦"), ("qi", "•")]


def test_an_ordered_list_counts_from_its_own_number_with_its_own_point() -> None:
    assert [each.place.marker for each in elements("7) a\n1) b")] == ["7)", "8)"]


def test_tasks_have_boxes_for_markers() -> None:
    found = elements("- [x] done\n- [ ] open")
    assert [(each.place.marker, plain_text([each])) for each in found] == [("☑", "done"), ("☐", "open")]


def test_an_item_that_begins_with_code_still_shows_its_marker() -> None:
    first, second = elements("- ```\n  x\n  ```")
    assert isinstance(first, Paragraph)
    assert (first.place.marker, first.runs) == ("•", ())
    assert isinstance(second, Code)


def test_looks_nest_and_neighbours_of_one_look_are_one_run() -> None:
    (found,) = elements("a **b *c*** ~~d~~ `e` [f](http://x.org)")
    assert isinstance(found, Paragraph)
    assert found.runs == (
        Run("a "),
        Run("b ", Style.BOLD),
        Run("c", Style.BOLD | Style.ITALIC),
        Run(" "),
        Run("d", Style.STRIKE),
        Run(" "),
        Run("e", Style.CODE),
        Run(" "),
        Run("f", href="http://x.org"),
    )


@pytest.mark.parametrize(("keep_breaks", "shown"), [(True, "a\nb\nc"), (False, "a b\nc")])
def test_a_users_line_breaks_are_kept_and_a_models_are_markdowns(keep_breaks: bool, shown: str) -> None:
    assert plain_text(elements("a\nb  \nc", keep_breaks)) == shown


def test_html_is_text() -> None:
    source = "<script>alert(1)</script> <b>x</b>\n\n<div>\ny\n</div>"
    assert "<script>alert(1)</script> <b>x</b>" in plain_text(elements(source))
    assert "<div>" in plain_text(elements(source))


def test_a_picture_is_a_link_with_its_words() -> None:
    (found,) = elements("![a cat](http://example.com/cat.png)")
    assert isinstance(found, Paragraph)
    (run,) = found.runs
    assert (run.text, run.href, run.style) == ("▣ a cat", "http://example.com/cat.png", Style.IMAGE)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "vbscript:x", "data:text/html,x"])
def test_a_link_that_could_run_something_is_not_a_link(url: str) -> None:
    assert all(not run.href for each in elements(f"[x]({url})") if isinstance(each, Paragraph) for run in each.runs)


def test_rows_of_a_table_are_as_long_as_its_header() -> None:
    (found,) = elements("|a|b|\n|:-:|--:|\n|1|\n|1|2|3|")
    assert isinstance(found, Table)
    assert found.aligns == (Align.CENTER, Align.RIGHT)
    assert [len(row) for row in found.rows] == [2, 2, 2]


def test_an_entity_cannot_break_a_block() -> None:
    assert plain_text(elements("a&#10;b&#x2029;c")) == "a b c"


@pytest.mark.parametrize(
    ("info", "language"), [("python", "python"), ("{.Rust .x}", "rust"), ("", ""), ("c++ x", "c++")]
)
def test_the_language_is_the_first_word_behind_the_fence(info: str, language: str) -> None:
    assert language_of(info) == language


@pytest.mark.parametrize("code", ["def f(x):\n    '''a\n    b'''\n    return 1  # c\n", "\n\n x", "", "\tif\n"])
def test_coloured_code_says_what_the_code_says(code: str) -> None:
    lines = Highlighter().lines(code, "python")
    assert "\n".join("".join(run.text for run in line) for line in lines) == code


def test_code_has_colours_across_lines() -> None:
    lines = Highlighter().lines("'''a\nb'''\ndef f(): return 1.5 # c", "python")
    assert [line[0].tint for line in lines] == [Tint.STRING, Tint.STRING, Tint.KEYWORD]
    assert {run.tint for run in lines[2]} == {Tint.KEYWORD, Tint.NAME, Tint.PLAIN, Tint.NUMBER, Tint.COMMENT}


def test_an_unknown_language_is_plain() -> None:
    assert Highlighter().lines("def f", "no-such-language") == ((Run("def f"),),)
