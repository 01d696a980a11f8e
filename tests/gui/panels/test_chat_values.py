"""The Chat page's pure parts: groups of chats, changes of a thread, words and figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.supervisor import Phase
from engine.store.rows import ConversationId, ConversationRow, MessageId, MessageState, Role
from engine.wire.messages import FinishReason, RunStats
from engine.workbench.events import Figures, ThreadMessage
from gui.model_name import split_name, spoken_name
from gui.panels.chat.grouping import Period, grouped
from gui.panels.chat.states import Doing, Header, Progress
from gui.panels.chat.threads import thread_change
from gui.panels.chat.words import (
    message_value,
    model_button_text,
    plain_snippet,
    progress_text,
    stats_texts,
    stats_tip,
    title_text,
)
from gui.widgets.transcript.values import MessageState as Shown

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def row(updated: datetime, *, pinned: bool = False, title: str = "A chat", draft: str = "") -> ConversationRow:
    return ConversationRow(
        ConversationId(str(updated)), title, False, updated, updated, None, "", None, pinned, None, draft, None
    )


def message(name: str, text: str = "", **more) -> ThreadMessage:
    return ThreadMessage(MessageId(name), None, Role.ASSISTANT, text, MessageState.COMPLETE, **more)


@pytest.mark.parametrize(
    ("before", "period"),
    [
        (timedelta(hours=2), Period.TODAY),
        (timedelta(days=-1), Period.TODAY),
        (timedelta(days=1), Period.YESTERDAY),
        (timedelta(days=2), Period.WEEK),
        (timedelta(days=7), Period.WEEK),
        (timedelta(days=8), Period.MONTH),
    ],
)
def test_a_chat_stands_in_the_period_of_its_last_message(before: timedelta, period: Period) -> None:
    [group] = grouped([row(NOW - before)], NOW)
    assert group.period is period


def test_the_day_ends_where_the_user_lives() -> None:
    late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    assert grouped([row(late)], NOW)[0].period is Period.YESTERDAY
    seoul = timezone(timedelta(hours=9))
    assert grouped([row(late)], NOW.astimezone(seoul))[0].period is Period.TODAY


def test_groups_come_in_order_and_pinned_chats_first_whatever_their_age() -> None:
    rows = [
        row(NOW - timedelta(days=400), pinned=True),
        row(NOW),
        row(NOW - timedelta(days=40)),
        row(NOW - timedelta(days=80)),
    ]
    groups = grouped(rows, NOW)
    assert [each.period for each in groups] == [Period.PINNED, Period.TODAY, Period.MONTH, Period.MONTH]
    assert [(each.year, each.month) for each in groups[2:]] == [(2026, 10), (2026, 9)]


def test_an_untitled_chat_is_named_by_its_draft() -> None:
    assert title_text(row(NOW, title="", draft="half  a\nthought")) == "Draft: half a thought"
    assert title_text(row(NOW, title="")) == "New chat"


def test_a_longer_thread_only_appends() -> None:
    old = [message("a"), message("b")]
    change = thread_change(old, [*old, message("c"), message("d")])
    assert not change.reset
    assert not change.cut
    assert [each.id for each in change.appended] == ["c", "d"]


def test_the_same_thread_changes_nothing() -> None:
    assert thread_change([message("a", "x")], [message("a", "x")]).is_nothing
    assert thread_change([], []).is_nothing


def test_another_thread_is_set_anew_and_an_empty_one_too() -> None:
    assert thread_change([message("a")], [message("b")]).reset
    assert thread_change([message("a")], []).reset


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
def test_doing_the_change_gives_the_new_thread(before: list[str], after: list[str]) -> None:
    old, new = [message(each, "old") for each in before], [message(each, "new") for each in after]
    change = thread_change(old, new)
    if change.reset:
        shown = list(change.appended)
    else:
        shown = list(old)
        if change.cut:
            shown = shown[: [each.id for each in shown].index(MessageId(change.keep_id)) + 1]
        updated = {each.id: each for each in change.updated}
        shown = [updated.get(each.id, each) for each in shown] + list(change.appended)
    assert shown == new


STATS = RunStats(
    n_prompt=100, n_reused=0, n_completion=79, render_s=0.0, prefill_s=0.5, first_token_s=0.31, decode_s=1.0
)


def test_figures_have_units_and_unknown_ones_are_left_out() -> None:
    figures = Figures("m", STATS, 42, FinishReason.STOP)
    assert stats_texts(figures) == ("200 → 78.0 tok/s", "first token 0.31 s", "79 tokens", "seed 42")
    one = replace_stats(n_reused=99, n_completion=1, first_token_s=None)
    assert stats_texts(Figures("m", one, None, None)) == ("1 token",)
    assert stats_texts(None) == ()


def test_the_share_of_right_guesses_is_told_only_where_there_were_guesses() -> None:
    guessed = replace_stats(n_drafted=120, n_accepted=85)
    assert "accepted 71 % of 120 drafted" in stats_texts(Figures("m", guessed, 1, FinishReason.STOP))
    for without in (STATS, replace_stats(n_drafted=0, n_accepted=0)):
        assert not any("drafted" in each for each in stats_texts(Figures("m", without, 1, FinishReason.STOP)))
    both = stats_tip(
        Figures("m", replace_stats(n_drafted=9, n_accepted=4, no_shortcut="No backend sampling."), 1, None)
    )
    assert "No backend sampling." in both
    assert "guessed 9 tokens, of which 4 were right" in both
    refused = replace_stats(no_shortcut="No speculation: a reason.")
    assert "No speculation: a reason." in stats_tip(Figures("m", refused, 1, FinishReason.STOP))


def test_why_an_answer_ended_is_said_in_words() -> None:
    assert "length limit reached" in stats_texts(Figures("m", STATS, 1, FinishReason.LENGTH))
    assert "context full" in stats_texts(Figures("m", STATS, 1, FinishReason.CONTEXT))
    assert "the 3 oldest messages were left out" in stats_texts(Figures("m", STATS, 1, FinishReason.STOP, 3))


def test_the_tooltip_tells_what_was_reused_and_what_was_bent() -> None:
    tip = stats_tip(Figures("m", replace_stats(n_reused=60), 1, FinishReason.STOP, 0, ("no system role",), True))
    assert "60 were still in the cache" in tip
    assert "no system role" in tip
    assert "cannot be rolled back" in tip


def replace_stats(**changes) -> RunStats:
    import msgspec

    return msgspec.structs.replace(STATS, **changes)


def test_a_message_says_who_wrote_it() -> None:
    figures = Figures("SmolLM2-135M-Instruct.Q4_1", STATS, 1, FinishReason.STOP)
    assert message_value(message("a", figures=figures)).label == "SmolLM2-135M-Instruct"
    assert message_value(message("a")).label == "Your words"
    assert message_value(replace(message("a"), role=Role.USER)).label == "You"
    writing = message_value(replace(message("a", figures=figures), state=MessageState.WRITING))
    assert writing.state is Shown.WRITING
    assert writing.stats == ()


@pytest.mark.parametrize(
    ("label", "name", "quant"),
    [
        ("SmolLM2-135M-Instruct.Q4_1", "SmolLM2-135M-Instruct", "Q4_1"),
        ("gemma-3-270m-q4_k_m", "gemma-3-270m", "Q4_K_M"),
        ("Qwen3-8B-UD-IQ2_XXS", "Qwen3-8B", "UD-IQ2_XXS"),
        ("gpt-oss-20b-MXFP4", "gpt-oss-20b", "MXFP4"),
        ("llama-bf16", "llama", "BF16"),
        ("tinyllama-1.1b-chat", "tinyllama-1.1b-chat", ""),
        ("Q4_0", "Q4_0", ""),
    ],
)
def test_a_files_name_is_split_into_model_and_quantization(label: str, name: str, quant: str) -> None:
    assert split_name(label) == (name, quant)
    assert spoken_name(label) == (f"{name} · {quant}" if quant else name)


def test_the_model_button_says_what_the_model_does_when_that_is_worth_a_word() -> None:
    path = "/models/x.Q8_0.gguf"
    assert model_button_text(Header()) == "No model"
    assert model_button_text(Header("", path, "x.Q8_0", Phase.READY)) == "x · Q8_0"
    assert model_button_text(Header("", path, "x.Q8_0", Phase.LOADING, 43)) == "x · Q8_0 · 43 %"
    assert model_button_text(Header("", path, "x.Q8_0", Phase.LOST)) == "x · Q8_0"


def test_progress_has_its_numbers() -> None:
    assert progress_text(Progress(Doing.LOADING, "x.Q8_0", 0.43)) == "Loading x … 43 %"
    assert "about 12 s left" in progress_text(Progress(Doing.LOADING, "x", 0.43, remaining_s=12.0))
    assert progress_text(Progress(Doing.READING, "x", 0.5, 512, 1024)) == "Reading the prompt: 512 of 1,024 tokens"
    assert progress_text(Progress()) == ""


def test_a_snippet_loses_the_marks_of_markdown_and_keeps_its_matches_in_place() -> None:
    text = "…| 1. **low heat** and `code` ## Heading C# #tag heat"
    matches = tuple((at, at + 4) for at in (text.index("heat"), text.rindex("heat")))
    shown, places = plain_snippet(text, matches)
    assert shown == "…| 1. low heat and code Heading C# #tag heat"
    assert [shown[slice(*place)] for place in places] == ["heat", "heat"]


def test_a_mark_that_was_searched_stays_in_the_snippet() -> None:
    shown, places = plain_snippet("the **a** operator", ((4, 6),))
    assert (shown, places) == ("the **a operator", ((4, 6),))
