"""A stored answer is written again token for token, in another process; where it is not, the reasons are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import Trouble
from engine.sampling.chain import Chain
from engine.store.rows import MessageId
from engine.workbench.replay import Replayed
from tests.engine.workbench.conftest import WARM, Chat
from tests.support.benches import open_bench


def _talk(folder: Path, model: Path, **options: object) -> list[MessageId]:
    """Two turns, the second answered twice, the last answer forked: every way in which a cache is reused."""
    with open_bench(folder, start=False) as driver:
        chat = Chat(driver)
        chat.load(model, **options)
        chat.workbench.set_chain(WARM)
        chat.limit(10)
        first = chat.ask("Name three colours of the rainbow.")
        second = chat.ask("And now three animals, please. 안녕 🦙")
        chat.workbench.answer_again(second.id)
        third = chat.answered()
        forked = chat.fork(third.id, 1, chat.tokens(second.id).tokens[0])
        return [first.id, second.id, third.id, forked.id]


@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_answers_at_a_temperature_are_replayed_token_for_token_in_a_new_process(
    folder: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """Gemma's logits depend on how many tokens a call computes, so its later answers need the same portions."""
    model: Path = request.getfixturevalue(name)
    answers = _talk(folder, model)
    with open_bench(folder, start=False) as driver:
        later = Chat(driver)
        later.load(model)
        for each in reversed(answers):
            replayed = later.replay(each)
            assert replayed.differing == ()
            assert (replayed.same, replayed.first_difference) == (True, None), replayed
            assert replayed.n_tokens > 1


def test_what_is_not_as_it_was_is_listed_and_the_first_difference_is_taken_apart(folder: Path, gemma3: Path) -> None:
    answers = _talk(folder, gemma3)
    with open_bench(folder, start=False) as driver:
        later = Chat(driver)
        later.load(gemma3, type_k="q8_0", n_threads_batch=2)
        replayed = later.replay(answers[-1])
        named = {each.what: (each.first, each.second) for each in replayed.differing}
        assert named["KV cache type, K"] == ("f16", "q8_0")
        assert named["Prompt threads in use"] == ("1", "2")
        assert "Model file" not in named
        if replayed.first_difference is not None:
            _is_taken_apart(replayed)


def test_another_model_gives_other_tokens_and_is_named(folder: Path, chat: Chat, gemma3: Path) -> None:
    answer = chat.ask("Name three colours of the rainbow.")
    chat.load(gemma3)
    replayed = chat.replay(answer.id)
    assert "Model file" in {each.what for each in replayed.differing}
    assert not replayed.same
    _is_taken_apart(replayed)


def _is_taken_apart(replayed: Replayed) -> None:
    assert replayed.first_difference is not None
    assert replayed.expected is not None
    assert replayed.found is not None
    assert replayed.expected.id != replayed.found.id
    assert replayed.next_token is not None
    assert replayed.next_token.raw[0].p > 0
    assert [each.key for each in replayed.next_token.stages] == [each.key for each in WARM.active()]


def test_a_chain_that_was_changed_in_the_middle_is_changed_there_again(chat: Chat) -> None:
    wild = Chain.default().with_value("temperature", 3.0).with_enabled("top_k", False).with_enabled("top_p", False)
    chat.workbench.set_chain(wild.with_enabled("min_p", False))
    chat.limit(60)
    chat.workbench.say("Tell me a story.")
    chat.driver.until(lambda: chat.dialogue.is_writing and chat.workbench.state.n_past > 40)
    chat.workbench.set_chain(WARM)
    answer = chat.answered()
    (change,) = chat.tokens(answer.id).changes
    assert 0 < change.n_written < 60
    assert chat.replay(answer.id).same
    assert chat.tokens(answer.id).chain_at(change.n_written) == WARM
    assert chat.tokens(answer.id).chain_at(0) != WARM


def test_a_stop_text_and_the_models_own_end_are_replayed(chat: Chat, gemma3: Path) -> None:
    chat.limit(200, ignore_eos=False)
    assert chat.replay(chat.ask("Say hello.").id).same
    chat.limit(60, ignore_eos=False, stop=(" the",))
    assert chat.replay(chat.ask("What is the capital of France?").id).same
    chat.load(gemma3)  # a base model: its template has a stop text of its own
    chat.dialogue.new()
    chat.limit(60, ignore_eos=False)
    assert chat.replay(chat.ask("Say hello.").id).same


def test_an_answer_that_was_stopped_is_replayed_as_far_as_it_went(chat: Chat) -> None:
    chat.limit(400)
    chat.workbench.say("Tell me a long story.")
    chat.driver.until(lambda: chat.dialogue.is_writing and chat.workbench.state.n_past > 40)
    chat.workbench.cancel()
    answer = chat.answered()
    replayed = chat.replay(answer.id)
    assert replayed.same
    assert replayed.n_tokens == len(chat.tokens(answer.id).tokens) < 400


def test_progress_is_told_and_a_replay_can_be_stopped(chat: Chat) -> None:
    chat.limit(100)
    answer = chat.ask("Tell me a long story.")
    run_id = chat.tokens(answer.id).run_id
    told: list[tuple[int, int]] = []

    def progress(n_done: int, n_total: int) -> None:
        told.append((n_done, n_total))
        if len(told) == 3:
            chat.workbench.cancel()

    found: list[object] = []
    chat.workbench.replay(run_id, found.append, found.append, progress)
    chat.driver.until(lambda: found)
    assert isinstance(found[0], Trouble)
    assert found[0].what == "The replay was stopped"
    assert told == sorted(told)
    assert chat.dialogue.messages[-1].id == answer.id


def test_without_a_model_a_replay_is_refused(folder: Path, chat: Chat) -> None:
    run_id = chat.tokens(chat.ask("Name three colours.").id).run_id
    chat.workbench.unload_model()
    told = chat.told(chat.workbench.replay, run_id)
    assert isinstance(told, Trouble)
    assert told.next_step
