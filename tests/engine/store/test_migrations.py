"""The schema's history: every older file becomes today's, with a copy beside it, or stays as it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from engine.base.clock import Clock
from engine.base.errors import BugError, KnownError
from engine.store import open_store
from engine.store.db import APPLICATION_ID, open_file
from engine.store.migrations import MIGRATIONS, Migration, migrate, version_of
from engine.store.rows import ConversationId, MessageId, RunId, RunTokens
from engine.workbench.branching import read_source

_NOW = "2026-11-23T09:00:00.000000Z"


def _fill_m001(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO conversations (id, title, created_utc, updated_utc) VALUES ('c', 'Old times', ?, ?)", (_NOW, _NOW)
    )
    connection.execute(
        "INSERT INTO messages (id, conversation_id, role, content, created_utc, state)"
        " VALUES ('m', 'c', 'user', 'an old question', ?, 'complete')",
        (_NOW,),
    )
    connection.execute("UPDATE conversations SET head_id = 'm'")


def _fill_m002(connection: sqlite3.Connection) -> None:
    """A question and its answer with a run, as the second version wrote them."""
    _fill_m001(connection)
    connection.execute(
        "INSERT INTO messages (id, conversation_id, parent_id, role, content, created_utc, state)"
        " VALUES ('a', 'c', 'm', 'assistant', 'an old answer', ?, 'complete')",
        (_NOW,),
    )
    connection.execute(
        "INSERT INTO runs (id, message_id, started_utc, model_path, model_label, model_fingerprint, engine_build,"
        " template_hash, chain, limits, load_options, seed)"
        " VALUES ('r', 'a', ?, 'm.gguf', 'm', 'llama:1:2', 'b', '', '[]', '{}', '{}', 7)",
        (_NOW,),
    )
    connection.execute("UPDATE messages SET run_id = 'r' WHERE id = 'a'")


# What a file of each version holds: the newest filling whose version is not above the file's is used.
_FILLINGS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _fill_m001, 2: _fill_m002}


def _older_file(path: Path, migrations: Sequence[Migration]) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, migrations, application_id=APPLICATION_ID, backup=None)
        _FILLINGS[max(version for version in _FILLINGS if version <= len(migrations))](connection)


def _add_a_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE conversations ADD COLUMN colour TEXT NOT NULL DEFAULT 'none'")


def _add_a_column_and_fail(connection: sqlite3.Connection) -> None:
    _add_a_column(connection)
    connection.execute("INSERT INTO nowhere VALUES (1)")


def _leave_an_orphan(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM conversations")


def backups(path: Path) -> list[Path]:
    return sorted(each for each in path.parent.iterdir() if ".backup-" in each.name)


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_a_file_of_every_older_version_opens_with_its_contents(path: Path, clock: Clock, version: int) -> None:
    _older_file(path, MIGRATIONS[:version])
    with closing(open_store(path, clock=clock)) as store:
        (conversation,) = store.conversations.list()
        (message,) = store.messages.thread(ConversationId("c"))
        assert (conversation.title, message.content) == ("Old times", "an old question")
        assert message.thinking_s is None
        timed = store.messages.finish(message.id, message.state, thinking_s=1.84)
        assert timed.thinking_s == 1.84
        assert [hit.message_id for hit in store.search("question")] == ["m"]
        assert version_of(store.database.connection) == len(MIGRATIONS)
    assert len(backups(path)) == (1 if version < len(MIGRATIONS) else 0)


def test_a_run_of_before_tokens_were_kept_has_none_and_is_told_as_that(path: Path, clock: Clock) -> None:
    _older_file(path, MIGRATIONS[:2])
    with closing(open_store(path, clock=clock)) as store:
        run = store.runs.get(RunId("r"))
        assert (run.recipe.seed, run.recipe.in_use, run.recipe.n_begun, run.recipe.parent_run_id) == (7, "{}", 0, None)
        assert (run.result.chain_changes, run.result.logprob) == (None, None)
        assert (run.result.n_drafted, run.result.n_accepted, run.result.no_shortcut) == (None, None, None)
        assert store.runs.tokens(run.id) == RunTokens()
        with pytest.raises(KnownError, match="tokens of this answer were not kept") as refused:
            read_source(store, MessageId("a"))
        assert "earlier Llamarium" in refused.value.trouble.value


def test_an_upgrade_leaves_a_copy_of_the_file_as_it_was(path: Path, clock: Clock) -> None:
    _older_file(path, MIGRATIONS)
    database = open_file(path, clock=clock, migrations=(*MIGRATIONS, _add_a_column))
    assert database.connection.execute("SELECT title, colour FROM conversations").fetchone()[:] == ("Old times", "none")
    database.close()
    (copy,) = backups(path)
    assert copy.name == f"llamarium.backup-v{len(MIGRATIONS)}-20261123T090001Z.sqlite3"
    with closing(open_store(copy, clock=clock)) as store:
        assert [each.title for each in store.conversations.list()] == ["Old times"]


def test_the_copy_holds_what_another_window_has_only_written_to_the_log(path: Path, clock: Clock) -> None:
    with closing(open_store(path, clock=clock)) as other_window:
        other_window.conversations.create(system_prompt="still in the WAL")
        open_file(path, clock=clock, migrations=(*MIGRATIONS, _add_a_column)).close()
    with closing(sqlite3.connect(backups(path)[0])) as copy:
        assert copy.execute("SELECT system_prompt FROM conversations").fetchall() == [("still in the WAL",)]


@pytest.mark.parametrize("broken", [_add_a_column_and_fail, _leave_an_orphan])
def test_a_step_that_fails_leaves_the_file_at_its_old_version(path: Path, clock: Clock, broken: Migration) -> None:
    _older_file(path, MIGRATIONS)
    with pytest.raises(BugError):
        open_file(path, clock=clock, migrations=(*MIGRATIONS, _add_a_column, broken))
    with closing(open_store(path, clock=clock)) as store:
        assert [each.title for each in store.conversations.list()] == ["Old times"]
        columns = [row["name"] for row in store.database.connection.execute("PRAGMA table_info(conversations)")]
        assert "colour" not in columns


def test_opening_a_file_of_today_copies_nothing(path: Path, clock: Clock) -> None:
    open_store(path, clock=clock).close()
    open_store(path, clock=clock).close()
    assert backups(path) == []
