"""The open end of a stream that goes on in plain words: what is shown grows by them, and nothing is parsed again.

Most of what a model writes are words behind words on one line. They cannot change what stands before them, so parsing
the whole open end for each update takes from the processor that writes the answer. Whatever could mean something is
left to the parser: a mark of Markdown in the new text, a line whose kind its first characters have not decided, an end
that something may yet close. No Qt here.

Source: CommonMark 0.31.2 sections 2.4, 5.2, 6.2 (what may open, close or escape).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from gui.widgets.transcript.blocks import Block, BlockKind
from gui.widgets.transcript.elements import Element, Paragraph, Run, Style

_PLAIN = re.compile(r"""(?:[^\W_]|[ .,;:!?'"()/%$–—…’“”-])+""")
# A line whose kind is decided: a letter, behind a list's marker or not.
_DECIDED = re.compile(r"\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)?[^\W\d_]")
# What something later may close or complete: links, code, tags, entities, escapes, the row of a table.
_OPENS = re.compile(r"[\[\]<>`&\\|]")


def grown(old: Block, elements: Sequence[Element], new: Block) -> list[Element] | None:
    """The elements of `new`, made from those of `old` by adding what is new to the last run.

    Args:
        old: an open end, and `elements` what it was parsed to.
        new: the same open end later.

    Returns:
        None where only the parser can tell.
    """
    if not (old.kind is new.kind is BlockKind.MARKDOWN and old.ordinal == new.ordinal and elements):
        return None
    last = elements[-1]
    if not isinstance(last, Paragraph) or not last.runs or not new.text.startswith(old.text):
        return None
    run, added = last.runs[-1], new.text[len(old.text) :]
    if run != Run(run.text, Style.NONE) or not _PLAIN.fullmatch(added) or not _PLAIN.fullmatch(old.text[-1:]):
        return None
    words = old.text.rstrip(" ")
    if not run.text or not words.endswith(run.text[-1]) or _OPENS.search(old.text):
        return None
    if not _DECIDED.match(old.text, old.text.rfind("\n") + 1):
        return None
    text = (run.text + old.text[len(words) :] + added).rstrip(" ")
    return [*elements[:-1], replace(last, runs=(*last.runs[:-1], Run(text)))]
