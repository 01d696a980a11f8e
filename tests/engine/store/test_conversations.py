"""The list of conversations, their titles and settings, and deleting that can be undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import KnownError
from engine.store import Store
from engine.store.conversations import TITLE_LENGTH, title_of
from engine.store.rows import ConversationId, Role, RunRecipe


class MovingClock(Protocol):
    def ahead(self, step: timedelta) -> None: ...


def test_the_list_begins_with_pinned_ones_and_then_the_newest_message(store: Store) -> None:
    first, second, third = (store.conversations.create().id for _ in range(3))
    store.messages.add(first, None, Role.USER, "again")
    assert [each.id for each in store.conversations.list()] == [first, third, second]
    store.conversations.pin(second)
    assert [each.id for each in store.conversations.list()] == [second, first, third]
    store.conversations.pin(second, False)
    assert [each.id for each in store.conversations.list(limit=2)] == [first, third]


def test_settings_are_kept_and_do_not_move_a_conversation_in_the_list(store: Store) -> None:
    older, newer = store.conversations.create().id, store.conversations.create().id
    store.conversations.set_system_prompt(older, "Answer in Korean.")
    store.conversations.set_model(older, "models/a.gguf")
    store.conversations.set_draft(older, "unsent \ud800 words")
    store.conversations.set_folder(older, "Letters")
    store.conversations.set_chain(older, '{"chain":[]}')
    store.conversations.rename(older, "  My\n title ")
    row = store.conversations.get(older)
    assert row.system_prompt == "Answer in Korean."
    assert row.model_path == "models/a.gguf"
    assert row.draft == "unsent \ufffd words"
    assert row.folder == "Letters"
    assert row.chain == '{"chain":[]}'
    assert store.conversations.create(chain="{}").chain == "{}"
    assert store.conversations.get(newer).chain is None
    assert (row.title, row.title_is_manual) == ("My title", True)
    assert [each.id for each in store.conversations.list()][-2:] == [newer, older]
    store.conversations.set_chain(older, None)
    assert store.conversations.get(older).chain is None
    store.conversations.set_folder(older, None)
    store.conversations.set_model(older, None)
    assert (store.conversations.get(older).folder, store.conversations.get(older).model_path) == (None, None)


def test_deleting_hides_a_conversation_and_restoring_brings_it_back_whole(store: Store) -> None:
    conversation = store.conversations.create()
    store.messages.add(conversation.id, None, Role.USER, "remember the lighthouse")
    before = store.conversations.get(conversation.id)
    store.conversations.delete(conversation.id)
    assert store.conversations.list() == ()
    assert store.search("lighthouse") == ()
    assert [each.id for each in store.conversations.list(include_deleted=True)] == [conversation.id]
    store.conversations.restore(conversation.id)
    assert store.conversations.list() == (before,)
    assert [hit.conversation_id for hit in store.search("lighthouse")] == [conversation.id]


def test_purging_removes_only_what_was_deleted_long_ago(store: Store, clock: MovingClock) -> None:
    old, recent, kept = (store.conversations.create() for _ in range(3))
    store.messages.add(old.id, None, Role.USER, "forget me")
    store.conversations.delete(old.id)
    clock.ahead(timedelta(days=31))
    store.conversations.delete(recent.id)
    assert store.conversations.purge(timedelta(days=30)) == 1
    assert {each.id for each in store.conversations.list(include_deleted=True)} == {recent.id, kept.id}
    assert store.search("forget") == ()
    with pytest.raises(KnownError, match="does not exist"):
        store.conversations.restore(old.id)


def test_purging_takes_messages_runs_and_index_of_a_very_long_conversation(store: Store, clock: MovingClock) -> None:
    conversation = store.conversations.create()
    parent = None
    recipe = RunRecipe("m.gguf", "m", "", "b1", "", "[]", "{}", "{}", 1)
    with store.database.writing():
        for n in range(1200):
            parent = store.messages.add(conversation.id, parent, Role.ASSISTANT, f"message number {n}").id
            store.runs.start(parent, recipe)
    store.conversations.delete(conversation.id)
    clock.ahead(timedelta(days=1))
    assert store.conversations.purge(timedelta(0)) == 1
    connection = store.database.connection
    assert connection.execute("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM runs)").fetchone()[:] == (
        0,
        0,
    )
    connection.execute("INSERT INTO messages_text (messages_text, rank) VALUES ('integrity-check', 1)")
    connection.execute("INSERT INTO conversations_text (conversations_text, rank) VALUES ('integrity-check', 1)")


def test_the_title_is_made_from_the_users_first_words_until_the_user_chooses_one(store: Store) -> None:
    conversation = store.conversations.create()
    system = store.messages.add(conversation.id, None, Role.SYSTEM, "You are helpful.")
    assert store.conversations.get(conversation.id).title == ""
    blank = store.messages.add(conversation.id, system.id, Role.USER, " \n ")
    question = store.messages.add(conversation.id, blank.id, Role.USER, "\nWhy is the sky blue?\nTell me.")
    assert store.conversations.get(conversation.id).title == "Why is the sky blue?"
    answer = store.messages.add(conversation.id, question.id, Role.ASSISTANT, "Rayleigh.")
    store.messages.add(conversation.id, answer.id, Role.USER, "And at night?")
    assert store.conversations.get(conversation.id).title == "Why is the sky blue?"
    store.messages.add(conversation.id, system.id, Role.USER, "Why is the sea blue?")
    assert store.conversations.get(conversation.id).title == "Why is the sea blue?"
    store.conversations.rename(conversation.id, "Colours")
    store.messages.add(conversation.id, system.id, Role.USER, "Why is grass green?")
    assert store.conversations.get(conversation.id).title == "Colours"
    store.conversations.rename(conversation.id, "")
    row = store.conversations.get(conversation.id)
    assert (row.title, row.title_is_manual) == ("Why is the sky blue?", False)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", ""),
        (" \n\t\n", ""),
        ("Hello", "Hello"),
        ("\n\n  two   words \nmore", "two words"),
        ("a" * 60, "a" * 60),
        ("a" * 61, "a" * 59 + "…"),
        ("word " * 20, " ".join(["word"] * 12) + "…"),
        ("네 " + "가" * 80, "네 " + "가" * 57 + "…"),
        ("x" * 58 + "e\u0301" + "y" * 9, "x" * 58 + "…"),
        ("tab\tand\x00nul", "tab and nul"),
    ],
)
def test_a_title_is_the_first_line_cut_at_a_word(text: str, title: str) -> None:
    assert title_of(text) == title


@given(st.text())
def test_a_title_is_short_and_on_one_line_whatever_the_text(text: str) -> None:
    title = title_of(text)
    assert len(title) <= TITLE_LENGTH
    assert title == title.strip()
    assert len(title.splitlines()) <= 1
    assert title_of(title) == title


def test_an_unknown_conversation_is_told(store: Store) -> None:
    gone = ConversationId("gone")
    for ask in (store.conversations.get, store.conversations.delete, store.messages.thread):
        with pytest.raises(KnownError, match="gone"):
            ask(gone)
