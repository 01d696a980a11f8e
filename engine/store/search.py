"""Search: messages and titles that hold all words, in any script, inside words too.

Words of three characters and more go through the trigram index; shorter ones (two syllables of Korean, two Chinese
characters) are compared row by row, which for a single user's chats takes milliseconds. Rejected: the word index of
FTS5's default tokenizer (it finds no part of a word and cannot cut Chinese, Japanese or Thai).
Source: sqlite.org/fts5.html section 4.3.4, the trigram tokenizer.
"""

from __future__ import annotations

import re
import sqlite3

from engine.store.db import Database
from engine.store.rows import ConversationId, MessageId, SearchHit, moment_of, storable

SNIPPET_LENGTH = 120  # characters
MOST_WORDS = 16
INDEXED_LENGTH = 3  # characters: a trigram


def find(database: Database, text: str, limit: int = 50) -> tuple[SearchHit, ...]:
    """Where all words of `text` occur together: titles first, then messages of every branch, newest first.

    Only titles that the user chose are hits of their own: the others are made from a message, which is one itself.
    Upper and lower case are the same (for words under three characters only in ASCII). Deleted conversations and the
    answer that is being written are left out. Empty text finds nothing.
    """
    words = tuple(dict.fromkeys(storable(text).replace("\0", " ").split()))[:MOST_WORDS]
    if not words:
        return ()
    with database.reading() as connection:
        in_titles, title_values = _condition(connection, "conversations", "c", "title", words)
        titles = connection.execute(
            f"SELECT c.id, c.title, c.updated_utc FROM conversations c WHERE c.deleted_utc IS NULL"
            f" AND c.title_is_manual = 1 AND {in_titles} ORDER BY c.updated_utc DESC, c.number DESC LIMIT ?",
            (*title_values, limit),
        ).fetchall()
        in_messages, message_values = _condition(connection, "messages", "m", "content", words)
        messages = connection.execute(
            "SELECT m.id, m.content, m.created_utc, m.conversation_id, c.title FROM messages m"
            " JOIN conversations c ON c.id = m.conversation_id"
            f" WHERE c.deleted_utc IS NULL AND m.state <> 'writing' AND {in_messages}"
            " ORDER BY m.created_utc DESC, m.number DESC LIMIT ?",
            (*message_values, limit - len(titles)),
        ).fetchall()
    hits = [
        SearchHit(
            ConversationId(row["id"]),
            row["title"],
            None,
            *snippet_of(row["title"], words),
            moment_of(row["updated_utc"]),
        )
        for row in titles
    ]
    hits += [
        SearchHit(
            ConversationId(row["conversation_id"]),
            row["title"],
            MessageId(row["id"]),
            *snippet_of(row["content"], words),
            moment_of(row["created_utc"]),
        )
        for row in messages
    ]
    return tuple(hits)


def snippet_of(
    text: str, words: tuple[str, ...], length: int = SNIPPET_LENGTH
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A piece of `text` around the first word that occurs, on one line, with the places of all words in it.

    Args:
        text: any text.
        words: what was searched; upper and lower case are the same.
        length: of the piece, in characters, without the ellipses at its ends.

    Returns:
        The piece, and the (start, end) of each match in it, in order and not overlapping.
    """
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE)
    first = pattern.search(text)
    start = max(0, first.start() - length // 3) if first else 0
    start = max(0, min(start, len(text) - length))
    piece = re.sub(r"\s", " ", text[start : start + length])
    shown = ("…" if start else "") + piece + ("…" if start + length < len(text) else "")
    return shown, tuple(match.span() for match in pattern.finditer(shown))


def _condition(
    connection: sqlite3.Connection, table: str, alias: str, column: str, words: tuple[str, ...]
) -> tuple[str, list[str]]:
    """The SQL that is true where the column holds all words, with its values."""
    index = f"{table}_text"
    has_index = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (index,)).fetchone() is not None
    indexed = [word for word in words if has_index and len(word) >= INDEXED_LENGTH]
    compared = [word for word in words if word not in indexed]
    conditions: list[str] = []
    values: list[str] = []
    if indexed:
        conditions.append(f"{alias}.number IN (SELECT rowid FROM {index} WHERE {index} MATCH ?)")
        values.append(" ".join('"' + word.replace('"', '""') + '"' for word in indexed))
    for word in compared:
        conditions.append(f"{alias}.{column} LIKE ? ESCAPE '\\'")
        values.append("%" + re.sub(r"([\\%_])", r"\\\1", word) + "%")
    return " AND ".join(conditions), values
