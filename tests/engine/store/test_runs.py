"""Runs: what is needed to write an answer again, and how it went."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.base.errors import BugError, KnownError, Remedy, RemedyKind, Trouble
from engine.store import Store
from engine.store.rows import ConversationId, MessageId, Role, RunId, RunRecipe, RunResult
from engine.wire.messages import FinishReason

RECIPE = RunRecipe(
    model_path="models/small.gguf",
    model_label="Small 135M · Q4_1",
    model_fingerprint="sha256:0123",
    engine_build="b1234 CPU",
    template_hash="abcd",
    chain='[{"key":"top_k","enabled":true,"values":{"top_k":40}}]',
    limits='{"max_tokens":256}',
    load_options='{"n_ctx":4096}',
    seed=4294967295,
)
RESULT = RunResult(
    finish_reason=FinishReason.LENGTH,
    n_prompt=100,
    n_reused=60,
    n_completion=256,
    n_dropped_messages=2,
    load_s=1.5,
    first_token_s=0.25,
    prefill_s=0.2,
    decode_s=3.0,
)


def message(store: Store) -> MessageId:
    return store.messages.add(store.conversations.create().id, None, Role.ASSISTANT, "answer").id


def test_a_run_keeps_its_recipe_from_the_start_and_its_result_from_the_end(store: Store) -> None:
    message_id = message(store)
    started = store.runs.start(message_id, RECIPE)
    assert (started.recipe, started.result) == (RECIPE, RunResult())
    assert store.messages.get(message_id).run_id == started.id
    finished = store.runs.finish(started.id, RESULT)
    assert finished == replace(started, result=RESULT)
    assert store.runs.get(started.id) == store.runs.of_message(message_id) == finished


def test_ids_may_be_chosen_by_the_caller_once(store: Store) -> None:
    conversation = store.conversations.create(conversation_id=ConversationId("c")).id
    answer = store.messages.add(conversation, None, Role.ASSISTANT, message_id=MessageId("m")).id
    run = store.runs.start(answer, RECIPE, run_id=RunId("r")).id
    assert (conversation, answer, run) == ("c", "m", "r")
    assert store.messages.get(answer).run_id == run
    with pytest.raises(BugError, match="UNIQUE"):
        store.messages.add(conversation, None, Role.ASSISTANT, message_id=answer)
    assert len(store.messages.tree(conversation)) == 1


def test_a_failed_run_keeps_its_trouble_with_its_buttons(store: Store) -> None:
    trouble = Trouble(
        "The model is gone", "small.gguf", "choose another", (Remedy(RemedyKind.RELOAD, "Reload"),), "log"
    )
    run = store.runs.start(message(store), replace(RECIPE, seed=None))
    assert store.runs.finish(run.id, RunResult(trouble=trouble)).result == RunResult(trouble=trouble)


def test_a_message_that_is_run_again_shows_its_last_run_and_keeps_the_first(store: Store) -> None:
    message_id = message(store)
    first, second = store.runs.start(message_id, RECIPE), store.runs.start(message_id, replace(RECIPE, seed=2))
    assert store.runs.of_message(message_id) == second
    assert store.messages.get(message_id).run_id == second.id
    assert store.runs.of_conversation(store.messages.get(message_id).conversation_id) == (first, second)


def test_the_list_is_newest_first_and_without_deleted_conversations(store: Store) -> None:
    old, new, deleted = (store.runs.start(message(store), RECIPE) for _ in range(3))
    store.conversations.delete(store.messages.get(deleted.message_id).conversation_id)
    assert [each.id for each in store.runs.list()] == [new.id, old.id]
    assert [each.id for each in store.runs.list(limit=1)] == [new.id]


def test_unknown_ids_are_told_and_a_recipe_that_is_no_json_is_a_fault_of_ours(store: Store) -> None:
    with pytest.raises(KnownError, match="message does not exist"):
        store.runs.start(MessageId("gone"), RECIPE)
    with pytest.raises(KnownError, match="run does not exist"):
        store.runs.finish(RunId("gone"), RESULT)
    with pytest.raises(BugError, match="not JSON"):
        store.runs.start(message(store), replace(RECIPE, chain="top_k = 40"))
    assert store.runs.of_message(message(store)) is None
