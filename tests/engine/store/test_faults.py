"""What the disk and other programs do to the store, made real where the system lets us."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from engine.base.clock import Clock
from engine.base.errors import BugError, KnownError, RemedyKind
from engine.store import Store, open_store
from engine.store.db import Database
from engine.store.rows import MessageState, Role


def test_a_full_disk_is_told_keeps_what_was_saved_and_is_over_when_there_is_room(store: Store) -> None:
    connection = store.database.connection
    conversation = store.conversations.create()
    message = store.messages.add(conversation.id, None, Role.ASSISTANT, state=MessageState.WRITING)
    n_pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {n_pages + 4}")
    pieces: list[str] = []

    def write_until_it_is_full() -> None:
        for n in range(1000):
            piece = f"piece {n} of an answer that fills the disk, " * 20
            store.messages.append_text(message.id, piece)
            pieces.append(piece)

    with pytest.raises(KnownError, match="disk is full") as caught:
        write_until_it_is_full()
    saved = "".join(pieces)
    assert RemedyKind.RETRY in [each.kind for each in caught.value.trouble.remedies]
    assert "MiB free" in caught.value.trouble.value
    assert saved
    assert store.messages.get(message.id).content == saved
    connection.execute("PRAGMA max_page_count = 1000000")
    store.messages.append_text(message.id, "the end")
    assert store.messages.get(message.id).content == saved + "the end"


def test_a_disk_that_refuses_to_write_is_told_and_what_was_saved_is_kept(store: Store, path: Path) -> None:
    resource = pytest.importorskip("resource")
    conversation = store.conversations.create()
    message = store.messages.add(conversation.id, None, Role.ASSISTANT, "kept", state=MessageState.WRITING)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size_bytes = max(each.stat().st_size for each in path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        with pytest.raises(KnownError, match="disk"):
            store.messages.append_text(message.id, "x" * (2 * size_bytes))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.messages.get(message.id).content == "kept"


def test_a_read_only_file_can_be_read_and_says_so_when_written(path: Path, clock: Clock) -> None:
    with closing(open_store(path, clock=clock)) as store:
        store.conversations.create()
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    with closing(Database(connection, path)) as database:
        with database.reading():
            assert connection.execute("SELECT count(*) FROM conversations").fetchone()[0] == 1
        with pytest.raises(KnownError, match="read-only"), database.writing():
            connection.execute("DELETE FROM conversations")


def test_a_write_waits_for_another_program_and_then_says_who_is_in_the_way(store: Store, path: Path) -> None:
    store.database.connection.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(path, isolation_level=None)) as other_program:
        other_program.execute("BEGIN IMMEDIATE")
        with pytest.raises(KnownError, match="Another program") as caught:
            store.conversations.create()
        assert [each.kind for each in caught.value.trouble.remedies] == [RemedyKind.RETRY]
        assert store.conversations.list() == ()
        other_program.execute("ROLLBACK")
    store.conversations.create()
    assert len(store.conversations.list()) == 1


def test_a_transaction_that_fails_changes_nothing(store: Store) -> None:
    conversation = store.conversations.create()

    def write_half() -> None:
        with store.database.writing():
            store.conversations.set_draft(conversation.id, "half of it")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert store.conversations.get(conversation.id).draft == ""


def test_a_wrong_question_is_a_fault_of_ours(store: Store) -> None:
    with pytest.raises(BugError, match="no such table"), store.database.reading() as connection:
        connection.execute("SELECT * FROM nowhere")


def test_another_thread_is_a_fault_of_ours(store: Store) -> None:
    faults: list[Exception] = []

    def ask() -> None:
        try:
            store.conversations.list()
        except Exception as fault:
            faults.append(fault)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert [type(each) for each in faults] == [BugError]
