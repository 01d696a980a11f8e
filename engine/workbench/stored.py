"""Between the store's rows and what the dialogue shows: a stored conversation as a thread, a run's end as a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.base.errors import Trouble
from engine.store import Store, random_id
from engine.store.conversations import title_of
from engine.store.rows import ConversationId, ConversationRow, MessageId, MessageRow, MessageState, RunResult, RunRow
from engine.wire.messages import ChainChange, FinishReason, RunStarted, RunStats
from engine.workbench.events import Figures, ThreadMessage
from engine.workbench.recipe import json_text


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """A conversation as the store gave it: its branch, each message's place among its siblings, its runs."""

    row: ConversationRow
    thread: tuple[MessageRow, ...]
    places: Mapping[MessageId, tuple[int, int]]
    runs: Mapping[MessageId, RunRow]

    def messages(self) -> list[ThreadMessage]:
        """The branch as it is shown."""
        return [_thread_message(each, self.places[each.id], self.runs.get(each.id)) for each in self.thread]


def read_conversation(store: Store, conversation_id: ConversationId) -> StoredConversation:
    """Everything that showing a conversation takes. On the store's lane."""
    thread = store.messages.thread(conversation_id)
    places: dict[MessageId, tuple[int, int]] = {}
    for each in thread:
        ids = [sibling.id for sibling in store.messages.siblings(each.id)]
        places[each.id] = (ids.index(each.id), len(ids))
    runs = {run.message_id: run for run in store.runs.of_conversation(conversation_id)}
    return StoredConversation(store.conversations.get(conversation_id), thread, places, runs)


def new_conversation(
    conversation_id: ConversationId,
    first_words: str,
    system_prompt: str,
    model_path: str | None,
    now: datetime,
    chain: str | None,
) -> ConversationRow:
    """A conversation as it is shown before the store has it. `chain` is its own sampler chain as JSON, if it has one."""
    return ConversationRow(
        id=conversation_id,
        title=title_of(first_words),
        title_is_manual=False,
        created_utc=now,
        updated_utc=now,
        folder=None,
        system_prompt=system_prompt,
        model_path=model_path,
        pinned=False,
        deleted_utc=None,
        draft="",
        head_id=None,
        chain=chain,
    )


def sibling_of(old: ThreadMessage, text: str) -> ThreadMessage:
    """Another text in a message's place, as its newest alternative."""
    count = old.sibling_count
    return ThreadMessage(
        MessageId(random_id()),
        old.parent_id,
        old.role,
        text,
        MessageState.COMPLETE,
        sibling_index=count,
        sibling_count=count + 1,
    )


def run_result(
    reason: FinishReason | None,
    stats: RunStats | None,
    started: RunStarted | None,
    trouble: Trouble | None,
    changes: tuple[ChainChange, ...] = (),
) -> RunResult:
    """How a run ended, as it is stored; what is not known stays None."""
    return RunResult(
        finish_reason=reason,
        n_prompt=stats.n_prompt if stats else (started.n_prompt if started else None),
        n_reused=stats.n_reused if stats else (started.n_reused if started else None),
        n_completion=stats.n_completion if stats else None,
        n_dropped_messages=started.n_dropped_messages if started else None,
        first_token_s=stats.first_token_s if stats else None,
        prefill_s=stats.prefill_s if stats else None,
        decode_s=stats.decode_s if stats else None,
        trouble=trouble,
        chain_changes=json_text(changes) if changes else None,
        n_drafted=stats.n_drafted if stats else None,
        n_accepted=stats.n_accepted if stats else None,
        no_shortcut=(stats.no_shortcut or None) if stats else None,
    )


def _thread_message(row: MessageRow, place: tuple[int, int], run: RunRow | None) -> ThreadMessage:
    return ThreadMessage(
        id=row.id,
        parent_id=row.parent_id,
        role=row.role,
        text=row.content,
        state=row.state,
        thinking=row.thinking,
        thinking_s=row.thinking_s,
        sibling_index=place[0],
        sibling_count=place[1],
        figures=_figures(run) if run else None,
        trouble=run.result.trouble if run else None,
    )


def _figures(run: RunRow) -> Figures:
    result = run.result
    stats = None
    if result.n_prompt is not None and result.n_completion is not None:
        stats = RunStats(
            n_prompt=result.n_prompt,
            n_reused=result.n_reused or 0,
            n_completion=result.n_completion,
            render_s=0.0,
            prefill_s=result.prefill_s or 0.0,
            first_token_s=result.first_token_s,
            decode_s=result.decode_s or 0.0,
            n_begun=run.recipe.n_begun,
            n_drafted=result.n_drafted,
            n_accepted=result.n_accepted,
            no_shortcut=result.no_shortcut or "",
        )
    return Figures(run.recipe.model_label, stats, run.recipe.seed, result.finish_reason, result.n_dropped_messages or 0)
