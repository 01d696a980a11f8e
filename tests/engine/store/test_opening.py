"""Opening the store: what it makes, what it refuses, and that it changes nothing of what it refuses."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.base.clock import Clock, SystemClock
from engine.base.errors import KnownError, RemedyKind
from engine.store import Store, open_store
from engine.store.migrations import MIGRATIONS
from engine.store.rows import Role


def refused(path: Path, clock: Clock) -> KnownError:
    """The error of an opening that must fail, with its three parts present."""
    with pytest.raises(KnownError) as caught:
        open_store(path, clock=clock)
    trouble = caught.value.trouble
    assert trouble.what
    assert str(path.parent) in trouble.value
    assert trouble.next_step
    return caught.value


def filled(path: Path, clock: Clock) -> None:
    with closing(open_store(path, clock=clock)) as store:
        conversation = store.conversations.create()
        store.messages.add(conversation.id, None, Role.USER, "words " * 20_000)


def test_a_missing_folder_is_made_and_what_is_written_is_there_after_reopening(path: Path, clock: Clock) -> None:
    with closing(open_store(path, clock=clock)) as store:
        conversation = store.conversations.create(system_prompt="Be brief.")
    with closing(open_store(path, clock=clock)) as store:
        assert store.conversations.list() == (conversation,)


def test_a_saved_store_promises_durability_and_checks_its_references(store: Store) -> None:
    pragmas = {
        name: store.database.connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version")
    }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "user_version": len(MIGRATIONS),
    }


def test_a_store_in_memory_works_and_says_that_it_has_no_file(clock: Clock) -> None:
    with closing(Store.in_memory(clock=clock)) as store:
        conversation = store.conversations.create()
        store.messages.add(conversation.id, None, Role.USER, "kept while the program runs")
        assert store.path is None
        assert [hit.conversation_id for hit in store.search("program")] == [conversation.id]


def test_a_folder_under_a_plain_file_is_refused(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert "file stands where" in refused(tmp_path / "file" / "llamarium.sqlite3", clock).trouble.what
    assert "file stands where" in refused(tmp_path / "file" / "deeper" / "llamarium.sqlite3", clock).trouble.what
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_folder_in_the_place_of_the_file_is_refused(path: Path, clock: Clock) -> None:
    path.mkdir(parents=True)
    assert "folder stands" in refused(path, clock).trouble.what


@pytest.mark.parametrize("contents", [b"These are notes, not a database.\n" * 300, os.urandom(8192)])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, clock: Clock, contents: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(contents)
    trouble = refused(path, clock).trouble
    assert "damaged" in trouble.what
    assert [(each.kind, each.argument) for each in trouble.remedies] == [
        (RemedyKind.OPEN_FOLDER, str(path.parent)),
    ]
    assert path.read_bytes() == contents
    assert list(path.parent.iterdir()) == [path]


def test_a_truncated_database_is_refused_and_left_alone(path: Path, clock: Clock) -> None:
    filled(path, clock)
    half = path.read_bytes()[: 3 * 4096]
    path.write_bytes(half)
    assert "damaged" in refused(path, clock).trouble.what
    assert path.read_bytes() == half


def test_damage_inside_the_file_is_told_when_it_is_met(path: Path, clock: Clock) -> None:
    filled(path, clock)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(KnownError, match="damaged"), closing(open_store(path, clock=clock)) as store:
        store.messages.thread(store.conversations.list()[0].id)


def test_a_database_of_a_newer_llamarium_is_refused_and_left_alone(path: Path, clock: Clock) -> None:
    filled(path, clock)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 7}")
        connection.execute("PRAGMA journal_mode = DELETE")
    contents = path.read_bytes()
    trouble = refused(path, clock).trouble
    assert "newer Llamarium" in trouble.what
    assert f"format {len(MIGRATIONS) + 7}" in trouble.value
    assert path.read_bytes() == contents
    assert list(path.parent.iterdir()) == [path]


def test_another_programs_database_is_refused_and_left_alone(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    contents = path.read_bytes()
    assert "another program's" in refused(path, clock).trouble.what
    assert path.read_bytes() == contents


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that this process may read and not write.

    Root may write everywhere whatever the mode says, so as root the test acts as the user 65534 meanwhile; for that
    the folder lies outside pytest's own, which nobody else may enter.
    """
    if not hasattr(os, "geteuid"):
        pytest.skip("Windows has no folder modes")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filled(folder / "filled.sqlite3", SystemClock())
        for each in folder.iterdir():
            each.chmod(0o444)
        folder.chmod(0o555)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if was_root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.parametrize("name", ["new.sqlite3", "filled.sqlite3", "deeper/new.sqlite3"])
def test_a_read_only_folder_is_refused(read_only_folder: Path, clock: Clock, name: str) -> None:
    refused(read_only_folder / name, clock)
    assert [each.name for each in read_only_folder.iterdir()] == ["filled.sqlite3"]


def test_many_windows_may_open_a_new_data_folder_at_the_same_moment(path: Path) -> None:
    n_windows = 6
    start = threading.Barrier(n_windows)
    faults: list[Exception] = []

    def open_a_window() -> None:
        start.wait()
        try:
            with closing(open_store(path, clock=SystemClock())) as store:
                store.conversations.create()
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=open_a_window) for _ in range(n_windows)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert faults == []
    with closing(open_store(path, clock=SystemClock())) as store:
        assert len(store.conversations.list()) == n_windows


def test_opening_waits_while_another_program_writes_a_file_that_has_no_log_yet(path: Path, clock: Clock) -> None:
    filled(path, clock)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other_program:
        other_program.execute("PRAGMA journal_mode = DELETE")
        other_program.execute("BEGIN IMMEDIATE")
        soon = threading.Timer(0.1, other_program.execute, ["ROLLBACK"])
        soon.start()
        with closing(open_store(path, clock=clock)) as store:
            assert len(store.conversations.list()) == 1
        soon.join()


def test_closing_leaves_only_the_database(path: Path, clock: Clock) -> None:
    filled(path, clock)
    assert list(path.parent.iterdir()) == [path]
