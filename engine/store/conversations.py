"""Conversations: their list, their settings, and their end, which can be undone.

Nothing here erases: deleting sets a time and `restore` takes it back; only `purge` removes, and only what has long been
deleted. Rejected: one JSON file a conversation (a crash while writing loses all of it, and a list reads every file).
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable
from datetime import timedelta

from engine.base.clock import Clock
from engine.base.errors import KnownError
from engine.store.db import Database
from engine.store.rows import ConversationId, ConversationRow, conversation_of, stamp, storable

TITLE_LENGTH = 60  # characters


class Conversations:
    """The table of conversations. Every method but the reading ones is one transaction."""

    def __init__(self, database: Database, clock: Clock, new_id: Callable[[], str]) -> None:
        self._database, self._clock, self._new_id = database, clock, new_id

    def create(
        self,
        *,
        system_prompt: str = "",
        model_path: str | None = None,
        folder: str | None = None,
        chain: str | None = None,
        conversation_id: ConversationId | None = None,
    ) -> ConversationRow:
        """A new, empty conversation. `conversation_id` is an unused id, for who shows it before it is stored."""
        conversation_id = conversation_id or ConversationId(self._new_id())
        now = stamp(self._clock.utc())
        texts = (storable(system_prompt), _or_none(model_path), _or_none(folder), _or_none(chain))
        values = (conversation_id, now, now, *texts)
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO conversations (id, created_utc, updated_utc, system_prompt, model_path, folder, chain)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            return self.get(conversation_id)

    def list(self, limit: int = 500, *, include_deleted: bool = False) -> tuple[ConversationRow, ...]:
        """The pinned ones first, then by their last message, newest first; at most `limit`."""
        where = "" if include_deleted else "WHERE deleted_utc IS NULL"
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM conversations {where} ORDER BY pinned DESC, updated_utc DESC, number DESC LIMIT ?",
                (limit,),
            )
            return tuple(conversation_of(row) for row in rows)

    def get(self, conversation_id: ConversationId) -> ConversationRow:
        """One conversation, deleted or not.

        Raises:
            KnownError: there is none of that id (another window may have purged it).
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
        if row is None:
            raise no_conversation(conversation_id)
        return conversation_of(row)

    def rename(self, conversation_id: ConversationId, title: str) -> None:
        """Give it the user's title; an empty one goes back to the title made from the first words."""
        chosen = " ".join(storable(title).split())
        with self._database.writing() as connection:
            shown = chosen or title_of(_first_words(connection, conversation_id))
            self._set(conversation_id, title=shown, title_is_manual=int(bool(chosen)))

    def set_system_prompt(self, conversation_id: ConversationId, system_prompt: str) -> None:
        """The text that stands before the first turn."""
        self._set(conversation_id, system_prompt=storable(system_prompt))

    def set_model(self, conversation_id: ConversationId, model_path: str | None) -> None:
        """Remember the model that was chosen here."""
        self._set(conversation_id, model_path=_or_none(model_path))

    def set_chain(self, conversation_id: ConversationId, chain: str | None) -> None:
        """Give it a sampler chain of its own, as JSON; None for that of all chats."""
        self._set(conversation_id, chain=_or_none(chain))

    def set_draft(self, conversation_id: ConversationId, draft: str) -> None:
        """Keep what stands in the composer."""
        self._set(conversation_id, draft=storable(draft))

    def set_folder(self, conversation_id: ConversationId, folder: str | None) -> None:
        """Show it in the folder of that name, None for no folder."""
        self._set(conversation_id, folder=_or_none(folder))

    def pin(self, conversation_id: ConversationId, pinned: bool = True) -> None:
        """Keep it at the top of the list, or no longer."""
        self._set(conversation_id, pinned=int(pinned))

    def delete(self, conversation_id: ConversationId) -> None:
        """Take it out of the list and the search; `restore` brings it back whole."""
        self._set(conversation_id, deleted_utc=stamp(self._clock.utc()))

    def restore(self, conversation_id: ConversationId) -> None:
        """Undo `delete`."""
        self._set(conversation_id, deleted_utc=None)

    def purge(self, older_than: timedelta) -> int:
        """Remove for good what was deleted longer ago than this; returns how many. This cannot be undone."""
        before = stamp(self._clock.utc() - older_than)
        with self._database.writing() as connection:
            return connection.execute("DELETE FROM conversations WHERE deleted_utc < ?", (before,)).rowcount

    def _set(self, conversation_id: ConversationId, **values: str | int | None) -> None:
        columns = ", ".join(f"{column} = ?" for column in values)
        with self._database.writing() as connection:
            changed = connection.execute(
                f"UPDATE conversations SET {columns} WHERE id = ?", (*values.values(), conversation_id)
            )
            if changed.rowcount == 0:
                raise no_conversation(conversation_id)


def no_conversation(conversation_id: str) -> KnownError:
    """The error for an id that names no conversation."""
    return KnownError(
        "This conversation does not exist",
        value=str(conversation_id),
        next_step="look at the list again; another window may have removed it",
    )


def title_of(text: str, limit: int = TITLE_LENGTH) -> str:
    """A title made from a message: its first line that says something, cut at a word to at most `limit` characters.

    A script without spaces, or one very long word, is cut between characters, and never before a combining mark.
    "" when the text says nothing.
    """
    for line in text.splitlines():
        if not line.isprintable():
            line = "".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in line)
        words = " ".join(line.split())
        if words:
            break
    else:
        return ""
    if len(words) <= limit:
        return words
    end = limit - 1  # one character for the ellipsis
    at_word = words.rfind(" ", 0, end + 1)
    if at_word >= limit // 2:
        end = at_word
    else:
        while end > 1 and _joins(words[end - 1], words[end]):
            end -= 1
    return words[:end].rstrip() + "…"


def _joins(left: str, right: str) -> bool:
    """Whether `right` is drawn together with what stands before it (marks, variation selectors, joined emoji)."""
    return left == "\u200d" or right == "\u200d" or unicodedata.category(right).startswith("M")


def _first_words(connection: sqlite3.Connection, conversation_id: ConversationId) -> str:
    row = connection.execute(
        "SELECT content FROM messages WHERE conversation_id = ? AND role = 'user'"
        " AND trim(content, char(9, 10, 13, 32)) <> '' ORDER BY number LIMIT 1",
        (conversation_id,),
    ).fetchone()
    return str(row["content"]) if row is not None else ""


def _or_none(text: str | None) -> str | None:
    return storable(text) if text is not None else None
