"""Search in titles and messages, in any script."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.store import Store
from engine.store.rows import MessageState, Role
from engine.store.search import snippet_of

TEXTS = {
    "english": "The Lighthouse keeper wrote 100%_of his letters at night.",
    "korean": "오늘 서울의 날씨는 맑고 바람이 붑니다.",
    "japanese": "東京の天気は晴れです",
    "german": "GRÖSSE und Straße",
    "code": 'print("a\\b") # O\'Brien -- AND OR NOT (x) * ^',
}


@pytest.fixture
def filled(store: Store) -> Store:
    for text in TEXTS.values():
        conversation = store.conversations.create()
        store.conversations.rename(conversation.id, "chat")
        store.messages.add(conversation.id, None, Role.USER, text)
    return store


@pytest.fixture
def without_index(filled: Store) -> Store:
    """The same store as an SQLite without FTS5 would have made it."""
    for trigger in ("insert", "update", "delete"):
        filled.database.connection.execute(f"DROP TRIGGER messages_text_{trigger}")
        filled.database.connection.execute(f"DROP TRIGGER conversations_text_{trigger}")
    filled.database.connection.execute("DROP TABLE messages_text")
    filled.database.connection.execute("DROP TABLE conversations_text")
    return filled


def found(store: Store, text: str) -> list[str]:
    return [store.messages.get(hit.message_id).content for hit in store.search(text) if hit.message_id is not None]


QUERIES = [
    ("lighthouse", ["english"]),
    ("ighthou", ["english"]),
    ("keeper night", ["english"]),
    ("keeper day", []),
    ("100%_of", ["english"]),
    ("%_", ["english"]),
    ("서울의", ["korean"]),
    ("날씨", ["korean"]),
    ("맑", ["korean"]),
    ("서울의 바람", ["korean"]),
    ("天気は", ["japanese"]),
    ("天気", ["japanese"]),
    ('"a\\b"', ["code"]),
    ("\\b", ["code"]),
    ("O'Brien", ["code"]),
    ("AND OR NOT", ["code"]),
    ("(x) *", ["code"]),
    ("NEAR(a", []),
    ("", []),
    (" \n\0", []),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_all_words_are_found_inside_words_in_any_script(filled: Store, query: str, expected: list[str]) -> None:
    assert found(filled, query) == [TEXTS[name] for name in expected]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_without_the_index_the_same_is_found(without_index: Store, query: str, expected: list[str]) -> None:
    assert found(without_index, query) == [TEXTS[name] for name in expected]


def test_upper_and_lower_case_are_the_same_beyond_ascii(filled: Store) -> None:
    assert found(filled, "STRASSE") == []
    assert found(filled, "grösse") == [TEXTS["german"]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text() | st.text('"*()-:^ abANDOR\\%_'))
def test_no_query_is_a_fault_and_every_hit_shows_a_match(filled: Store, text: str) -> None:
    for hit in filled.search(text):
        assert hit.matches


def test_titles_come_first_and_messages_newest_first(store: Store) -> None:
    first, second = store.conversations.create().id, store.conversations.create().id
    old = store.messages.add(first, None, Role.ASSISTANT, "the harbour at dawn")
    new = store.messages.add(second, None, Role.ASSISTANT, "the harbour at dusk")
    store.conversations.rename(first, "Harbour")
    hits = store.search("harbour")
    assert [(hit.conversation_id, hit.message_id) for hit in hits] == [(first, None), (second, new.id), (first, old.id)]
    assert [hit.title for hit in hits] == ["Harbour", "", "Harbour"]
    assert len(store.search("harbour", limit=2)) == 2
    assert len(store.search("harbour", limit=1)) == 1


def test_the_index_follows_renaming_changing_and_finishing(store: Store) -> None:
    conversation = store.conversations.create().id
    store.conversations.rename(conversation, "before")
    store.conversations.rename(conversation, "afterwards")
    message = store.messages.add(conversation, None, Role.ASSISTANT, "unfinished", MessageState.WRITING)
    assert store.search("before") == store.search("unfinished") == store.search("un") == ()
    store.messages.finish(message.id, MessageState.COMPLETE, content="first form")
    store.messages.finish(message.id, MessageState.COMPLETE, content="second form")
    assert store.search("first") == ()
    assert [hit.message_id for hit in store.search("second")] == [message.id]
    assert [hit.message_id for hit in store.search("afterwards")] == [None]


def test_every_branch_is_searched(store: Store) -> None:
    conversation = store.conversations.create().id
    hidden = store.messages.add(conversation, None, Role.ASSISTANT, "the hidden version")
    store.messages.add(conversation, None, Role.ASSISTANT, "the shown version")
    assert [hit.message_id for hit in store.search("hidden")] == [hidden.id]


def test_a_hit_shows_the_text_around_it_on_one_line() -> None:
    text = "before " * 50 + "the\nneedle and Needle " + "after " * 50
    snippet, matches = snippet_of(text, ("needle",))
    assert "\n" not in snippet
    assert snippet[0] == snippet[-1] == "…"
    assert [snippet[start:end] for start, end in matches] == ["needle", "Needle"]


@given(st.text(), st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_the_matches_of_a_snippet_are_the_words(text: str, words: list[str]) -> None:
    snippet, matches = snippet_of(text, tuple(words), length=20)
    assert len(snippet) <= 22
    ends = [0]
    for start, end in matches:
        assert ends[-1] <= start < end <= len(snippet)
        ends.append(end)
