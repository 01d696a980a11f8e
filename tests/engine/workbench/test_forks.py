"""Forks of an answer: the old one stays, the new one begins with the same tokens, and all that is known tomorrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.sampling.chain import Chain
from engine.store.rows import ConversationId
from engine.wire.messages import FinishReason
from engine.workbench.events import MessageText
from tests.engine.workbench.conftest import Chat
from tests.support.benches import open_bench

GREEDY = Chain.default().with_value("temperature", 0)
ECHO = "Repeat this line again and again: 안녕하세요 🦙 세계. 안녕하세요 🦙 세계."


def test_a_fork_keeps_the_old_answer_and_begins_with_its_text(chat: Chat) -> None:
    old = chat.ask("Name three colours.")
    stored = chat.tokens(old.id)
    purple = chat.ids(" purple")[0]
    shown = chat.driver.collect(MessageText)
    new = chat.fork(old.id, 4, purple)
    forked = chat.tokens(new.id)
    assert forked.tokens[:5] == (*stored.tokens[:4], purple)
    assert forked.prompt_tokens == stored.prompt_tokens
    assert forked.n_begun == 5
    pieces = chat.told(chat.workbench.supervisor.request, _spell(forked.tokens[:5])).tokens
    kept = b"".join(each.piece for each in pieces).decode()
    assert shown[0].text == kept
    assert new.text.startswith(kept)
    assert (new.sibling_index, new.sibling_count, new.parent_id) == (1, 2, old.parent_id)
    assert new.figures is not None
    assert new.figures.stats is not None
    assert new.figures.stats.n_completion == 5 + 12, "the limit is for what is new"
    chat.dialogue.show_sibling(new.id, -1)
    chat.driver.until(lambda: chat.dialogue.messages[-1].id == old.id)
    assert chat.dialogue.messages[-1].text == old.text


def test_the_tree_names_origin_place_and_token_and_leads_to_every_answer(chat: Chat) -> None:
    old = chat.ask("Name three colours.")
    purple = chat.ids(" purple")[0]
    first = chat.fork(old.id, 2, purple)
    second = chat.fork(first.id, 5, purple)
    tree = chat.forks(second.id)
    assert tree.question_id == old.parent_id
    assert [each.message_id for each in tree.answers] == [old.id, first.id, second.id]
    assert [each.origin_id for each in tree.answers] == [None, old.id, first.id]
    assert [each.position for each in tree.answers] == [None, 2, 5]
    assert [each.token_text for each in tree.answers] == ["", " purple", " purple"]
    assert [each.n_tokens for each in tree.answers] == [12, 15, 18]
    assert [each.is_shown for each in tree.answers] == [False, False, True]
    chat.dialogue.show_message(old.id)
    chat.driver.until(lambda: chat.dialogue.messages[-1].id == old.id)
    assert [each.is_shown for each in chat.forks(old.id).answers] == [True, False, False]


def test_a_probability_that_was_scored_is_told_with_the_tree(chat: Chat) -> None:
    answer = chat.ask("Name three colours.")
    (before,) = chat.forks(answer.id).answers
    assert before.run_id is not None
    chat.workbench.records.keep_logprob(before.run_id, -12.5)
    assert [each.logprob for each in (before, *chat.forks(answer.id).answers)] == [None, -12.5]


@pytest.mark.parametrize("text", ["🦙", "뷁"])
def test_a_fork_in_the_middle_of_a_character_joins_its_halves(chat: Chat, text: str) -> None:
    """A character of several tokens is cut after each of them; the next token that is chosen makes it whole."""
    chat.limit(1)
    forked = chat.ask(ECHO)
    halves = chat.ids(text)
    assert len(halves) > 1, "the test needs a character of several tokens"
    for position, token in enumerate(halves):
        forked = chat.fork(forked.id, position, token)
        tokens = chat.tokens(forked.id).tokens
        assert tokens[: position + 1] == halves[: position + 1]
        pieces = chat.told(chat.workbench.supervisor.request, _spell(tokens)).tokens
        assert forked.text == b"".join(each.piece for each in pieces).decode(errors="replace")
    assert forked.text.startswith(text)


def test_thinking_that_was_kept_is_thinking_in_the_fork(chat: Chat) -> None:
    answer = chat.ask("Name three colours.")
    thought = chat.ids("<think>Let me see.</think>Red")
    new = answer
    for position, token in enumerate(thought[:3]):
        new = chat.fork(new.id, position, token)
    chat.limit(1)
    for position, token in list(enumerate(thought))[3:]:
        new = chat.fork(new.id, position, token)
    assert new.thinking == "Let me see."
    assert new.text.startswith("Red")
    assert new.thinking_s is None, "it was not thought here"


def test_choosing_the_end_ends_the_answer_there(chat: Chat) -> None:
    old = chat.ask("Name three colours.")
    chat.limit(12, ignore_eos=False)
    (end,) = chat.ids("<|im_end|>")
    new = chat.fork(old.id, 3, end)
    assert new.figures is not None
    assert new.figures.reason is FinishReason.STOP
    assert chat.tokens(new.id).tokens == (*chat.tokens(old.id).tokens[:3], end)
    assert old.text.startswith(new.text)


def test_an_answer_that_was_cut_off_is_gone_on_with(chat: Chat) -> None:
    chat.workbench.set_chain(GREEDY)
    whole = chat.ask("Name three colours.")
    chat.limit(5)
    chat.workbench.answer_again(whole.id)
    short = chat.answered()
    chat.limit(7)
    chat.workbench.continue_answer(short.id)
    longer = chat.branched()
    assert longer.text == whole.text
    assert chat.tokens(longer.id).tokens == chat.tokens(whole.id).tokens
    node = chat.forks(longer.id).answers[-1]
    assert (node.origin_id, node.position, node.token_text) == (short.id, 5, "")


def test_an_answer_that_the_model_ended_is_not_gone_on_with(chat: Chat) -> None:
    chat.limit(200, ignore_eos=False)
    chat.workbench.set_chain(GREEDY)
    answer = chat.ask("Say hello.")
    chat.workbench.continue_answer(answer.id)
    assert "ended this answer itself" in chat.trouble().what
    assert chat.dialogue.messages[-1].id == answer.id


def test_tokens_and_forks_outlive_the_program(folder: Path, smollm2: Path) -> None:
    with open_bench(folder, start=False) as driver:
        chat = Chat(driver)
        chat.load(smollm2)
        chat.limit(12)
        old = chat.ask("Name three colours.")
        new = chat.fork(old.id, 4, chat.ids(" purple")[0])
        stored, tree, conversation = chat.tokens(new.id), chat.forks(new.id), chat.dialogue.conversation_id
    with open_bench(folder, start=False) as driver:
        later = Chat(driver)
        assert conversation is not None
        later.dialogue.open(ConversationId(conversation))
        driver.until(lambda: later.dialogue.messages)
        assert later.forks(new.id) == tree
        again = later.tokens(new.id)
        assert (again.tokens, again.prompt_tokens, again.is_loaded) == (stored.tokens, stored.prompt_tokens, False)
        later.load(smollm2)
        assert later.tokens(new.id).is_loaded
        later.limit(3)
        assert later.fork(new.id, 1, stored.tokens[3]).sibling_count == 3


def test_what_no_model_wrote_cannot_be_forked(chat: Chat) -> None:
    answer = chat.ask("Name three colours.")
    chat.workbench.edit_message(answer.id, "Red, green and blue.")
    own = chat.dialogue.messages[-1]
    chat.workbench.fork_answer(own.id, 0, 1)
    assert chat.trouble().what == "No model wrote this message"
    with pytest.raises(KnownError, match="not in the open chat"):
        chat.workbench.fork_answer(answer.id, 0, 1)


def test_a_place_beyond_the_end_is_refused(chat: Chat) -> None:
    answer = chat.ask("Name three colours.")
    chat.workbench.fork_answer(answer.id, 13, 1)
    assert "13 of 12" in chat.trouble().value
    assert chat.dialogue.messages[-1].id == answer.id


def test_a_token_that_the_model_has_not_is_refused_and_the_old_answer_is_shown_again(chat: Chat) -> None:
    answer = chat.ask("Name three colours.")
    chat.workbench.fork_answer(answer.id, 2, 10**7)
    assert "no such token" in chat.trouble().what
    chat.driver.until(lambda: chat.dialogue.messages and chat.dialogue.messages[-1].id == answer.id)
    assert not chat.dialogue.is_writing


def test_another_models_tokens_are_refused(chat: Chat, gemma3: Path) -> None:
    answer = chat.ask("Name three colours.")
    chat.load(gemma3)
    chat.workbench.fork_answer(answer.id, 2, 5)
    assert "another model" in chat.trouble().what


def _spell(tokens: tuple[int, ...]) -> object:
    from engine.wire.messages import Tokenize

    return lambda n: Tokenize(n, "", False, False, tokens)
