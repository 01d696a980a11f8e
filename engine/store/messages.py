"""The messages of a conversation: a tree, of which one branch is shown.

An edit or another answer is a new sibling, so nothing is ever erased by changing one's mind; the conversation's
`head_id` says which leaf is shown. An answer is saved while it is written: `append_text` once or twice a second, so a
crash costs at most what came since. Rejected: a flat list with an "edited" flag (a fork of a fork has no place in it),
and one row for each piece of text (a long answer would be thousands of rows to join at every reading).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from engine.base.clock import Clock
from engine.base.errors import BugError, KnownError
from engine.store.conversations import no_conversation, title_of
from engine.store.db import Database
from engine.store.presence import Presence
from engine.store.rows import ConversationId, MessageId, MessageRow, MessageState, Role, message_of, stamp, storable


class Messages:
    """The table of messages."""

    def __init__(self, database: Database, presence: Presence, clock: Clock, new_id: Callable[[], str]) -> None:
        self._database, self._presence, self._clock, self._new_id = database, presence, clock, new_id

    def add(
        self,
        conversation_id: ConversationId,
        parent_id: MessageId | None,
        role: Role,
        content: str = "",
        state: MessageState = MessageState.COMPLETE,
        message_id: MessageId | None = None,
    ) -> MessageRow:
        """Put a message under `parent_id` (None: a root) and show the branch that ends with it.

        An edited message is added under the parent of the old one; so is another answer. With WRITING the message
        belongs to this window until `finish`. A conversation without a title of the user's gets one from the first
        words of the branch. `message_id` is an unused id of `new_id`'s kind, for who shows the message before it is stored.

        Raises:
            KnownError: the conversation, or the parent in it, does not exist.
        """
        message_id = message_id or MessageId(self._new_id())
        now = stamp(self._clock.utc())
        writer = self._presence.token if state is MessageState.WRITING else None
        text = storable(content)
        with self._database.writing() as connection:
            _require_conversation(connection, conversation_id)
            if parent_id is not None and self.get(parent_id).conversation_id != conversation_id:
                raise no_message(parent_id)
            connection.execute(
                "INSERT INTO messages (id, conversation_id, parent_id, role, content, created_utc, state, writer)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (message_id, conversation_id, parent_id, role.value, text, now, state.value, writer),
            )
            connection.execute(
                "UPDATE conversations SET head_id = ?, updated_utc = ? WHERE id = ?", (message_id, now, conversation_id)
            )
            if role is Role.USER and not (parent_id is not None and _has_user_text(connection, parent_id)):
                connection.execute(
                    "UPDATE conversations SET title = ? WHERE id = ? AND title_is_manual = 0",
                    (title_of(text), conversation_id),
                )
            return self.get(message_id)

    def append_text(self, message_id: MessageId, text: str, thinking: str = "", *, is_whole: bool = False) -> None:
        """Add what was written since the last call to a message of this window that is WRITING.

        Where it `is_whole`, text and thinking take the place of what was added before.

        Raises:
            KnownError: the message was removed meanwhile, or it could not be saved.
            BugError: the message is finished, or another window writes it.
        """
        with self._database.writing() as connection:
            # Should another window have thought us dead (a file system without locks), the message is ours again.
            changed = connection.execute(
                "UPDATE messages SET content = iif(?1, '', content) || ?2, thinking = iif(?1, '', thinking) || ?3,"
                " state = 'writing' WHERE id = ?4 AND writer = ?5",
                (is_whole, storable(text), storable(thinking), message_id, self._presence.token),
            )
            if changed.rowcount == 0:
                self.get(message_id)
                raise BugError(f"message {message_id} is not being written by this window")

    def finish(
        self,
        message_id: MessageId,
        state: MessageState,
        content: str | None = None,
        thinking: str | None = None,
        thinking_s: float | None = None,
    ) -> MessageRow:
        """End a message: COMPLETE, STOPPED or FAILED. `content` and `thinking` replace what was appended, if given.

        `thinking_s` is how long the thinking took, in seconds; None leaves what is stored.
        """
        if state is MessageState.WRITING:
            raise BugError("a message cannot be finished as 'writing'")
        with self._database.writing() as connection:
            before = self.get(message_id)
            connection.execute(
                "UPDATE messages SET state = ?, writer = NULL, content = coalesce(?, content),"
                " thinking = coalesce(?, thinking), thinking_s = coalesce(?, thinking_s) WHERE id = ?",
                (
                    state.value,
                    storable(content) if content is not None else None,
                    storable(thinking) if thinking is not None else None,
                    thinking_s,
                    message_id,
                ),
            )
            connection.execute(
                "UPDATE conversations SET updated_utc = ? WHERE id = ?",
                (stamp(self._clock.utc()), before.conversation_id),
            )
            return self.get(message_id)

    def get(self, message_id: MessageId) -> MessageRow:
        """One message.

        Raises:
            KnownError: there is none of that id.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM messages WHERE id = ?", (message_id,)).fetchone()
        if row is None:
            raise no_message(message_id)
        return message_of(row)

    def thread(self, conversation_id: ConversationId) -> tuple[MessageRow, ...]:
        """The branch that is shown, from its root to the head; () for an empty conversation."""
        with self._database.reading() as connection:
            _require_conversation(connection, conversation_id)
            rows = connection.execute(
                """
                WITH RECURSIVE path (id, parent_id, height) AS (
                    SELECT m.id, m.parent_id, 0 FROM messages m JOIN conversations c ON c.head_id = m.id WHERE c.id = ?
                    UNION ALL
                    SELECT m.id, m.parent_id, path.height + 1 FROM messages m JOIN path ON m.id = path.parent_id
                )
                SELECT m.* FROM path JOIN messages m ON m.id = path.id ORDER BY path.height DESC
                """,
                (conversation_id,),
            )
            return tuple(message_of(row) for row in rows)

    def tree(self, conversation_id: ConversationId) -> tuple[MessageRow, ...]:
        """All messages of all branches in the order in which they were added: a parent before its children."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM messages WHERE conversation_id = ? ORDER BY number", (conversation_id,)
            )
            return tuple(message_of(row) for row in rows)

    def siblings(self, message_id: MessageId) -> tuple[MessageRow, ...]:
        """The message and its other versions (same parent, same role), oldest first."""
        with self._database.reading() as connection:
            message = self.get(message_id)
            rows = connection.execute(
                "SELECT * FROM messages WHERE conversation_id = ? AND parent_id IS ? AND role = ? ORDER BY number",
                (message.conversation_id, message.parent_id, message.role.value),
            )
            return tuple(message_of(row) for row in rows)

    def set_head(self, conversation_id: ConversationId, message_id: MessageId | None) -> None:
        """Show the branch that ends with this message (None: show an empty conversation, for another first message)."""
        with self._database.writing() as connection:
            _require_conversation(connection, conversation_id)
            if message_id is not None and self.get(message_id).conversation_id != conversation_id:
                raise no_message(message_id)
            connection.execute("UPDATE conversations SET head_id = ? WHERE id = ?", (message_id, conversation_id))

    def newest_leaf(self, message_id: MessageId) -> MessageId:
        """The end of the newest branch through this message: the head to set when a version is chosen."""
        with self._database.reading() as connection:
            self.get(message_id)
            row = connection.execute(
                """
                WITH RECURSIVE below (id, number) AS (
                    SELECT id, number FROM messages WHERE id = ?1
                    UNION ALL
                    SELECT m.id, m.number FROM messages m JOIN below ON m.parent_id = below.id
                    WHERE m.conversation_id = (SELECT conversation_id FROM messages WHERE id = ?1)
                )
                SELECT id FROM below ORDER BY number DESC LIMIT 1
                """,
                (message_id,),
            ).fetchone()
            return MessageId(row["id"])

    def recover(self) -> int:
        """Call STOPPED what dead windows left WRITING; returns how many. What living windows write is not touched.

        Done when the store is opened; a window may do it again when it shows such a message.
        """
        with self._database.writing() as connection:
            rows = connection.execute("SELECT DISTINCT writer FROM messages WHERE state = 'writing'").fetchall()
            dead = [row["writer"] for row in rows if not self._presence.is_alive(row["writer"])]
            for token in self._presence.others():
                self._presence.is_alive(token)  # sweeps the files of windows that died without writing
            return sum(
                connection.execute(
                    "UPDATE messages SET state = 'stopped' WHERE state = 'writing' AND writer IS ?", (token,)
                ).rowcount
                for token in dead
            )

    def stop_own(self) -> None:
        """Call STOPPED what this window still writes: it is about to close."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE messages SET state = 'stopped', writer = NULL WHERE state = 'writing' AND writer = ?",
                (self._presence.token,),
            )


def no_message(message_id: str) -> KnownError:
    """The error for an id that names no message."""
    return KnownError(
        "This message does not exist",
        value=str(message_id),
        next_step="open the conversation again; another window may have removed it",
    )


def _require_conversation(connection: sqlite3.Connection, conversation_id: ConversationId) -> None:
    if connection.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)).fetchone() is None:
        raise no_conversation(conversation_id)


def _has_user_text(connection: sqlite3.Connection, message_id: MessageId) -> bool:
    """Whether the user said something in this message or above it."""
    row = connection.execute(
        """
        WITH RECURSIVE above (id, parent_id, role, content) AS (
            SELECT id, parent_id, role, content FROM messages WHERE id = ?
            UNION ALL
            SELECT m.id, m.parent_id, m.role, m.content FROM messages m JOIN above ON m.id = above.parent_id
        )
        SELECT 1 FROM above WHERE role = 'user' AND trim(content, char(9, 10, 13, 32)) <> '' LIMIT 1
        """,
        (message_id,),
    ).fetchone()
    return row is not None
