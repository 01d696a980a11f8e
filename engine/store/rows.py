"""The values that come out of the store, and how a table's row becomes one.

Frozen, so they may cross threads. Times are stored as ISO 8601 text in UTC with microseconds and a Z: such text sorts
by time. JSON columns stay text here: the rooms that wrote a chain or a set of limits are the ones that understand it.
"""

from __future__ import annotations

import enum
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NewType

import msgspec

from engine.base.errors import Trouble
from engine.wire.messages import FinishReason

ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
RunId = NewType("RunId", str)


class Role(enum.Enum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class MessageState(enum.Enum):
    """How far a message is. WRITING belongs to a living window; the other three are ends."""

    WRITING = "writing"
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation without its messages.

    Attributes:
        title: "" until the user has said something.
        title_is_manual: the user chose the title; otherwise it is made from their first words.
        updated_utc: when a message was last added or finished (renaming, pinning and drafts do not count).
        folder: the name of the folder it is shown in, None for none.
        model_path: the model last chosen here, None for none.
        deleted_utc: when the user deleted it, None while it is there; it can be restored until it is purged.
        draft: what stands in the composer, not yet sent.
        head_id: the leaf of the branch that is shown, None while there are no messages.
        chain: the sampler chain of its own, as JSON; None where it uses that of all chats.
    """

    id: ConversationId
    title: str
    title_is_manual: bool
    created_utc: datetime
    updated_utc: datetime
    folder: str | None
    system_prompt: str
    model_path: str | None
    pinned: bool
    deleted_utc: datetime | None
    draft: str
    head_id: MessageId | None
    chain: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message of a conversation's tree. `parent_id` is None for a root, `run_id` for what no model wrote.

    `thinking_s` is how long the thinking took, in seconds; None when it is not known.
    """

    id: MessageId
    conversation_id: ConversationId
    parent_id: MessageId | None
    role: Role
    content: str
    thinking: str
    created_utc: datetime
    state: MessageState
    run_id: RunId | None
    thinking_s: float | None = None


@dataclass(frozen=True, slots=True)
class RunRecipe:
    """Everything needed to run an answer again.

    Attributes:
        model_fingerprint: of the model file's contents, "" when not computed.
        engine_build: the engine that ran it, as its Hello says.
        template_hash: of the chat template in use, "" for raw text.
        chain, limits, load_options: JSON, stored without white space.
        seed: the seed in use (the drawn one where random was asked for), None when the run never got one.
        in_use: JSON of what the options came to on this computer (threads, devices …); "{}" for runs of before.
        parent_run_id: the run whose answer this one began with, None for an answer of its own.
        fork_position: how many of the parent's tokens were kept; `fork_text` is the token that was chosen after them,
            "" where the answer was only gone on with.
        n_begun: how many tokens of the answer were given to it, not drawn.
    """

    model_path: str
    model_label: str
    model_fingerprint: str
    engine_build: str
    template_hash: str
    chain: str
    limits: str
    load_options: str
    seed: int | None = None
    in_use: str = "{}"
    parent_run_id: RunId | None = None
    fork_position: int | None = None
    fork_text: str | None = None
    n_begun: int = 0


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: counts in tokens (and messages), times in seconds, None where not known.

    `finish_reason` is None when it failed; then `trouble` says why. A run that a kill cut off keeps the empty result.
    `chain_changes` is JSON of the chains that were sent in the middle, None where there were none. `logprob` is the
    natural log of the model's own probability of the whole answer, None until somebody has had it scored. `n_drafted`
    tokens were guessed by speculation, `n_accepted` of them were right; `no_shortcut` says why it was not used, or not
    to the end, None where there is nothing to tell.
    """

    finish_reason: FinishReason | None = None
    n_prompt: int | None = None
    n_reused: int | None = None
    n_completion: int | None = None
    n_dropped_messages: int | None = None
    load_s: float | None = None
    first_token_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    trouble: Trouble | None = None
    chain_changes: str | None = None
    logprob: float | None = None
    n_drafted: int | None = None
    n_accepted: int | None = None
    no_shortcut: str | None = None


@dataclass(frozen=True, slots=True)
class RunTokens:
    """The token ids of a run; None where they are not known (a run of before, one that was killed)."""

    prompt: tuple[int, ...] | None = None
    answer: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a model that wrote (or tried to write) a message."""

    id: RunId
    message_id: MessageId
    started_utc: datetime
    recipe: RunRecipe
    result: RunResult


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One message, or one title, that holds all words of a search.

    Attributes:
        message_id: None when the title was found.
        snippet: the text around the first match, on one line.
        matches: where the words stand in the snippet, as (start, end) in characters.
        created_utc: the message's time, or the conversation's last change for a title.
    """

    conversation_id: ConversationId
    title: str
    message_id: MessageId | None
    snippet: str
    matches: tuple[tuple[int, int], ...]
    created_utc: datetime


def stamp(moment: datetime) -> str:
    """A time as it is stored: 2026-11-23T09:30:00.000000Z."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def moment_of(text: str) -> datetime:
    """A stored time."""
    return datetime.fromisoformat(text)


def storable(text: str) -> str:
    """The text without lone surrogates, which UTF-8 (and so the database) cannot hold: each becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _has_surrogate(text) else text


def conversation_of(row: sqlite3.Row) -> ConversationRow:
    """A row of the table conversations."""
    return ConversationRow(
        id=ConversationId(row["id"]),
        title=row["title"],
        title_is_manual=bool(row["title_is_manual"]),
        created_utc=moment_of(row["created_utc"]),
        updated_utc=moment_of(row["updated_utc"]),
        folder=row["folder"],
        system_prompt=row["system_prompt"],
        model_path=row["model_path"],
        pinned=bool(row["pinned"]),
        deleted_utc=moment_of(row["deleted_utc"]) if row["deleted_utc"] is not None else None,
        draft=row["draft"],
        head_id=MessageId(row["head_id"]) if row["head_id"] is not None else None,
        chain=row["chain"],
    )


def message_of(row: sqlite3.Row) -> MessageRow:
    """A row of the table messages."""
    return MessageRow(
        id=MessageId(row["id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        parent_id=MessageId(row["parent_id"]) if row["parent_id"] is not None else None,
        role=Role(row["role"]),
        content=row["content"],
        thinking=row["thinking"],
        created_utc=moment_of(row["created_utc"]),
        state=MessageState(row["state"]),
        run_id=RunId(row["run_id"]) if row["run_id"] is not None else None,
        thinking_s=row["thinking_s"],
    )


def run_of(row: sqlite3.Row) -> RunRow:
    """A row of the table runs."""
    recipe = RunRecipe(**{key: row[key] for key in RunRecipe.__slots__})
    told = {key: row[key] for key in RunResult.__slots__}
    if told["finish_reason"] is not None:
        told["finish_reason"] = FinishReason(told["finish_reason"])
    if told["trouble"] is not None:
        told["trouble"] = msgspec.json.decode(told["trouble"], type=Trouble)
    return RunRow(
        id=RunId(row["id"]),
        message_id=MessageId(row["message_id"]),
        started_utc=moment_of(row["started_utc"]),
        recipe=recipe,
        result=RunResult(**told),
    )


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
