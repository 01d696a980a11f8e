"""The schema's history: one function a step, appended and never edited; `PRAGMA user_version` counts those applied.

All missing steps run in one transaction, so a file is either as it was or wholly up to date, and a second window that
opens it meanwhile waits and then finds nothing to do. Before a file with something in it is changed, a copy is put
beside it. Rejected: sqlite-utils and alembic (a dependency for forty lines), and "create table if not exists" at every
start (it cannot change a table).
Source: sqlite.org/lang_altertable.html section 7, sqlite.org/fts5.html sections 4.3.3 and 4.4.3.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from engine.base.errors import BugError

Migration: TypeAlias = Callable[[sqlite3.Connection], None]


def version_of(connection: sqlite3.Connection) -> int:
    """How many migrations were applied to this database; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(
    connection: sqlite3.Connection,
    migrations: Sequence[Migration],
    *,
    application_id: int,
    backup: Migration | None,
) -> int:
    """Apply the steps that are missing, all or none; returns how many.

    Args:
        connection: in autocommit mode (isolation_level None).
        migrations: the whole history, oldest first.
        application_id: written into the file's header, so that it is known as ours.
        backup: called with the write lock held, before a database that is not new is changed.
    """
    if version_of(connection) >= len(migrations):
        return 0
    # A step may rebuild a table, which enforced foreign keys would forbid; the whole is checked before the commit.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(connection)  # again under the lock: another window may have been faster
        if 0 < version < len(migrations) and backup is not None:
            backup(connection)
        for step in migrations[version:]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {application_id}")
        connection.execute(f"PRAGMA user_version = {max(version, len(migrations))}")
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise BugError(f"a migration from version {version} leaves rows without their parent: {tuple(broken)}")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
    return len(migrations) - version


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that failed. A full disk has made SQLite do it; a second fault must not hide the first."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def has_trigram(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite has FTS5 with the trigram tokenizer (3.34), which finds substrings in every script."""
    if sqlite3.sqlite_version_info < (3, 34):
        return False
    return connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None


def m001_first_tables(connection: sqlite3.Connection) -> None:
    """Conversations as trees of messages, the runs that wrote them, and their full-text index.

    `number` is the rowid by a name, so that VACUUM keeps it (the index refers to it) and so that the order of writing
    survives two messages of one microsecond. A parent and a head belong to their own conversation by a foreign key of
    two columns. A parent has no ON DELETE CASCADE: messages go only with their conversation, and a cascade along a
    thread of more than 1,000 messages would exceed SQLite's trigger depth.
    """
    for statement in _TABLES:
        connection.execute(statement)
    if has_trigram(connection):
        for statement in _INDEX_OF_TEXT:
            connection.execute(statement)


def m002_thinking_time(connection: sqlite3.Connection) -> None:
    """How long a message's thinking took, in seconds; NULL where nobody knows, so for everything older."""
    connection.execute("ALTER TABLE messages ADD COLUMN thinking_s REAL")


def m003_exact_runs(connection: sqlite3.Connection) -> None:
    """What it takes to repeat a run to the last token: the tokens, what was really in use, where it was forked from.

    `parent_run_id` is no foreign key: an imported chat may name a run that it does not hold. Older runs have no tokens.
    """
    for column in (
        "in_use TEXT NOT NULL DEFAULT '{}'",
        "parent_run_id TEXT",
        "fork_position INTEGER",
        "fork_text TEXT",
        "n_begun INTEGER NOT NULL DEFAULT 0",
        "chain_changes TEXT",
        "logprob REAL",
    ):
        connection.execute(f"ALTER TABLE runs ADD COLUMN {column}")
    connection.execute(
        "CREATE TABLE run_tokens ("
        " run_id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, prompt BLOB, answer BLOB) WITHOUT ROWID"
    )


def m004_conversation_chain(connection: sqlite3.Connection) -> None:
    """The sampler chain that belongs to one conversation, as JSON; NULL where it uses that of all chats."""
    connection.execute("ALTER TABLE conversations ADD COLUMN chain TEXT")


def m005_speculation(connection: sqlite3.Connection) -> None:
    """How the guesses of a run went; NULL for a run that made none, and for everything older."""
    for column in ("n_drafted INTEGER", "n_accepted INTEGER", "no_shortcut TEXT"):
        connection.execute(f"ALTER TABLE runs ADD COLUMN {column}")


def m006_measurements(connection: sqlite3.Connection) -> None:
    """What loads took beside what was predicted, and how fast devices are, by machine. Bytes, and a second."""
    connection.execute(
        "CREATE TABLE loads ("
        " number INTEGER PRIMARY KEY, machine TEXT NOT NULL, model_path TEXT NOT NULL, loaded_utc TEXT NOT NULL,"
        " n_ctx INTEGER NOT NULL, predicted_bytes INTEGER NOT NULL CHECK (predicted_bytes > 0),"
        " measured_bytes INTEGER NOT NULL)"
    )
    connection.execute("CREATE INDEX loads_by_model ON loads (machine, model_path, number)")
    connection.execute(
        "CREATE TABLE device_rates ("
        " machine TEXT NOT NULL, device TEXT NOT NULL, measured_utc TEXT NOT NULL, read_bytes_s REAL NOT NULL,"
        " flops_s REAL, spread REAL NOT NULL, model TEXT NOT NULL, PRIMARY KEY (machine, device)) WITHOUT ROWID"
    )


MIGRATIONS: tuple[Migration, ...] = (
    m001_first_tables,
    m002_thinking_time,
    m003_exact_runs,
    m004_conversation_chain,
    m005_speculation,
    m006_measurements,
)


_TABLES = (
    """
    CREATE TABLE conversations (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL DEFAULT '',
        title_is_manual INTEGER NOT NULL DEFAULT 0 CHECK (title_is_manual IN (0, 1)),
        created_utc TEXT NOT NULL,
        updated_utc TEXT NOT NULL,
        folder TEXT,
        system_prompt TEXT NOT NULL DEFAULT '',
        model_path TEXT,
        pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
        deleted_utc TEXT,
        draft TEXT NOT NULL DEFAULT '',
        head_id TEXT,
        FOREIGN KEY (id, head_id) REFERENCES messages (conversation_id, id)
    )
    """,
    "CREATE INDEX conversations_by_time ON conversations (pinned DESC, updated_utc DESC)",
    """
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        parent_id TEXT,
        role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
        content TEXT NOT NULL DEFAULT '',
        thinking TEXT NOT NULL DEFAULT '',
        created_utc TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('writing', 'complete', 'stopped', 'failed')),
        writer TEXT,
        run_id TEXT REFERENCES runs (id) ON DELETE SET NULL,
        UNIQUE (conversation_id, id),
        FOREIGN KEY (conversation_id, parent_id) REFERENCES messages (conversation_id, id)
    )
    """,
    "CREATE INDEX messages_by_parent ON messages (conversation_id, parent_id)",
    "CREATE INDEX messages_being_written ON messages (writer) WHERE state = 'writing'",
    "CREATE INDEX messages_by_run ON messages (run_id)",
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
        started_utc TEXT NOT NULL,
        model_path TEXT NOT NULL,
        model_label TEXT NOT NULL,
        model_fingerprint TEXT NOT NULL,
        engine_build TEXT NOT NULL,
        template_hash TEXT NOT NULL,
        chain TEXT NOT NULL,
        limits TEXT NOT NULL,
        load_options TEXT NOT NULL,
        seed INTEGER,
        finish_reason TEXT,
        n_prompt INTEGER,
        n_reused INTEGER,
        n_completion INTEGER,
        n_dropped_messages INTEGER,
        load_s REAL,
        first_token_s REAL,
        prefill_s REAL,
        decode_s REAL,
        trouble TEXT
    )
    """,
    "CREATE INDEX runs_by_message ON runs (message_id)",
)

# The indexes keep no text of their own (external content). A message enters its index when it is finished: an answer
# that grows twice a second would otherwise be cut into trigrams again each time. 'delete' must name exactly what was
# inserted, hence one trigger an update, which deletes under the old row's condition and inserts under the new row's.
_INDEX_OF_TEXT = (
    "CREATE VIRTUAL TABLE messages_text"
    " USING fts5 (content, content = 'messages', content_rowid = 'number', tokenize = 'trigram')",
    "CREATE VIRTUAL TABLE conversations_text"
    " USING fts5 (title, content = 'conversations', content_rowid = 'number', tokenize = 'trigram')",
    """
    CREATE TRIGGER messages_text_insert AFTER INSERT ON messages WHEN new.state <> 'writing' BEGIN
        INSERT INTO messages_text (rowid, content) VALUES (new.number, new.content);
    END
    """,
    """
    CREATE TRIGGER messages_text_delete AFTER DELETE ON messages WHEN old.state <> 'writing' BEGIN
        INSERT INTO messages_text (messages_text, rowid, content) VALUES ('delete', old.number, old.content);
    END
    """,
    """
    CREATE TRIGGER messages_text_update AFTER UPDATE OF content, state ON messages
    WHEN old.state <> 'writing' OR new.state <> 'writing' BEGIN
        INSERT INTO messages_text (messages_text, rowid, content)
            SELECT 'delete', old.number, old.content WHERE old.state <> 'writing';
        INSERT INTO messages_text (rowid, content)
            SELECT new.number, new.content WHERE new.state <> 'writing';
    END
    """,
    """
    CREATE TRIGGER conversations_text_insert AFTER INSERT ON conversations BEGIN
        INSERT INTO conversations_text (rowid, title) VALUES (new.number, new.title);
    END
    """,
    """
    CREATE TRIGGER conversations_text_delete AFTER DELETE ON conversations BEGIN
        INSERT INTO conversations_text (conversations_text, rowid, title) VALUES ('delete', old.number, old.title);
    END
    """,
    """
    CREATE TRIGGER conversations_text_update AFTER UPDATE OF title ON conversations BEGIN
        INSERT INTO conversations_text (conversations_text, rowid, title) VALUES ('delete', old.number, old.title);
        INSERT INTO conversations_text (rowid, title) VALUES (new.number, new.title);
    END
    """,
)
