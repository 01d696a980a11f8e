"""The tree of messages: branches, versions, and text that grows."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.clock import SystemClock
from engine.base.errors import BugError, KnownError
from engine.store import Store
from engine.store.rows import ConversationId, MessageId, MessageState, Role


def contents(store: Store, conversation_id: ConversationId) -> list[str]:
    return [each.content for each in store.messages.thread(conversation_id)]


def test_an_edit_and_another_answer_are_siblings_and_nothing_is_erased(store: Store) -> None:
    conversation = store.conversations.create().id
    question = store.messages.add(conversation, None, Role.USER, "q1")
    answer = store.messages.add(conversation, question.id, Role.ASSISTANT, "a1")
    store.messages.add(conversation, answer.id, Role.USER, "q2")
    again = store.messages.add(conversation, question.id, Role.ASSISTANT, "a1 again")
    assert contents(store, conversation) == ["q1", "a1 again"]
    edited = store.messages.add(conversation, None, Role.USER, "q1 edited")
    assert contents(store, conversation) == ["q1 edited"]
    assert [each.id for each in store.messages.siblings(again.id)] == [answer.id, again.id]
    assert [each.id for each in store.messages.siblings(edited.id)] == [question.id, edited.id]
    assert [each.content for each in store.messages.tree(conversation)] == ["q1", "a1", "q2", "a1 again", "q1 edited"]


def test_choosing_a_version_shows_the_newest_branch_through_it(store: Store) -> None:
    conversation = store.conversations.create().id
    question = store.messages.add(conversation, None, Role.USER, "q1")
    answer = store.messages.add(conversation, question.id, Role.ASSISTANT, "a1")
    store.messages.add(conversation, answer.id, Role.USER, "q2")
    newest = store.messages.add(conversation, answer.id, Role.USER, "q2 edited")
    store.messages.add(conversation, question.id, Role.ASSISTANT, "a1 again")
    assert store.messages.newest_leaf(answer.id) == newest.id
    store.messages.set_head(conversation, store.messages.newest_leaf(answer.id))
    assert contents(store, conversation) == ["q1", "a1", "q2 edited"]
    store.messages.set_head(conversation, question.id)
    assert contents(store, conversation) == ["q1"]
    store.messages.set_head(conversation, None)
    assert contents(store, conversation) == []


def test_a_branch_of_thousands_of_messages_is_read_in_order(store: Store) -> None:
    conversation = store.conversations.create().id
    parent: MessageId | None = None
    with store.database.writing():
        for n in range(2500):
            parent = store.messages.add(conversation, parent, Role.ASSISTANT, str(n)).id
    assert contents(store, conversation) == [str(n) for n in range(2500)]


def test_a_message_of_another_conversation_is_neither_parent_nor_head(store: Store) -> None:
    here, there = store.conversations.create().id, store.conversations.create().id
    foreign = store.messages.add(there, None, Role.USER, "elsewhere")
    with pytest.raises(KnownError, match="message does not exist"):
        store.messages.add(here, foreign.id, Role.USER, "words")
    with pytest.raises(KnownError, match="message does not exist"):
        store.messages.set_head(here, foreign.id)
    with pytest.raises(KnownError, match="conversation does not exist"):
        store.messages.add(ConversationId("gone"), None, Role.USER, "words")
    assert store.messages.tree(here) == ()


def test_the_database_itself_refuses_a_parent_or_a_head_of_another_conversation(store: Store) -> None:
    here, there = store.conversations.create().id, store.conversations.create().id
    mine = store.messages.add(here, None, Role.USER, "mine")
    foreign = store.messages.add(there, None, Role.USER, "elsewhere")
    for statement, values in (
        ("UPDATE messages SET parent_id = ? WHERE id = ?", (foreign.id, mine.id)),
        ("UPDATE conversations SET head_id = ? WHERE id = ?", (foreign.id, here)),
    ):
        with pytest.raises(BugError, match="FOREIGN KEY"), store.database.writing() as connection:
            connection.execute(statement, values)


def test_an_answer_grows_and_ends_with_its_final_text(store: Store) -> None:
    conversation = store.conversations.create()
    message = store.messages.add(conversation.id, None, Role.ASSISTANT, state=MessageState.WRITING)
    store.messages.append_text(message.id, "", thinking="Let me ")
    store.messages.append_text(message.id, "The sky", thinking="see.")
    store.messages.append_text(message.id, " is blue")
    written = store.messages.get(message.id)
    assert (written.content, written.thinking, written.state) == (
        "The sky is blue",
        "Let me see.",
        MessageState.WRITING,
    )
    as_it_stands = store.messages.finish(message.id, MessageState.STOPPED)
    assert (as_it_stands.content, as_it_stands.thinking) == ("The sky is blue", "Let me see.")
    assert as_it_stands.thinking_s is None
    timed = store.messages.finish(message.id, MessageState.STOPPED, thinking_s=1.84)
    assert (timed.thinking, timed.thinking_s) == ("Let me see.", 1.84)
    final = store.messages.finish(message.id, MessageState.COMPLETE, content="The sky is blue.", thinking="")
    assert (final.content, final.thinking, final.state) == ("The sky is blue.", "", MessageState.COMPLETE)
    assert store.conversations.get(conversation.id).updated_utc > message.created_utc


def test_a_finished_message_does_not_grow(store: Store) -> None:
    conversation = store.conversations.create().id
    message = store.messages.add(conversation, None, Role.ASSISTANT, "done", MessageState.WRITING)
    store.messages.finish(message.id, MessageState.COMPLETE)
    with pytest.raises(BugError):
        store.messages.append_text(message.id, " and more")
    with pytest.raises(BugError):
        store.messages.finish(message.id, MessageState.WRITING)
    with pytest.raises(KnownError, match="does not exist"):
        store.messages.append_text(MessageId("gone"), "words")
    assert store.messages.get(message.id).content == "done"


@settings(deadline=None, max_examples=60)
@given(pieces=st.lists(st.text(), max_size=5))
def test_any_text_comes_back_as_it_was_written(pieces: list[str]) -> None:
    with closing(Store.in_memory(clock=SystemClock())) as store:
        conversation = store.conversations.create().id
        message = store.messages.add(conversation, None, Role.ASSISTANT, state=MessageState.WRITING)
        for piece in pieces:
            store.messages.append_text(message.id, piece, thinking=piece)
        finished = store.messages.finish(message.id, MessageState.COMPLETE)
        assert finished.content == finished.thinking == "".join(pieces)


def test_half_a_surrogate_pair_is_replaced_and_a_split_pair_is_joined(store: Store) -> None:
    conversation = store.conversations.create().id
    assert store.messages.add(conversation, None, Role.USER, "a\ud800b").content == "a\ufffdb"
    assert store.messages.add(conversation, None, Role.USER, "\ud83d\ude00").content == "😀"
