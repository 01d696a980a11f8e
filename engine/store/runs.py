"""Runs: with what exactly an answer was written, and how it went, so that any answer can be written again.

A run is stored before its first token, so that even a killed one says what it was. Rejected: the recipe inside the
message (one message may be run twice, and the list of runs is a table of its own on screen).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from engine.base.clock import Clock
from engine.base.errors import BugError, KnownError
from engine.store.db import Database
from engine.store.messages import no_message
from engine.store.rows import (
    ConversationId,
    MessageId,
    RunId,
    RunRecipe,
    RunResult,
    RunRow,
    RunTokens,
    run_of,
    stamp,
    storable,
)
from engine.store.tokens import DamagedTokens, pack, unpack


class Runs:
    """The table of runs."""

    def __init__(self, database: Database, clock: Clock, new_id: Callable[[], str]) -> None:
        self._database, self._clock, self._new_id = database, clock, new_id

    def start(
        self,
        message_id: MessageId,
        recipe: RunRecipe,
        run_id: RunId | None = None,
        prompt_tokens: Sequence[int] | None = None,
    ) -> RunRow:
        """Store a run that begins now; it becomes the message's run. `run_id` is an unused id of the caller's.

        Raises:
            KnownError: there is no such message.
            BugError: chain, limits or load options are not JSON.
        """
        run_id = run_id or RunId(self._new_id())
        recipe_values = recipe_columns(recipe)
        columns = {"id": run_id, "message_id": message_id, "started_utc": stamp(self._clock.utc()), **recipe_values}
        with self._database.writing() as connection:
            if connection.execute("SELECT 1 FROM messages WHERE id = ?", (message_id,)).fetchone() is None:
                raise no_message(message_id)
            connection.execute(
                f"INSERT INTO runs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                tuple(columns.values()),
            )
            connection.execute("UPDATE messages SET run_id = ? WHERE id = ?", (run_id, message_id))
            if prompt_tokens is not None:
                connection.execute(
                    "INSERT INTO run_tokens (run_id, prompt) VALUES (?, ?)", (run_id, pack(prompt_tokens))
                )
            return self.get(run_id)

    def finish(self, run_id: RunId, result: RunResult, tokens: Sequence[int] | None = None) -> RunRow:
        """Store how a run ended, and the tokens of its answer."""
        columns = result_columns(result)
        with self._database.writing() as connection:
            changed = connection.execute(
                f"UPDATE runs SET {', '.join(f'{column} = ?' for column in columns)} WHERE id = ?",
                (*columns.values(), run_id),
            )
            if changed.rowcount == 0:
                raise no_run(run_id)
            if tokens is not None:
                self._keep_tokens(run_id, tokens)
            return self.get(run_id)

    def keep_tokens(self, run_id: RunId, tokens: Sequence[int], chain_changes: str | None = None) -> None:
        """Store the tokens of an answer so far, and how its chain was changed (JSON), while it is being written."""
        with self._database.writing() as connection:
            if chain_changes is not None:
                connection.execute(
                    "UPDATE runs SET chain_changes = ? WHERE id = ?", (_plain_json(chain_changes), run_id)
                )
            self._keep_tokens(run_id, tokens)

    def _keep_tokens(self, run_id: RunId, tokens: Sequence[int]) -> None:
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO run_tokens (run_id, answer) VALUES (?1, ?2)"
                " ON CONFLICT (run_id) DO UPDATE SET answer = ?2",
                (run_id, pack(tokens)),
            )

    def tokens(self, run_id: RunId) -> RunTokens:
        """The token ids of a run, as far as they are known.

        Raises:
            KnownError: they are damaged.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT prompt, answer FROM run_tokens WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            return RunTokens()
        try:
            return RunTokens(*(unpack(each) if each is not None else None for each in (row["prompt"], row["answer"])))
        except DamagedTokens as error:
            raise KnownError(
                "The stored tokens of this answer are damaged",
                value=str(run_id),
                next_step="ask again; the text of the answer is kept",
                details=str(error),
            ) from error

    def set_logprob(self, run_id: RunId, logprob: float) -> None:
        """Keep the natural log of the model's own probability of the whole answer."""
        with self._database.writing() as connection:
            connection.execute("UPDATE runs SET logprob = ? WHERE id = ?", (logprob, run_id))

    def find(self, text: str) -> RunRow:
        """The run that `text` names: its id, the beginning of only one id, or "last".

        Raises:
            KnownError: there is none, or there are several.
        """
        with self._database.reading() as connection:
            if text == "last":
                rows = connection.execute("SELECT * FROM runs ORDER BY number DESC LIMIT 1").fetchall()
            else:
                # substr, not LIKE: what was typed may hold % and _
                rows = connection.execute(
                    "SELECT * FROM runs WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id = ?1 DESC LIMIT 2", (text,)
                ).fetchall()
        if not rows and text == "last":
            raise KnownError(
                "No answer is stored here yet",
                value=str(self._database.path) if self._database.path is not None else "",
                next_step="ask something in the window first, or name the folder that holds your chats (--data-dir)",
            )
        if len(rows) == 2 and rows[0]["id"] != text:
            raise KnownError("Several runs begin so", value=text, next_step="give more of the id")
        if not rows or not text:
            raise no_run(text)
        return run_of(rows[0])

    def get(self, run_id: RunId) -> RunRow:
        """One run.

        Raises:
            KnownError: there is none of that id.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise no_run(run_id)
        return run_of(row)

    def of_message(self, message_id: MessageId) -> RunRow | None:
        """The last run that wrote this message, None for one that no model wrote."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM runs WHERE message_id = ? ORDER BY number DESC LIMIT 1", (message_id,)
            ).fetchone()
        return run_of(row) if row is not None else None

    def of_conversation(self, conversation_id: ConversationId) -> tuple[RunRow, ...]:
        """All runs of all its messages, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT r.* FROM runs r JOIN messages m ON m.id = r.message_id WHERE m.conversation_id = ?"
                " ORDER BY r.number",
                (conversation_id,),
            )
            return tuple(run_of(row) for row in rows)

    def list(self, limit: int = 200) -> tuple[RunRow, ...]:
        """The last runs of all conversations that are not deleted, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT r.* FROM runs r JOIN messages m ON m.id = r.message_id"
                " JOIN conversations c ON c.id = m.conversation_id WHERE c.deleted_utc IS NULL"
                " ORDER BY r.number DESC LIMIT ?",
                (limit,),
            )
            return tuple(run_of(row) for row in rows)


def recipe_columns(recipe: RunRecipe) -> dict[str, str | int | None]:
    """A recipe as columns, the JSON without white space.

    Raises:
        BugError: a JSON column holds something else.
    """
    return {
        "model_path": storable(recipe.model_path),
        "model_label": storable(recipe.model_label),
        "model_fingerprint": recipe.model_fingerprint,
        "engine_build": storable(recipe.engine_build),
        "template_hash": recipe.template_hash,
        "chain": _plain_json(recipe.chain),
        "limits": _plain_json(recipe.limits),
        "load_options": _plain_json(recipe.load_options),
        "seed": recipe.seed,
        "in_use": _plain_json(recipe.in_use),
        "parent_run_id": recipe.parent_run_id,
        "fork_position": recipe.fork_position,
        "fork_text": storable(recipe.fork_text) if recipe.fork_text is not None else None,
        "n_begun": recipe.n_begun,
    }


def result_columns(result: RunResult) -> dict[str, str | int | float | None]:
    """A result as columns."""
    return {
        "finish_reason": result.finish_reason.value if result.finish_reason is not None else None,
        "n_prompt": result.n_prompt,
        "n_reused": result.n_reused,
        "n_completion": result.n_completion,
        "n_dropped_messages": result.n_dropped_messages,
        "load_s": result.load_s,
        "first_token_s": result.first_token_s,
        "prefill_s": result.prefill_s,
        "decode_s": result.decode_s,
        "trouble": msgspec.json.encode(result.trouble).decode() if result.trouble is not None else None,
        "chain_changes": _plain_json(result.chain_changes) if result.chain_changes is not None else None,
        "logprob": result.logprob,
        "n_drafted": result.n_drafted,
        "n_accepted": result.n_accepted,
        "no_shortcut": storable(result.no_shortcut) if result.no_shortcut is not None else None,
    }


def no_run(run_id: str) -> KnownError:
    """The error for an id that names no run."""
    return KnownError(
        "This run does not exist", value=str(run_id), next_step="look at the list of runs again; it may be removed"
    )


def _plain_json(text: str) -> str:
    try:
        return msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError as error:
        raise BugError(f"a run's recipe is not JSON: {error}: {text[:80]!r}") from error
