"""How long an answer was thought about: told when it ends, and still known when the chat is opened again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from engine.base.bus import Bus
from engine.base.fields import Value
from engine.runtime.supervisor import EngineState, Phase
from engine.sampling.chain import Chain
from engine.store import Store, open_store
from engine.wire.messages import ChainLink, FinishReason, Prompt, RunDone, RunStarted, RunStats, Token
from engine.workbench.dialogue import Dialogue
from engine.workbench.events import MessageFinished
from engine.workbench.stored import read_conversation
from tests.support.hand_clock import HandClock


class _ReadyEngine:
    """An engine that takes every prompt; the test says what it answers."""

    state = EngineState(phase=Phase.READY, model_path="model.gguf")
    load_options: Mapping[str, Value] = {}

    def generate(self, prompt: Prompt, chain: tuple[ChainLink, ...], options: Mapping[str, Value]) -> int:
        return 1

    def cancel(self) -> None:
        raise AssertionError("nobody stops this answer")


def test_a_chat_that_is_opened_again_knows_how_long_the_thinking_took(tmp_path: Path) -> None:
    clock, bus = HandClock(), Bus()
    with closing(open_store(tmp_path / "chats.sqlite3", clock=clock)) as store:

        def in_store(
            work: Callable[[Store], object], *, then: Callable[[Any], None] | None = None, title: str = ""
        ) -> None:
            result = work(store)
            if then is not None:
                then(result)

        dialogue = Dialogue(bus, _ReadyEngine(), in_store, clock)
        ended: list[MessageFinished] = []
        bus.subscribe(MessageFinished, ended.append)
        dialogue.send("How much is it?", Chain.default(), {})
        bus.post(RunStarted(1, 9, 0, 42, 0, "", ()))
        for piece, seconds in ((b"<think>Let me", 1.5), (b" see", 0.25), (b"</think>Four.", 0.0)):
            bus.post(Token(1, piece, 1, 10))
            bus.pump()
            clock.move(seconds)
        bus.post(RunDone(1, FinishReason.STOP, RunStats(9, 0, 3, 0.0, 0.1, 0.1, 0.2)))
        bus.pump()
        assert [each.message.thinking_s for each in ended] == [1.5]
        assert dialogue.conversation_id is not None
        question, answer = read_conversation(store, dialogue.conversation_id).messages()
        assert (answer.text, answer.thinking, answer.thinking_s) == ("Four.", "Let me see", 1.5)
        assert question.thinking_s is None
