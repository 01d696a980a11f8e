"""A conversation as a file: Markdown to read, JSON to keep and to read in again.

Markdown holds the branch that is shown. JSON holds everything (all branches, all runs), and importing it anywhere gives
the same tree; ids are renewed only when one is taken. What is imported is foreign text: its types, its ids and its tree
are checked before the first row is written, and anything wrong is a `KnownError`. Rejected: copying the database file
(it holds every conversation), and json with hand-written checks (msgspec checks types while it reads).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec

from engine.base.errors import KnownError, Trouble
from engine.store.conversations import Conversations
from engine.store.db import Database
from engine.store.messages import Messages
from engine.store.rows import (
    ConversationId,
    ConversationRow,
    MessageRow,
    MessageState,
    Role,
    RunId,
    RunRecipe,
    RunResult,
    RunRow,
    RunTokens,
    stamp,
    storable,
)
from engine.store.runs import Runs, recipe_columns, result_columns
from engine.store.tokens import DamagedTokens, pack, unpack
from engine.wire.messages import FinishReason

FORMAT = "llamarium-conversation"
FORMAT_VERSION = 1

Column: TypeAlias = str | int | float | bytes | None

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Head(msgspec.Struct, frozen=True):
    format: str
    version: int


class _ConversationRecord(msgspec.Struct, frozen=True):
    id: _Id
    title: str
    title_is_manual: bool
    created_utc: _Moment
    updated_utc: _Moment
    folder: str | None
    system_prompt: str
    model_path: str | None
    pinned: bool
    draft: str
    head_id: str | None
    chain: str | None = None  # files of before a chat could have a chain of its own have none


class _MessageRecord(msgspec.Struct, frozen=True):
    id: _Id
    parent_id: str | None
    role: Role
    content: str
    thinking: str
    created_utc: _Moment
    state: MessageState
    run_id: str | None
    thinking_s: float | None = None  # files of before it was measured have none


class _RunRecord(msgspec.Struct, frozen=True):
    id: _Id
    message_id: str
    started_utc: _Moment
    model_path: str
    model_label: str
    model_fingerprint: str
    engine_build: str
    template_hash: str
    chain: msgspec.Raw
    limits: msgspec.Raw
    load_options: msgspec.Raw
    seed: _Whole | None
    finish_reason: FinishReason | None
    n_prompt: _Whole | None
    n_reused: _Whole | None
    n_completion: _Whole | None
    n_dropped_messages: _Whole | None
    load_s: float | None
    first_token_s: float | None
    prefill_s: float | None
    decode_s: float | None
    trouble: Trouble | None
    # What follows is not in files of before.
    in_use: msgspec.Raw = msgspec.Raw(b"{}")
    parent_run_id: str | None = None
    fork_position: _Whole | None = None
    fork_text: str | None = None
    n_begun: _Whole = 0
    chain_changes: msgspec.Raw | None = None
    logprob: float | None = None
    n_drafted: _Whole | None = None
    n_accepted: _Whole | None = None
    no_shortcut: str | None = None
    prompt_tokens: bytes | None = None  # as in the database, in base64
    tokens: bytes | None = None


class _Document(msgspec.Struct, frozen=True):
    format: str
    version: int
    conversation: _ConversationRecord
    messages: tuple[_MessageRecord, ...]
    runs: tuple[_RunRecord, ...]


class Exports:
    """Conversations to text and back."""

    def __init__(
        self,
        database: Database,
        conversations: Conversations,
        messages: Messages,
        runs: Runs,
        new_id: Callable[[], str],
    ) -> None:
        self._database, self._new_id = database, new_id
        self._conversations, self._messages, self._runs = conversations, messages, runs

    def markdown(self, conversation_id: ConversationId) -> str:
        """The branch that is shown, as Markdown."""
        with self._database.reading():
            return markdown_of(self._conversations.get(conversation_id), self._messages.thread(conversation_id))

    def json(self, conversation_id: ConversationId) -> str:
        """The whole conversation as JSON text: every branch, every run."""
        with self._database.reading():
            return json_of(
                self._conversations.get(conversation_id),
                self._messages.tree(conversation_id),
                runs := self._runs.of_conversation(conversation_id),
                {each.id: self._runs.tokens(each.id) for each in runs},
            )

    def import_json(self, contents: bytes | str) -> ConversationRow:
        """Add the conversation that `json` wrote. It is there wholly or not at all.

        A message that was being written when it was exported is stopped here. If an id is taken, all are renewed.

        Raises:
            KnownError: this is not such a file, it is cut off or inconsistent, or a newer Llamarium wrote it.
        """
        document = _checked(_read(contents))
        with self._database.writing() as connection:
            taken = any(
                connection.execute(f"SELECT 1 FROM {table} WHERE id = ?", (each.id,)).fetchone() is not None
                for table, records in (
                    ("conversations", (document.conversation,)),
                    ("messages", document.messages),
                    ("runs", document.runs),
                )
                for each in records
            )
            ids = _ids_of(document)
            renewed = {each: self._new_id() if taken else each for each in ids}
            for table, columns in _rows_of(document, renewed):
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                    tuple(columns.values()),
                )
            conversation_id = renewed[document.conversation.id]
            for message in document.messages:
                if message.run_id is not None:
                    link = (renewed[message.run_id], renewed[message.id])
                    connection.execute("UPDATE messages SET run_id = ? WHERE id = ?", link)
            if document.conversation.head_id is not None:
                head = (renewed[document.conversation.head_id], conversation_id)
                connection.execute("UPDATE conversations SET head_id = ? WHERE id = ?", head)
            return self._conversations.get(ConversationId(conversation_id))


def markdown_of(conversation: ConversationRow, thread: tuple[MessageRow, ...]) -> str:
    """A branch as Markdown: the title, then a heading a turn; thinking folded, unfinished answers marked."""
    names = {Role.SYSTEM: "System", Role.USER: "User", Role.ASSISTANT: "Assistant"}
    marks = {
        MessageState.WRITING: " (being written)",
        MessageState.STOPPED: " (stopped)",
        MessageState.FAILED: " (failed)",
    }
    parts = [f"# {conversation.title or 'Conversation'}", f"{conversation.created_utc:%Y-%m-%d %H:%M} UTC"]
    if conversation.system_prompt:
        parts += ["## System", conversation.system_prompt]
    for message in thread:
        parts.append(f"## {names[message.role]}{marks.get(message.state, '')}")
        if message.thinking:
            parts.append(f"<details><summary>Thinking</summary>\n\n{message.thinking}\n\n</details>")
        if message.content:
            parts.append(message.content)
    return "\n\n".join(parts) + "\n"


def json_of(
    conversation: ConversationRow,
    messages: tuple[MessageRow, ...],
    runs: tuple[RunRow, ...],
    tokens: Mapping[RunId, RunTokens],
) -> str:
    """A conversation with all its messages (parents first) and runs, as indented JSON."""
    document = _Document(
        format=FORMAT,
        version=FORMAT_VERSION,
        conversation=_ConversationRecord(
            **{key: getattr(conversation, key) for key in _ConversationRecord.__struct_fields__}
        ),
        messages=tuple(
            _MessageRecord(**{key: getattr(each, key) for key in _MessageRecord.__struct_fields__}) for each in messages
        ),
        runs=tuple(_record_of_run(each, tokens[each.id]) for each in runs),
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _record_of_run(run: RunRow, tokens: RunTokens) -> _RunRecord:
    values: dict[str, object] = {"id": run.id, "message_id": run.message_id, "started_utc": run.started_utc}
    values |= {key: getattr(run.recipe, key) for key in RunRecipe.__slots__}
    values |= {key: getattr(run.result, key) for key in RunResult.__slots__}
    for key in ("chain", "limits", "load_options", "in_use", "chain_changes"):
        values[key] = msgspec.Raw(str(values[key])) if values[key] is not None else None
    values["prompt_tokens"] = pack(tokens.prompt) if tokens.prompt is not None else None
    values["tokens"] = pack(tokens.answer) if tokens.answer is not None else None
    return msgspec.convert(values, _RunRecord)


def _read(contents: bytes | str) -> _Document:
    try:
        text = contents.decode("utf-8-sig") if isinstance(contents, bytes) else contents
        head = msgspec.json.decode(text, type=_Head)
        if head.format != FORMAT:
            raise _refused("it is another kind of file", head.format[:40])
        if head.version > FORMAT_VERSION:
            raise KnownError(
                "This conversation was exported by a newer Llamarium",
                value=f"format {head.version}; this one knows {FORMAT_VERSION}",
                next_step="import it with the newer Llamarium",
            )
        return msgspec.json.decode(text, type=_Document)
    except UnicodeError as error:  # bytes that are no UTF-8, text with half a surrogate pair
        raise _refused("it is not UTF-8 text", str(error)) from error
    except msgspec.MsgspecError as error:
        raise _refused("its contents are not as expected", str(error)) from error
    except RecursionError as error:
        raise _refused("it is nested too deeply", "more than 1,000 levels") from error


def _checked(document: _Document) -> _Document:
    """The same document with parents before children, if its ids make a tree."""
    ids = _ids_of(document)
    most_common = Counter(ids).most_common(1)[0]
    if most_common[1] > 1:
        raise _refused("an id stands twice in it", most_common[0])
    message_ids = {each.id for each in document.messages}
    run_messages = {each.id: each.message_id for each in document.runs}
    named = [document.conversation.head_id, *(each.parent_id for each in document.messages), *run_messages.values()]
    missing = next((each for each in named if each is not None and each not in message_ids), None)
    if missing is not None:
        raise _refused("it names a message that it does not hold", missing[:64])
    for message in document.messages:
        if message.run_id is not None and run_messages.get(message.run_id) != message.id:
            raise _refused("a message names a run that is not its own", message.run_id[:64])

    children: dict[str | None, list[_MessageRecord]] = {}
    for message in document.messages:
        children.setdefault(message.parent_id, []).append(message)
    if _is_parents_first(document.messages):
        ordered = list(document.messages)
    else:
        ordered = list(children.get(None, ()))
        for message in ordered:  # grows while it is walked: breadth first, siblings keep their order
            ordered += children.get(message.id, ())
    if len(ordered) != len(document.messages):
        raise _refused("its messages go round in a circle", f"{len(document.messages) - len(ordered)} messages")
    return msgspec.structs.replace(document, messages=tuple(ordered))


def _is_parents_first(messages: tuple[_MessageRecord, ...]) -> bool:
    seen: set[str | None] = {None}
    for message in messages:
        if message.parent_id not in seen:
            return False
        seen.add(message.id)
    return True


def _ids_of(document: _Document) -> list[str]:
    return [document.conversation.id, *(each.id for each in document.messages), *(each.id for each in document.runs)]


def _rows_of(document: _Document, ids: dict[str, str]) -> list[tuple[str, dict[str, Column]]]:
    """The rows to insert, as (table, columns), in an order that the foreign keys accept."""
    given = document.conversation
    rows: list[tuple[str, dict[str, Column]]] = []
    conversation: dict[str, Column] = {
        "id": ids[given.id],
        "title": storable(given.title),
        "title_is_manual": int(given.title_is_manual),
        "created_utc": _stamp(given.created_utc),
        "updated_utc": _stamp(given.updated_utc),
        "folder": given.folder,
        "system_prompt": given.system_prompt,
        "model_path": given.model_path,
        "pinned": int(given.pinned),
        "draft": given.draft,
        "chain": storable(given.chain) if given.chain is not None else None,
    }
    rows.append(("conversations", conversation))
    for message in document.messages:
        state = MessageState.STOPPED if message.state is MessageState.WRITING else message.state
        rows.append(
            (
                "messages",
                {
                    "id": ids[message.id],
                    "conversation_id": ids[given.id],
                    "parent_id": ids[message.parent_id] if message.parent_id is not None else None,
                    "role": message.role.value,
                    "content": message.content,
                    "thinking": message.thinking,
                    "created_utc": _stamp(message.created_utc),
                    "state": state.value,
                    "thinking_s": message.thinking_s,
                },
            )
        )
    for run in document.runs:
        recipe = RunRecipe(
            run.model_path,
            run.model_label,
            run.model_fingerprint,
            run.engine_build,
            run.template_hash,
            bytes(run.chain).decode(),
            bytes(run.limits).decode(),
            bytes(run.load_options).decode(),
            run.seed,
            in_use=bytes(run.in_use).decode(),
            parent_run_id=RunId(ids.get(run.parent_run_id or "", "")) or None,
            fork_position=run.fork_position,
            fork_text=run.fork_text,
            n_begun=run.n_begun,
        )
        told = {key: getattr(run, key) for key in RunResult.__slots__}
        told["chain_changes"] = bytes(run.chain_changes).decode() if run.chain_changes is not None else None
        result = RunResult(**told)
        links = {"id": ids[run.id], "message_id": ids[run.message_id], "started_utc": _stamp(run.started_utc)}
        rows.append(("runs", {**links, **recipe_columns(recipe), **result_columns(result)}))
        if run.prompt_tokens is not None or run.tokens is not None:
            packed = {"prompt": _tokens(run.prompt_tokens), "answer": _tokens(run.tokens)}
            rows.append(("run_tokens", {"run_id": ids[run.id], **packed}))
    return rows


def _tokens(packed: bytes | None) -> bytes | None:
    try:
        return pack(unpack(packed)) if packed is not None else None
    except DamagedTokens as error:
        raise _refused("the tokens of a run are damaged", str(error)) from error


def _stamp(moment: datetime) -> str:
    try:
        return stamp(moment)
    except OverflowError as error:
        raise _refused("a time in it is out of range", str(moment)) from error


def _refused(reason: str, value: str) -> KnownError:
    return KnownError(
        f"This file cannot be imported: {reason}",
        value=value,
        next_step="choose a JSON file that Llamarium exported; nothing was added",
    )
