"""A workbench with a loaded model whose chats are kept in a folder, and what a test says in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import Trouble
from engine.runtime.supervisor import Phase
from engine.sampling.chain import Chain
from engine.store.rows import MessageId
from engine.workbench.branching import AnswerTokens, Forks
from engine.workbench.events import ThreadMessage
from engine.workbench.replay import Replayed
from tests.support.benches import Driver, open_bench

WARM = Chain.default().with_value("temperature", 0.8)


class Chat:
    """One conversation of a real model on one thread. Answers are `n_tokens` long unless a test says otherwise."""

    def __init__(self, driver: Driver) -> None:
        self.driver, self.workbench, self.dialogue = driver, driver.workbench, driver.workbench.dialogue

    def load(self, model: Path, **options: object) -> None:
        self.driver.load(model, **{"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1, **options})

    def limit(self, n_tokens: int, *, seed: int = -1, ignore_eos: bool = True, stop: tuple[str, ...] = ()) -> None:
        options = {"max_tokens": n_tokens, "seed": seed, "ignore_eos": ignore_eos, "stop": stop}
        self.workbench.set_run_options({**self.workbench.run_options, **options})

    def ask(self, text: str) -> ThreadMessage:
        self.workbench.say(text)
        return self.answered()

    def fork(self, message: MessageId, position: int, token: int) -> ThreadMessage:
        self.workbench.fork_answer(message, position, token)
        return self.branched()

    def branched(self) -> ThreadMessage:
        """Wait until a branch is begun and written."""
        self.driver.until(lambda: self.dialogue.is_writing or self.driver.troubles)
        assert self.driver.troubles == []
        return self.answered()

    def answered(self) -> ThreadMessage:
        self.driver.until(lambda: not self.dialogue.is_writing and self.workbench.state.phase is Phase.READY)
        return self.dialogue.messages[-1]

    def trouble(self) -> Trouble:
        """Wait for a trouble, and take it."""
        self.driver.until(lambda: self.driver.troubles)
        return self.driver.troubles.pop(0)

    def told(self, ask: Any, *arguments: Any) -> Any:
        """What comes of a question that answers through two functions: the answer or the trouble."""
        found: list[Any] = []
        ask(*arguments, found.append, found.append)
        self.driver.until(lambda: found)
        return found[0]

    def tokens(self, message: MessageId) -> AnswerTokens:
        found = self.told(self.workbench.answer_tokens, message)
        assert isinstance(found, AnswerTokens), found
        return found

    def forks(self, message: MessageId) -> Forks:
        found: list[Forks] = []
        self.workbench.forks(message, found.append)
        self.driver.until(lambda: found)
        return found[0]

    def replay(self, message: MessageId) -> Replayed:
        found = self.told(self.workbench.replay, self.tokens(message).run_id)
        assert isinstance(found, Replayed), found
        return found

    def ids(self, text: str) -> tuple[int, ...]:
        """The tokens of a text."""
        return tuple(each.id for each in self.told(self.workbench.tokenize, text).tokens)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the chats are kept; opened twice it is a second start."""
    return tmp_path / "data"


@pytest.fixture
def chat(folder: Path, smollm2: Path) -> Iterator[Chat]:
    """SmolLM2 at a temperature of 0.8, 12 tokens an answer."""
    with open_bench(folder, start=False) as driver:
        opened = Chat(driver)
        opened.load(smollm2)
        opened.workbench.set_chain(WARM)
        opened.limit(12)
        yield opened
