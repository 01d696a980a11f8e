"""Conversations as files: what is read in is what was written out, and a bad file changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.clock import Clock, SystemClock
from engine.base.errors import KnownError, Trouble
from engine.store import Store
from engine.store.rows import ConversationId, MessageId, MessageState, Role, RunRecipe, RunResult, RunTokens
from engine.wire.messages import FinishReason

RECIPE = RunRecipe("m.gguf", "m", "f", "b1", "t", '[{"key": "min_p", "values": {"p": 0.050}}]', "{}", "{}", 7)


def sample(store: Store) -> ConversationId:
    """A conversation with two branches, an edited question, two runs and a folded thought."""
    conversation = store.conversations.create(system_prompt="Be kind.", model_path="m.gguf", folder="Work").id
    question = store.messages.add(conversation, None, Role.USER, "What is 2 + 2?")
    answer = store.messages.add(conversation, question.id, Role.ASSISTANT, state=MessageState.WRITING)
    run = store.runs.start(answer.id, RECIPE, prompt_tokens=(1, 2, 3))
    store.messages.append_text(answer.id, "It is **4**.\n\n```python\n2 + 2\n```", thinking="Easy.")
    result = RunResult(FinishReason.STOP, 10, 0, 9, 0, None, 0.1, 0.05, 0.3, n_drafted=7, n_accepted=4)
    store.runs.finish(run.id, result, tokens=(4, 262_143))
    store.messages.finish(answer.id, MessageState.COMPLETE, thinking_s=1.84)
    other = store.messages.add(conversation, question.id, Role.ASSISTANT, "Fi", MessageState.WRITING)
    forked = replace(RECIPE, in_use='{"n_ctx":512}', parent_run_id=run.id, fork_position=1, fork_text=" a", n_begun=2)
    failed = store.runs.start(other.id, forked)
    store.runs.finish(failed.id, RunResult(trouble=Trouble("The engine died", "signal 9", "load again")))
    store.messages.finish(other.id, MessageState.FAILED)
    store.messages.add(conversation, None, Role.USER, "What is 3 + 3?")
    store.messages.set_head(conversation, answer.id)
    store.conversations.set_draft(conversation, "and 4 + 4")
    store.conversations.pin(conversation)
    store.conversations.set_chain(conversation, '{"preset":"","chain":[]}')
    return conversation


def everything(store: Store, conversation: ConversationId) -> tuple[object, ...]:
    return (
        store.conversations.get(conversation),
        store.messages.tree(conversation),
        store.runs.of_conversation(conversation),
        [store.runs.tokens(each.id) for each in store.runs.of_conversation(conversation)],
    )


def test_json_read_into_another_store_is_the_same_conversation(store: Store, clock: Clock) -> None:
    conversation = sample(store)
    text = store.exports.json(conversation)
    with closing(Store.in_memory(clock=clock)) as other:
        assert other.exports.import_json(text.encode()) == store.conversations.get(conversation)
        assert everything(other, conversation) == everything(store, conversation)
        assert other.exports.json(conversation) == text
        assert len(other.search("What is")) == 2  # both questions


def test_a_file_of_before_thinking_was_timed_is_read_without_a_time(store: Store) -> None:
    conversation = sample(store)
    document = json.loads(store.exports.json(conversation))
    assert [each.pop("thinking_s") for each in document["messages"]] == [None, 1.84, None, None]
    copy = store.exports.import_json(json.dumps(document))
    assert [each.thinking_s for each in store.messages.tree(copy.id)] == [None] * 4


def test_a_file_of_before_tokens_were_kept_is_read_without_any(store: Store) -> None:
    document = json.loads(store.exports.json(sample(store)))
    newer = {"in_use", "parent_run_id", "fork_position", "fork_text", "n_begun", "chain_changes", "logprob"}
    for run in document["runs"]:
        for key in newer | {"prompt_tokens", "tokens"}:
            del run[key]
    copy = store.exports.import_json(json.dumps(document))
    runs = store.runs.of_conversation(copy.id)
    assert [each.recipe.in_use for each in runs] == ["{}", "{}"]
    assert [store.runs.tokens(each.id) for each in runs] == [RunTokens(), RunTokens()]


def test_a_fork_in_a_copy_comes_from_the_copy_of_its_parent(store: Store) -> None:
    copy = store.exports.import_json(store.exports.json(sample(store)))
    parent, fork = store.runs.of_conversation(copy.id)
    assert fork.recipe.parent_run_id == parent.id
    assert store.runs.tokens(parent.id) == RunTokens((1, 2, 3), (4, 262_143))


def test_importing_where_the_ids_are_taken_makes_a_copy_beside_it(store: Store) -> None:
    conversation = sample(store)
    before = everything(store, conversation)
    copy = store.exports.import_json(store.exports.json(conversation))
    assert copy.id != conversation
    assert everything(store, conversation) == before

    def shape(of: ConversationId) -> list[tuple[object, ...]]:
        messages = store.messages.tree(of)
        places: dict[MessageId | None, int] = {each.id: n for n, each in enumerate(messages)}
        return [(each.role, each.content, each.state, places.get(each.parent_id)) for each in messages]

    assert shape(copy.id) == shape(conversation)
    assert [each.content for each in store.messages.thread(copy.id)] == [
        each.content for each in store.messages.thread(conversation)
    ]
    answer = store.messages.thread(copy.id)[-1]
    run = store.runs.of_message(answer.id)
    assert run is not None
    assert run.id == answer.run_id
    assert run.recipe.chain == '[{"key":"min_p","values":{"p":0.050}}]'


_TEXT = st.text(max_size=40)
_MESSAGES = st.lists(
    st.tuples(st.integers(0, 100), st.sampled_from(Role), _TEXT, _TEXT, st.sampled_from([*MessageState][1:])),
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(title=_TEXT, system_prompt=_TEXT, messages=_MESSAGES)
def test_any_tree_with_any_text_survives_the_round_trip(
    title: str, system_prompt: str, messages: list[tuple[int, Role, str, str, MessageState]]
) -> None:
    with closing(Store.in_memory(clock=SystemClock())) as here, closing(Store.in_memory(clock=SystemClock())) as there:
        conversation = here.conversations.create(system_prompt=system_prompt).id
        ids: list[MessageId | None] = [None]
        for place, role, content, thinking, state in messages:
            message = here.messages.add(conversation, ids[place % len(ids)], role)
            here.messages.finish(message.id, state, content=content, thinking=thinking)
            ids.append(message.id)
        here.conversations.rename(conversation, title)
        there.exports.import_json(here.exports.json(conversation))
        assert everything(there, conversation) == everything(here, conversation)


def test_an_answer_exported_while_it_is_written_is_stopped_in_the_copy(store: Store) -> None:
    conversation = store.conversations.create().id
    store.messages.add(conversation, None, Role.ASSISTANT, "half", MessageState.WRITING)
    copy = store.exports.import_json(store.exports.json(conversation))
    assert [(each.content, each.state) for each in store.messages.thread(copy.id)] == [("half", MessageState.STOPPED)]


def test_markdown_shows_the_branch_that_is_shown(store: Store) -> None:
    conversation = sample(store)
    assert store.exports.markdown(conversation) == (
        "# What is 3 + 3?\n\n2026-11-23 09:00 UTC\n\n## System\n\nBe kind.\n\n## User\n\nWhat is 2 + 2?\n\n"
        "## Assistant\n\n<details><summary>Thinking</summary>\n\nEasy.\n\n</details>\n\n"
        "It is **4**.\n\n```python\n2 + 2\n```\n"
    )
    failed = next(each for each in store.messages.tree(conversation) if each.state is MessageState.FAILED)
    store.messages.set_head(conversation, failed.id)
    assert store.exports.markdown(conversation).endswith("## Assistant (failed)\n\nFi\n")


def _drop_everything_named(document: dict[str, Any]) -> None:
    document["messages"] = []


def _twice(document: dict[str, Any]) -> None:
    document["messages"].append(document["messages"][0])


def _circle(document: dict[str, Any]) -> None:
    document["messages"][0]["parent_id"] = document["messages"][1]["id"]


def _foreign_parent(document: dict[str, Any]) -> None:
    document["messages"][1]["parent_id"] = "elsewhere"


def _foreign_run(document: dict[str, Any]) -> None:
    document["messages"][0]["run_id"] = document["runs"][0]["id"]


def _unknown_role(document: dict[str, Any]) -> None:
    document["messages"][0]["role"] = "'); DROP TABLE messages; --"


def _number_for_text(document: dict[str, Any]) -> None:
    document["messages"][0]["content"] = 17


def _huge_seed(document: dict[str, Any]) -> None:
    document["runs"][0]["seed"] = 2**70


def _no_zone(document: dict[str, Any]) -> None:
    document["conversation"]["created_utc"] = "2026-11-23T09:00:00"


def _before_time(document: dict[str, Any]) -> None:
    document["conversation"]["created_utc"] = "0001-01-01T00:00:00+14:00"


def _missing_field(document: dict[str, Any]) -> None:
    del document["conversation"]["title"]


def _another_format(document: dict[str, Any]) -> None:
    document["format"] = "shopping-list"


def _newer(document: dict[str, Any]) -> None:
    document["version"] = 99


def _long_id(document: dict[str, Any]) -> None:
    document["conversation"]["id"] = "x" * 100_000


@pytest.mark.parametrize(
    "spoil",
    [
        _drop_everything_named,
        _twice,
        _circle,
        _foreign_parent,
        _foreign_run,
        _unknown_role,
        _number_for_text,
        _huge_seed,
        _no_zone,
        _before_time,
        _missing_field,
        _another_format,
        _newer,
        _long_id,
    ],
)
def test_a_spoiled_file_is_refused_and_adds_nothing(store: Store, spoil: Callable[[dict[str, Any]], None]) -> None:
    conversation = sample(store)
    document = json.loads(store.exports.json(conversation))
    spoil(document)
    with closing(Store.in_memory(clock=SystemClock())) as other:
        with pytest.raises(KnownError):
            other.exports.import_json(json.dumps(document))
        assert other.conversations.list(include_deleted=True) == ()
        assert other.database.connection.execute("SELECT count(*) FROM messages").fetchone()[0] == 0


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"PK\x03\x04\xff\xff",
        b'{"format": "llamarium-conversation", "version": 1}',
        b'{"format": "llamarium-conversation", "version": 1, "junk": ' + b"[" * 100_000,
        '{"format": "\ud800"}',
    ],
)
def test_a_file_of_another_kind_is_refused(store: Store, contents: bytes | str) -> None:
    with pytest.raises(KnownError, match="cannot be imported"):
        store.exports.import_json(contents)


def test_a_file_cut_off_anywhere_is_refused(store: Store) -> None:
    text = store.exports.json(sample(store)).rstrip()
    with closing(Store.in_memory(clock=SystemClock())) as other:
        for length in range(0, len(text), 7):
            with pytest.raises(KnownError):
                other.exports.import_json(text[:length])
        assert other.conversations.list() == ()


def test_a_file_with_children_before_their_parents_is_put_in_order(store: Store) -> None:
    document = json.loads(store.exports.json(sample(store)))
    document["messages"].reverse()
    with closing(Store.in_memory(clock=SystemClock())) as other:
        copy = other.exports.import_json(json.dumps(document))
        assert other.messages.thread(copy.id)[0].content == "What is 2 + 2?"
        assert len(other.messages.tree(copy.id)) == 4


def test_a_recipe_nested_beyond_measure_is_refused(store: Store) -> None:
    document = json.loads(store.exports.json(sample(store)))
    document["runs"][0]["chain"] = "HERE"
    text = json.dumps(document).replace('"HERE"', "[" * 50_000 + "]" * 50_000)
    with closing(Store.in_memory(clock=SystemClock())) as other, pytest.raises(KnownError):
        other.exports.import_json(text)
