"""Answers that were left while they were being written: what is kept of them is what their tokens spell."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.base.errors import Trouble
from engine.chat.stream import StopMatcher
from engine.sampling.chain import Chain
from engine.store.rows import ConversationId, MessageId, MessageState, Role, RunId
from engine.wire.messages import FinishReason, RunStarted, Token, Tokenize
from engine.workbench.answer import Answer
from engine.workbench.events import MessageText, ThreadMessage
from tests.engine.workbench.conftest import WARM, Chat
from tests.support.benches import open_bench

STORY = "Tell me a long story of a llama 🦙 in the mountains."


def begin_story(chat: Chat) -> MessageId:
    """An answer that will not end by itself, with some text."""
    chat.limit(400)
    texts = chat.driver.collect(MessageText)
    chat.workbench.say(STORY)
    chat.driver.until(lambda: len(texts) > 3)
    return chat.dialogue.messages[-1].id


def spelled(chat: Chat, tokens: tuple[int, ...]) -> str:
    found = chat.told(chat.workbench.supervisor.request, lambda n: Tokenize(n, "", False, False, tokens))
    return b"".join(each.piece for each in found.tokens).decode(errors="replace")


def test_an_answer_whose_engine_was_killed_keeps_its_tokens_and_can_be_forked(chat: Chat) -> None:
    killed_id = begin_story(chat)
    chat.driver.worker().kill()
    chat.driver.until(lambda: not chat.dialogue.is_writing)
    killed = chat.dialogue.messages[-1]
    assert (killed.id, killed.state) == (killed_id, MessageState.FAILED)
    found = chat.tokens(killed.id)
    assert len(found.tokens) > 3
    chat.driver.troubles.clear()
    chat.workbench.reload()
    chat.answered()
    assert spelled(chat, found.tokens) == killed.text
    assert chat.replay(killed_id).same
    chat.limit(6)
    forked = chat.fork(killed.id, 2, chat.ids(" purple")[0])
    assert chat.tokens(forked.id).tokens[:2] == found.tokens[:2]


def test_an_answer_that_was_left_for_another_chat_keeps_its_tokens(chat: Chat) -> None:
    left_id = begin_story(chat)
    conversation_id = chat.dialogue.conversation_id
    assert conversation_id is not None
    chat.dialogue.new()
    chat.driver.settle("store")
    chat.dialogue.open(conversation_id)
    chat.driver.until(lambda: chat.dialogue.messages and chat.dialogue.messages[-1].id == left_id)
    left = chat.dialogue.messages[-1]
    assert left.state is MessageState.STOPPED
    assert left.figures is not None
    assert left.figures.reason is FinishReason.CANCELLED
    chat.answered()
    assert spelled(chat, chat.tokens(left_id).tokens) == left.text


def test_closing_the_window_keeps_the_tokens_and_the_changes_of_the_chain(folder: Path, smollm2: Path) -> None:
    with open_bench(folder, start=False) as driver:
        chat = Chat(driver)
        chat.load(smollm2)
        chat.workbench.set_chain(WARM)
        left_id = begin_story(chat)
        chat.workbench.set_chain(Chain.default().with_value("temperature", 1.1))
        answer = chat.dialogue._writing
        assert answer is not None
        driver.until(lambda: answer.changes)
        conversation_id = chat.dialogue.conversation_id
    assert conversation_id is not None
    with open_bench(folder, start=False) as driver:
        chat = Chat(driver)
        chat.load(smollm2)
        chat.dialogue.open(conversation_id)
        driver.until(lambda: chat.dialogue.messages)
        left = chat.dialogue.messages[-1]
        assert (left.id, left.state) == (left_id, MessageState.STOPPED)
        found = chat.tokens(left_id)
        assert spelled(chat, found.tokens) == left.text
        assert found.chain_at(len(found.tokens)).value("temperature") == 1.1
        assert found.chain_at(0).value("temperature") == WARM.value("temperature")


def test_an_answer_that_was_stopped_before_its_first_token_has_none_and_says_so(chat: Chat) -> None:
    chat.limit(400)
    chat.workbench.say("word " * 400)
    chat.driver.until(lambda: chat.dialogue._writing is not None and chat.dialogue._writing.started is not None)
    chat.driver.worker().kill()
    chat.driver.until(lambda: not chat.dialogue.is_writing)
    unread = chat.dialogue.messages[-1]
    assert unread.text == ""
    told = chat.told(chat.workbench.answer_tokens, unread.id)
    assert isinstance(told, Trouble)
    assert "ended before the answer did" in told.value
    for n_asked in (1, 2):
        chat.workbench.fork_answer(unread.id, 0, 1)
        chat.driver.until(lambda n_asked=n_asked: chat.driver.troubles.count(told) == n_asked)


PIECES = [
    b"a",
    b"<th",
    b"ink>",
    b" so ",
    b"</",
    b"think>",
    b"\n<",
    b"b>",
    "🦙".encode()[:2],
    "🦙".encode()[2:],
    b"EN",
    b"D",
    b"O",
]


@pytest.mark.parametrize("seed", range(30))
def test_after_every_save_the_stored_text_is_what_the_tokens_spell(seed: int) -> None:
    draw = random.Random(seed)
    answer, matcher = _answer(), StopMatcher(("ENDE",))
    text = thinking = ""
    written: list[int] = []
    waiting: list[int] = []
    for token in (draw.randrange(len(PIECES)) for _ in range(60)):
        step = matcher.feed(PIECES[token])
        if step.stopped:
            break  # the end comes with the next message, and is not what is asked here
        waiting.append(token)
        answer.take(Token(1, step.emit, 0, 0, tuple(waiting), matcher.held), 0.0)
        written += waiting
        waiting.clear()
        if draw.random() < 0.5:
            continue
        unsaved = answer.take_unsaved()
        assert unsaved is not None
        text = unsaved.text if unsaved.is_whole else text + unsaved.text
        thinking = unsaved.thinking if unsaved.is_whole else thinking + unsaved.thinking
        assert unsaved.tokens == tuple(written)
        # The same bytes through an answer that is read in one piece.
        whole = _answer()
        whole.take(Token(1, b"".join(PIECES[each] for each in written), 0, 0), 0.0)
        whole.drain(0.0, is_whole=True)
        expected = whole.finished(MessageState.STOPPED, None, None, None)
        assert (text, thinking) == (expected.text, expected.thinking)


def _answer() -> Answer:
    message = ThreadMessage(MessageId("m"), None, Role.ASSISTANT, "", MessageState.WRITING)
    answer = Answer(1, ConversationId("c"), message, RunId("r"), "model", Chain.default(), {}, 0.0)
    answer.begin(RunStarted(1, 1, 0, 0, 0, "", ()))
    return answer
