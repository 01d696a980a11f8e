"""Runs: what is needed to write an answer again, and how it went."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.base.errors import BugError, KnownError, Remedy, RemedyKind, Trouble
from engine.store import Store
from engine.store.rows import ConversationId, MessageId, Role, RunId, RunRecipe, RunResult, RunTokens
from engine.store.tokens import MOST_TOKENS, DamagedTokens, pack, unpack
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
    n_drafted=120,
    n_accepted=85,
    no_shortcut="No backend sampling: a reason.",
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


def test_tokens_are_kept_with_the_run_and_go_with_it(store: Store) -> None:
    prompt, answer = (1, 262_143, 0, *range(5000)), (7, 7, 7)
    run = store.runs.start(message(store), RECIPE, prompt_tokens=prompt)
    assert store.runs.tokens(run.id) == RunTokens(prompt, None)
    store.runs.finish(run.id, RESULT, tokens=answer)
    assert store.runs.tokens(run.id) == RunTokens(prompt, answer)
    size = store.database.connection.execute("SELECT length(prompt) FROM run_tokens").fetchone()[0]
    assert size < 4 * len(prompt)
    conversation = store.messages.get(run.message_id).conversation_id
    store.conversations.delete(conversation)
    assert store.conversations.purge(timedelta(seconds=-60)) == 1
    assert store.database.connection.execute("SELECT count(*) FROM run_tokens").fetchone()[0] == 0


def test_a_run_without_tokens_says_that_it_has_none(store: Store) -> None:
    run = store.runs.start(message(store), RECIPE)
    assert store.runs.tokens(run.id) == RunTokens(None, None)
    store.runs.finish(run.id, RESULT, tokens=())
    assert store.runs.tokens(run.id) == RunTokens(None, ())


@pytest.mark.parametrize("damaged", [b"", b"noise", pack((1, 2, 3))[:-2], pack((1,)) + b"x", zlib.compress(b"abc")])
def test_damaged_tokens_are_told_as_that(store: Store, damaged: bytes) -> None:
    run = store.runs.start(message(store), RECIPE, prompt_tokens=(1, 2))
    store.database.connection.execute("UPDATE run_tokens SET prompt = ?", (damaged,))
    with pytest.raises(KnownError, match="damaged"):
        store.runs.tokens(run.id)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=200))
def test_any_tokens_survive_being_packed(tokens: list[int]) -> None:
    assert unpack(pack(tokens)) == tuple(tokens)


def test_a_column_that_would_unpack_to_too_much_is_refused() -> None:
    bomb = zlib.compress(bytes(4 * MOST_TOKENS + 4))
    with pytest.raises(DamagedTokens):
        unpack(bomb)


def test_a_run_is_found_by_its_id_by_its_beginning_or_as_the_last(store: Store) -> None:
    first = store.runs.start(message(store), RECIPE, run_id=RunId("abc1"))
    second = store.runs.start(message(store), RECIPE, run_id=RunId("abc12"))
    third = store.runs.start(message(store), RECIPE, run_id=RunId("a%"))
    assert store.runs.find("abc1").id == first.id, "a whole id wins over the beginning of another"
    assert store.runs.find("abc12").id == second.id
    assert store.runs.find("a%").id == third.id
    assert store.runs.find("last").id == third.id
    with pytest.raises(KnownError, match="Several runs"):
        store.runs.find("ab")
    for nothing in ("x", "%", "", "ABC1"):
        with pytest.raises(KnownError):
            store.runs.find(nothing)


def test_a_fork_keeps_where_it_comes_from_and_its_probability(store: Store) -> None:
    parent = store.runs.start(message(store), RECIPE)
    recipe = replace(
        RECIPE, in_use='{"n_ctx":512}', parent_run_id=parent.id, fork_position=3, fork_text="\ufffd\n", n_begun=4
    )
    fork = store.runs.start(message(store), recipe)
    store.runs.finish(fork.id, replace(RESULT, chain_changes='[{"n_written":2,"chain":[]}]'))
    store.runs.set_logprob(fork.id, -3.25)
    found = store.runs.get(fork.id)
    assert found.recipe == recipe
    assert (found.result.chain_changes, found.result.logprob) == ('[{"n_written":2,"chain":[]}]', -3.25)
